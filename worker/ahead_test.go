package worker_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// What is true whether or not a worker runs ahead of the history. That it survives being cut off anywhere
// is shown by the simulation.

var (
	aheadWork  = activity.Declare[time.Duration, string]("AheadWork")
	aheadMixed = orchestration.Declare[int, string]("AheadMixed")
	aheadRace  = orchestration.Declare[time.Duration, string]("AheadRace")
	aheadFan   = orchestration.Declare[int, int]("AheadFan")
	aheadOne   = orchestration.Declare[time.Duration, string]("AheadOne")
	aheadLocal = orchestration.Declare[int, string]("AheadLocal")
)

// aheadBindings binds them; ran is called by each run of the activity.
func aheadBindings(ran func(ctx context.Context, info activity.Info)) []worker.Binding {
	return []worker.Binding{
		aheadWork.With(func(ctx context.Context, d time.Duration) (string, error) {
			info, _ := activity.FromContext(ctx)
			ran(ctx, info)
			if !run.Sleep(ctx, d) {
				return "", context.Cause(ctx)
			}
			return d.String(), nil
		}),
		aheadMixed.With(func(ctx *orchestration.Context, n int) (string, error) {
			text, slowest := "", 700*time.Millisecond
			if n < 0 { // nothing is slow
				n, slowest = -n, 10*time.Millisecond
			}
			for i := range n {
				// One, then two side by side of which one is slow, then a timer.
				one, err := orchestration.CallActivity(ctx, aheadWork, time.Duration(i)*time.Millisecond).Await()
				if err != nil {
					return "", err
				}
				quick := orchestration.CallActivity(ctx, aheadWork, 5*time.Millisecond)
				slow := orchestration.CallActivity(ctx, aheadWork, slowest)
				both, err := orchestration.All(quick, slow).Await()
				if err != nil {
					return "", err
				}
				if _, err := ctx.Timer(100 * time.Millisecond).Await(); err != nil {
					return "", err
				}
				text += one + fmt.Sprint(both)
			}
			return text, nil
		}),
		aheadRace.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
			slow := orchestration.CallActivity(ctx, aheadWork, d)
			event := orchestration.WaitForEvent(ctx, crashNote)
			first, err := orchestration.FirstOf(slow, event).Await()
			if err != nil || first == 0 {
				return "the activity", err
			}
			return event.Await()
		}),
		aheadFan.With(func(ctx *orchestration.Context, n int) (int, error) {
			calls := make([]orchestration.Task[string], n)
			for i := range calls {
				calls[i] = orchestration.CallActivity(ctx, aheadWork, 20*time.Millisecond)
			}
			texts, err := orchestration.All(calls...).Await()
			return len(texts), err
		}),
		aheadOne.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
			return orchestration.CallActivity(ctx, aheadWork, d).Await()
		}),
		aheadLocal.With(func(ctx *orchestration.Context, n int) (string, error) {
			text := ""
			for range n {
				one, err := orchestration.CallActivity(ctx, aheadWork, time.Millisecond, orchestration.Local{}).Await()
				if err != nil {
					return "", err
				}
				text += one
			}
			return text, nil
		}),
	}
}

// bothWays runs a test with inline execution and without it.
func bothWays(t *testing.T, f func(t *testing.T, w *fleettest.World, opts worker.Options)) {
	t.Helper()
	for name, opts := range map[string]worker.Options{"inline": {}, "in queues": {NoInline: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) { f(t, w, opts) })
		})
	}
}

// Nothing runs twice when nothing fails, wherever it runs.
func TestAhead_RunsOnce(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *fleettest.World, opts worker.Options) {
		var calls noted[string]
		opts.MaxActivities = 3
		w.Start(&opts, aheadBindings(func(_ context.Context, info activity.Info) { calls.add(info.CallID) })...)
		var all []*taskhub.Instance[string]
		for range 6 {
			all = append(all, launch(t, w, aheadMixed, 3))
		}
		for _, instance := range all {
			resultOf(t, w, instance)
		}
		w.DrainedWithin(soon)
		got := calls.all()
		slices.Sort(got)
		if distinct := slices.Compact(slices.Clone(got)); len(got) != 6*9 || len(distinct) != len(got) {
			t.Errorf("%d runs of %d calls, want 54 of 54", len(got), len(distinct))
		}
	})
}

// No activity begins before what it rests on is stored. An answer that comes as a message is stored in that.
func TestAhead_RestsOnWhatIsStored(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, aheadBindings(func(ctx context.Context, info activity.Info) {
			events, err := w.Client.History(ctx, info.InstanceID)
			if err != nil && info.TaskID > 0 {
				t.Errorf("no history when activity %d begins: %v", info.TaskID, err)
			}
			for id := range info.TaskID {
				// In each round of four actions, 1 and 2 begin side by side.
				if id%4 == 1 && info.TaskID%4 == 2 && id == info.TaskID-1 {
					continue
				}
				if !slices.ContainsFunc(events, func(e history.Event) bool { return history.AnswerTo(e) == id }) {
					t.Errorf("activity %d begins, and the answer to %d is not stored", info.TaskID, id)
				}
			}
		})...)
		resultOf(t, w, launch(t, w, aheadMixed, -5))
	})
}

// A history looks the same to whoever replays it, whichever way it came about.
func TestAhead_SameHistory(t *testing.T) {
	t.Parallel()
	var histories [][]string
	for _, opts := range []worker.Options{{}, {NoInline: true}} {
		for _, noCache := range []bool{false, true} {
			fleettest.Virtual(t, noCache, func(t *testing.T, w *fleettest.World) {
				first := w.Start(&opts, aheadBindings(func(context.Context, activity.Info) {})...)
				instance := launch(t, w, aheadMixed, 2)
				run.Sleep(w.Context(), 1200*time.Millisecond)
				if err := first.Stop(); err != nil {
					t.Fatal(err)
				}
				// The other sort of worker goes on with it.
				w.Start(&worker.Options{NoInline: !opts.NoInline}, aheadBindings(func(context.Context, activity.Info) {})...)
				resultOf(t, w, instance)
				histories = append(histories, actions(ended(t, w, instance.ID())))
			})
		}
	}
	for _, other := range histories[1:] {
		if !slices.Equal(other, histories[0]) {
			t.Errorf("one history has the actions\n%q, another one\n%q", histories[0], other)
		}
	}
}

// A slow activity holds up neither events nor commands for its instance, nor other instances.
func TestAhead_SlowHoldsNothingUp(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *fleettest.World, opts worker.Options) {
		w.Start(&opts, aheadBindings(func(context.Context, activity.Info) {})...)
		within := func(limit time.Duration, what string, f func()) {
			t.Helper()
			began := time.Now()
			f()
			if took := time.Since(began); took > limit {
				t.Errorf("%s took %v", what, took)
			}
		}
		race := launch(t, w, aheadRace, time.Hour)
		within(2*time.Second, "an event", func() {
			raise(t, w, race.ID(), crashNote, "an event")
			if got := resultOf(t, w, race); got != "an event" {
				t.Errorf("the race was won by %q", got)
			}
		})
		stopped := launch(t, w, aheadOne, time.Hour)
		within(2*time.Second, "another instance", func() { resultOf(t, w, launch(t, w, aheadOne, time.Millisecond)) })
		within(2*time.Second, "suspension", func() {
			if err := w.Client.Suspend(w.Context(), stopped.ID(), "to see"); err != nil {
				t.Fatal(err)
			}
			w.Eventually(soon, "it is suspended", func() bool {
				status, err := w.Client.Get(w.Context(), stopped.ID())
				return err == nil && status.Status == history.Suspended
			})
		})
		within(2*time.Second, "termination", func() {
			if err := w.Client.Terminate(w.Context(), stopped.ID(), "enough"); err != nil {
				t.Fatal(err)
			}
			if status := endOf(t, w, stopped.ID()); status.Status != history.Terminated {
				t.Errorf("it is %s", status.Status)
			}
		})
	})
}

// The fan-out of one instance leaves slots to others.
func TestAhead_FairSlots(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *fleettest.World, opts worker.Options) {
		opts.MaxActivities = 2
		w.Start(&opts, aheadBindings(func(context.Context, activity.Info) {})...)
		large := launch(t, w, aheadFan, 400) // four seconds for two slots
		run.Sleep(w.Context(), 100*time.Millisecond)
		began := time.Now()
		resultOf(t, w, launch(t, w, aheadOne, 20*time.Millisecond))
		took := time.Since(began)
		if n := resultOf(t, w, large); n != 400 {
			t.Errorf("%d results", n)
		}
		if whole := time.Since(began); !opts.NoInline && took > whole/2 {
			t.Errorf("one activity took %v beside a fan-out of %v", took, whole)
		}
	})
}

// Local activities are stored together, and are like any others where nothing runs ahead.
func TestAhead_Local(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *fleettest.World, opts worker.Options) {
		var runs atomic.Int64
		m := w.Start(&opts, aheadBindings(func(context.Context, activity.Info) { runs.Add(1) })...)
		instance := launch(t, w, aheadLocal, 20)
		if got := resultOf(t, w, instance); len(got) != 20*len("1ms") {
			t.Errorf("the result is %q", got)
		}
		if n := len(eventsOfKind[*history.TaskCompleted](ended(t, w, instance.ID()))); n != 20 || runs.Load() != 20 {
			t.Errorf("%d results of %d runs are stored, want 20 of 20", n, runs.Load())
		}
		sent := m.Hub.Requests()
		puts := sent[string(storage.QueuePut)]
		if opts.NoInline && puts < 40 || !opts.NoInline && puts > 0 {
			t.Errorf("%d messages were sent", puts)
		}
		if !opts.NoInline && sent[string(storage.TableTransact)] > 3+sent[string(storage.TableQuery)] {
			t.Errorf("20 local activities were stored with %d transactions", sent[string(storage.TableTransact)])
		}
	})
}

// What local activities brought is stored after a second, although the next one goes on.
func TestAhead_LocalIsStoredInTime(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		long := orchestration.Declare[struct{}, string]("AheadLongLocal")
		m := w.Start(nil, append(aheadBindings(func(context.Context, activity.Info) {}),
			long.With(func(ctx *orchestration.Context, _ struct{}) (string, error) {
				if _, err := orchestration.CallActivity(ctx, aheadWork, time.Millisecond, orchestration.Local{}).Await(); err != nil {
					return "", err
				}
				return orchestration.CallActivity(ctx, aheadWork, 10*time.Second, orchestration.Local{}).Await()
			}))...)
		instance := launch(t, w, long, struct{}{})
		run.Sleep(w.Context(), 3*time.Second)
		events := eventsOf(t, w, instance.ID())
		if n := len(eventsOfKind[*history.TaskCompleted](events)); n != 1 {
			t.Errorf("%d results are stored after three seconds", n)
		}
		if got := resultOf(t, w, instance); got != "10s" {
			t.Errorf("the result is %q", got)
		}
		if puts := m.Hub.Requests()[string(storage.QueuePut)]; puts > 1 {
			t.Errorf("%d messages were sent, one guard is needed at most", puts)
		}
	})
}

// While an activity runs ahead of the history, the death of its worker costs only the run.
func TestAhead_GuardBringsItBack(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{100 * time.Millisecond, 10 * time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, w *fleettest.World, opts worker.Options) {
				began := make(chan struct{}, 2)
				bindings := aheadBindings(func(context.Context, activity.Info) { began <- struct{}{} })
				first := w.Start(&opts, bindings...)
				instance := launch(t, w, aheadOne, d)
				<-began
				run.Sleep(w.Context(), d/2)
				if w.MessagesLeft() == 0 {
					t.Error("an activity runs, and there is no message that would bring it back")
				}
				first.Kill()
				w.Start(&opts, bindings...)
				if got := resultOf(t, w, instance); got != d.String() {
					t.Errorf("the result is %q", got)
				}
				ended(t, w, instance.ID())
			})
		})
	}
}
