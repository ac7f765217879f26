package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/internal/wire"
)

// undoTimeout bounds the time for taking messages back.
const undoTimeout = 10 * time.Second

// maxProcessed is how many processed messages a sentinel remembers.
const maxProcessed = wire.MaxProcessed

// stage says which part of what is pending a checkpoint stores.
type stage struct {
	// more: only the events, since what was decided on them follows in another checkpoint.
	more bool
	// flying: something stays in the air, so that a guard has to stay.
	flying bool
}

// plan is a checkpoint as a value: what is written, in the order in which it is written.
type plan struct {
	// puts are the messages to send, in the order of pending.messages.
	puts []store.Outgoing
	// kept says which of them this worker works on itself, and how.
	kept []keeping
	// history is what goes into the history, with the sentinel.
	history store.Commit
	// row is the new content of the status row, nil if it is not due.
	row *wire.InstanceUpdate
	// orphans are the payload blobs of an execution that the history replaces.
	orphans []string
	// former are executions that the instance leaves behind.
	former []string
	// deletes are the messages whose effect is stored then.
	deletes []*held
}

// commit stores what is pending. The order is what makes it safe: a message that the history takes
// for sent has been sent; a message is deleted only when its effect is stored; the status row,
// which follows the history, can be made up for as long as a message is left to remind of it.
func (s *session) commit(ctx context.Context, at stage) error {
	p := s.pending
	if !at.more && !p.answered {
		if closing := turn.Close(p.out.State); len(closing) > 0 {
			p.events, s.open = append(p.events, closing...), false
		}
	}
	c := s.plan(p, at)
	// The version of the row has to be from before the turn is stored, or a later turn of another
	// worker could be written over. A child's first turn finds no row.
	if c.row != nil && s.row == nil && (c.row.Start == nil || p.before.executionID != "") {
		err := s.readRow(storage.WithCause(ctx, storage.CauseRow))
		if err == nil && s.stored.ETag != "" {
			err = s.dropOrphan(ctx)
		}
		if err != nil {
			return s.dismiss(c, err)
		}
	}
	sending := storage.WithCause(ctx, storage.CauseMessage)
	guard, err := s.keepGuard(sending, p, at)
	if err != nil {
		return s.dismiss(c, err)
	}
	deletes := s.toDelete(c, at, guard)
	// 1. Messages. None of them is in the history yet, so on a failure all can be taken back.
	began := time.Now()
	sent, err := s.r.w.hub.SendAll(sending, c.puts)
	if err != nil {
		s.undo(sending, sent)
		return s.dismiss(c, err)
	}
	// 2. History. If it was surely not stored, nothing of the turn has happened.
	c.history.Cost = s.costOfRest(p, c, deletes)
	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
	if err != nil {
		if errors.Is(err, store.ErrUnstored) {
			s.undo(sending, sent)
		}
		return s.dismiss(c, err)
	}
	s.r.w.stats.turns.Add(1)
	s.r.w.metrics.Turn(ctx)
	s.keep(p, c, committed)
	s.r.w.heldInstances.remove(s.id)
	news := s.sendOff(ctx, p, c, sent, began)
	if p.in.suspect() && !at.more {
		defer s.r.w.wake(ctx, news) // what it has led to may be fatal; the message itself was not, and is gone by then
	} else {
		s.r.w.wake(ctx, news)
	}
	for _, former := range c.former {
		s.remember(former)
		s.afterEnd(ctx, former)
	}
	if at.more {
		s.pending = &pending{in: p.in, before: s.before(&sorted{}), since: p.since, out: p.out, begun: true, suspension: p.suspension}
		s.pending.before.customStatus = p.before.customStatus
		if p.before.fresh {
			s.debt = &debt{since: time.Now(), whole: true}
		}
		return nil
	}
	// 3. Status row. It must not fall behind for good: if it cannot be written, the messages stay.
	if c.row != nil {
		store.Refer(c.row, s.stored.Payloads)
		if err := s.writeRow(ctx, *c.row, p.before.executionID); err != nil {
			if p.before.fresh {
				s.doubtBeginning()
			}
			return err
		}
		s.debt = nil
	}
	// 4. Garbage, then the messages.
	if err := s.r.w.hub.DeletePayloads(ctx, c.orphans); err != nil {
		s.r.log.Warn("payloads of a replaced execution not deleted; a purge removes them", "instance", s.id, "error", err)
	}
	s.pending, s.done, s.guard = nil, nil, guard
	if p.in.suspect() {
		s.discard(ctx, deletes)
	} else {
		s.discardAside(ctx, deletes)
	}
	if p.out.Completed != nil {
		s.ended(ctx, p.out)
	}
	return nil
}

// toDelete returns the messages that nothing needs any more once a checkpoint is carried out. guard is
// the one that is to stay, nil for none.
func (s *session) toDelete(c *plan, at stage, guard *held) []*held {
	if at.more {
		return nil // all stay
	}
	deletes := slices.Concat(c.deletes, s.done)
	if s.guard != nil && !slices.Contains(deletes, s.guard) {
		deletes = append(deletes, s.guard)
	}
	return slices.DeleteFunc(deletes, func(h *held) bool { return h == guard })
}

// undo takes back what was sent for a turn that did not happen. That is safe for somebody who has
// lost the partition, too: the receipts are good for these very messages.
func (s *session) undo(ctx context.Context, sent []store.Sent) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := s.r.w.hub.Unsend(ctx, sent); err != nil {
		s.r.log.Warn("messages of a turn that was not stored are left; receivers tolerate them", "instance", s.id, "error", err)
	}
}

// dismiss gives the slots back that a checkpoint was to use, and returns why it is not carried out.
func (s *session) dismiss(c *plan, err error) error {
	for _, how := range c.kept {
		if how == begun {
			s.r.w.items.slots.release()
		}
	}
	return err
}

// sendOff begins with the work that this worker keeps, and returns the queues in which there is news for
// others.
func (s *session) sendOff(ctx context.Context, p *pending, c *plan, sent []store.Sent, began time.Time) (visible []string) {
	for i, m := range sent {
		switch c.kept[i] {
		case flown:
			p.crews[i].become(s.r.w.keeper.take(m.Taken(), began))
		case begun:
			s.r.w.items.begin(s.r.w.keeper.take(m.Taken(), began))
		case handed:
			s.r.w.handOver(ctx, s.r.w.keeper.take(m.Taken(), began))
		case timed:
			s.r.timers.keep(ctx, m.Taken())
		default:
			if delay := c.puts[i].Delay; delay > 0 {
				s.r.w.expect(m.Queue, delay)
			} else {
				visible = append(visible, m.Queue)
			}
		}
	}
	s.flights = slices.DeleteFunc(s.flights, func(f *flight) bool { return slices.Contains(p.crews, f) })
	return visible
}

func (s *session) ended(ctx context.Context, out *turn.Outcome) {
	end := out.Completed
	attrs := []any{"instance", s.id, "orchestration", out.State.Started().Name, "status", end.Status}
	if end.Status != history.Completed {
		attrs = append(attrs, "reason", history.TextOr(end.Result, ""))
	}
	s.r.log.Info("instance ended", attrs...)
	s.afterEnd(ctx, out.Instance().ExecutionID)
	s.forget()
}

// plan lays a checkpoint out.
func (s *session) plan(p *pending, at stage) *plan {
	now := s.r.w.hub.Now()
	in, b := p.in, p.before
	c := &plan{
		history: store.Commit{
			InstanceID: s.id, ExecutionID: p.out.Instance().ExecutionID, FirstRow: s.stored.Rows,
			Events: p.events, ETag: s.stored.ETag, Now: now, Unsent: p.unsent, Open: at.more || at.flying,
			Processed: s.stored.Processed, Replaced: s.stored.Replaced, Started: s.stored.Started,
		},
		deletes: slices.Concat(in.done, in.apply),
	}
	if at.more {
		c.history.ExecutionID = p.execution()
	} else {
		c.history.Waits = waitsOf(p.out)
		s.layOut(c, p)
		c.row = s.rowUpdate(p, at, now)
	}
	if b.fresh || p.replaced && !at.more {
		c.history.FirstRow, c.orphans = 0, b.blobs
		c.former = formerOf(p, at)
		former := append(slices.Clone(c.history.Replaced), c.former...)
		c.history.Replaced = former[max(0, len(former)-wire.MaxReplaced):]
	}
	if in.start != nil {
		c.history.Started = in.start.InsertedOn
		c.deletes = append(c.deletes, in.start)
	}
	if p.begun {
		return c
	}
	c.history.Processed = slices.Clone(c.history.Processed)
	for _, h := range in.apply {
		if needsMemory(h.Content.Event) {
			c.history.Processed = append(c.history.Processed, h.Content.ActivityID)
		}
	}
	return c
}

// waitsOf returns the external events that an instance waits for at the end of a turn.
func waitsOf(out *turn.Outcome) []wire.EventWait {
	if out.Completed != nil || out.Execution == nil {
		return nil
	}
	var waits []wire.EventWait
	for _, wait := range out.Execution.EventWaits() {
		waits = append(waits, wire.EventWait(wait))
	}
	return waits
}

// formerOf returns the executions that a checkpoint leaves behind and that a status row may name: the
// stored one, and one that continued as new in the very turn in which it began.
func formerOf(p *pending, at stage) []string {
	var former []string
	if p.before.executionID != "" {
		former = append(former, p.before.executionID)
	}
	if p.before.fresh && p.replaced && !at.more {
		former = append(former, startOf(p.in.start.Content).Instance.ExecutionID)
	}
	return former
}

// keep makes what was stored the session's state.
func (s *session) keep(p *pending, c *plan, committed store.Committed) {
	payloads := committed.Payloads
	if c.history.FirstRow > 0 || len(c.former) == 0 && !p.before.fresh {
		payloads.Blobs = append(s.stored.Blobs, payloads.Blobs...)
		payloads.InputURL = cmp.Or(payloads.InputURL, s.stored.InputURL)
	}
	s.noted(p, committed)
	s.exec = p.out.Execution
	s.stored = &store.History{
		State: p.out.State, ExecutionID: c.history.ExecutionID, Rows: c.history.FirstRow + len(c.history.Events),
		ETag: committed.ETag, Complete: !c.history.Open, Payloads: payloads,
		Processed: c.history.Processed, Replaced: c.history.Replaced, Started: c.history.Started,
		Cost: committed.Cost,
	}
}

// layOut makes the messages of a checkpoint. Their sender is the execution as it was before. Those that
// this worker works on itself are hidden from others from the beginning.
func (s *session) layOut(c *plan, p *pending) {
	sender := history.Instance{InstanceID: s.id, ExecutionID: p.before.executionID}
	if p.before.fresh {
		sender.ExecutionID = p.out.Instance().ExecutionID
	}
	c.puts, c.kept = make([]store.Outgoing, len(p.messages)), make([]keeping, len(p.messages))
	for i, m := range p.messages {
		episode := m.Episode
		message := &wire.Message{Event: m.Event, Target: m.Target, Episode: &episode, Sender: &sender}
		if m.Tags != nil {
			message.Context = &wire.ExecutionContext{Tags: m.Tags}
		}
		if m.CallID != "" {
			message.Private = &wire.Private{Attempt: m.Attempt, CallID: m.CallID}
		}
		c.puts[i].Message = message
		if !m.VisibleAt.IsZero() {
			c.puts[i].Delay = m.VisibleAt.Sub(s.r.w.hub.Now())
		}
		c.kept[i] = s.keeps(m, p.crews[i])
		switch c.kept[i] {
		case left:
			continue
		case timed:
			c.puts[i].Delay += timerMargin
		default:
			c.puts[i].Delay = s.r.w.opts.Visibility
		}
		lease(message)
	}
}

// lease notes in a message that its sender has it first.
func lease(m *wire.Message) {
	if m.Private == nil {
		m.Private = &wire.Private{}
	}
	m.Private.Leased = true
}

// send sends one message and wakes its reader if that is here.
func (w *Worker) send(ctx context.Context, m *wire.Message) error {
	sent, err := w.hub.Send(ctx, m, 0)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	w.wake(ctx, []string{sent.Queue})
	return nil
}
