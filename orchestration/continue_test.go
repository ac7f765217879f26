package orchestration_test

import (
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

var counting = orchestration.Declare[int, int]("Counting")

// countUp continues as new with the next number at each event.
func countUp(options ...orchestration.ContinueOption) orchestration.Binding {
	return counting.With(func(ctx *orchestration.Context, n int) (int, error) {
		if _, err := orchestration.WaitForEvent(ctx, tick).Await(); err != nil {
			return 0, err
		}
		orchestration.ContinueAsNew(ctx, counting, n+1, options...)
		return n, nil
	})
}

// C12: the last of several calls counts, with its options.
func TestContinueAsNew_LastCounts_C12(t *testing.T) {
	t.Parallel()
	d := drive(t, counting.With(func(ctx *orchestration.Context, _ int) (int, error) {
		orchestration.ContinueAsNew(ctx, counting, 1, orchestration.DropEvents{}, orchestration.Version("1"))
		orchestration.ContinueAsNewWith(ctx, 2, orchestration.Version("2"))
		return 7, nil
	}), orchestration.Options{})
	decision := d.turn(raised("Tick", "5"), started("Counting", "0"))
	again := decision.Complete().ContinueAsNew
	if got := render(decision.Actions, d.now); len(got) != 1 || got[0] != "0 again 2 +Tick 5" || history.TextOr(again.Version, "") != "2" {
		t.Errorf("actions: %q, version %v", got, again.Version)
	}
}

// C03: events that nobody has taken are carried over in order, also those that come after the
// decision; DropEvents forgets them.
func TestContinueAsNew_CarriesEvents_C03(t *testing.T) {
	t.Parallel()
	events := []history.Event{
		started("Counting", "0"), raised("Note", `"early"`), raised("Tick", "1"), raised("Tick", "2"), raised("Note"),
	}
	d := drive(t, countUp(), orchestration.Options{})
	d.expect([]string{`0 again 1 +Note "early" +Tick 2 +Note`}, events...)

	d = drive(t, countUp(orchestration.DropEvents{}), orchestration.Options{})
	d.expect([]string{"0 again 1"}, events...)
}

// C13: a termination in the same batch wins, whichever comes first.
func TestContinueAsNew_TerminateWins_C13(t *testing.T) {
	t.Parallel()
	for _, batch := range [][]history.Event{
		{raised("Tick", "1"), terminated("stop")},
		{terminated("stop"), raised("Tick", "1")},
	} {
		d := drive(t, countUp(), orchestration.Options{})
		d.expect(nil, started("Counting", "0"))
		d.expect([]string{"0 Terminated stop"}, batch...)
		d.expect(nil, raised("Tick", "2"))
	}
}

// C15: nothing of one generation leaks into the next: neither answers nor ids.
func TestContinueAsNew_StartsAfresh_C15(t *testing.T) {
	t.Parallel()
	binding := counting.With(func(ctx *orchestration.Context, n int) (int, error) {
		m, err := orchestration.CallActivity(ctx, plusOne, n).Await()
		if err != nil || n == 1 {
			return m, err
		}
		orchestration.ContinueAsNew(ctx, counting, m)
		return 0, nil
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 activity PlusOne [0]"}, started("Counting", "0"), done(3, "9"))
	d.expect([]string{"1 again 1"}, done(0, "1"), done(0, "8"))

	d = drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 activity PlusOne [1]"}, started("Counting", "1"))
	d.expect([]string{"1 Completed 2"}, done(0, "2"))
}

// A suspension after the decision is handed on to the next execution, unless it ends before.
func TestContinueAsNew_ThenSuspend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		batch []history.Event
		want  string
	}{
		{"suspended", []history.Event{raised("Tick", "1"), suspend()}, "0 again 1 suspended"},
		{"with an event", []history.Event{raised("Tick", "1"), suspend(), raised("Tick", "2")}, "0 again 1 +Tick 2 suspended"},
		{"resumed", []history.Event{raised("Tick", "1"), suspend(), resume()}, "0 again 1"},
		{"terminated", []history.Event{raised("Tick", "1"), suspend(), terminated("stop")}, "0 Terminated stop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, countUp(), orchestration.Options{})
			d.expect(nil, started("Counting", "0"))
			d.expect([]string{tt.want}, tt.batch...)
		})
	}
}

// Going on as somebody else is a mistake and ends the orchestration; case does not matter.
func TestContinueAsNew_WrongName(t *testing.T) {
	t.Parallel()
	other := orchestration.Declare[int, int]("Other")
	d := drive(t, counting.With(func(ctx *orchestration.Context, n int) (int, error) {
		orchestration.ContinueAsNew(ctx, other, n)
		return n, nil
	}), orchestration.Options{})
	d.expect([]string{`0 Failed continue as new: orchestrator "Counting" cannot go on as "Other"`}, started("Counting", "0"))

	d = drive(t, countUp(), orchestration.Options{})
	d.expect([]string{"0 again 1"}, started("COUNTING", "0"), raised("Tick", "1"))
}

// A failure after the call outweighs it; an input that cannot be stored is a failure.
func TestContinueAsNew_ThenError(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		orchestration.ContinueAsNewWith(ctx, "x")
		return gather(ctx, 1)
	}), orchestration.Options{})
	d.expect(nil, started("Job", `""`))
	end := d.turn(raised("Tick", `"no number"`)).Complete()
	if end == nil || end.Status != history.Failed || end.ContinueAsNew != nil {
		t.Errorf("the end is %+v", end)
	}

	d = drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		orchestration.ContinueAsNewWith(ctx, make(chan int))
		return "", nil
	}), orchestration.Options{})
	if end := d.turn(started("Job", `""`)).Complete(); end == nil || end.Status != history.Failed {
		t.Errorf("the end is %+v", end)
	}
}
