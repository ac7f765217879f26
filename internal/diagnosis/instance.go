package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

const (
	// rowPatience is how long after its history a status row may be written: a worker that cannot
	// write it keeps a message that repairs it when it is delivered again.
	rowPatience = 2 * time.Minute
	// settledPatience is how long a settled message may wait to be deleted.
	settledPatience = 5 * time.Minute
	// longGone is how long after it was due a message has been taken for sure by an idle reader: no
	// pause before the next try is as long.
	longGone = 15 * time.Minute
)

// Instance is what was read about an instance. The parts were read in the order of the fields, and
// row and sentinel once more in the end.
type Instance struct {
	ID  string
	Hub *Hub
	// Queue and WorkItems are its control queue and the queue of activities.
	Queue     string
	WorkItems string
	// History is nil, and HistoryErr says why, if it cannot be read.
	History    *store.History
	HistoryErr error
	// Children are those it waits for, by the number of the call.
	Children map[int32]Child
	// Row and Sentinel are nil if there is none. RowErr says why the row cannot be read.
	Row      *store.Instance
	RowErr   error
	Sentinel *store.SentinelView
	// Steady says that neither row nor history changed while everything else was read.
	Steady bool
	// Aside are those of its messages that were moved aside, as far as their records can be read.
	Aside []Aside
	// Orphans are payload blobs that nothing refers to, or will.
	Orphans []string
}

// Child is what was read about a child.
type Child struct {
	ID    string
	Queue string
	// Line says in a line how it is.
	Line string
	// Ended is its end if it had ended for this call before the queues were looked at, else nil.
	Ended *history.ExecutionCompleted
	// Exists says that there was something of it after the queues had been looked at.
	Exists bool
}

// WaitKind says what an instance waits for.
type WaitKind string

// What instances wait for.
const (
	WaitStart    WaitKind = "start"
	WaitActivity WaitKind = "activity"
	WaitTimer    WaitKind = "timer"
	WaitChild    WaitKind = "child"
	WaitEvent    WaitKind = "event"
	WaitMessage  WaitKind = "message"
	WaitResume   WaitKind = "resume"
	WaitWorker   WaitKind = "worker"
)

// Wait is something an instance waits for.
type Wait struct {
	Kind WaitKind
	// Name is that of the activity or orchestration, InstanceID the child's.
	Name       string
	InstanceID string
	TaskID     int32
	Since      time.Time
	// Due is when it will be over, zero if that cannot be known.
	Due  time.Time
	Text string
}

// Diagnosis says how an instance is.
type Diagnosis struct {
	// Summary says it in a line.
	Summary  string
	Waits    []Wait
	Findings []Finding
}

// examination is a diagnosis in the making.
type examination struct {
	*Instance
	Diagnosis
	// doubt says why no message can be said to be lost, "" if one can.
	doubt string
	// startAside and waitAside say that its start was moved aside, or something else that it waits for.
	startAside, waitAside bool
}

// Diagnose says how the instance is.
func (in *Instance) Diagnose() Diagnosis {
	x := &examination{Instance: in, doubt: in.Hub.Doubt()}
	switch {
	case in.HistoryErr != nil:
		x.find(Finding{
			Code: CorruptHistory, Severity: Broken, Evidence: []string{in.HistoryErr.Error()},
			Text: "the history cannot be read, so no worker can go on with the instance",
		})
		x.Summary = "has a history that cannot be read"
	case in.History.Rows > 0 && in.History.State.Started() == nil:
		x.find(Finding{
			Code: CorruptHistory, Severity: Broken, Evidence: []string{plural(in.History.Rows, "row") + " of execution " + in.History.ExecutionID},
			Text: "the history does not begin with the start of the execution, so no worker can go on with the instance",
		})
		x.Summary = "has a history without a beginning"
	case x.startPending():
		x.judgeStart()
	default:
		x.judgeRow()
		if in.alive() && !in.shown() && !in.unrowed() {
			x.judgeWaits()
		}
		x.judgeSettled()
	}
	x.judgeRest()
	if x.Summary == "" {
		x.Summary = x.summary()
	}
	return x.Diagnosis
}

func (x *examination) find(f Finding) {
	f.InstanceID = x.ID
	x.Findings = append(x.Findings, f)
}

func (in *Instance) alive() bool {
	return in.History.State.Started() != nil && in.History.State.Completed() == nil
}

func same(a, b string) bool { return strings.EqualFold(a, b) }

// startPending reports that a client has started the instance and nobody has begun with it.
func (x *examination) startPending() bool {
	return x.Row != nil && x.Row.Status == history.Pending && (x.History.State.Started() == nil || !x.History.Leads(x.Row))
}

// judgeStart says why a start was not picked up.
func (x *examination) judgeStart() {
	row := x.Row
	wait := Wait{Kind: WaitStart, Name: row.Name, Since: row.Created}
	starts := func(e history.Event) bool {
		started, ok := e.(*history.ExecutionStarted)
		return ok && same(started.Instance.ExecutionID, row.ExecutionID)
	}
	isStart := func(m *Message) bool { return starts(m.Content.Event) && m.Content.Target.InstanceID == x.ID }
	at, message := x.seen(x.Queue, isStart)
	aside, sure := x.aside(row.ExecutionID, starts, history.KindExecutionStarted)
	scheduled := row.ScheduledStart != nil && row.ScheduledStart.After(x.Hub.Now)
	if scheduled {
		wait.Due = *row.ScheduledStart
	}
	due := row.Created
	if row.ScheduledStart != nil {
		due = *row.ScheduledStart
	}
	switch {
	case message != nil:
		wait.Text = "its start waits in queue " + x.Queue + place(at, message, x.Hub.Now)
	case sure:
		x.startAside = true
		wait.Text = moved("its start message", aside)
	case x.doubt != "":
		wait.Text = "its start message is not to be seen" + x.unsure(x.Queue, isStart)
	case x.Steady && x.whole(x.Queue):
		x.lost(Finding{
			Code: StartLost, Text: "the instance is Pending and its start message is gone: it will never begin by itself",
			Evidence: []string{"queue " + x.Queue + " was seen as a whole and does not hold it"}, Repair: Repair{Kind: SendStart},
		}, aside)
		wait.Text = "its start message is gone"
	case scheduled:
		wait.Text = "it is scheduled for " + when(wait.Due)
	case x.Steady && x.idle(x.Queue, due):
		x.lost(Finding{
			Code: StartLost, Likely: true, Text: "the instance is Pending, and its start message is probably gone",
			Evidence: x.idleEvidence(x.Queue), Repair: Repair{Kind: SendStart},
		}, aside)
		wait.Text = "its start message is probably gone"
	default:
		wait.Text = "its start message is not to be seen: a worker has it, or it was put back for a while; " + x.hidden(x.Queue)
	}
	x.unknown(orchestrationName, row.Name, x.Queue)
	x.Waits = append(x.Waits, wait)
}

// lost adds a finding about a lost message. Where messages of the instance were moved aside that cannot be read,
// it may be one of them: then it is retried from there.
func (x *examination) lost(f Finding, aside *Aside) {
	f.Severity = Broken
	if f.Likely {
		f.Severity = Warning
	}
	unread := x.Row != nil && x.Row.Poison != nil && len(x.Aside) < len(x.Row.Poison.IDs)
	if aside != nil || unread {
		f.Evidence = append(f.Evidence, "messages of the instance were moved aside, this one perhaps: see durafleet poison list")
		f.Repair, f.Why = Repair{}, "the message may be one of those that were moved aside: see durafleet poison list"
	}
	x.find(f)
}

// unknown adds a finding if the worker that has to do the work says that it does not know a name.
// The queue is that of a partition, or "" for activities, which any worker may take.
func (x *examination) unknown(kind, name, queue string) {
	var asked []string
	for _, waiting := range x.Hub.Waiting() {
		if waiting.Kind == kind && strings.EqualFold(waiting.Name, name) {
			asked = waiting.Workers
		}
	}
	if queue != "" {
		lease := x.Hub.Lease(queue)
		if lease == nil || !slices.Contains(asked, lease.CurrentOwner) {
			return
		}
		asked = []string{lease.CurrentOwner}
	}
	if len(asked) > 0 {
		x.find(Finding{
			Code: NameUnknown, Severity: Warning,
			Text: fmt.Sprintf("%s %q is not known to worker %s, which was asked for it", kind, name, list(asked)),
		})
	}
}

// judgeRest finds what does not depend on what the instance is doing.
func (x *examination) judgeRest() {
	ended := x.HistoryErr == nil && !x.startPending() && x.History.State.Completed() != nil
	if !ended && (x.Row == nil || !x.Row.Status.Terminal()) && (x.HistoryErr != nil || !x.unrowed()) {
		for _, f := range slices.Concat(x.Hub.Partition(x.Queue), x.Hub.Doubts()) {
			x.find(f)
		}
		for _, f := range x.Hub.applications() {
			if f.Severity != Note || x.HistoryErr == nil && x.startPending() {
				x.find(f)
			}
		}
		x.judgeCrashes()
	}
	if x.RowErr != nil {
		x.find(Finding{
			Code: Unreadable, Severity: Broken, Text: "the status row cannot be read", Evidence: []string{x.RowErr.Error()},
		})
	}
	for i := range x.Hub.Reports {
		report := &x.Hub.Reports[i]
		at := slices.IndexFunc(report.Held, func(held store.ReportInstance) bool { return held.InstanceID == x.ID })
		if at >= 0 && x.Hub.Fresh(report) {
			x.find(Finding{
				Code: Held, Severity: Broken, Evidence: []string{report.Held[at].Reason},
				Text: fmt.Sprintf("worker %s holds the instance since %s: its code does not match the history", report.WorkerID, when(report.Held[at].Since)),
			})
		}
	}
	if x.Row != nil && x.Row.Poison != nil {
		x.judgePoison(ended || x.Row.Status.Terminal())
	}
	if x.Sentinel != nil && x.Sentinel.Complete && !x.Sentinel.CompletedAt.IsZero() {
		if off := x.Sentinel.CompletedAt.Sub(x.Sentinel.Written); off > clockTolerance || off < -rowPatience {
			x.find(Finding{
				Code: ClockOff, Severity: Warning, Text: "the clock of the worker that stored the last turn is " + offset(off),
				Evidence: []string{fmt.Sprintf("it dated the turn %s, and the service wrote it at %s", when(x.Sentinel.CompletedAt), when(x.Sentinel.Written))},
			})
		}
	}
	if len(x.Orphans) > 0 {
		x.find(OrphanedPayloads(x.ID, x.Orphans))
	}
}

// summary says in a line how the instance is.
func (x *examination) summary() string {
	status := "has no status"
	switch {
	case x.Row != nil:
		status = "is " + string(x.Row.Status)
	case x.unrowed():
		status = "has a history and no status row"
	case x.History.State.Started() != nil:
		status = "is " + string(store.StatusOf(x.History.State))
	}
	if len(x.Waits) == 0 {
		return status
	}
	text := status + "; " + x.Waits[0].Text
	if more := len(x.Waits) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}
