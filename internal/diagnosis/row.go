package diagnosis

import (
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

// purgeLag is how long after its start a history without a status row is taken for left over from a purge.
const purgeLag = time.Hour

// judgeRow compares the status row with the history.
func (x *examination) judgeRow() {
	if x.History.State.Started() == nil || x.RowErr != nil {
		return
	}
	recent := x.Sentinel != nil && x.Hub.Now.Sub(x.Sentinel.Written) < rowPatience
	if !x.Steady || recent {
		return
	}
	want := store.StatusOf(x.History.State)
	evidence := fmt.Sprintf("the history is that of execution %s, which is %s", x.History.ExecutionID, want)
	switch {
	case x.unrowed():
		x.judgeLeftOver(evidence)
	case x.Row == nil:
		x.find(Finding{
			Code: RowMissing, Severity: Broken, Evidence: []string{evidence}, Repair: Repair{Kind: WriteRow},
			Text: "the instance has a history and no status row: clients do not see it",
		})
	case !x.History.Leads(x.Row) && x.Row.Status.Terminal() && !x.alive():
		// A later start was terminated before it began.
	case !x.History.Leads(x.Row):
		x.find(Finding{
			Code: RowForeign, Severity: Warning,
			Text:     fmt.Sprintf("the status row says that execution %s is %s, and there is no history of it", x.Row.ExecutionID, x.Row.Status),
			Evidence: []string{evidence},
		})
	case same(x.Row.ExecutionID, x.History.ExecutionID) && x.Row.Status == want:
	case x.Row.Status == history.Pending && !x.quiet():
		// A rewind makes the row Pending and sends a message that sets it right.
	case x.shown():
		x.judgeAhead(want, evidence)
	default:
		x.find(Finding{
			Code: RowBehind, Severity: Broken, Evidence: []string{evidence}, Repair: Repair{Kind: WriteRow},
			Text: fmt.Sprintf("the status row is behind the history: it says that execution %s is %s", x.Row.ExecutionID, x.Row.Status),
		})
	}
}

// shown reports whether the status row shows an end of the very execution that the history is of. Clients have seen it:
// it stays, whatever the history says.
func (in *Instance) shown() bool {
	return in.Row != nil && in.Row.Status.Terminal() && same(in.Row.ExecutionID, in.History.ExecutionID)
}

// judgeAhead finds a status row that shows another end than the history, or one where the history has none.
func (x *examination) judgeAhead(want history.Status, evidence string) {
	f := Finding{
		Code: RowAhead, Severity: Warning, Evidence: []string{evidence},
		Text: fmt.Sprintf("the status row says that the instance is %s, and the history that it is %s; the row is what clients have seen, and stays",
			x.Row.Status, want),
		Why: "an end that clients have seen is not changed; if the row is wrong, purge the instance",
	}
	switch {
	case x.alive():
		f.Severity, f.Repair = Broken, Repair{Kind: EndHistory}
		f.Text = fmt.Sprintf("the status row says that the instance is %s, and its history goes on, unseen by clients: it has to end as well", x.Row.Status)
	case want == history.Terminated:
		f.Severity = Note // that is how a history ends that went on
	}
	x.find(f)
}

// unrowed reports that there is a history without a status row although a client has started the instance, which writes
// the row first. Children get theirs after their history.
func (in *Instance) unrowed() bool {
	started := in.History.State.Started()
	return in.Row == nil && in.RowErr == nil && started != nil && started.Parent == nil
}

// judgeLeftOver finds a history that a worker has written that stood still while the instance was purged. To write a
// row for it would bring to life what somebody has purged.
func (x *examination) judgeLeftOver(evidence string) {
	_, message := x.seen(x.Queue, func(m *Message) bool { return m.Content.Target.InstanceID == x.ID })
	if message == nil && x.Hub.Now.Sub(x.History.State.Started().Timestamp) > purgeLag {
		x.find(Finding{
			Code: OrphanedHistory, Severity: Note, Evidence: []string{evidence}, Repair: Repair{Kind: DropHistory},
			Text: "a history is left of an instance that has no status row any more: it was purged while a worker stood still over it",
		})
		return
	}
	x.find(Finding{
		Code: RowMissing, Severity: Broken, Evidence: []string{evidence},
		Text: "the instance has a history and no status row, which was there before the history: clients do not see it",
		Why: "it was purged, or somebody has deleted the row, and what was purged must not come back; " +
			"an hour after its start the history is taken for left over from a purge",
	})
}

// quiet reports that no message of the instance can be on its way.
func (x *examination) quiet() bool {
	_, message := x.seen(x.Queue, func(m *Message) bool { return m.Content.Target.InstanceID == x.ID })
	return message == nil && x.whole(x.Queue)
}
