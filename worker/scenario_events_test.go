package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var (
	evCollect = orchestration.Declare[int, []int]("EvCollect")
	evNames   = orchestration.Declare[struct{}, string]("EvNames")
	evWaiters = orchestration.Declare[int, []int]("EvWaiters")
	evSecond  = orchestration.Declare[struct{}, int]("EvSecond")
	evTimeout = orchestration.Declare[time.Duration, int]("EvTimeout")
	evAdder   = orchestration.Declare[int, int]("EvAdder")
	evSender  = orchestration.Declare[string, string]("EvSender")
	evEmpty   = orchestration.Declare[struct{}, string]("EvEmpty")
	evAdd     = activity.Declare[[2]int, int]("EvAdd")
	evNumber  = orchestration.DeclareEvent[int]("Number")
	evA       = orchestration.DeclareEvent[string]("A")
	evB       = orchestration.DeclareEvent[string]("B")
	evC       = orchestration.DeclareEvent[string]("C")
)

// collect takes n numbers, with a short sleep before the first.
func collect(ctx *orchestration.Context, n int) ([]int, error) {
	if _, err := ctx.Timer(100 * time.Millisecond).Await(); err != nil {
		return nil, err
	}
	all := make([]int, 0, n)
	for range n {
		number, err := orchestration.WaitForEvent(ctx, evNumber).Await()
		if err != nil {
			return nil, err
		}
		all = append(all, number)
	}
	return all, nil
}

func expectNumbers(t *testing.T, got []int, n int) {
	t.Helper()
	for i := range n {
		if i >= len(got) || got[i] != i {
			t.Fatalf("the events are %v", got)
		}
	}
}

// V01, V02: events arrive in order, also those that come before anybody waits.
func TestEvent_InOrder_V01_V02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evCollect.With(collect))
		instance := launch(t, w, evCollect, 10)
		for i := range 10 {
			raise(t, w, instance.ID(), evNumber, i)
		}
		expectNumbers(t, resultOf(t, w, instance), 10)
		w.DrainedWithin(soon)
	})
}

// V02: events that come before the instance has begun are kept for it, whether they come with the
// start or overtake it.
func TestEvent_BeforeTheStart_V02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		together := launch(t, w, evCollect, 2)
		later := launch(t, w, evCollect, 2, taskhub.StartAt(time.Now().Add(4*time.Second)))
		for i := range 2 {
			raise(t, w, together.ID(), evNumber, i)
			raise(t, w, later.ID(), evNumber, i)
		}
		w.Start(nil, evCollect.With(collect))
		expectNumbers(t, resultOf(t, w, together), 2)
		got := resultOf(t, w, later)
		if len(got) != 2 || got[0]+got[1] != 1 { // put back on the way, they may change places
			t.Errorf("the events are %v", got)
		}
		w.DrainedWithin(soon)
	})
}

// V04: waits for several names get their own events, in whatever order these come.
func TestEvent_SeveralNames_V04(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evNames.With(func(ctx *orchestration.Context, _ struct{}) (string, error) {
			all, err := orchestration.All(orchestration.WaitForEvent(ctx, evA), orchestration.WaitForEvent(ctx, evB),
				orchestration.WaitForEvent(ctx, evC)).Await()
			return fmt.Sprint(all), err
		}))
		instance := launch(t, w, evNames, struct{}{})
		raise(t, w, instance.ID(), evC, "c")
		raise(t, w, instance.ID(), evA, "a")
		raise(t, w, instance.ID(), evB, "b")
		if got := resultOf(t, w, instance); got != "[a b c]" {
			t.Errorf("got %s", got)
		}
	})
}

// V05: of several waits for one name, the oldest gets the oldest event.
func TestEvent_ParallelWaits_V05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evWaiters.With(func(ctx *orchestration.Context, n int) ([]int, error) {
			waits := make([]orchestration.Task[int], n)
			for i := range waits {
				waits[i] = orchestration.WaitForEvent(ctx, evNumber)
			}
			return orchestration.All(waits...).Await()
		}))
		instance := launch(t, w, evWaiters, 5)
		for i := range 5 {
			raise(t, w, instance.ID(), evNumber, i)
		}
		expectNumbers(t, resultOf(t, w, instance), 5)
	})
}

// V06: a cancelled wait takes no event.
func TestEvent_CancelledWait_V06(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evSecond.With(func(ctx *orchestration.Context, _ struct{}) (int, error) {
			first, second := orchestration.WaitForEvent(ctx, evNumber), orchestration.WaitForEvent(ctx, evNumber)
			first.Cancel()
			if _, err := first.Await(); !errors.Is(err, orchestration.ErrCanceled) {
				return 0, fmt.Errorf("the cancelled wait returned %w", err)
			}
			return second.Await()
		}))
		instance := launch(t, w, evSecond, struct{}{})
		raise(t, w, instance.ID(), evNumber, 7)
		if got := resultOf(t, w, instance); got != 7 {
			t.Errorf("got %d", got)
		}
	})
}

// V07: a wait that lasts too long fails its orchestration, unless the event comes in time.
func TestEvent_Timeout_V07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evTimeout.With(func(ctx *orchestration.Context, d time.Duration) (int, error) {
			return orchestration.WaitForEventFor(ctx, evNumber, d).Await()
		}))
		late, inTime := launch(t, w, evTimeout, time.Second), launch(t, w, evTimeout, 3*time.Second)
		raise(t, w, inTime.ID(), evNumber, 5)
		if got := resultOf(t, w, inTime); got != 5 {
			t.Errorf("got %d", got)
		}
		status := endOf(t, w, late.ID())
		if status.Status != history.Failed || kinds(eventsOf(t, w, late.ID()))[history.KindTimerFired] != 1 {
			t.Errorf("the instance without an event is %s: %v", status.Status, status.Failure)
		}
		w.DrainedWithin(soon)
	})
}

// V10: a hundred events back to back arrive once each.
func TestEvent_Burst_V10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evCollect.With(collect))
		instance := launch(t, w, evCollect, 100)
		for i := range 100 {
			raise(t, w, instance.ID(), evNumber, i)
		}
		seen := map[int]int{}
		for _, n := range resultOf(t, w, instance) {
			seen[n]++
		}
		if len(seen) != 100 {
			t.Errorf("%d different events arrived", len(seen))
		}
		w.DrainedWithin(soon)
	})
}

// V11: events that come while an activity runs wait their turn; none is dropped.
func TestEvent_BetweenActivities_V11(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		add := func(_ context.Context, pair [2]int) (int, error) { return pair[0] + pair[1], nil }
		w.Start(nil, evAdd.With(add), evAdder.With(func(ctx *orchestration.Context, n int) (int, error) {
			sum := 0
			for range n {
				number, err := orchestration.WaitForEvent(ctx, evNumber).Await()
				if err != nil {
					return 0, err
				}
				if sum, err = orchestration.CallActivity(ctx, evAdd, [2]int{sum, number}).Await(); err != nil {
					return 0, err
				}
			}
			return sum, nil
		}))
		instance := launch(t, w, evAdder, 5)
		for _, n := range []int{2, 3, 5, 7, 9} {
			raise(t, w, instance.ID(), evNumber, n)
		}
		if got := resultOf(t, w, instance); got != 26 {
			t.Errorf("the sum is %d", got)
		}
		w.DrainedWithin(soon)
	})
}

// V13: an event to an instance that has ended changes nothing: the client refuses it, a worker
// drops it.
func TestEvent_AfterTheEnd_V13(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evCollect.With(collect))
		instance := launch(t, w, evCollect, 0)
		resultOf(t, w, instance)
		before, rows := statusOf(t, w, instance.ID()), len(w.HistoryRows(instance.ID()))
		err := taskhub.RaiseEvent(w.Context(), w.Client, instance.ID(), evNumber, 1)
		if !errors.Is(err, taskhub.ErrNotLive) {
			t.Errorf("the client says %v", err)
		}
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, instance.ID(), evNumber, 1, taskhub.Unchecked{}))
		w.DrainedWithin(soon)
		after := statusOf(t, w, instance.ID())
		if after.Status != before.Status || !after.LastUpdated.Equal(before.LastUpdated) || len(w.HistoryRows(instance.ID())) != rows {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

// V14: an orchestration sends events to another one, once, whatever it replays.
func TestEvent_SentByOrchestration_V14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		sender := func(ctx *orchestration.Context, target string) (string, error) {
			if err := orchestration.SendEvent(ctx, target, evNumber, 0); err != nil {
				return "", err
			}
			_, err := ctx.Timer(time.Second).Await()
			return "sent", err
		}
		w.Start(nil, evCollect.With(collect), evSender.With(sender))
		receiver := launch(t, w, evCollect, 2)
		resultOf(t, w, launch(t, w, evSender, receiver.ID()))
		run.Sleep(w.Context(), time.Second)
		raise(t, w, receiver.ID(), evNumber, 1)
		expectNumbers(t, resultOf(t, w, receiver), 2)
		w.DrainedWithin(soon)
	})
}

// V18: an event without data gives the zero value.
func TestEvent_WithoutData_V18(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, evEmpty.With(func(ctx *orchestration.Context, _ struct{}) (string, error) {
			none, err := orchestration.WaitForEvent(ctx, evA).Await()
			if err != nil {
				return "", err
			}
			some, err := orchestration.WaitForEvent(ctx, evA).Await()
			return fmt.Sprintf("%q %q", none, some), err
		}))
		instance := launch(t, w, evEmpty, struct{}{})
		check(t, w.Client.RaiseEventByName(w.Context(), instance.ID(), "a", struct{}{}))
		raise(t, w, instance.ID(), evA, "x")
		if got := resultOf(t, w, instance); got != `"" "x"` {
			t.Errorf("got %s", got)
		}
		for _, e := range eventsOf(t, w, instance.ID()) {
			if raised, ok := e.(*history.EventRaised); ok && raised.Name == "a" && raised.Input != nil {
				t.Errorf("the event without data is stored with %q", *raised.Input)
			}
		}
	})
}
