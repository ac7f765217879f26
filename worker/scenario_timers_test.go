package worker_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	tmSleep    = orchestration.Declare[time.Duration, time.Duration]("TmSleep")
	tmParallel = orchestration.Declare[[]time.Duration, int]("TmParallel")
	tmAt       = orchestration.Declare[time.Time, string]("TmAt")
	tmParent   = orchestration.Declare[time.Time, string]("TmParent")
	tmApproval = orchestration.Declare[time.Duration, string]("TmApproval")
	tmStale    = orchestration.Declare[struct{}, []int]("TmStale")
	tmCancel   = orchestration.Declare[time.Duration, string]("TmCancel")
	tmClock    = orchestration.Declare[struct{}, []time.Time]("TmClock")
	tmApproved = orchestration.DeclareEvent[string]("TmApproved")
	tmNumber   = orchestration.DeclareEvent[int]("TmNumber")
)

// sleepFor sleeps and returns how long that took on its clock.
func sleepFor(ctx *orchestration.Context, d time.Duration) (time.Duration, error) {
	began := ctx.Now()
	_, err := ctx.Timer(d).Await()
	return ctx.Now().Sub(began), err
}

func sleepAll(ctx *orchestration.Context, all []time.Duration) (int, error) {
	tasks := make([]orchestration.Task[struct{}], len(all))
	for i, d := range all {
		tasks[i] = ctx.Timer(d)
	}
	done, err := orchestration.All(tasks...).Await()
	return len(done), err
}

func sleepUntil(ctx *orchestration.Context, at time.Time) (string, error) {
	_, err := ctx.TimerAt(at).Await()
	return "woke", err
}

// T01, T17: a timer of no length, or due in the past, fires at once; its firing names it.
func TestTimer_DueAtOnce_T01_T17(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmSleep.With(sleepFor), tmAt.With(sleepUntil))
		zero := launch(t, w, tmSleep, 0)
		past := launch(t, w, tmAt, time.Now().Add(-time.Hour))
		resultOf(t, w, past)
		resultOf(t, w, zero)
		var created *history.TimerCreated
		var fired *history.TimerFired
		for _, e := range eventsOf(t, w, zero.ID()) {
			switch e := e.(type) {
			case *history.TimerCreated:
				created = e
			case *history.TimerFired:
				fired = e
			}
		}
		if created == nil || fired == nil || created.EventID != fired.TimerID || !created.FireAt.Equal(fired.FireAt) {
			t.Errorf("created %+v, fired %+v", created, fired)
		}
		w.DrainedWithin(soon)
	})
}

// T02, T14: a timer never fires early, and not much later; the orchestration's clock shows it.
func TestTimer_Accuracy_T02_T14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmSleep.With(sleepFor))
		d := 2500 * time.Millisecond
		if w.Virtual {
			d = 5 * time.Second
		}
		began := time.Now()
		instance := launch(t, w, tmSleep, d)
		logical := resultOf(t, w, instance)
		took := time.Since(began)
		if logical < d || took < d {
			t.Errorf("a timer of %v fired after %v, on its clock %v", d, took, logical)
		}
		if w.Virtual && took > 15*time.Second {
			t.Errorf("a timer of %v fired after %v", d, took)
		}
	})
}

// T03: timers that run side by side take as long as the longest.
func TestTimer_Parallel_T03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmParallel.With(sleepAll))
		began := time.Now()
		instance := launch(t, w, tmParallel, []time.Duration{time.Second, time.Second, time.Second})
		if got := resultOf(t, w, instance); got != 3 {
			t.Errorf("%d timers fired", got)
		}
		if took := time.Since(began); w.Virtual && took > 5*time.Second {
			t.Errorf("three timers of 1 s took %v", took)
		}
	})
}

// T04: timers of many instances and children that are due at the same instant all fire.
func TestTimer_SameInstant_T04(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		parent := func(ctx *orchestration.Context, at time.Time) (string, error) {
			children := make([]orchestration.Task[string], 3)
			for i := range children {
				children[i] = orchestration.CallSubOrchestration(ctx, tmAt, at)
			}
			woken, err := orchestration.All(children...).Await()
			return fmt.Sprint(woken), err
		}
		w.Start(nil, tmAt.With(sleepUntil), tmParent.With(parent))
		at := time.Now().Add(2 * time.Second)
		var instances []*taskhub.Instance[string]
		for i := range 12 {
			if i%4 == 0 {
				instances = append(instances, launch(t, w, tmParent, at))
			} else {
				instances = append(instances, launch(t, w, tmAt, at))
			}
		}
		for _, instance := range instances {
			if got := resultOf(t, w, instance); got != "woke" && got != "[woke woke woke]" {
				t.Errorf("an instance returned %q", got)
			}
		}
		w.DrainedWithin(soon)
	})
}

// T05: the message of a timer cannot be taken before it is due, and carries the time asked for.
func TestTimer_HiddenUntilDue_T05(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		first := w.Start(nil, tmAt.With(sleepUntil))
		at := time.Now().Add(3 * time.Second).Truncate(history.Tick)
		instance := launch(t, w, tmAt, at)
		reach(t, w, instance.ID(), history.Running)
		check(t, first.Stop())
		queue := w.Hub.Store().ControlQueueOf(instance.ID())
		for {
			received, _, err := w.Hub.Store().Receive(w.Context(), queue, storage.MaxMessagesPerGet, time.Second)
			check(t, err)
			if len(received) == 0 {
				if time.Now().After(at.Add(5 * time.Second)) {
					t.Fatal("the message does not come")
				}
				run.Sleep(w.Context(), 100*time.Millisecond)
				continue
			}
			fired, _ := received[0].Content.Event.(*history.TimerFired)
			if time.Now().Before(at) || fired == nil || !fired.FireAt.Equal(at) {
				t.Errorf("at %v the message %+v came, due at %v", time.Now(), received[0].Content.Event, at)
			}
			break
		}
		w.Start(nil, tmAt.With(sleepUntil))
		resultOf(t, w, instance)
	})
}

// T06: a timer beyond the limit of queues is split into hops; the code sees one timer.
func TestTimer_Long_T06(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(&worker.Options{TimerLimit: 2 * time.Second, TimerHop: 2 * time.Second}, tmSleep.With(sleepFor))
		instance := launch(t, w, tmSleep, 5*time.Second)
		if took := resultOf(t, w, instance); took < 5*time.Second {
			t.Errorf("the timer took %v", took)
		}
		counts := kinds(eventsOf(t, w, instance.ID()))
		if counts[history.KindTimerCreated] != 3 || counts[history.KindTimerFired] != 3 || counts[history.KindOrchestratorStarted] < 4 {
			t.Errorf("the history has %v", counts)
		}
	})
}

// T06: a timer of eight days, with the real limits.
func TestTimer_EightDays_T06(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) { // eight days are too long for real time
		w.Start(&worker.Options{ // little to do in eight days
			MaxPollInterval: 30 * time.Second, LeaseDuration: time.Hour, AcquireInterval: 20 * time.Minute, NoAppLease: true,
			Visibility: time.Hour,
		}, tmSleep.With(sleepFor))
		instance := launch(t, w, tmSleep, 8*24*time.Hour)
		took, err := instance.Wait(w.Timeout(9*24*time.Hour), taskhub.PollInterval(time.Hour))
		check(t, err)
		if took < 8*24*time.Hour || took > 8*24*time.Hour+time.Minute {
			t.Errorf("the timer took %v", took)
		}
	})
}

// approval waits for an approval or for time to run out.
func approval(ctx *orchestration.Context, limit time.Duration) (string, error) {
	event, deadline := orchestration.WaitForEvent(ctx, tmApproved), ctx.Timer(limit)
	first, err := orchestration.FirstOf(event, deadline).Await()
	if err != nil || first == 1 {
		return "Expired", err
	}
	deadline.Cancel()
	by, err := event.Await()
	return "Approved " + by, err
}

// T08, T09: an event against a timer: whoever is first wins, and the instance ends at once. The
// dead timer's message is discarded when it comes.
func TestTimer_AgainstEvent_T08_T09(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmApproval.With(approval))
		approved, expired := launch(t, w, tmApproval, 4*time.Second), launch(t, w, tmApproval, time.Second)
		began := time.Now()
		raise(t, w, approved.ID(), tmApproved, "ann")
		if got := resultOf(t, w, approved); got != "Approved ann" {
			t.Errorf("got %q", got)
		}
		if took := time.Since(began); w.Virtual && took > 3*time.Second {
			t.Errorf("the approved instance ended after %v", took)
		}
		if got := resultOf(t, w, expired); got != "Expired" {
			t.Errorf("got %q", got)
		}
		w.DrainedWithin(soon)
	})
}

// T10: the timer of a wait that was satisfied long ago disturbs nobody when it fires.
func TestTimer_StaleFiring_T10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmStale.With(func(ctx *orchestration.Context, _ struct{}) ([]int, error) {
			first := orchestration.WaitForEventFor(ctx, tmNumber, 2*time.Second)
			if _, err := first.Await(); err != nil {
				return nil, err
			}
			if _, err := ctx.Timer(4 * time.Second).Await(); err != nil {
				return nil, err
			}
			again, err := first.Await()
			if err != nil {
				return nil, err
			}
			second, err := orchestration.WaitForEvent(ctx, tmNumber).Await()
			return []int{again, second}, err
		}))
		instance := launch(t, w, tmStale, struct{}{})
		raise(t, w, instance.ID(), tmNumber, 42)
		run.Sleep(w.Context(), 3*time.Second)
		raise(t, w, instance.ID(), tmNumber, 43)
		if got := resultOf(t, w, instance); fmt.Sprint(got) != "[42 43]" {
			t.Errorf("got %v", got)
		}
		w.DrainedWithin(soon)
	})
}

// T12: cancelling a timer twice, also in the slice in which it fires, is harmless.
func TestTimer_CancelTwice_T12(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmCancel.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
			a, b := ctx.Timer(d), ctx.Timer(d)
			if _, err := a.Await(); err != nil {
				return "", err
			}
			a.Cancel()
			b.Cancel()
			b.Cancel()
			_, err := b.Await()
			return fmt.Sprint(err), nil
		}))
		if got := resultOf(t, w, launch(t, w, tmCancel, time.Second)); got != orchestration.ErrCanceled.Error() {
			t.Errorf("the cancelled timer returned %q", got)
		}
		w.DrainedWithin(soon)
	})
}

// T14: within an episode the clock stands still; after a timer it has advanced by at least that.
func TestTimer_Clock_T14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmClock.With(func(ctx *orchestration.Context, _ struct{}) ([]time.Time, error) {
			times := []time.Time{ctx.Now(), ctx.Now()}
			_, err := ctx.Timer(2 * time.Second).Await()
			return append(times, ctx.Now()), err
		}))
		got := resultOf(t, w, launch(t, w, tmClock, struct{}{}))
		if !got[0].Equal(got[1]) || got[2].Sub(got[0]) < 2*time.Second {
			t.Errorf("the clock showed %v", got)
		}
	})
}

// T16: the same instant in another time zone is the same instant.
func TestTimer_TimeZones_T16(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, tmAt.With(sleepUntil))
		at := time.Now().Add(time.Second).Truncate(history.Tick)
		instance := launch(t, w, tmAt, at.In(time.FixedZone("east", 5*3600)))
		resultOf(t, w, instance)
		for _, e := range eventsOf(t, w, instance.ID()) {
			if created, ok := e.(*history.TimerCreated); ok && !created.FireAt.Equal(at) {
				t.Errorf("the timer is set for %v, not %v", created.FireAt, at)
			}
		}
	})
}

// A worker that polls an idle queue rarely is not taken for stalled.
func TestWorker_RarePollsAreNoStall(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var log bytes.Buffer
		opts := logTo(&log)
		opts.MaxPollInterval = 5 * time.Minute
		member := w.Start(opts, tmSleep.With(sleepFor))
		run.Sleep(w.Context(), time.Hour)
		check(t, member.Stop())
		if strings.Contains(log.String(), "stalled") {
			t.Error("a reader was taken for stalled")
		}
	})
}
