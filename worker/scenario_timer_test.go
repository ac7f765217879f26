package worker_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	timerSteps  = orchestration.Declare[time.Duration, string]("TimerSteps")
	timerNumber = orchestration.DeclareEvent[int]("TimerNumber")
)

// T02, in virtual time: timers of all lengths fire not early, and late by no more than a queue's
// resolution and a poll.
func TestTimer_AllLengths_T02(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, lifeNap.With(napDurably))
		for _, d := range []time.Duration{
			time.Millisecond, 999 * time.Millisecond, 1001 * time.Millisecond, 5 * time.Second, 12345 * time.Millisecond,
			5 * time.Minute,
		} {
			began := time.Now()
			instance := launch(t, w, lifeNap, d)
			_, err := instance.Wait(w.Timeout(d+time.Minute), taskhub.PollInterval(100*time.Millisecond))
			check(t, err)
			if late := time.Since(began) - d; late < 0 || late > 3*time.Second {
				t.Errorf("a timer of %v was late by %v", d, late)
			}
			w.Settled(soon, instance.ID())
		}
	})
}

// T03, T04, in virtual time: a hundred timers of one instance that are due at one instant fire
// together.
func TestTimer_Hundred_T03_T04(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, timerSteps.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
			at, timers := ctx.Now().Add(d), make([]orchestration.Task[struct{}], 100)
			for i := range timers {
				timers[i] = ctx.TimerAt(at)
			}
			done, err := orchestration.All(timers...).Await()
			return fmt.Sprint(len(done)), err
		}))
		began := time.Now()
		instance := launch(t, w, timerSteps, time.Second)
		if got := resultOf(t, w, instance); got != "100" {
			t.Errorf("%s timers fired", got)
		}
		if took := time.Since(began); took < time.Second || took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		w.Settled(soon, instance.ID())
	})
}

// T06, in virtual time: a timer of three hops is on time, is one timer to the code, and the
// history says when each hop was due.
func TestTimer_Hops_T06(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var wakes noted[time.Time]
		w.Start(&worker.Options{TimerLimit: 2 * time.Minute, TimerHop: 2 * time.Minute},
			timerSteps.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
				_, err := ctx.Timer(d).Await()
				wakes.add(ctx.Now())
				return "", err
			}))
		began := time.Now()
		instance := launch(t, w, timerSteps, 5*time.Minute)
		_, err := instance.Wait(w.Timeout(time.Hour))
		check(t, err)
		if took := time.Since(began); took < 5*time.Minute || took > 5*time.Minute+5*time.Second {
			t.Errorf("the timer took %v", took)
		}
		if len(wakes.all()) != 1 {
			t.Errorf("the code went on at %v", wakes.all())
		}
		w.Settled(soon, instance.ID())
		events := eventsOf(t, w, instance.ID())
		if got, want := actions(events), []string{"TimerCreated 0", "TimerCreated 1", "TimerCreated 2", "ExecutionCompleted 3"}; !slices.Equal(got, want) {
			t.Errorf("the actions are %q, want %q", got, want)
		}
		timers := eventsOfKind[*history.TimerCreated](events)
		if last, first := timers[2].FireAt, timers[0].Timestamp; !last.Equal(first.Add(5 * time.Minute)) {
			t.Errorf("set at %v, the last hop is due at %v", first, last)
		}
	})
}

// T10: the time limit of a wait that was satisfied runs out while the orchestrator waits for the
// same name again, and disturbs neither that wait nor what the first one returned.
func TestTimer_StaleLimit_T10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		limit := pick(w, 10*time.Second, time.Second)
		w.Start(nil, timerSteps.With(func(ctx *orchestration.Context, limit time.Duration) (string, error) {
			first := orchestration.WaitForEventFor(ctx, timerNumber, limit)
			a, err := first.Await()
			if err != nil {
				return "", err
			}
			b, err := orchestration.WaitForEvent(ctx, timerNumber).Await()
			if err != nil {
				return "", err
			}
			again, err := first.Await()
			return fmt.Sprint(a, b, again), err
		}))
		instance := launch(t, w, timerSteps, limit)
		reach(t, w, instance.ID(), history.Running)
		raise(t, w, instance.ID(), timerNumber, 42)
		w.Eventually(soon, "the time limit has run out", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindTimerFired] == 1
		})
		raise(t, w, instance.ID(), timerNumber, 43)
		if got := resultOf(t, w, instance); got != "42 43 42" {
			t.Errorf("the result is %q", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// T12: two timers are due at the same instant; cancelling the one when the other has fired, in
// one turn or in two, and both once more afterwards, is harmless.
func TestTimer_CancelRace_T12(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, timerSteps.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
			timers := []orchestration.Task[struct{}]{ctx.Timer(d), ctx.Timer(d)}
			winner, err := orchestration.FirstOf(timers[0], timers[1]).Await()
			if err != nil {
				return "", err
			}
			for range 2 {
				timers[1-winner].Cancel()
				timers[winner].Cancel()
			}
			_, won := timers[winner].Await()
			_, lost := timers[1-winner].Await()
			if won != nil || lost != nil && !errors.Is(lost, orchestration.ErrCanceled) {
				return "", fmt.Errorf("the winner returned %w, the loser %w", won, lost)
			}
			_, err = ctx.Timer(d).Await() // long enough for the loser's message
			return "harmless", err
		}))
		var instances []*taskhub.Instance[string]
		for range 10 {
			instances = append(instances, launch(t, w, timerSteps, time.Second))
		}
		for _, instance := range instances {
			if got := resultOf(t, w, instance); got != "harmless" {
				t.Errorf("the result is %q", got)
			}
			w.Settled(soon, instance.ID())
		}
	})
}

// clockNotes collects what the clock showed at each step, over all replays.
type clockNotes struct {
	mu    sync.Mutex
	times map[string]map[time.Time]int
}

func (c *clockNotes) note(step string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times[step] == nil {
		c.times[step] = map[time.Time]int{}
	}
	c.times[step][now]++
}

// T14: at one step the clock shows the same in every replay, at different steps it advances, and
// timers are set for the same time as in the history.
func TestTimer_ClockInReplays_T14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		notes := clockNotes{times: map[string]map[time.Time]int{}}
		w.Start(nil, timerSteps.With(func(ctx *orchestration.Context, d time.Duration) (string, error) {
			for i := range 2 {
				notes.note(fmt.Sprint("before ", i), ctx.Now())
				notes.note(fmt.Sprint("due ", i), ctx.Now().Add(d).Truncate(history.Tick))
				if _, err := ctx.Timer(d).Await(); err != nil {
					return "", err
				}
			}
			return "", nil
		}))
		d := pick(w, 2*time.Second, 400*time.Millisecond) // too long to stay in the air
		instance := launch(t, w, timerSteps, d)
		ended(t, w, instance.ID())
		timers := eventsOfKind[*history.TimerCreated](eventsOf(t, w, instance.ID()))
		var last time.Time
		for i, timer := range timers {
			now, due := notes.times[fmt.Sprint("before ", i)], notes.times[fmt.Sprint("due ", i)]
			if len(now) != 1 || len(due) != 1 || due[timer.FireAt] == 0 {
				t.Errorf("step %d: the clock showed %v, timers were set for %v, the history says %v", i, now, due, timer.FireAt)
			}
			runs := due[timer.FireAt]
			if w.NoCache && runs != len(timers)+1-i || !w.NoCache && runs != 1 {
				t.Errorf("step %d ran %d times", i, runs)
			}
			if i > 0 && timer.Timestamp.Sub(last) < d {
				t.Errorf("step %d began %v after the one before", i, timer.Timestamp.Sub(last))
			}
			last = timer.Timestamp
		}
		if len(timers) != 2 {
			t.Errorf("%d timers", len(timers))
		}
	})
}
