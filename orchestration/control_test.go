package orchestration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// waiting calls an activity, waits for an event with a time limit and returns both.
func waiting() orchestration.Binding {
	return jobOf(func(ctx *orchestration.Context) (string, error) {
		task := call(ctx, "a")
		n, err := orchestration.WaitForEventFor(ctx, tick, time.Minute).Await()
		if err != nil {
			return "", err
		}
		result, err := task.Await()
		return fmt.Sprint(result, n), err
	})
}

func (d *driver) expectSuspended(want bool, events ...history.Event) {
	d.t.Helper()
	if decision := d.turn(events...); decision.Suspended != want || (want && len(decision.Actions) > 0) {
		d.t.Errorf("suspended %v with actions %q", decision.Suspended, render(decision.Actions, d.now))
	}
}

// U03: start and suspension in one batch: no action leaves, not even the timer of a wait. They
// leave when the instance resumes.
func TestSuspend_StopsActions_U03(t *testing.T) {
	t.Parallel()
	d := drive(t, waiting(), orchestration.Options{})
	d.expectSuspended(true, started("Job", `""`), suspend())
	d.expectSuspended(true, raised("Tick", "1"))
	d.expect([]string{`0 activity Work ["a"]`}, resume())
	d.expect([]string{`2 Completed "a1"`}, done(0, `"a"`))
}

// U03: the same with the suspension before the start.
func TestSuspend_BeforeStart_U03(t *testing.T) {
	t.Parallel()
	d := drive(t, waiting(), orchestration.Options{})
	d.expectSuspended(true, suspend(), started("Job", `""`))
	d.expect([]string{`0 activity Work ["a"]`, "1 timer +1m0s"}, resume())
}

// U04: results that arrive during a suspension are processed, in order, when it ends.
func TestSuspend_KeepsResults_U04(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		numbers, err := gather(ctx, 3)
		if err != nil {
			return "", err
		}
		_, err = call(ctx, numbers).Await()
		return numbers, err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expectSuspended(true, suspend())
	d.expectSuspended(true, raised("Tick", "1"), done(0, `"a"`))
	d.expectSuspended(true, raised("Tick", "2"), raised("Tick", "3"))
	d.expect([]string{`1 activity Work ["1,2,3"]`}, resume())
	d.expect([]string{`2 Completed "1,2,3"`}, done(1, `""`))
}

// Suspending twice is one suspension, and one in the middle of a batch holds what comes after it.
func TestSuspend_Twice(t *testing.T) {
	t.Parallel()
	d := drive(t, waiting(), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`, "1 timer +1m0s"}, started("Job", `""`))
	d.expectSuspended(true, suspend(), suspend())
	d.expectSuspended(true, suspend(), done(0, `"a"`))
	d.expectSuspended(false, resume(), resume())
	d.expectSuspended(true, suspend(), raised("Tick", "1"))
	d.expect([]string{`2 Completed "a1"`}, resume())
}

// U05: a termination reaches a suspended instance at once, whatever it holds back.
func TestTerminate_WhileSuspended_U05(t *testing.T) {
	t.Parallel()
	d := drive(t, waiting(), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`, "1 timer +1m0s"}, started("Job", `""`))
	d.expectSuspended(true, suspend())
	d.expect([]string{"2 Terminated enough"}, raised("Tick", "1"), terminated("enough"))
	d.expect(nil, resume(), done(0, `"a"`))

	d = drive(t, waiting(), orchestration.Options{})
	d.expect([]string{"2 Terminated enough"}, started("Job", `""`), suspend(), terminated("enough"))
}

// X05, S15: of several ends the first one counts, and there is one completion.
func TestEnd_FirstCounts_X05_S15(t *testing.T) {
	t.Parallel()
	d := drive(t, waiting(), orchestration.Options{})
	d.expect([]string{"2 Terminated first"}, started("Job", `""`), terminated("first"), terminated("second"))
	d.expect(nil, terminated("third"))

	d = drive(t, jobOf(func(*orchestration.Context) (string, error) { return "done", nil }), orchestration.Options{})
	d.expect([]string{`0 Completed "done"`}, started("Job", `""`), terminated("late"))
	d.expect(nil, terminated("later"), raised("Tick", "1"))
}

// S15: a branch that ends the orchestration by a failed call does not add a second end.
func TestEnd_OnceWithBranches_S15(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) {
			_, err := call(ctx, "a").Await()
			ctx.SetCustomStatus(make(chan int))
			return "", err
		})
		_, err := call(ctx, "b").Await()
		return "done", err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["b"]`, `1 activity Work ["a"]`}, started("Job", `""`))
	decision := d.turn(done(1, `"a"`), done(0, `"b"`))
	if len(decision.Actions) != 1 || decision.Complete() == nil || decision.Complete().Status != history.Failed {
		t.Errorf("actions: %q", render(decision.Actions, d.now))
	}
}

// X06: a termination is final in its batch: nothing after it runs, what was decided before it in
// the batch is dropped, and the only action is one completion. An end before it stands.
func TestTerminate_IsFinal_X06(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		batch []history.Event
		want  []string
	}{
		{"then an event", []history.Event{terminated("stop"), raised("Tick", "1"), done(0, `"a"`)}, []string{"2 Terminated stop"}},
		{"then the timer", []history.Event{terminated("stop"), fired(1)}, []string{"2 Terminated stop"}},
		{"then a suspension", []history.Event{terminated("stop"), suspend()}, []string{"2 Terminated stop"}},
		{"after an end", []history.Event{done(0, `"a"`), raised("Tick", "1"), terminated("stop")}, []string{`2 Completed "a1"`}},
		{"after a failure", []history.Event{fired(1), terminated("stop")}, []string{"2 Failed orchestration: no event within the time limit"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, waiting(), orchestration.Options{})
			d.turn(started("Job", `""`))
			d.expect(tt.want, tt.batch...)
			d.expect(nil, raised("Tick", "2"))
		})
	}
	d := drive(t, waiting(), orchestration.Options{})
	d.expect([]string{"2 Terminated stop"}, started("Job", `""`), terminated("stop"))
	d = drive(t, waiting(), orchestration.Options{})
	d.expect([]string{"0 Terminated stop"}, terminated("stop"), started("Job", `""`))
}

// A termination without a reason is an end without a result.
func TestTerminate_WithoutReason(t *testing.T) {
	t.Parallel()
	d := drive(t, waiting(), orchestration.Options{})
	d.expect([]string{"2 Terminated"}, started("Job", `""`), &history.ExecutionTerminated{Header: noID})
}
