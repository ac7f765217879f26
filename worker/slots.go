package worker

import (
	"context"

	"github.com/durafleet/durafleet/internal/run"
)

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

// parallel is how many requests about messages of one session go out at once.
const parallel = 16

// each calls f for 0 to n−1, several at a time.
func (w *Worker) each(ctx context.Context, n int, f func(ctx context.Context, i int)) {
	if n == 1 {
		f(ctx, 0)
		return
	}
	var group run.Group
	limit := newSlots(parallel)
	for i := range n {
		limit <- struct{}{}
		group.Go(ctx, "worker: settle messages", func(ctx context.Context) {
			defer limit.release()
			f(ctx, i)
		})
	}
	group.Wait()
}
