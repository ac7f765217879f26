package turn

import (
	"slices"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Again returns the messages of actions that the history records and that nobody has answered, as
// they were sent the first time, so that receivers take one for the other. Only those of the given
// ids are wanted; the others are left out.
func Again(state *history.State, owed []orchestration.Action, wanted []int32) []Message {
	var messages []Message
	episode := int32(0)
	for _, event := range state.Events() {
		id := event.Head().EventID
		if event.Kind() == history.KindOrchestratorStarted {
			episode++
		}
		if id == history.NoEventID || !slices.Contains(wanted, id) {
			continue
		}
		at := slices.IndexFunc(owed, func(a orchestration.Action) bool { return a.ActionID() == id })
		if at < 0 {
			continue
		}
		if m, ok := again(state.Started(), event, owed[at]); ok {
			m.Episode = episode
			messages = append(messages, m)
		}
	}
	return messages
}

// again returns the message of one action that an event records.
func again(self *history.ExecutionStarted, recorded history.Event, action orchestration.Action) (Message, bool) {
	at := recorded.Head().Timestamp
	switch a := action.(type) {
	case *orchestration.ActivityAction:
		if _, ok := recorded.(*history.TaskScheduled); ok {
			return workItem(self, a, at), true
		}
	case *orchestration.TimerAction:
		if created, ok := recorded.(*history.TimerCreated); ok {
			return timer(self.Instance, a.ID, created.FireAt, at), true
		}
	case *orchestration.SubOrchestrationAction:
		if created, ok := recorded.(*history.SubOrchestrationCreated); ok {
			return childStart(self, a, created.Tags, at), true
		}
	}
	return Message{}, false
}

// TimerAgain returns the message of a timer that the history records and that has not fired yet.
func TimerAgain(state *history.State, id int32) (Message, bool) {
	episode := int32(0)
	for _, event := range state.Events() {
		switch e := event.(type) {
		case *history.OrchestratorStarted:
			episode++
		case *history.TimerCreated:
			if e.EventID == id && !state.Answered(&history.TimerFired{TimerID: id}) {
				m := timer(state.Started().Instance, id, e.FireAt, e.Timestamp)
				m.Episode = episode
				return m, true
			}
		}
	}
	return Message{}, false
}

// AnswerAgain returns what a child told its parent when it ended. It reports false if the child has
// not ended, or tells nobody.
func AnswerAgain(child *history.State) (Message, bool) {
	self, end := child.Started(), child.Completed()
	if self == nil || end == nil || self.Parent == nil || detached(self) {
		return Message{}, false
	}
	at := end.Timestamp
	event := report(self.Parent.TaskID, at, &orchestration.CompleteAction{Status: end.Status, Result: end.Result, Failure: end.Failure})
	return Message{Event: event, Target: self.Parent.Instance, Episode: child.Episodes()}, true
}
