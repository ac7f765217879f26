package worker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/durafleet/durafleet/internal/run"
)

// The buffer is open below its limit and closed at and above it; whoever waits for it to open is
// woken when it does.
func TestBuffer_Threshold(t *testing.T) {
	t.Parallel()
	b := newBuffer(3)
	var waiting <-chan struct{}
	for i, step := range []struct {
		add, size int
		open      bool
	}{
		{0, 0, true},
		{2, 2, true},
		{1, 3, false},
		{4, 7, false},
		{-4, 3, false},
		{-1, 2, true},
		{1, 3, false},
		{-3, 0, true},
	} {
		b.add(step.add)
		if b.size() != step.size || run.Ready(b.below()) != step.open {
			t.Errorf("step %d: size %d, open %t; want %d, %t", i, b.size(), run.Ready(b.below()), step.size, step.open)
		}
		if step.open && waiting != nil && !run.Ready(waiting) {
			t.Errorf("step %d: who waited for the buffer to open was not woken", i)
		}
		waiting = b.below()
	}
}

// A signal reaches the reader of its queue only.
func TestReaders_Wake(t *testing.T) {
	t.Parallel()
	var all readers
	one, two := &reader{queue: "one", pace: newPace(minPoll, rand.Float64)}, &reader{queue: "two", pace: newPace(minPoll, rand.Float64)}
	all.add(one)
	all.add(two)
	all.wake("two")
	all.wake("three")
	if len(one.pace.wake) != 0 || len(two.pace.wake) != 1 {
		t.Errorf("%d and %d signals", len(one.pace.wake), len(two.pace.wake))
	}
	all.remove(two)
	all.wake("one")
	if all.count() != 1 || len(one.pace.wake) != 1 {
		t.Errorf("%d readers, %d signals", all.count(), len(one.pace.wake))
	}
}

// At least half of the limit is remembered, and never more than the limit.
func TestRecent_Limit(t *testing.T) {
	t.Parallel()
	const limit, n = 10, 100
	r := newRecent(limit)
	for i := range n {
		r.add(fmt.Sprint(i))
		remembered := 0
		for j := range n {
			if r.has(fmt.Sprint(j)) {
				remembered++
				if j > i {
					t.Errorf("%d is known before it was added", j)
				}
			} else if j <= i && i-j < limit/2 {
				t.Errorf("%d is forgotten after %d more", j, i-j)
			}
		}
		if remembered > limit {
			t.Errorf("%d are remembered", remembered)
		}
	}
}
