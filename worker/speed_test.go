package worker

import (
	"testing"
	"time"
)

// An activity is taken for quick until it was slow, for slow until its average is within the window, and is
// tried now and then all the same. Names ignore case.
func TestSpeeds(t *testing.T) {
	t.Parallel()
	const window = 100 * time.Millisecond
	var s speeds
	quick := func(name string) bool { return s.quick(name, 0, 4, window) }
	if !quick("New") {
		t.Error("one that nobody knows is taken for slow")
	}
	s.note("Slow", time.Second)
	tries := 0
	for range 3 * probeEvery {
		if quick("sLOW") {
			tries++
		}
	}
	if tries != 3 {
		t.Errorf("a slow one is tried %d times, want 3", tries)
	}
	for range 3 {
		s.note("slow", time.Millisecond)
	}
	if quick("Slow") {
		t.Error("three quick runs make a slow one quick")
	}
	for range 20 {
		s.note("Slow", time.Millisecond)
	}
	if !quick("Slow") {
		t.Error("twenty quick runs do not make it quick")
	}
}

// Whether an activity is done within the window depends on how many come before it.
func TestSpeeds_Crowd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		average       time.Duration
		before, slots int
		want          bool
	}{
		{100 * time.Millisecond, 0, 10, true},
		{101 * time.Millisecond, 0, 10, false},
		{50 * time.Millisecond, 9, 10, true},
		{50 * time.Millisecond, 19, 10, true},
		{50 * time.Millisecond, 20, 10, false},
		{0, 1_000_000, 1, true},
		{time.Millisecond, 99, 1, true},
		{time.Millisecond, 100, 1, false},
	} {
		if got := inTime(c.average, c.before, c.slots, 100*time.Millisecond); got != c.want {
			t.Errorf("%v after %d others in %d slots: %v, want %v", c.average, c.before, c.slots, got, c.want)
		}
	}
}
