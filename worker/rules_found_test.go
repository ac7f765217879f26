package worker_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

// These are cases that the simulation found, in the smallest form. See docs/reliability.md.

// An event for an instance that is to start anew later waits for it, although the former life's
// history is still there.
func TestFound_EventBeforeANewLife(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(quietOptions(), ctlCollect.With(collectNumbers))
		id := taskhub.InstanceID("twice")
		first := launch(t, w, ctlCollect, 1, id)
		raise(t, w, first.ID(), ctlNumber, 1)
		resultOf(t, w, first)
		second := launch(t, w, ctlCollect, 1, id, taskhub.StartAt(time.Now().Add(time.Minute)))
		raise(t, w, second.ID(), ctlNumber, 2)
		pass(t, w, 10*time.Second)
		if got := resultOf(t, w, second); len(got) != 1 || got[0] != 2 {
			t.Errorf("the second life got %v", got)
		}
	})
}

// An order to end that was given to a former life does not end the next one, however late it comes.
func TestFound_OrderForAFormerLife(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		id := taskhub.InstanceID("again")
		first := w.Start(quietOptions(), ctlCollect.With(collectNumbers))
		former := launch(t, w, ctlCollect, 1, id)
		reach(t, w, former.ID(), history.Running)
		check(t, first.Stop())
		check(t, w.Client.Terminate(w.Context(), former.ID(), "enough"))
		check(t, w.Client.Purge(w.Context(), former.ID(), taskhub.Force{}))
		pass(t, w, 5*time.Second)
		next := launch(t, w, ctlCollect, 1, id)
		w.Start(quietOptions(), ctlCollect.With(collectNumbers))
		reach(t, w, next.ID(), history.Running)
		raise(t, w, next.ID(), ctlNumber, 7)
		if got := resultOf(t, w, next); len(got) != 1 || got[0] != 7 {
			t.Errorf("the next life got %v", got)
		}
	})
}

// A message whose payload was purged with its instance is dropped, and is no poison.
func TestFound_PurgedPayload(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		first := w.Start(quietOptions(), crashBindings(new(atomic.Int64))...)
		instance := launch(t, w, crashEvents, struct{}{})
		reach(t, w, instance.ID(), history.Running)
		check(t, first.Stop())
		raise(t, w, instance.ID(), crashNote, strings.Repeat("x", 100<<10))
		check(t, w.Client.Purge(w.Context(), instance.ID(), taskhub.Force{}))
		w.Start(quietOptions(), crashBindings(new(atomic.Int64))...)
		w.DrainedWithin(5 * time.Minute)
		if list := poisonList(t, w); len(list) != 0 {
			t.Errorf("poison: %v", list)
		}
	})
}

// The payload of a message for an instance that was purged goes, although the reply to the deletion of the message is lost.
func TestFound_PayloadAfterAPurge(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var lost atomic.Bool
		hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			err := next(ctx)
			if call.Kind == storage.QueueDelete && err == nil && lost.CompareAndSwap(false, true) {
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable, Ambiguous: true}
			}
			return err
		}
		w.StartHooked(hook, quietOptions(), crashBindings(new(atomic.Int64))...)
		data := strings.Repeat("x", 100<<10)
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, "purged", crashNote, data, taskhub.Unchecked{}))
		w.DrainedWithin(10 * time.Minute)
		blobs, err := w.Hub.Store().PayloadBlobs(w.Context())
		if check(t, err); len(blobs) > 0 || !lost.Load() {
			t.Errorf("left: %v; a reply was lost: %t", blobs, lost.Load())
		}
	})
}

// A message that was taken in the moment in which the partition was lost is let go: it goes to the
// new owner when its visibility ends, and is not kept alive by the old one.
func TestFound_MessageTakenAsTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		options := quietOptions()
		options.MaxTurns = 1
		busy := make(chan struct{})
		var stuck atomic.Bool
		hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.TableTransact && stuck.CompareAndSwap(false, true) {
				select { // the only turn there may be does not end before the lease is lost
				case <-busy:
				case <-ctx.Done():
				}
			}
			return next(ctx)
		}
		w.StartHooked(hook, options, crashBindings(new(atomic.Int64))...)
		var all []*taskhub.Instance[string]
		for range 8 {
			all = append(all, launch(t, w, crashChain, 1))
		}
		w.Eventually(soon, "a turn is stuck", stuck.Load)
		for _, queue := range w.Queues()[1:] {
			row, err := w.Account.Tables.Read(w.Context(), w.Hub.Store().Names.PartitionsTable(), "", queue)
			check(t, err)
			row.Values["CurrentOwner"] = "stranger"
			_, err = w.Account.Tables.Replace(w.Context(), w.Hub.Store().Names.PartitionsTable(), row, row.ETag)
			check(t, err)
		}
		pass(t, w, 20*time.Second)
		close(busy)
		for _, instance := range all {
			resultOf(t, w, instance)
		}
	})
}
