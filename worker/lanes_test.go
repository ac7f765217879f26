package worker

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Those who wait get slots in turn, however many each of them wants.
func TestLanes_Fair(t *testing.T) {
	t.Parallel()
	l := newLanes(2)
	var began []string
	note := func(who string) func() { return func() { began = append(began, who) } }
	large, small := l.lane(), l.lane()
	for range 6 {
		large.want(note("large"))
	}
	for range 2 {
		small.want(note("small"))
	}
	for range 6 {
		l.release()
	}
	want := []string{"large", "large", "large", "small", "large", "small", "large", "large"}
	if !slices.Equal(began, want) {
		t.Errorf("begun %q, want %q", began, want)
	}
	l.release()
	l.release()
	free := 0
	for l.tryAcquire() {
		free++
	}
	if free != 2 {
		t.Errorf("of two slots %d are free in the end", free)
	}
}

// A place that is given up is never served; one that was served is no place any more.
func TestLanes_Leave(t *testing.T) {
	t.Parallel()
	l := newLanes(1)
	served := 0
	first, lane := l.lane().want(func() { served++ }), l.lane()
	second, third := lane.want(func() { t.Error("a place that was given up is served") }), lane.want(func() { served++ })
	switch {
	case first.leave():
		t.Error("a place that was served could be given up")
	case !second.leave():
		t.Error("a place in the queue could not be given up")
	case second.leave():
		t.Error("a place could be given up twice")
	}
	l.release()
	if served != 2 || third.leave() {
		t.Errorf("%d were served, want 2", served)
	}
}

// Who does not want to wait any longer has no slot, and takes none with it.
func TestLanes_AcquireGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(1)
		if !l.lane().acquire(t.Context(), t.Context()) {
			t.Fatal("no slot")
		}
		stop, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if l.lane().acquire(t.Context(), stop) {
			t.Error("there was a slot")
		}
		if l.lane().acquire(t.Context(), stop) {
			t.Error("there was a slot after the end")
		}
		l.release()
		if !l.tryAcquire() {
			t.Error("the slot went to somebody who had given up")
		}
		var group run.Group
		got := false
		group.Go(t.Context(), "wait", func(ctx context.Context) { got = l.lane().acquire(ctx, ctx) })
		synctest.Wait()
		l.release()
		group.Wait()
		if !got {
			t.Error("who waits does not get the slot")
		}
	})
}
