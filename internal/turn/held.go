package turn

import (
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Held is an action that was decided and is neither recorded nor sent: it is carried out ahead of the
// history.
type Held struct {
	// Action is an *orchestration.ActivityAction or *orchestration.TimerAction.
	Action orchestration.Action
	// At is when it was decided, Episode in which episode.
	At      time.Time
	Episode int32
}

// Answered is a held action that has been carried out.
type Answered struct {
	Held
	// Answer is the TaskCompleted, TaskFailed or TimerFired.
	Answer history.Event
}

// hold holds an action if the caller wants it.
func (r *runner) hold(action orchestration.Action) bool {
	switch action.(type) {
	case *orchestration.ActivityAction, *orchestration.TimerAction:
	default:
		return false
	}
	if r.in.Hold == nil || !r.in.Hold(action) {
		return false
	}
	r.out.Held = append(r.out.Held, Held{Action: action, At: r.at, Episode: r.out.State.Episodes()})
	return true
}

// recordHeld is the record of a held action.
func recordHeld(h Held) history.Event {
	header := history.Header{EventID: h.Action.ActionID(), Timestamp: h.At}
	switch a := h.Action.(type) {
	case *orchestration.TimerAction:
		return &history.TimerCreated{Header: header, FireAt: a.FireAt}
	case *orchestration.ActivityAction:
		return &history.TaskScheduled{Header: header, Name: a.Name, Version: a.Version, Tags: a.Tags}
	default:
		panic("turn: only activities and timers are held")
	}
}

// Limits of what is recorded in one piece, so that it fits into one transaction of 100 operations and
// 4 MiB, one of which is the sentinel's, with an episode's beginning and end around it.
const (
	maxGroup      = 47
	maxGroupBytes = 2 << 20
)

// groupsOf cuts answers into groups that can be stored each in a transaction of its own. The records of
// an action and of its answer must not be torn apart: an action that is recorded without an answer is
// taken for sent.
func groupsOf(answered []Answered) [][]Answered {
	var groups [][]Answered
	begin, size := 0, 0
	for i, a := range answered {
		bytes := sizeOf(a.Answer)
		if i > begin && (i-begin == maxGroup || size+bytes > maxGroupBytes) {
			groups = append(groups, answered[begin:i])
			begin, size = i, 0
		}
		size += bytes
	}
	if begin < len(answered) {
		groups = append(groups, answered[begin:])
	}
	return groups
}

// sizeOf estimates what an answer takes in a transaction. Large texts go into blobs, so that the
// estimate is high rather than low.
func sizeOf(answer history.Event) int {
	text := 0
	switch e := answer.(type) {
	case *history.TaskCompleted:
		text = len(history.TextOr(e.Result, ""))
	case *history.TaskFailed:
		text = len(history.TextOr(e.Reason, "")) + len(history.TextOr(e.Details, ""))
	}
	return 1000 + 2*text
}

func answersIn(group []Answered) []history.Event {
	events := make([]history.Event, len(group), len(group)+1)
	for i, a := range group {
		events[i] = a.Answer
	}
	return events
}

// closeEpisode records what was held, and closes the episode that was left open for it.
func (r *runner) closeEpisode(group []Answered) {
	for _, a := range group {
		r.record(recordHeld(a.Held))
	}
	if len(group) > 0 || r.in.Open && !r.out.State.AtRest() {
		r.record(endOf(r.out.State))
	}
}

// endOf is the end of the last episode.
func endOf(state *history.State) history.Event {
	return &history.OrchestratorCompleted{Header: unnumbered(state.LatestTime())}
}

// Close closes the last episode of a history that was left open, and returns what it added.
func Close(state *history.State) []history.Event {
	if state.AtRest() {
		return nil
	}
	return appendTo(state, endOf(state))
}

// Send records held actions that are not carried out ahead of the history any longer. It returns what
// it has added to the history, with the end of the episode, and the messages to send, one for each.
func Send(state *history.State, held []Held) ([]history.Event, []Message) {
	var added []history.Event
	messages := make([]Message, len(held))
	for i, h := range held {
		added = append(added, appendTo(state, recordHeld(h))...)
		switch a := h.Action.(type) {
		case *orchestration.TimerAction:
			messages[i] = timer(state.Started().Instance, a.ID, a.FireAt, h.At)
		case *orchestration.ActivityAction:
			messages[i] = workItem(state.Started(), a, h.At)
		}
		messages[i].Episode = h.Episode
	}
	return append(added, Close(state)...), messages
}

// WorkItem returns what asks for a held activity.
func WorkItem(self *history.ExecutionStarted, h Held) *history.TaskScheduled {
	a, _ := h.Action.(*orchestration.ActivityAction)
	scheduled, _ := workItem(self, a, h.At).Event.(*history.TaskScheduled)
	return scheduled
}

// Fired returns the event of a held timer that is due.
func Fired(timer *orchestration.TimerAction, now time.Time) history.Event {
	return &history.TimerFired{Header: unnumbered(now), TimerID: timer.ID, FireAt: timer.FireAt}
}

func appendTo(state *history.State, e history.Event) []history.Event {
	if state.Append(e) != nil {
		return nil
	}
	return []history.Event{e}
}
