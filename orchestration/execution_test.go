package orchestration_test

import (
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	plusOne = activity.Declare[int, int]("PlusOne")
	chain   = orchestration.Declare[int, int]("Chain")
)

// A02: a chain of activities takes the ids 0, 1, 2 … and ends with the last result.
func TestExecution_Chain(t *testing.T) {
	t.Parallel()
	binding := chain.With(func(ctx *orchestration.Context, n int) (int, error) {
		for range 3 {
			var err error
			if n, err = orchestration.CallActivity(ctx, plusOne, n).Await(); err != nil {
				return 0, err
			}
		}
		return n, nil
	})
	x := orchestration.NewExecution(binding, orchestration.Options{})
	defer x.Close()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	events := []history.Event{
		&history.OrchestratorStarted{Header: history.Header{Timestamp: now}},
		&history.ExecutionStarted{Instance: history.Instance{InstanceID: "i", ExecutionID: "e"}, Name: "Chain", Input: history.Text("0")},
	}
	for step := range 3 {
		decision, err := x.Advance(events)
		if err != nil {
			t.Fatal(err)
		}
		if len(decision.Actions) != 1 || decision.Actions[0].ActionID() != int32(step) {
			t.Fatalf("step %d decided %v", step, decision.Actions)
		}
		result := string(rune('1' + step))
		events = []history.Event{
			&history.OrchestratorStarted{Header: history.Header{Timestamp: now.Add(time.Second)}},
			&history.TaskCompleted{TaskID: int32(step), Result: &result},
		}
	}
	decision, err := x.Advance(events)
	if err != nil {
		t.Fatal(err)
	}
	end := decision.Complete()
	if end == nil || end.Status != history.Completed || history.TextOr(end.Result, "") != "3" || end.ID != 3 {
		t.Fatalf("the end is %+v", end)
	}
}
