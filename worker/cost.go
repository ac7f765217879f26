package worker

import (
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

// What an instance costs in storage requests is noted with each of its checkpoints, in a column of the
// sentinel that is written anyway. So that nothing has to be written for it alone, a checkpoint notes
// what it is about to take as well. What a session has spent beyond what is noted is in session.spent,
// which is below zero for a moment after a checkpoint.

// costOfRest returns what the instance will have cost when a checkpoint is carried out, less what its
// history takes itself: CommitHistory knows that. deletes are the messages to be deleted.
func (s *session) costOfRest(p *pending, c *plan, deletes []*held) int64 {
	cost := s.notedCost(p) + s.spent.Load() + p.costElsewhere()
	if c.row != nil {
		cost++
	}
	cost += int64(len(c.orphans))
	for _, over := range c.former {
		cost += s.r.timers.kept(s.id, over)
	}
	if p.out.Completed != nil {
		cost += s.r.timers.kept(s.id, p.out.Instance().ExecutionID)
	}
	cost += costOfDeletes(deletes)
	return max(0, cost) // a checkpoint before may have noted what did not come to pass
}

// costOfDeletes returns how many requests it takes to delete messages.
func costOfDeletes(batch []*held) int64 {
	var cost int64
	for _, h := range batch {
		if !h.lost() {
			cost++
		}
	}
	return cost
}

// noted takes what a checkpoint has noted out of what is spent beyond that.
func (s *session) noted(p *pending, committed store.Committed) {
	s.spent.Add(s.notedCost(p) + p.costElsewhere() - committed.Cost)
}

// notedCost returns what is noted as the instance's cost before a checkpoint. A start begins anew.
func (s *session) notedCost(p *pending) int64 {
	if p.before.fresh {
		return 0
	}
	return s.stored.Cost
}

// costElsewhere returns what the messages that take effect with what is pending have taken elsewhere.
func (p *pending) costElsewhere() int64 {
	if p.begun {
		return 0 // it is noted
	}
	var cost int64
	for _, h := range p.in.apply {
		cost += costElsewhere(h)
	}
	if p.in.start != nil {
		cost += costElsewhere(p.in.start)
	}
	return cost
}

// costElsewhere returns how many requests a message has taken of processes that count nothing for the
// instance: of clients, which put a message and, for a start, a row, and of workers that have run an
// activity out of the queue, which put the answer and delete the item. Other instances count
// what they send, and an instance what it sends to itself.
func costElsewhere(h *held) int64 {
	content := h.Content
	switch {
	case h.answers:
		return 0
	case content.Event.Kind() == history.KindTaskCompleted, content.Event.Kind() == history.KindTaskFailed:
		return 2
	case content.Sender != nil && content.Sender.InstanceID != "":
		return 0
	case startOf(content) != nil:
		return 2
	default:
		return 1
	}
}
