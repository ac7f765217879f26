package worker

import (
	"context"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/turn"
)

// keeping says what this worker does itself with a message that it sends. Such a message is hidden from
// others from the beginning: should this worker die, it comes to light by itself.
type keeping int

const (
	// left: nothing, it is for whoever gets it.
	left keeping = iota
	// flown: it is the work item of an activity that runs here already.
	flown
	// begun: it is a work item that is begun here at once; there is a slot for it.
	begun
	// handed: it is for an instance of a partition that this worker owns.
	handed
	// timed: it fires a timer before long.
	timed
)

// keeps decides what this worker does itself with a message. crew is the flight for which it stands, nil
// for others.
func (s *session) keeps(m turn.Message, crew *flight) keeping {
	w := s.r.w
	switch {
	case crew != nil && crew.wasFlying:
		return flown
	case w.opts.NoInline || s.r.intake.Err() != nil || isEntity(m.Target.InstanceID):
		return left
	case m.Activity && crew == nil && !s.pending.in.suspect() && s.hire(m):
		return begun
	case m.Activity:
		return left
	case m.Event.Kind() == history.KindTimerFired:
		if m.VisibleAt.Sub(w.hub.Now()) <= timerHold && s.r.timers.room() {
			return timed
		}
		return left
	case m.VisibleAt.IsZero() && w.readers.of(w.hub.ControlQueueOf(m.Target.InstanceID)) != nil:
		return handed
	default:
		return left
	}
}

// hire reports whether an activity that becomes a work item is begun here at once. There is a slot for
// it then, which is taken.
func (s *session) hire(m turn.Message) bool {
	scheduled, _ := m.Event.(*history.TaskScheduled)
	if scheduled == nil {
		return false
	}
	_, bound := s.r.w.registry.activity(scheduled.Name)
	return bound && s.r.w.items.slots.tryAcquire()
}

// handOver gives a message to the session that it is for, without the way through the queue. If the
// partition is not here any more, the queue has to do.
// h is nil if the queue has delivered it meanwhile.
func (w *Worker) handOver(ctx context.Context, h *held) {
	if h == nil {
		return
	}
	if r := w.readers.of(h.Queue); r == nil || !r.take(h) {
		h.putBack(ctx, 0)
	}
}

// take takes a message from another session of this worker. It reports false if it is too late for that.
func (r *reader) take(h *held) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining || r.own.Err() != nil {
		return false
	}
	r.w.count(h)
	r.give(r.session(h.Content.Target.InstanceID), h)
	return true
}
