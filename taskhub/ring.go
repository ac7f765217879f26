package taskhub

import (
	"context"

	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/run"
)

// ring is one ring of a doorbell that is about to happen. A nil one does nothing.
type ring struct {
	ringer *doorbell.Ringer
	items  string // the queue of work items
	group  run.Group
}

// aboutToRing finds out where to ring, if that is not known, while the caller does what the ring is about.
// The caller calls done or, if there is nothing to ring for, drop.
func (h *Hub) aboutToRing(ctx context.Context) *ring {
	ringer := h.ringer.Load()
	if ringer == nil {
		return nil
	}
	r := &ring{ringer: ringer, items: h.store.Names.WorkItemQueue()}
	if r.ringer.Stale() {
		r.group.Go(ctx, "taskhub: look up doorbells", r.ringer.Prepare)
	}
	return r
}

// done wakes the readers of a queue into which something was put.
func (r *ring) done(queue string) {
	if r == nil {
		return
	}
	r.group.Wait()
	if queue == r.items {
		r.ringer.RingAll(doorbell.WorkItems)
	} else {
		r.ringer.Ring(queue)
	}
}

// drop ends a ring that has no reason.
func (r *ring) drop() {
	if r != nil {
		r.group.Wait()
	}
}
