package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	ctlCollect = orchestration.Declare[int, []int]("CtlCollect")
	ctlNumber  = orchestration.DeclareEvent[int]("Number")
	ctlSlow    = activity.Declare[string, string]("CtlSlow")
	ctlBoth    = orchestration.Declare[string, string]("CtlBoth")
)

// collectNumbers waits for n numbers and returns them.
func collectNumbers(ctx *orchestration.Context, n int) ([]int, error) {
	ctx.SetCustomStatus("collecting")
	all := []int{}
	for len(all) < n {
		number, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
		if err != nil {
			return nil, err
		}
		all = append(all, number)
	}
	return all, nil
}

func suspendIt(t *testing.T, w *fleettest.World, id, reason string) *taskhub.Status {
	t.Helper()
	check(t, w.Client.Suspend(w.Context(), id, reason))
	return reach(t, w, id, history.Suspended)
}

// U01, U02: while suspended, events are kept, the reason shows and the custom status stays;
// afterwards the events are there, in order.
func TestControl_SuspendKeepsEvents_U01_U02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 10)
		reach(t, w, instance.ID(), history.Running)
		status := suspendIt(t, w, instance.ID(), "time out")
		if status.Reason != "time out" || string(status.CustomStatus) != `"collecting"` {
			t.Errorf("reason %q, custom status %s", status.Reason, status.CustomStatus)
		}
		for i := range 10 {
			raise(t, w, instance.ID(), ctlNumber, i)
		}
		run.Sleep(w.Context(), 3*time.Second)
		if status = statusOf(t, w, instance.ID()); status.Status != history.Suspended || status.Status.Terminal() {
			t.Errorf("after 3 s the instance is %s", status.Status)
		}
		check(t, w.Client.Resume(w.Context(), instance.ID(), "go on"))
		got, err := instance.Wait(w.Timeout(10 * time.Second))
		check(t, err)
		if fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Errorf("the events are %v", got)
		}
	})
}

// U04: results of activities and timers that arrive during a suspension are stored at once and
// take effect after it.
func TestControl_ResultsDuringSuspension_U04(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		release := make(chan struct{})
		w.Start(nil,
			ctlSlow.With(func(context.Context, string) (string, error) { <-release; return "done", nil }),
			ctlBoth.With(func(ctx *orchestration.Context, _ string) (string, error) {
				timer, result := ctx.Timer(time.Second), orchestration.CallActivity(ctx, ctlSlow, "")
				if _, err := timer.Await(); err != nil {
					return "", err
				}
				return result.Await()
			}))
		instance := launch(t, w, ctlBoth, "")
		reach(t, w, instance.ID(), history.Running)
		suspendIt(t, w, instance.ID(), "")
		close(release)
		w.Eventually(soon, "both results are stored", func() bool {
			counts := kinds(eventsOf(t, w, instance.ID()))
			return counts[history.KindTaskCompleted] == 1 && counts[history.KindTimerFired] == 1
		})
		if got := statusOf(t, w, instance.ID()).Status; got != history.Suspended {
			t.Errorf("the instance is %s", got)
		}
		check(t, w.Client.Resume(w.Context(), instance.ID(), ""))
		if got := resultOf(t, w, instance); got != "done" {
			t.Errorf("the result is %q", got)
		}
	})
}

// U05: a suspension does not swallow a termination.
func TestControl_TerminateSuspended_U05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 1)
		reach(t, w, instance.ID(), history.Running)
		suspendIt(t, w, instance.ID(), "sleep")
		check(t, w.Client.Terminate(w.Context(), instance.ID(), "enough"))
		if end := endOf(t, w, instance.ID()); end.Status != history.Terminated || end.Reason != "enough" {
			t.Errorf("the instance is %s, reason %q", end.Status, end.Reason)
		}
	})
}

// U10: a suspension right after the start, perhaps before the first turn, holds and can be lifted.
func TestControl_SuspendAtOnce_U10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 1)
		suspendIt(t, w, instance.ID(), "at once")
		raise(t, w, instance.ID(), ctlNumber, 7)
		check(t, w.Client.Resume(w.Context(), instance.ID(), ""))
		if got := resultOf(t, w, instance); len(got) != 1 || got[0] != 7 {
			t.Errorf("the result is %v", got)
		}
	})
}

// X01: a waiting instance ends within ten seconds, with the reason given.
func TestControl_Terminate_X01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 1)
		reach(t, w, instance.ID(), history.Running)
		check(t, w.Client.Terminate(w.Context(), instance.ID(), "sayōnara"))
		_, err := instance.Wait(w.Timeout(10 * time.Second))
		var ended *taskhub.EndedError
		if !errors.As(err, &ended) || ended.Status != history.Terminated || ended.Reason != "sayōnara" {
			t.Errorf("the end is %v", err)
		}
	})
}

// X05: terminating twice, or what has ended, is harmless; the first reason stays.
func TestControl_TerminateTwice_X05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		instance, done := launch(t, w, ctlCollect, 1), launch(t, w, ctlCollect, 0)
		resultOf(t, w, done)
		reach(t, w, instance.ID(), history.Running)
		for _, reason := range []string{"first", "second"} {
			check(t, w.Client.Terminate(w.Context(), instance.ID(), reason, taskhub.Unchecked{}))
		}
		check(t, w.Client.Terminate(w.Context(), done.ID(), "late", taskhub.Unchecked{}))
		endOf(t, w, instance.ID())
		check(t, w.Client.Terminate(w.Context(), instance.ID(), "third", taskhub.Unchecked{}))
		w.DrainedWithin(soon)
		if end := statusOf(t, w, instance.ID()); end.Status != history.Terminated || end.Reason != "first" {
			t.Errorf("the instance is %s, reason %q", end.Status, end.Reason)
		}
		if end := statusOf(t, w, done.ID()); end.Status != history.Completed || string(end.Output) != "[]" {
			t.Errorf("the finished instance is %s with %s", end.Status, end.Output)
		}
		if err := w.Client.Terminate(w.Context(), done.ID(), "checked"); !errors.Is(err, taskhub.ErrNotLive) {
			t.Errorf("terminating a finished instance: %v", err)
		}
	})
}

// X09: what an activity returns after a termination is discarded; the history keeps its end.
func TestControl_LateResult_X09(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		release, began := make(chan struct{}), make(chan struct{})
		w.Start(nil,
			ctlSlow.With(func(context.Context, string) (string, error) { close(began); <-release; return "late", nil }),
			ctlBoth.With(func(ctx *orchestration.Context, _ string) (string, error) {
				return orchestration.CallActivity(ctx, ctlSlow, "").Await()
			}))
		instance := launch(t, w, ctlBoth, "")
		<-began
		check(t, w.Client.Terminate(w.Context(), instance.ID(), "enough"))
		endOf(t, w, instance.ID())
		before := len(eventsOf(t, w, instance.ID()))
		close(release)
		w.DrainedWithin(soon)
		counts := kinds(eventsOf(t, w, instance.ID()))
		if counts[history.KindTaskCompleted] != 0 || len(eventsOf(t, w, instance.ID())) != before {
			t.Errorf("the history holds %v", counts)
		}
		if end := statusOf(t, w, instance.ID()); end.Status != history.Terminated || end.Reason != "enough" {
			t.Errorf("the instance is %s, reason %q", end.Status, end.Reason)
		}
	})
}

// X11: a terminated instance can be started again under its id and knows nothing of its past.
func TestControl_StartAfterTerminate_X11(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		first := launch(t, w, ctlCollect, 5, taskhub.InstanceID("again"))
		reach(t, w, "again", history.Running)
		raise(t, w, "again", ctlNumber, 1)
		check(t, w.Client.Terminate(w.Context(), "again", "enough"))
		endOf(t, w, "again")
		second := launch(t, w, ctlCollect, 1, taskhub.InstanceID("again"))
		status := reach(t, w, "again", history.Running)
		if status.ExecutionID == first.ExecutionID() || string(status.Input) != "1" || status.Reason != "" || status.Generation != 1 {
			t.Errorf("execution %s, input %s, reason %q, generation %d", status.ExecutionID, status.Input, status.Reason, status.Generation)
		}
		raise(t, w, "again", ctlNumber, 2)
		if got := resultOf(t, w, second); fmt.Sprint(got) != "[2]" {
			t.Errorf("the result is %v", got)
		}
	})
}

// K01: the custom status shows while the instance runs and after its end; the last one counts; any
// JSON will do.
func TestControl_CustomStatus_K01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlBoth.With(func(ctx *orchestration.Context, _ string) (string, error) {
			ctx.SetCustomStatus("overwritten")
			ctx.SetCustomStatus(map[string]int{"step": 1})
			_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
			ctx.SetCustomStatus([]string{"step", "two"})
			return "", err
		}))
		instance := launch(t, w, ctlBoth, "")
		if got := string(reach(t, w, instance.ID(), history.Running).CustomStatus); got != `{"step":1}` {
			t.Errorf("the custom status is %s", got)
		}
		raise(t, w, instance.ID(), ctlNumber, 1)
		if got := string(endOf(t, w, instance.ID()).CustomStatus); got != `["step","two"]` {
			t.Errorf("the custom status is %s at the end", got)
		}
	})
}

// K02: null takes a custom status away, "" is one.
func TestControl_CustomStatusCleared_K02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlBoth.With(func(ctx *orchestration.Context, in string) (string, error) {
			ctx.SetCustomStatus("something")
			_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
			if in == "null" {
				ctx.SetCustomStatus(nil)
			} else {
				ctx.SetCustomStatus("")
			}
			return "", err
		}))
		for in, want := range map[string]string{"null": "", "empty": `""`} {
			instance := launch(t, w, ctlBoth, in)
			reach(t, w, instance.ID(), history.Running)
			raise(t, w, instance.ID(), ctlNumber, 1)
			if got := string(endOf(t, w, instance.ID()).CustomStatus); got != want {
				t.Errorf("%s: the custom status is %q, want %q", in, got, want)
			}
			if row, _ := w.Row(instance.ID()); row.Values["CustomStatus"] != map[string]string{"null": "null", "empty": `""`}[in] {
				t.Errorf("%s: the stored custom status is %q", in, row.Values["CustomStatus"])
			}
		}
	})
}

// Suspend and resume do not leave a worker's activities alone in the wrong way: an activity that
// was scheduled before a suspension runs once.
func TestControl_SuspendedActivityRunsOnce_U04(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(&worker.Options{},
			ctlSlow.With(func(ctx context.Context, _ string) (string, error) {
				runs.Add(1)
				run.Sleep(ctx, 10*time.Minute)
				return "slow", ctx.Err()
			}),
			ctlBoth.With(func(ctx *orchestration.Context, _ string) (string, error) {
				return orchestration.CallActivity(ctx, ctlSlow, "").Await()
			}))
		instance := launch(t, w, ctlBoth, "")
		reach(t, w, instance.ID(), history.Running)
		suspendIt(t, w, instance.ID(), "")
		check(t, w.Client.Resume(w.Context(), instance.ID(), ""))
		if end, err := instance.Wait(w.Timeout(time.Hour)); err != nil || end != "slow" || runs.Load() != 1 {
			t.Errorf("the end is %q, %v after %d runs", end, err, runs.Load())
		}
	})
}
