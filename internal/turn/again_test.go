package turn_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	againChild = orchestration.Declare[int, int]("AgainChild")
	againRoot  = orchestration.Declare[int, int]("AgainRoot")
)

// What is sent again is, message for message, what was sent the first time.
func TestAgain_IsTheSame(t *testing.T) {
	t.Parallel()
	binding := againRoot.With(func(ctx *orchestration.Context, n int) (int, error) {
		a := orchestration.CallActivityByName(ctx, "A", n, orchestration.Tags{"k": "v"})
		if _, err := orchestration.StartDetached(ctx, againChild, n); err != nil {
			return 0, err
		}
		b := orchestration.CallSubOrchestration(ctx, againChild, n+1)
		timer := ctx.Timer(time.Hour)
		if _, err := timer.Await(); err != nil {
			return 0, err
		}
		_, _ = a.Await()
		return b.Await()
	})
	fresh := func() *orchestration.Execution { return orchestration.NewExecution(binding, orchestration.Options{}) }
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	started := &history.ExecutionStarted{
		Header:   history.Header{EventID: history.NoEventID, Timestamp: now},
		Instance: history.Instance{InstanceID: "i", ExecutionID: "e"}, Name: "AgainRoot", Input: history.Text("7"),
	}
	out, err := turn.Run(turn.Input{
		State: &history.State{}, Execution: fresh(), Events: []history.Event{started}, Now: now,
		NewExecution: fresh, NewID: func() string { return "next" },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Execution.Close()
	owed, err := orchestration.Owed(binding, orchestration.Options{}, out.State.Events())
	if err != nil || len(owed) != 3 {
		t.Fatalf("%d are owed, %v", len(owed), err)
	}
	var want []turn.Message
	for _, m := range out.Messages {
		start, ok := m.Event.(*history.ExecutionStarted)
		if _, detached := tagsOf(start)[history.FireAndForget]; !ok || !detached {
			want = append(want, m)
		}
	}
	if diff := cmp.Diff(want, turn.Again(out.State, owed, []int32{0, 1, 2, 3, 4})); diff != "" {
		t.Error(diff)
	}
	if timer, ok := turn.TimerAgain(out.State, 3); !ok || !cmp.Equal(timer, want[2]) {
		t.Errorf("timer %+v, want %+v", timer, want[2])
	}
	if got := turn.Again(out.State, owed, []int32{2}); len(got) != 1 || !cmp.Equal(got[0], want[1]) {
		t.Errorf("only the child: %+v", got)
	}
	if _, ok := turn.TimerAgain(out.State, 0); ok {
		t.Error("an activity is taken for a timer")
	}
}

func tagsOf(start *history.ExecutionStarted) map[string]string {
	if start == nil {
		return nil
	}
	return start.Tags
}
