package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// keepGuard sees to it that something stands for what stays in the air after a checkpoint: a message of
// the instance that is not deleted, and that does no harm but makes the instance go on if it is delivered
// again. It returns nil if nothing has to.
//
// The start of an execution may not outlive the checkpoint by which the execution continues as new:
// .NET workers would begin it once more. It is deleted before, and something else stands for the
// instance meanwhile.
func (s *session) keepGuard(ctx context.Context, p *pending, at stage) (*held, error) {
	if at.more {
		return nil, nil // all messages stay
	}
	old := s.startToDelete(p)
	if !at.flying && old == nil {
		return nil, nil
	}
	guard := s.findGuard(p)
	if guard == nil {
		var err error
		if guard, err = s.putGuard(ctx); err != nil {
			return nil, err
		}
	}
	s.r.w.uncount(guard)
	if old != nil {
		old.remove(ctx)
		s.r.w.uncount(old)
	}
	if !at.flying {
		return nil, nil
	}
	return guard, nil
}

// startToDelete returns the start of the execution that continues as new with this checkpoint, if it is
// held still although the execution is in the history.
func (s *session) startToDelete(p *pending) *held {
	if !p.replaced || s.stored.State.Started() == nil || p.before.fresh {
		return nil
	}
	for _, h := range s.keptFor(p) {
		if started := startOf(h.Content); started != nil && sameID(started.Instance.ExecutionID, p.before.executionID) {
			return h
		}
	}
	return nil
}

// keptFor returns the messages of an instance that are not deleted yet.
func (s *session) keptFor(p *pending) []*held {
	var kept []*held
	if s.guard != nil {
		kept = append(kept, s.guard)
	}
	if p.in.start != nil {
		kept = append(kept, p.in.start)
	}
	return slices.Concat(kept, p.in.apply, p.in.done)
}

// findGuard returns a message that may stand for the instance, nil if there is none.
func (s *session) findGuard(p *pending) *held {
	execution := p.out.Instance().ExecutionID
	for _, h := range s.keptFor(p) {
		if h.Queue == s.r.queue && !h.lost() && standsFor(h, execution) {
			return h
		}
	}
	return nil
}

// standsFor reports whether a message does no harm when it is delivered after its effect was stored.
func standsFor(h *held, execution string) bool {
	if started := startOf(h.Content); started != nil {
		return sameID(started.Instance.ExecutionID, execution)
	}
	if h.Content.Event.Kind() == history.KindGenericEvent {
		return toInstance(h)
	}
	return history.IsAnswer(h.Content.Event) && sameID(h.Content.Target.ExecutionID, execution)
}

// putGuard sends the instance a message that has no effect. It names no execution, so that it also
// serves the next one.
func (s *session) putGuard(ctx context.Context) (*held, error) {
	began := time.Now()
	m := &wire.Message{
		Event:  &history.GenericEvent{Header: history.Header{EventID: history.NoEventID, Timestamp: s.r.w.hub.Now()}},
		Target: history.Instance{InstanceID: s.id},
		Sender: &history.Instance{InstanceID: s.id, ExecutionID: s.stored.ExecutionID},
	}
	lease(m)
	sent, err := s.r.w.hub.SendAll(ctx, []store.Outgoing{{Message: m, Delay: s.r.w.opts.Visibility}})
	if err != nil {
		return nil, err
	}
	guard := s.r.w.keeper.take(sent[0].Taken(), began)
	if guard == nil {
		return nil, errors.New("message cannot serve as a guard: it was delivered before the reply to its put was here")
	}
	s.done = append(s.done, guard)
	return guard, nil
}
