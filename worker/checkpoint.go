package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/internal/wire"
)

// undoTimeout bounds the time for taking messages back.
const undoTimeout = 10 * time.Second

// maxProcessed is how many processed messages a sentinel remembers.
const maxProcessed = wire.MaxProcessed

// plan is a checkpoint as a value: what is written, in the order in which it is written.
type plan struct {
	// puts are the messages to send.
	puts []store.Outgoing
	// history is what goes into the history, with the sentinel.
	history store.Commit
	// row is the new content of the status row, nil if it is not due.
	row *wire.InstanceUpdate
	// orphans are the payload blobs of an execution that the history replaces.
	orphans []string
	// deletes are the messages whose effect is stored then.
	deletes []*held
}

// checkpoint stores a turn. The order is what makes it safe: a message that the history takes
// for sent has been sent; a message is deleted only when its effect is stored; the status row,
// which follows the history, can be made up for as long as a message is left to remind of it.
func (s *session) checkpoint(ctx context.Context, in *sorted, b before, out *turn.Outcome) error {
	replaced := b.fresh || out.Replaced
	p := s.plan(in, b, out, replaced)
	// The version of the row has to be from before the turn is stored, or a later turn of another
	// worker could be written over. A child's first turn finds no row.
	if p.row != nil && s.row == nil && (p.row.Start == nil || b.executionID != "") {
		if err := s.readRow(ctx); err != nil {
			return err
		}
	}
	// 1. Messages. None of them is in the history yet, so on a failure all can be taken back.
	sent, err := s.r.w.hub.SendAll(ctx, p.puts)
	if err != nil {
		s.undo(ctx, sent)
		return err
	}
	// 2. History. If it was surely not stored, nothing of the turn has happened.
	committed, err := s.r.w.hub.CommitHistory(ctx, p.history)
	if err != nil {
		if errors.Is(err, store.ErrUnstored) {
			s.undo(ctx, sent)
		}
		return err
	}
	s.r.w.wakeAll(sent)
	s.r.w.stats.turns.Add(1)
	s.keep(out, committed, &p.history, replaced)
	s.r.w.heldInstances.remove(s.id)
	if replaced {
		for _, former := range formerOf(in, b, out) {
			s.remember(former)
			s.afterEnd(former)
		}
	}
	// 3. Status row. It must not fall behind for good: if it cannot be written, the messages stay.
	if p.row != nil {
		store.Refer(p.row, s.stored.Payloads)
		if err := s.writeRow(ctx, *p.row, b.executionID); err != nil {
			return err
		}
	}
	// 4. Garbage, then the messages.
	if err := s.r.w.hub.DeletePayloads(ctx, p.orphans); err != nil {
		s.r.log.Warn("payloads of a replaced execution not deleted; a purge removes them", "instance", s.id, "error", err)
	}
	s.discard(ctx, p.deletes)
	if out.Completed != nil {
		s.ended(out)
	}
	return nil
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

func (s *session) ended(out *turn.Outcome) {
	end := out.Completed
	attrs := []any{"instance", s.id, "orchestration", out.State.Started().Name, "status", end.Status}
	if end.Status != history.Completed {
		attrs = append(attrs, "reason", history.TextOr(end.Result, ""))
	}
	s.r.log.Info("instance ended", attrs...)
	s.afterEnd(out.Instance().ExecutionID)
	s.forget()
}

// plan lays a checkpoint out.
func (s *session) plan(in *sorted, b before, out *turn.Outcome, replaced bool) *plan {
	now := s.r.w.hub.Now()
	p := &plan{
		puts: s.outgoing(b, out),
		history: store.Commit{
			InstanceID: s.id, ExecutionID: out.Instance().ExecutionID, FirstRow: s.stored.Rows,
			Events: out.New, ETag: s.stored.ETag, Now: now,
			Processed: s.stored.Processed, Replaced: s.stored.Replaced, Started: s.stored.Started,
		},
		row:     s.rowUpdate(in, b, out, now),
		deletes: append([]*held{}, in.done...),
	}
	if replaced {
		p.history.FirstRow, p.orphans = 0, b.blobs
		former := append(slices.Clone(p.history.Replaced), formerOf(in, b, out)...)
		p.history.Replaced = former[max(0, len(former)-wire.MaxReplaced):]
	}
	if in.start != nil {
		p.history.Started = in.start.InsertedOn
		p.deletes = append(p.deletes, in.start)
	}
	p.history.Processed = slices.Clone(p.history.Processed)
	for _, h := range in.apply {
		p.deletes = append(p.deletes, h)
		if needsMemory(h.Content.Event) {
			p.history.Processed = append(p.history.Processed, h.Content.ActivityID)
		}
	}
	return p
}

// formerOf returns the executions that a turn leaves behind and that a status row may name: the
// stored one, and one that continued as new in the very turn in which it began.
func formerOf(in *sorted, b before, out *turn.Outcome) []string {
	var former []string
	if b.executionID != "" {
		former = append(former, b.executionID)
	}
	if in.start != nil && out.Replaced {
		former = append(former, startOf(in.start.Content).Instance.ExecutionID)
	}
	return former
}

// outgoing makes the messages of a turn. Their sender is the execution as it was before the turn.
func (s *session) outgoing(b before, out *turn.Outcome) []store.Outgoing {
	sender := history.Instance{InstanceID: s.id, ExecutionID: b.executionID}
	if b.fresh {
		sender.ExecutionID = out.Instance().ExecutionID
	}
	messages := make([]store.Outgoing, len(out.Messages))
	for i, m := range out.Messages {
		episode := m.Episode
		message := &wire.Message{Event: m.Event, Target: m.Target, Episode: &episode, Sender: &sender}
		if m.Tags != nil {
			message.Context = &wire.ExecutionContext{Tags: m.Tags}
		}
		if m.CallID != "" {
			message.Private = &wire.Private{Attempt: m.Attempt, CallID: m.CallID}
		}
		messages[i].Message = message
		if !m.VisibleAt.IsZero() {
			messages[i].Delay = m.VisibleAt.Sub(s.r.w.hub.Now())
		}
	}
	return messages
}

// send sends one message and wakes its reader if that is here.
func (w *Worker) send(ctx context.Context, m *wire.Message) error {
	sent, err := w.hub.Send(ctx, m, 0)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	w.wakeAll([]store.Sent{sent})
	return nil
}

// wakeAll wakes the readers of the queues that messages were put into, as far as they are here.
func (w *Worker) wakeAll(sent []store.Sent) {
	woken := map[string]bool{}
	for _, m := range sent {
		if !woken[m.Queue] {
			woken[m.Queue] = true
			w.readers.wake(m.Queue)
			if m.Queue == w.hub.Names.WorkItemQueue() {
				w.items.signal()
			}
		}
	}
}
