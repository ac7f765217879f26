package turn_test

import (
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

func none() history.Header { return history.Header{EventID: history.NoEventID} }

func terminate(reason string) history.Event {
	return &history.ExecutionTerminated{Header: none(), Reason: &reason}
}

func suspend() history.Event { return &history.ExecutionSuspended{Header: none()} }

// takesOne ends with the first event, within a minute.
func takesOne(ctx *orchestration.Context, _ string) (string, error) {
	return orchestration.WaitForEventFor(ctx, ping, time.Minute).Await()
}

// againWithEvent continues as new with each event.
func againWithEvent(ctx *orchestration.Context, in string) (string, error) {
	data, err := orchestration.WaitForEvent(ctx, ping).Await()
	orchestration.ContinueAsNew(ctx, job, in+data)
	return "", err
}

// One batch may hold what contradicts itself. What ends the instance first ends it, once, and
// nothing runs beyond it.
func TestRun_Batches(t *testing.T) {
	t.Parallel()
	fired := &history.TimerFired{Header: none(), TimerID: 0, FireAt: now.Add(time.Minute)}
	for _, c := range []struct {
		name    string // with the id of the scenario
		program func(*orchestration.Context, string) (string, error)
		batch   []history.Event
		status  history.Status // "" while it is alive
		result  string
		sent    int
	}{
		{"U03 suspended at once", takesOne, []history.Event{suspend()}, "", "", 0},
		{"U05 terminated while suspended", takesOne, []history.Event{suspend(), terminate("x")}, history.Terminated, "x", 0},
		{"X06 event after the end", takesOne, []history.Event{terminate("x"), raised(`"late"`)}, history.Terminated, "x", 0},
		{"X06 completed before", takesOne, []history.Event{raised(`"in time"`), terminate("x")}, history.Completed, `"in time"`, 0},
		{"X06 timer after the end", takesOne, []history.Event{terminate("x"), fired}, history.Terminated, "x", 0},
		{"X06 twice", takesOne, []history.Event{terminate("x"), terminate("y")}, history.Terminated, "x", 0},
		{"C13 terminated before", againWithEvent, []history.Event{terminate("x"), raised(`"e"`)}, history.Terminated, "x", 0},
		{"C13 terminated after", againWithEvent, []history.Event{raised(`"e"`), terminate("x")}, history.Terminated, "x", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := run(t, input(c.program, c.batch...))
			if c.status == "" {
				if out.Completed != nil || !out.Suspended || len(out.Messages) != c.sent {
					t.Errorf("end %v, suspended %t, %d messages", out.Completed, out.Suspended, len(out.Messages))
				}
				return
			}
			if end := out.Completed; end == nil || end.Status != c.status || history.TextOr(end.Result, "") != c.result {
				t.Errorf("the end is %+v", end)
			}
			ends := 0
			for _, e := range out.New {
				if e.Kind() == history.KindExecutionCompleted {
					ends++
				}
			}
			if ends != 1 || out.Replaced {
				t.Errorf("%d ends, replaced %t", ends, out.Replaced)
			}
			for _, m := range out.Messages {
				if m.Event.Kind() != history.KindTimerFired { // what was decided before the end
					t.Errorf("%s was sent", m.Event.Kind())
				}
			}
		})
	}
}

// S15: two ends in one turn of a child are one message to its parent, about the first.
func TestRun_ParentHearsOfOneEnd_S15(t *testing.T) {
	t.Parallel()
	in := input(takesOne, raised(`"done"`), terminate("x"), terminate("y"))
	started := start()
	started.Parent = &history.Parent{Name: "P", Instance: history.Instance{InstanceID: "p", ExecutionID: "pe"}, TaskID: 3}
	in.Events[0] = started
	reports := 0
	for _, m := range run(t, in).Messages {
		if history.AnswerTo(m.Event) == 3 {
			reports++
			if completed, ok := m.Event.(*history.SubOrchestrationCompleted); !ok || *completed.Result != `"done"` {
				t.Errorf("the parent hears %+v", m.Event)
			}
		}
	}
	if reports != 1 {
		t.Errorf("the parent hears of %d ends", reports)
	}
}

// C12: of two calls to continue as new, the last one counts, with its options.
func TestRun_LastContinueAsNew_C12(t *testing.T) {
	t.Parallel()
	out := run(t, input(func(ctx *orchestration.Context, in string) (string, error) {
		if in != "in" {
			_, err := orchestration.WaitForEvent(ctx, orchestration.DeclareEvent[string]("never")).Await()
			return "", err
		}
		orchestration.ContinueAsNew(ctx, job, "first", orchestration.Version("1"))
		orchestration.ContinueAsNew(ctx, job, "last", orchestration.Version("2"), orchestration.DropEvents{})
		return "", nil
	}, raised(`"dropped"`)))
	started := out.State.Started()
	if history.TextOr(started.Input, "") != `"last"` || started.Version != "2" {
		t.Errorf("the next generation starts as %+v", started)
	}
	if got := kinds(out.New); got != "OrchestratorStarted ExecutionStarted OrchestratorCompleted" {
		t.Errorf("rows are %s", got)
	}
}

// C15: answers that one generation did not take are not those of the next, whose calls have the
// same numbers.
func TestRun_AnswersAreNotCarriedOver_C15(t *testing.T) {
	t.Parallel()
	in := input(func(ctx *orchestration.Context, in string) (string, error) {
		tasks := []orchestration.Task[string]{orchestration.CallActivity(ctx, work, in), orchestration.CallActivity(ctx, work, in)}
		first, err := orchestration.Any(tasks...).Await()
		if in == "in" {
			orchestration.ContinueAsNew(ctx, job, "again")
		}
		return first, err
	})
	first := run(t, in)
	next := in
	next.State, next.Execution = first.State, first.Execution
	answer := func(id int32) history.Event {
		return &history.TaskCompleted{Header: none(), TaskID: id, Result: history.Text(`"old"`)}
	}
	next.Events = []history.Event{answer(0), answer(1)}
	out := run(t, next)
	want := "OrchestratorStarted ExecutionStarted OrchestratorCompleted TaskScheduled TaskScheduled OrchestratorCompleted"
	if got := kinds(out.New); got != want || out.Completed != nil || len(out.Messages) != 2 {
		t.Errorf("end %+v, %d messages, rows are\n%s, want\n%s", out.Completed, len(out.Messages), got, want)
	}
}
