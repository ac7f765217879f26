package diagnosis

import (
	"fmt"
	"slices"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

// judgeSettled finds messages whose effect is in the history, and work items that nobody waits for any more.
func (x *examination) judgeSettled() {
	x.judgeSettledIn(x.Queue, "message", "left whose effect is in the history; the worker that reads the queue deletes them")
	x.judgeSettledIn(x.WorkItems, "work item", "left that nobody waits for any more; a worker that knows the activity runs it all the same")
}

func (x *examination) judgeSettledIn(queue, what, why string) {
	var evidence, unneeded []string
	for i := range x.Hub.Looks[queue].Messages {
		m := &x.Hub.Looks[queue].Messages[i]
		if m.Content == nil || m.Content.Target.InstanceID != x.ID || x.Hub.Now.Sub(m.Inserted) < settledPatience {
			continue
		}
		reason := x.settled(m)
		if reason == "" {
			continue
		}
		evidence = append(evidence, fmt.Sprintf("message %s, %s sent %s: %s", m.ID, article(string(m.Content.Event.Kind())), when(m.Inserted), reason))
		if x.Steady && x.Unneeded(m) {
			unneeded = append(unneeded, m.ID)
		}
	}
	if len(evidence) == 0 {
		return
	}
	f := Finding{Code: Settled, Severity: Note, Evidence: evidence, Text: plural(len(evidence), what) + " " + why}
	switch {
	case len(unneeded) > 0:
		f.Repair = Repair{Kind: DeleteMessages, Names: unneeded, Queue: queue}
	case queue == x.WorkItems:
		f.Why = "the activity may be meant to run although nobody waits for it"
	}
	x.find(f)
}

// Unneeded reports whether a message has done all that it is there for: its effect is in the history, and it is not
// what brings somebody to complete a turn that was stored in part.
func (in *Instance) Unneeded(m *Message) bool {
	if in.settled(m) == "" || in.Row == nil || in.Sentinel == nil || in.Sentinel.ETag != in.History.ETag {
		return false
	}
	state := in.History.State
	if _, item := m.Content.Event.(*history.TaskScheduled); item && !in.answeredItem(m) {
		return false // what was asked for runs, although nobody waits for it
	}
	told := same(in.Row.ExecutionID, in.History.ExecutionID) && in.Row.Status == store.StatusOf(state)
	return told && state.AtRest() && (state.Completed() != nil || in.Sentinel.Complete)
}

// settled says why a message can have no effect any more, "" if it may have one.
func (in *Instance) settled(m *Message) string {
	target, state := m.Content.Target.ExecutionID, in.History.State
	if started, ok := m.Content.Event.(*history.ExecutionStarted); ok {
		id := started.Instance.ExecutionID
		if same(id, in.History.ExecutionID) || slices.ContainsFunc(in.History.Replaced, func(former string) bool { return same(id, former) }) {
			return "that execution has started"
		}
		return ""
	}
	switch {
	case slices.ContainsFunc(in.History.Replaced, func(former string) bool { return target != "" && same(target, former) }):
		return "the execution that it is for is over"
	case target != "" && !same(target, in.History.ExecutionID):
		return ""
	case in.answeredItem(m):
		return "its call was answered"
	case state.Completed() != nil:
		return "the instance has ended"
	case history.IsAnswer(m.Content.Event) && state.Answered(m.Content.Event):
		return "it was answered before"
	case slices.Contains(in.History.Processed, m.Content.ActivityID):
		return "the event is in the history"
	}
	return ""
}

// answeredItem reports whether a message is a work item whose call was answered.
func (in *Instance) answeredItem(m *Message) bool {
	item, ok := m.Content.Event.(*history.TaskScheduled)
	return ok && same(m.Content.Target.ExecutionID, in.History.ExecutionID) && in.History.State.Answered(&history.TaskCompleted{TaskID: item.EventID})
}
