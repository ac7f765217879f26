package history_test

import (
	"errors"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
)

var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func at(id int32, after time.Duration) history.Header {
	return history.Header{EventID: id, Timestamp: epoch.Add(after)}
}

var none = at(history.NoEventID, 0)

func turn(after time.Duration) *history.OrchestratorStarted {
	return &history.OrchestratorStarted{Header: at(history.NoEventID, after)}
}

func closed() *history.OrchestratorCompleted { return &history.OrchestratorCompleted{Header: none} }

// running is a history with one action of each kind, none of them answered.
func running() []history.Event {
	return []history.Event{
		turn(0),
		&history.ExecutionStarted{Header: none, Name: "Job"},
		&history.TaskScheduled{Header: at(0, 0), Name: "Work"},
		&history.TimerCreated{Header: at(1, 0)},
		&history.SubOrchestrationCreated{Header: at(2, 0), Name: "Child"},
		&history.EventSent{Header: at(3, 0), Name: "go"},
		closed(),
	}
}

// D13, D14: a second start, end, record of an action or answer to it is a duplicate, wherever the
// first one stands. Other ids and kinds are none. The history is unchanged by a duplicate.
func TestState_Duplicates_D13_D14(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		first     history.Event
		then      history.Event
		duplicate bool
	}{
		{"second start", nil, &history.ExecutionStarted{Header: none, Name: "Other"}, true},
		{"second end", &history.ExecutionCompleted{Header: at(4, 0)}, &history.ExecutionCompleted{Header: at(5, 0)}, true},
		{"task completed twice", &history.TaskCompleted{TaskID: 0}, &history.TaskCompleted{TaskID: 0}, true},
		{"task failed after it completed", &history.TaskCompleted{TaskID: 0}, &history.TaskFailed{TaskID: 0}, true},
		{"task completed after it failed", &history.TaskFailed{TaskID: 0}, &history.TaskCompleted{TaskID: 0}, true},
		{"timer fired twice", &history.TimerFired{TimerID: 1}, &history.TimerFired{TimerID: 1}, true},
		{"child failed after it completed", &history.SubOrchestrationCompleted{TaskID: 2}, &history.SubOrchestrationFailed{TaskID: 2}, true},
		{"task scheduled twice", nil, &history.TaskScheduled{Header: at(0, 0)}, true},
		{"other action under one id", nil, &history.TimerCreated{Header: at(0, 0)}, true},
		{"event sent twice", nil, &history.EventSent{Header: at(3, 0)}, true},
		{"other id", &history.TaskCompleted{TaskID: 0}, &history.TaskCompleted{TaskID: 7}, false},
		{"other kind", &history.TaskCompleted{TaskID: 0}, &history.TimerFired{TimerID: 0}, false},
		{"event raised twice", &history.EventRaised{Name: "go"}, &history.EventRaised{Name: "go"}, false},
		{"suspended twice", &history.ExecutionSuspended{}, &history.ExecutionSuspended{}, false},
		{"split timer twice", &history.TimerCreated{Header: at(history.SplitTimerID, 0)}, &history.TimerCreated{Header: at(history.SplitTimerID, 0)}, false},
		{"split timer fired twice", &history.TimerFired{TimerID: history.SplitTimerID}, &history.TimerFired{TimerID: history.SplitTimerID}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := history.NewState(running())
			want := len(running())
			if tt.first != nil {
				if err := s.Append(tt.first); err != nil {
					t.Fatal(err)
				}
				want++
			}
			err := s.Append(tt.then)
			if errors.Is(err, history.ErrDuplicateEvent) != tt.duplicate || (err != nil) != tt.duplicate {
				t.Errorf("error: %v", err)
			}
			if !tt.duplicate {
				want++
			}
			if s.Len() != want || len(s.Events()) != want {
				t.Errorf("%d events, want %d", s.Len(), want)
			}
		})
	}
}

// D14: loading a history that holds duplicates drops them.
func TestNewState_DropsDuplicates_D14(t *testing.T) {
	t.Parallel()
	recorded := append(running(), running()...)
	recorded = append(recorded, &history.TaskCompleted{TaskID: 0, Result: history.Text("1")}, &history.TaskCompleted{TaskID: 0, Result: history.Text("2")})
	s := history.NewState(recorded)
	// The second copy leaves its two turn markers.
	if want := len(running()) + 3; s.Len() != want {
		t.Errorf("%d events, want %d", s.Len(), want)
	}
	if last := s.Events()[s.Len()-1].(*history.TaskCompleted); *last.Result != "1" {
		t.Errorf("the answer that stays is %s", *last.Result)
	}
}

func TestState_Facts(t *testing.T) {
	t.Parallel()
	var s history.State
	if s.AtRest() || s.Started() != nil || s.Completed() != nil || s.Suspended() || s.Episodes() != 0 || !s.LatestTime().IsZero() || s.Len() != 0 {
		t.Errorf("empty: %+v", &s)
	}
	steps := []struct {
		event     history.Event
		atRest    bool
		suspended bool
		episodes  int32
		latest    time.Duration
	}{
		{turn(2 * time.Second), false, false, 1, 2 * time.Second},
		{&history.ExecutionStarted{Name: "Job"}, false, false, 1, 2 * time.Second},
		{closed(), true, false, 1, 2 * time.Second},
		{turn(time.Second), false, false, 2, 2 * time.Second},
		{&history.ExecutionSuspended{}, false, true, 2, 2 * time.Second},
		{closed(), true, true, 2, 2 * time.Second},
		{turn(5 * time.Second), false, true, 3, 5 * time.Second},
		{&history.ExecutionResumed{}, false, false, 3, 5 * time.Second},
		{&history.ExecutionSuspended{}, false, true, 3, 5 * time.Second},
		{&history.ExecutionCompleted{Status: history.Terminated}, true, false, 3, 5 * time.Second},
	}
	for i, step := range steps {
		if err := s.Append(step.event); err != nil {
			t.Fatal(err)
		}
		if s.AtRest() != step.atRest || s.Suspended() != step.suspended || s.Episodes() != step.episodes || !s.LatestTime().Equal(epoch.Add(step.latest)) {
			t.Errorf("step %d: at rest %v, suspended %v, episodes %d, latest %s", i, s.AtRest(), s.Suspended(), s.Episodes(), s.LatestTime())
		}
	}
	if s.Started().Name != "Job" || s.Completed().Status != history.Terminated || s.Len() != len(steps) {
		t.Errorf("start %v, end %v, %d events", s.Started(), s.Completed(), s.Len())
	}
}

func TestState_RequestsAndAnswers(t *testing.T) {
	t.Parallel()
	s := history.NewState(append(running(), &history.TaskFailed{TaskID: 0}))
	for _, tt := range []struct {
		answer   history.Event
		id       int32
		isAnswer bool
		request  history.Kind
		answered bool
	}{
		{&history.TaskCompleted{TaskID: 0}, 0, true, history.KindTaskScheduled, true},
		{&history.TaskFailed{TaskID: 0}, 0, true, history.KindTaskScheduled, true},
		{&history.TimerFired{TimerID: 1}, 1, true, history.KindTimerCreated, false},
		{&history.SubOrchestrationCompleted{TaskID: 2}, 2, true, history.KindSubOrchestrationCreated, false},
		{&history.SubOrchestrationFailed{TaskID: 2}, 2, true, history.KindSubOrchestrationCreated, false},
		{&history.TimerFired{TimerID: 0}, 0, true, "", false},
		{&history.TaskCompleted{TaskID: 3}, 3, true, "", false},
		{&history.TaskCompleted{TaskID: 9}, 9, true, "", false},
		{&history.EventRaised{Name: "go"}, history.NoEventID, false, "", false},
	} {
		var kind history.Kind
		if request := s.Request(tt.answer); request != nil {
			kind = request.Kind()
		}
		if kind != tt.request || s.Answered(tt.answer) != tt.answered || history.AnswerTo(tt.answer) != tt.id || history.IsAnswer(tt.answer) != tt.isAnswer {
			t.Errorf("%s for %d: request %q, answered %v, is answer %v", tt.answer.Kind(), history.AnswerTo(tt.answer), kind, s.Answered(tt.answer), history.IsAnswer(tt.answer))
		}
	}
}

// Every event type has its own kind, and its head can be changed through Head.
func TestEvent_KindAndHead(t *testing.T) {
	t.Parallel()
	events := map[history.Kind]history.Event{
		"ExecutionStarted": &history.ExecutionStarted{}, "ExecutionCompleted": &history.ExecutionCompleted{},
		"ExecutionTerminated": &history.ExecutionTerminated{}, "ExecutionSuspended": &history.ExecutionSuspended{},
		"ExecutionResumed": &history.ExecutionResumed{}, "ExecutionRewound": &history.ExecutionRewound{},
		"TaskScheduled": &history.TaskScheduled{}, "TaskCompleted": &history.TaskCompleted{}, "TaskFailed": &history.TaskFailed{},
		"SubOrchestrationInstanceCreated":   &history.SubOrchestrationCreated{},
		"SubOrchestrationInstanceCompleted": &history.SubOrchestrationCompleted{},
		"SubOrchestrationInstanceFailed":    &history.SubOrchestrationFailed{},
		"TimerCreated":                      &history.TimerCreated{}, "TimerFired": &history.TimerFired{},
		"OrchestratorStarted": &history.OrchestratorStarted{}, "OrchestratorCompleted": &history.OrchestratorCompleted{},
		"EventSent": &history.EventSent{}, "EventRaised": &history.EventRaised{}, "ContinueAsNew": &history.ContinueAsNew{},
		"GenericEvent": &history.GenericEvent{}, "HistoryState": &history.HistoryState{},
	}
	for kind, event := range events {
		event.Head().EventID = 7
		if event.Kind() != kind || event.Head().EventID != 7 {
			t.Errorf("%s is a %s with id %d", kind, event.Kind(), event.Head().EventID)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	terminal := map[history.Status]bool{history.Completed: true, history.Failed: true, history.Terminated: true, history.Canceled: true}
	for _, s := range history.Statuses() {
		if !s.Known() || s.Terminal() != terminal[s] {
			t.Errorf("%s: known %v, terminal %v", s, s.Known(), s.Terminal())
		}
	}
	if other := history.Status("Rewinding"); other.Known() || other.Terminal() || len(history.Statuses()) != 8 {
		t.Errorf("an unknown status is taken for a known one")
	}
}

func TestFailureDetails(t *testing.T) {
	t.Parallel()
	d := &history.FailureDetails{Type: "a.B", Message: "c", Inner: &history.FailureDetails{Type: "d.E"}}
	var no *history.FailureDetails
	if d.String() != "a.B: c" || no.String() != "" || !d.HasType("d.E") || !d.HasType("a.B") || d.HasType("E") || no.HasType("") {
		t.Errorf("details: %s", d)
	}
	if history.TextOr(nil, "x") != "x" || history.TextOr(history.Text(""), "x") != "" {
		t.Error("texts are mixed up")
	}
}
