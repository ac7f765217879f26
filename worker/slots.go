package worker

import "context"

// slots limits how many of something go on at once.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

// acquire waits for a slot and reports false if ctx ends first.
func (s slots) acquire(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
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
		acquire(ctx context.Context) bool
		release()
	}
	taken bool
}

// take waits for a slot and reports false if ctx ends first.
func (s *seat) take(ctx context.Context) bool {
	if !s.taken {
		s.taken = s.of.acquire(ctx)
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
