package diagnosis

import "strings"

// Code names a kind of finding.
type Code string

// The kinds of findings about a hub.
const (
	NoOwner        Code = "no-owner"
	LeaseExpired   Code = "lease-expired"
	NotPolling     Code = "not-polling"
	NameUnknown    Code = "name-unknown"
	PartitionCount Code = "partition-count"
	QueueMissing   Code = "queue-missing"
	WrongQueue     Code = "wrong-queue"
	ClockOff       Code = "clock-off"
	Poison         Code = "poison"
	DeadReport     Code = "dead-report"
	WorkersDie     Code = "workers-die"
	// OtherApplication is a kind of its own, since what it says may be meant so.
	OtherApplication Code = "other-application"
	Unreadable       Code = "unreadable"
)

// The kinds of findings about an instance.
const (
	RowBehind       Code = "row-behind"
	RowMissing      Code = "row-missing"
	RowForeign      Code = "row-foreign"
	RowAhead        Code = "row-ahead"
	OrphanedHistory Code = "orphaned-history"
	StartLost       Code = "start-lost"
	MessageLost     Code = "message-lost"
	AnswerLost      Code = "answer-lost"
	Settled         Code = "settled-message"
	OrphanedPayload Code = "orphaned-payload"
	CorruptHistory  Code = "corrupt-history"
	Held            Code = "held"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// Note is worth knowing, and harms nobody.
	Note Severity = "note"
	// Warning may keep work from going on.
	Warning Severity = "warning"
	// Broken keeps work from going on until somebody acts.
	Broken Severity = "error"
)

// Finding is something that is wrong.
type Finding struct {
	Code     Code
	Severity Severity
	// Likely says that it cannot be concluded for sure.
	Likely bool
	Text   string
	// Evidence is what it was concluded from.
	Evidence []string
	// InstanceID and Partition say what it is about, as far as it is about one.
	InstanceID string
	Partition  string
	// OfHub says that it is wrong with the hub, and told of an instance because that depends on it.
	OfHub bool
	// Repair is what can safely be done, the zero value if nothing.
	Repair Repair
	// Why says why nothing can, if that does not follow from the code.
	Why string
}

// RepairKind says how something is repaired.
type RepairKind string

// The repairs.
const (
	// WriteRow writes the status row as the history says.
	WriteRow RepairKind = "write-row"
	// SendStart sends the start message again that the status row stands for.
	SendStart RepairKind = "send-start"
	// SendTimers sends the messages of the timers of Tasks again.
	SendTimers RepairKind = "send-timers"
	// AskOwner asks the owner of the instance to send the messages of Tasks again.
	AskOwner RepairKind = "ask-owner"
	// SendAnswer sends the parent the outcome of its child again; Tasks has the child's number.
	SendAnswer RepairKind = "send-answer"
	// EndHistory terminates the instance whose status row shows an end already.
	EndHistory RepairKind = "end-history"
	// DropHistory deletes the history that is left of a purged instance.
	DropHistory RepairKind = "drop-history"
	// DeletePayloads deletes the blobs of Names, after a last look.
	DeletePayloads RepairKind = "delete-payloads"
	// DeleteMessages deletes the messages of Names from the queue, after a last look.
	DeleteMessages RepairKind = "delete-messages"
	// DeleteReports deletes the reports of the workers of Names.
	DeleteReports RepairKind = "delete-reports"
)

// Repair is what can be done about a finding.
type Repair struct {
	Kind  RepairKind
	Tasks []int32
	Names []string
	// Queue is where messages are deleted.
	Queue string
}

// Possible reports whether there is something to be done.
func (r Repair) Possible() bool { return r.Kind != "" }

func list(words []string) string { return strings.Join(words, ", ") }
