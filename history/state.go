package history

import (
	"errors"
	"fmt"
	"time"
)

// ErrDuplicateEvent reports an event that the history already holds: a second start or end, or a
// second answer to one action. Nothing was added.
var ErrDuplicateEvent = errors.New("history: duplicate event")

// State is the history of one execution with what has to be known about it. It is not safe for
// concurrent use. The zero value is an empty history.
type State struct {
	events    []Event
	started   *ExecutionStarted
	completed *ExecutionCompleted
	requests  map[int32]Event
	answered  map[answer]bool
	episodes  int32
	latest    time.Time
	suspended bool
	size      int
}

// answer identifies what an event answers: an action of an execution, by class.
type answer struct {
	class Kind
	id    int32
}

// NewState returns the state of a recorded history. Duplicates, which engines of this format can
// leave behind, are dropped.
func NewState(recorded []Event) *State {
	s := &State{}
	for _, e := range recorded {
		_ = s.Append(e) // a duplicate has no effect on an execution, so it is dropped
	}
	return s
}

// Append adds an event. It returns ErrDuplicateEvent, and adds nothing, for a second start, a
// second completion, a second record of one action or a second answer to it.
func (s *State) Append(e Event) error {
	if s.duplicate(e) {
		return fmt.Errorf("%w: %s for %d", ErrDuplicateEvent, e.Kind(), AnswerTo(e))
	}
	s.note(e)
	s.size += sizeOf(e)
	s.events = append(s.events, e)
	return nil
}

func (s *State) duplicate(e Event) bool {
	switch e := e.(type) {
	case *ExecutionStarted:
		return s.started != nil
	case *ExecutionCompleted:
		return s.completed != nil
	case *TaskScheduled, *TimerCreated, *SubOrchestrationCreated, *EventSent:
		_, known := s.requests[e.Head().EventID]
		return known && e.Head().EventID != SplitTimerID
	default:
		class := answerClass(e)
		return class != "" && s.answered[answer{class, AnswerTo(e)}] && AnswerTo(e) != SplitTimerID
	}
}

func (s *State) note(e Event) {
	if s.requests == nil {
		s.requests, s.answered = map[int32]Event{}, map[answer]bool{}
	}
	switch e := e.(type) {
	case *ExecutionStarted:
		s.started = e
	case *ExecutionCompleted:
		s.completed = e
	case *OrchestratorStarted:
		s.episodes++
		if e.Timestamp.After(s.latest) {
			s.latest = e.Timestamp
		}
	case *ExecutionSuspended:
		s.suspended = true
	case *ExecutionResumed:
		s.suspended = false
	case *TaskScheduled, *TimerCreated, *SubOrchestrationCreated, *EventSent:
		s.requests[e.Head().EventID] = e
	default:
		if class := answerClass(e); class != "" {
			s.answered[answer{class, AnswerTo(e)}] = true
		}
	}
}

// SplitTimerID is the id of the dummy timer by which .NET cuts large episodes in two; such timers
// carry no meaning.
const SplitTimerID int32 = -100

// AnswerTo returns the id of the action that the event answers, NoEventID if it answers none.
func AnswerTo(e Event) int32 {
	switch e := e.(type) {
	case *TaskCompleted:
		return e.TaskID
	case *TaskFailed:
		return e.TaskID
	case *SubOrchestrationCompleted:
		return e.TaskID
	case *SubOrchestrationFailed:
		return e.TaskID
	case *TimerFired:
		return e.TimerID
	default:
		return NoEventID
	}
}

// answerClass returns the kind of the request that an answer belongs to, "" for other events.
func answerClass(e Event) Kind {
	switch e.(type) {
	case *TaskCompleted, *TaskFailed:
		return KindTaskScheduled
	case *SubOrchestrationCompleted, *SubOrchestrationFailed:
		return KindSubOrchestrationCreated
	case *TimerFired:
		return KindTimerCreated
	default:
		return ""
	}
}

// IsAnswer reports whether the event answers an action: the result or failure of an activity or
// sub-orchestration, or the firing of a timer.
func IsAnswer(e Event) bool { return answerClass(e) != "" }

// Events returns the history in order. The caller must not change it.
func (s *State) Events() []Event { return s.events }

// Len returns the number of events.
func (s *State) Len() int { return len(s.events) }

// Started returns the start of the execution, nil if there is none.
func (s *State) Started() *ExecutionStarted { return s.started }

// Completed returns the end of the execution, nil while it is alive.
func (s *State) Completed() *ExecutionCompleted { return s.completed }

// Suspended reports whether the execution is suspended.
func (s *State) Suspended() bool { return s.suspended && s.completed == nil }

// Episodes returns the number of episodes begun.
func (s *State) Episodes() int32 { return s.episodes }

// LatestTime returns the latest current time of an episode, the zero time if there was none.
func (s *State) LatestTime() time.Time { return s.latest }

// Request returns the record of the action that the answer e belongs to, nil if the history has
// no action of that id and kind.
func (s *State) Request(e Event) Event {
	request, ok := s.requests[AnswerTo(e)]
	if !ok || request.Kind() != answerClass(e) {
		return nil
	}
	return request
}

// Answered reports whether the history already holds an answer to the action that e answers.
func (s *State) Answered(e Event) bool {
	return s.answered[answer{answerClass(e), AnswerTo(e)}]
}

// AtRest reports whether the last episode was recorded to its end.
func (s *State) AtRest() bool {
	if s.completed != nil {
		return true
	}
	if len(s.events) == 0 {
		return false
	}
	_, ok := s.events[len(s.events)-1].(*OrchestratorCompleted)
	return ok
}

// NextActionID returns an id above that of every recorded action.
func (s *State) NextActionID() int32 {
	next := int32(0)
	for id := range s.requests {
		next = max(next, id+1)
	}
	return next
}
