package taskhub

import "time"

// WorkerHealth is what a worker knows about itself at one moment.
type WorkerHealth struct {
	WorkerID string
	// At is when this was so, Started when the worker began; by the worker's clock, as all times
	// here unless they say otherwise.
	At      time.Time
	Started time.Time
	// Partitions are those it owns, by id.
	Partitions []OwnedPartition
	// Stalls counts by partition, owned or not, how often the worker has dropped it because its queue did
	// not answer for long, or its reader hung.
	Stalls map[string]int64
	// Unknown are the names that messages ask for and that nothing is bound to here. A name is
	// listed for as long as one of its messages may be waiting.
	Unknown []UnknownName
	// Held are the instances whose code does not match their history.
	Held []HeldInstance
	// PutBack are messages that the worker has put back for a while and that cannot be seen in their queues
	// before that is over, the first to come again first; no more than the latest 100.
	PutBack []PutBack
	// WorkItems is what the worker holds of the queue of activities.
	WorkItems Holding
	// Running are the activities that run, the longest running first.
	Running []RunningActivity
	// Attempts are under way at messages that may be what makes workers crash.
	Attempts []Attempt
	// Application is the name of the worker's application. Standby says that another application processes the hub, so
	// that the worker owns no partitions.
	Application string
	Standby     bool
	// Activities is how many activities run, Buffered how many control messages are held.
	Activities int
	Buffered   int
	// Doorbell is where others can wake the worker, as host and port, "" if they cannot; Rings is how often
	// they did.
	Doorbell string
	Rings    int64
	// Cost is what was sent through the Hub that the worker was made with.
	Cost Cost
}

// OwnedPartition is a partition as its owner sees it.
type OwnedPartition struct {
	ID string
	// Since is when the worker took it.
	Since time.Time
	// LeaseAge is how long ago the last renewal that took effect was sent.
	LeaseAge time.Duration
	// LastPolled is when its queue last answered the worker, zero if it never did. If the worker has dropped
	// the partition because it did not, and has taken it again, it is since when the queue does not answer.
	LastPolled time.Time
	// Draining says that it is about to be handed over.
	Draining bool
	// Messages is how many messages of its queue the worker holds. OldestMessage is when the oldest
	// of them was sent, by the service's clock and zero if there is none, Deliveries how often one of
	// them was delivered at most.
	Messages      int
	OldestMessage time.Time
	Deliveries    int
	// Sessions is how many of its instances are in memory.
	Sessions int
}

// NameKind says what a name is the name of.
type NameKind string

// The kinds of names.
const (
	ActivityName      NameKind = "activity"
	OrchestrationName NameKind = "orchestration"
)

// UnknownName is a name that a worker was asked for and does not know. Its messages are put back,
// with growing pauses, until a worker knows it.
type UnknownName struct {
	Kind NameKind
	Name string
	// Count is how many deliveries were turned away, one message more than once.
	Count int64
	// Since and LastSeen are when the first and the last of them came.
	Since    time.Time
	LastSeen time.Time
	// Messages is how many messages wait because of it, as far as PutBack tells, and NextTry when the first of
	// them comes again.
	Messages int
	NextTry  time.Time
}

// PutBack is a message that a worker has put back for a while.
type PutBack struct {
	Queue string
	// InstanceID, Kind and Name say what is in it: the kind of event, and the name of an activity,
	// orchestration or event; "" if it cannot be read, or has none.
	InstanceID string
	Kind       string
	Name       string
	// Reason says why.
	Reason string
	// Until is when it comes again.
	Until time.Time
	// Deliveries is how often it was delivered, Sent when it came into the queue, by the service's clock.
	Deliveries int
	Sent       time.Time
}

// Holding is what a worker holds of a queue.
type Holding struct {
	// Messages is how many, OldestMessage when the oldest of them was sent, by the service's clock and zero
	// if there is none, and Deliveries how often one of them was delivered at most.
	Messages      int
	OldestMessage time.Time
	Deliveries    int
}

// HeldInstance is an instance that is not worked on because its code does not match its history. It
// is tried again, with growing pauses, so that putting the code right heals it.
type HeldInstance struct {
	InstanceID string
	Reason     string
	// Since and LastTried are when this was first and last found.
	Since     time.Time
	LastTried time.Time
}

// Attempt is an attempt at a message that may be what makes workers crash: a work item of an activity, or a turn of an
// orchestration. All attempts before it, from the first on, ended with the death of a worker.
type Attempt struct {
	Kind       NameKind
	Name       string
	InstanceID string
	Number     int
	Since      time.Time
}

// RunningActivity is an activity that a worker runs.
type RunningActivity struct {
	Name        string
	InstanceID  string
	ExecutionID string
	// TaskID is the number of the call in its execution.
	TaskID int32
	Since  time.Time
}
