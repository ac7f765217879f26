package fault_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// TestOutage_EventOfAChild takes the tables away from one child for 70 s, in which its start and an
// event for it are delivered again and again, at different times. The event comes first when the
// tables are back; it may not be thrown away.
func TestOutage_EventOfAChild(t *testing.T) {
	t.Parallel()
	const child = "child"
	parent := orchestration.Declare[int, int]("Parent")
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		on.Store(true)
		hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if filter, ok := call.Content.(storage.Compare); on.Load() && strings.HasPrefix(string(call.Kind), "table.") &&
				(strings.HasPrefix(call.Key, child) || ok && filter.Value == child) {
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
			}
			return next(ctx)
		}
		var r runs
		bindings := append(r.bindings(), parent.With(func(ctx *orchestration.Context, n int) (int, error) {
			return orchestration.CallSubOrchestration(ctx, patient, n, orchestration.InstanceID(child)).Await()
		}))
		w.StartHooked(hook, &worker.Options{}, bindings...)
		instance, err := taskhub.Start(w.Context(), w.Client, parent, 3)
		if err != nil {
			t.Fatal(err)
		}
		run.Sleep(w.Context(), 20*time.Second)
		event := &history.EventRaised{
			Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, Name: item.Name(), Input: history.Text("7"),
		}
		w.Put(&wire.Message{Event: event, Target: history.Instance{InstanceID: child}, Sender: &history.Instance{}}, 0)
		run.Sleep(w.Context(), 50*time.Second)
		on.Store(false)
		if got, err := instance.Wait(w.Timeout(30 * time.Minute)); err != nil || got != 16 {
			t.Errorf("got %d, %v", got, err)
		}
	})
}
