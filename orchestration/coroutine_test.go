package orchestration_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Y13: closing an unfinished execution frees its goroutines, those of nested branches included.
// Tests that count goroutines do not run beside others.
func TestClose_FreesGoroutines_Y13(t *testing.T) {
	nested := func(ctx *orchestration.Context) (string, error) {
		outer := orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) {
			inner := orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) { return call(ctx, "a").Await() })
			return inner.Await()
		})
		return outer.Await()
	}
	before := runtime.NumGoroutine()
	var open []*orchestration.Execution
	for range executions {
		x := orchestration.NewExecution(jobOf(nested), orchestration.Options{})
		if _, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)}); err != nil {
			t.Fatal(err)
		}
		open = append(open, x)
	}
	if during := runtime.NumGoroutine(); during < before+150 {
		t.Errorf("%d goroutines before, only %d with open executions: the test does not measure anything", before, during)
	}
	for _, x := range open {
		x.Close()
		x.Close()
	}
	expectNoLeak(t, before)
}

// executions is how many executions a test makes that counts goroutines: a leak then counts that
// often, while the runtime and earlier tests come and go with a few.
const executions = 50

// expectNoLeak checks that no execution has left a goroutine behind. One that has been waited for
// may still be on its way out.
func expectNoLeak(t *testing.T, before int) {
	t.Helper()
	limit := before + executions/2
	after := runtime.NumGoroutine()
	for i := 0; i < 10_000 && after > limit; i++ {
		runtime.Gosched()
		after = runtime.NumGoroutine()
	}
	if after > limit {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// Y13: an execution that never began, or has ended, leaves nothing behind.
func TestClose_Edges_Y13(t *testing.T) {
	before := runtime.NumGoroutine()
	for range executions {
		orchestration.NewExecution(jobOf(nil), orchestration.Options{}).Close()

		x := orchestration.NewExecution(jobOf(func(ctx *orchestration.Context) (string, error) {
			orchestration.Go(ctx, func(*orchestration.Context) (string, error) { return "never begins", nil })
			return "done", nil
		}), orchestration.Options{})
		if _, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)}); err != nil {
			t.Fatal(err)
		}
		x.Close()
	}
	expectNoLeak(t, before)
}

// Y13: deferred calls run once, innermost first. Calls into the context that they make do not
// return and have no effect.
func TestClose_RunsDeferred_Y13(t *testing.T) {
	t.Parallel()
	var ran []string
	x := orchestration.NewExecution(jobOf(func(ctx *orchestration.Context) (string, error) {
		defer func() { ran = append(ran, "outer") }()
		defer func() {
			ran = append(ran, "calls")
			call(ctx, "too late")
			ran = append(ran, "went on")
		}()
		defer func() { ran = append(ran, "inner") }()
		return call(ctx, "a").Await()
	}), orchestration.Options{})
	if _, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)}); err != nil {
		t.Fatal(err)
	}
	if len(ran) > 0 {
		t.Errorf("ran too early: %v", ran)
	}
	x.Close()
	x.Close()
	if got := strings.Join(ran, " "); got != "inner calls outer" {
		t.Errorf("ran: %s", got)
	}
	if x.Pending() {
		t.Error("a deferred call left an action")
	}
}

// Y13: code that recovers the unwinding in a loop is ended at its hundredth call.
func TestClose_RecoverInLoop_Y13(t *testing.T) {
	before := runtime.NumGoroutine()
	for range executions {
		calls := 0
		x := orchestration.NewExecution(jobOf(stubborn(&calls)), orchestration.Options{})
		if _, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)}); err != nil {
			t.Fatal(err)
		}
		x.Close()
		// The call that is unwound first was made before Close.
		if calls != 101 {
			t.Errorf("%d calls", calls)
		}
	}
	expectNoLeak(t, before)
}

// stubborn waits for ever and does not let itself be stopped.
func stubborn(calls *int) func(ctx *orchestration.Context) (string, error) {
	return func(ctx *orchestration.Context) (string, error) {
		for {
			func() {
				defer func() { _ = recover() }()
				*calls++
				_, _ = orchestration.WaitForEvent(ctx, tick).Await()
			}()
		}
	}
}

// Code that goes on after a call that ended the orchestration does not keep the turn.
func TestEnd_RecoverInLoop(t *testing.T) {
	t.Parallel()
	calls := 0
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		func() {
			defer func() { _ = recover() }()
			ctx.SetCustomStatus(make(chan int))
		}()
		return stubborn(&calls)(ctx)
	}), orchestration.Options{})
	if end := d.turn(started("Job", `""`)).Complete(); end == nil || end.Status != history.Failed {
		t.Errorf("the end is %+v", end)
	}
	d.x.Close()
}

// A goroutine of the orchestrator's own that uses the context ends, and so does the orchestration,
// with a message that says what to do instead.
func TestForeignGoroutine(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*orchestration.Context){
		"call":   func(ctx *orchestration.Context) { call(ctx, "a") },
		"await":  func(ctx *orchestration.Context) { _, _ = ctx.Timer(sec).Await() },
		"status": func(ctx *orchestration.Context) { ctx.SetCustomStatus("x") },
		"branch": func(ctx *orchestration.Context) {
			orchestration.Go(ctx, func(*orchestration.Context) (int, error) { return 0, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var foreign sync.WaitGroup
			release := make(chan struct{})
			x := orchestration.NewExecution(jobOf(func(ctx *orchestration.Context) (string, error) {
				foreign.Go(func() {
					<-release
					use(ctx)
				})
				return gather(ctx, 1)
			}), orchestration.Options{})
			defer x.Close()
			decision, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)})
			if err != nil || len(decision.Actions) > 0 {
				t.Fatalf("actions %q, %v", render(decision.Actions, epoch), err)
			}
			close(release)
			foreign.Wait()
			decision, err = x.Advance([]history.Event{turnStarted(epoch), raised("Note")})
			if err != nil {
				t.Fatal(err)
			}
			end := decision.Complete()
			if end == nil || end.Status != history.Failed || !strings.Contains(*end.Result, "orchestration.Go") {
				t.Errorf("the end is %+v", end)
			}
		})
	}
}

// A foreign goroutine that comes after Close just ends.
func TestForeignGoroutine_AfterClose(t *testing.T) {
	t.Parallel()
	var foreign sync.WaitGroup
	release := make(chan struct{})
	x := orchestration.NewExecution(jobOf(func(ctx *orchestration.Context) (string, error) {
		foreign.Go(func() {
			<-release
			call(ctx, "a")
		})
		return gather(ctx, 1)
	}), orchestration.Options{})
	if _, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)}); err != nil {
		t.Fatal(err)
	}
	x.Close()
	close(release)
	foreign.Wait()
}

// An execution may be driven by different goroutines, one after the other, in virtual time too.
func TestExecution_ManyDrivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := orchestration.NewExecution(jobOf(func(ctx *orchestration.Context) (string, error) { return gather(ctx, 20) }), orchestration.Options{})
		turns := []history.Event{started("Job", `""`)}
		for range 20 {
			turns = append(turns, raised("Tick", "1"))
		}
		var decision orchestration.Decision
		for _, e := range turns {
			var driver sync.WaitGroup
			driver.Go(func() {
				var err error
				if decision, err = x.Advance([]history.Event{turnStarted(epoch), e}); err != nil {
					t.Error(err)
				}
			})
			driver.Wait()
		}
		if decision.Complete() == nil {
			t.Error("not complete")
		}
		x.Close()
	})
}
