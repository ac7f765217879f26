package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// A worker that is told to stop leaves no message hidden: right after it, every message is visible
// to the rest of the fleet, and all work goes on elsewhere. Without that, a planned restart would
// cost each message its visibility.
func TestStop_LeavesNothingHidden(t *testing.T) {
	t.Parallel()
	for _, drain := range []time.Duration{100 * time.Millisecond, 30 * time.Second} {
		for moment := range 16 {
			t.Run(fmt.Sprintf("drain=%v/moment=%d", drain, moment), func(t *testing.T) {
				fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
					stopAt(t, w, drain, 5*time.Millisecond<<moment/8)
				})
			})
		}
	}
}

func stopAt(t *testing.T, w *fleettest.World, drain, moment time.Duration) {
	t.Helper()
	var runs atomic.Int64
	slow := func(ctx context.Context, in string) (string, error) {
		if !run.Sleep(ctx, 700*time.Millisecond) {
			return "", context.Cause(ctx)
		}
		runs.Add(1)
		return in + "!", nil
	}
	bindings := []worker.Binding{crashChain.With(chainOf), crashWork.With(slow), ctlCollect.With(collectNumbers)}
	options := quietOptions()
	options.MaxActivities, options.MaxTurns, options.DrainTimeout = 2, 2, drain
	var chains []*taskhub.Instance[string]
	for range 10 {
		chains = append(chains, launch(t, w, crashChain, 2))
	}
	w.Put(numberFor("nobody", 1), 0)
	w.PutText(w.Queues()[0], "garbage")
	w.PutText(w.Queues()[1], "garbage")
	// Requests take their time, so that a stop meets work in every state.
	first := w.StartHooked(func(ctx context.Context, _ *storage.Call, next func(context.Context) error) error {
		run.Sleep(context.WithoutCancel(ctx), 15*time.Millisecond)
		return next(ctx)
	}, options, bindings...)
	waiting := launch(t, w, ctlCollect, 3)
	for i := range 3 {
		run.Sleep(w.Context(), moment/4)
		raise(t, w, waiting.ID(), ctlNumber, i)
	}
	run.Sleep(w.Context(), moment/4)
	check(t, first.Stop())
	hidden := w.MessagesLeft() - w.VisibleMessages()
	// What was put back for later stays hidden for its delay, and no longer.
	if hidden > 3 {
		t.Errorf("%d of %d messages are hidden after the stop", hidden, w.MessagesLeft())
	}
	began := time.Now()
	w.Start(quietOptions(), bindings...)
	for _, instance := range chains {
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "!!" {
			t.Errorf("the end is %q, %v", got, err)
		}
	}
	if got := resultOf(t, w, waiting); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("the events are %v", got)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the rest took %v", took)
	}
	if runs.Load() != 20 {
		t.Errorf("%d activities have run to their end, want 20", runs.Load())
	}
}
