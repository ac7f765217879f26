package worker

import (
	"context"

	"github.com/durafleet/durafleet/internal/run"
)

// slots limits how many of something go on at once.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

// acquire waits for a slot and reports false if stop ends first. ctx is the caller's own.
func (s slots) acquire(ctx, stop context.Context) (got bool) {
	if stop.Err() != nil {
		return false
	}
	if s.tryAcquire() {
		return true
	}
	select {
	case s <- struct{}{}:
		got = true
	case <-stop.Done():
	}
	run.Resume(ctx)
	if got && stop.Err() != nil { // both came at the same moment
		s.release()
		return false
	}
	return got
}

func (s slots) tryAcquire() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) release() { <-s }

// seat is a slot that may be given up and taken again by its one user.
type seat struct {
	of interface {
		acquire(ctx, stop context.Context) bool
		release()
	}
	taken bool
}

// take waits for a slot and reports false if stop ends first.
func (s *seat) take(ctx, stop context.Context) bool {
	if !s.taken {
		s.taken = s.of.acquire(ctx, stop)
	}
	return s.taken
}

// leave gives the slot up if there is one.
func (s *seat) leave() {
	if s.taken {
		s.of.release()
	}
	s.taken = false
}
