package orchestration_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// short splits timers above three seconds into hops of two.
var short = orchestration.Options{TimerLimit: 3 * sec, TimerHop: 2 * sec}

func sleep(d time.Duration) orchestration.Binding {
	return jobOf(func(ctx *orchestration.Context) (string, error) {
		_, err := ctx.Timer(d).Await()
		return "woke", err
	})
}

// T01, T17: a timer without delay, or due in the past, is one timer that is due at once.
func TestTimer_DueAtOnce_T01_T17(t *testing.T) {
	t.Parallel()
	d := drive(t, sleep(0), orchestration.Options{})
	d.expect([]string{"0 timer +0s"}, started("Job", `""`))
	d.expect([]string{`1 Completed "woke"`}, fired(0))

	d = drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, err := ctx.TimerAt(ctx.Now().Add(-time.Hour)).Await()
		return "woke", err
	}), orchestration.Options{})
	d.expect([]string{"0 timer +-1h0m0s"}, started("Job", `""`))
	d.expect([]string{`1 Completed "woke"`}, fired(0))
}

// T06: a long timer is a chain of hops, of which the code sees nothing.
func TestTimer_Hops_T06(t *testing.T) {
	t.Parallel()
	d := drive(t, sleep(6*sec), short)
	d.expect([]string{"0 timer +2s"}, started("Job", `""`))
	d.expectAfter(2*sec, []string{"1 timer +2s"}, fired(0))
	d.expectAfter(2*sec, []string{"2 timer +2s"}, fired(1))
	d.expectAfter(2*sec, []string{`3 Completed "woke"`}, fired(2))
}

// T06: hops are taken from the clock, so a late one does not make the timer late. At the limit
// itself there is nothing to split.
func TestTimer_HopsAdjust_T06(t *testing.T) {
	t.Parallel()
	d := drive(t, sleep(6*sec), short)
	d.expect([]string{"0 timer +2s"}, started("Job", `""`))
	d.expectAfter(3500*ms, []string{"1 timer +2.5s"}, fired(0))
	d.expectAfter(9*sec, []string{`2 Completed "woke"`}, fired(1))

	d = drive(t, sleep(3*sec), short)
	d.expect([]string{"0 timer +3s"}, started("Job", `""`))

	d = drive(t, sleep(8*24*time.Hour), orchestration.Options{})
	d.expect([]string{"0 timer +72h0m0s"}, started("Job", `""`))
	d.expectAfter(72*time.Hour, []string{"1 timer +120h0m0s"}, fired(0))
}

// T07: a long timer that is cancelled between its hops sets no further one.
func TestTimer_CancelledBetweenHops_T07(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		deadline, task := ctx.Timer(6*sec), call(ctx, "a")
		if _, err := orchestration.FirstOf(deadline, task).Await(); err != nil {
			return "", err
		}
		deadline.Cancel()
		return call(ctx, "b").Await()
	}), short)
	d.expect([]string{"0 timer +2s", `1 activity Work ["a"]`}, started("Job", `""`))
	d.expect([]string{`2 activity Work ["b"]`}, done(1, `"a"`))
	d.expect(nil, fired(0))
	d.expect([]string{`3 Completed "b"`}, done(2, `"b"`))
}

// T08, T09: whoever comes first, event or timer, decides.
func TestTimer_AgainstEvent_T08_T09(t *testing.T) {
	t.Parallel()
	approve := orchestration.DeclareEvent[string]("Approved")
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		event, deadline := orchestration.WaitForEvent(ctx, approve), ctx.Timer(time.Minute)
		if first, err := orchestration.FirstOf(event, deadline).Await(); err != nil || first == 1 {
			return "Expired", err
		}
		deadline.Cancel()
		_, err := deadline.Await()
		return fmt.Sprint("Approved ", errors.Is(err, orchestration.ErrCanceled)), nil
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 timer +1m0s"}, started("Job", `""`))
	d.expect([]string{`1 Completed "Approved true"`}, raised("Approved", `"ana"`))
	d.expect(nil, fired(0))

	d = drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 timer +1m0s"}, started("Job", `""`))
	d.expectAfter(time.Minute, []string{`1 Completed "Expired"`}, fired(0))
}

// T10: the timer of a wait that was satisfied disturbs nothing when it fires.
func TestTimer_StaleDeadline_T10(t *testing.T) {
	t.Parallel()
	a := orchestration.DeclareEvent[int]("A")
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		first := orchestration.WaitForEventFor(ctx, a, 2*sec)
		other := ctx.Timer(4 * sec)
		before, err := first.Await()
		if err != nil {
			return "", err
		}
		second := orchestration.WaitForEvent(ctx, a)
		if _, err := other.Await(); err != nil {
			return "", err
		}
		again, err := first.Await()
		if err != nil || second.Done() {
			return fmt.Sprint("second wait done: ", second.Done()), err
		}
		last, err := second.Await()
		return fmt.Sprint(before, again, last), err
	}), orchestration.Options{})
	d.expect([]string{"0 timer +2s", "1 timer +4s"}, started("Job", `""`))
	d.expect(nil, raised("A", "42"))
	d.expect(nil, fired(0))
	d.expectAfter(2*sec, nil, fired(1))
	d.expect([]string{`2 Completed "42 42 43"`}, raised("A", "43"))
}

// T11, T12: a timer cancelled in the turn that set it is never asked for, but keeps its id.
// Cancelling twice, or after it fired, changes nothing.
func TestTimer_CancelledAtOnce_T11_T12(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		timer := ctx.Timer(sec)
		timer.Cancel()
		timer.Cancel()
		_, err := timer.Await()
		short := ctx.Timer(sec)
		if _, err := short.Await(); err != nil {
			return "", err
		}
		short.Cancel()
		_, late := short.Await()
		return fmt.Sprint(errors.Is(err, orchestration.ErrCanceled), late), nil
	}), orchestration.Options{})
	d.expect([]string{"1 timer +1s"}, started("Job", `""`))
	d.expect([]string{`2 Completed "true <nil>"`}, fired(1))
}

// T12: a timer that is cancelled and fires in the same turn.
func TestTimer_CancelRace_T12(t *testing.T) {
	t.Parallel()
	events := map[string][]history.Event{
		"Completed \"cancelled\"": {done(1, `"a"`), fired(0)},
		"Completed \"fired\"":     {fired(0), done(1, `"a"`)},
	}
	for want, batch := range events {
		d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
			timer, task := ctx.Timer(sec), call(ctx, "a")
			if _, err := task.Await(); err != nil {
				return "", err
			}
			timer.Cancel()
			if _, err := timer.Await(); err != nil {
				return "cancelled", nil
			}
			return "fired", nil
		}), orchestration.Options{})
		d.turn(started("Job", `""`))
		d.expect([]string{"2 " + want}, batch...)
	}
}

// T14: the clock is that of the turn, the same in every replay, and timers set by it as well.
func TestNow_T14(t *testing.T) {
	t.Parallel()
	var times [][]time.Time
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		run := []time.Time{ctx.Now()}
		for range 2 {
			if _, err := ctx.Timer(2 * sec).Await(); err != nil {
				return "", err
			}
			run = append(run, ctx.Now(), ctx.Now())
		}
		times = append(times, run)
		return "", nil
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 timer +2s"}, started("Job", `""`))
	d.expectAfter(2*sec, []string{"1 timer +2s"}, fired(0))
	d.expectAfter(3*sec, []string{`2 Completed ""`}, fired(1))
	want := []time.Time{epoch, epoch.Add(2 * sec), epoch.Add(2 * sec), epoch.Add(5 * sec), epoch.Add(5 * sec)}
	if len(times) != 2 {
		t.Fatalf("%d runs came to the end", len(times))
	}
	for _, run := range times {
		for i := range want {
			if !run[i].Equal(want[i]) {
				t.Errorf("time %d: got %s, want %s", i, run[i], want[i])
			}
		}
	}
}

// T15: a turn whose clock is behind that of the one before.
func TestNow_NeverGoesBack_T15(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		before := ctx.Now()
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		return ctx.Now().Sub(before).String(), nil
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expectAfter(-time.Minute, []string{`1 Completed "0s"`}, done(0, `"a"`))
}

// T16: the time zone of a due time does not matter; it is stored in UTC and in ticks.
func TestTimerAt_Zone_T16(t *testing.T) {
	t.Parallel()
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("east", 3*3600)} {
		d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
			_, err := ctx.TimerAt(epoch.Add(5*sec + 123456789).In(zone)).Await()
			return "", err
		}), orchestration.Options{})
		timer := d.turn(started("Job", `""`)).Actions[0].(*orchestration.TimerAction)
		if want := epoch.Add(5*sec + 123456700); timer.FireAt != want {
			t.Errorf("due at %s, want %s", timer.FireAt, want)
		}
	}
}
