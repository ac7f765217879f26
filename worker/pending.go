package worker

import (
	"context"
	"slices"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/orchestration"
)

// pending is what an instance has gone through since its history was stored last: one turn or, if the
// session is ahead of its history, several.
type pending struct {
	// in are the messages whose effect is in it; they are settled when it is stored.
	in     *sorted
	before before
	since  time.Time
	// out is where it has led to. events are to be added to the history, unsent are those of their
	// actions that have an answer and no message.
	out    *turn.Outcome
	events []history.Event
	unsent []int32
	// messages are to be sent; crews are the flights for which they stand, nil for others.
	messages []turn.Message
	crews    []*flight
	// answered says that there are answers among events that nobody could give a second time.
	answered bool
	// replaced says that the instance continued as new; begun that the events of the messages are in the
	// stored history, and only what was decided on them is not.
	replaced, begun bool
	// suspension is the reason of the last suspend or resume, nil if there was none.
	suspension *string
}

// firsthand reports whether there are results that came here without a message: should they get lost, the
// activities run again, and may give other ones.
func (s *sorted) firsthand() bool {
	return slices.ContainsFunc(s.apply, func(h *held) bool { return h.answers })
}

// execution returns the execution as it was before the last turn.
func (p *pending) execution() string {
	if p.in.start != nil {
		return startOf(p.in.start.Content).Instance.ExecutionID
	}
	return p.before.executionID
}

// applies reports whether a message, by its id, takes effect with what is pending.
func (p *pending) applies(activityID string) bool {
	return p != nil && slices.ContainsFunc(p.in.apply, func(h *held) bool { return h.Content.ActivityID == activityID })
}

// settle takes over what a turn has led to, stores it as far as it is due, and begins what was held.
//
// The orchestrator never acts on an answer that nobody could give a second time: such answers are stored
// before a message goes out or another activity begins, unless that is local. What has no such effect,
// the end of an instance that has no parent above all, is stored together with them.
func (s *session) settle(ctx context.Context, out *turn.Outcome, landed []turn.Answered) error {
	p := s.pending
	p.out = out
	if reason := store.LastSuspension(slices.Concat(out.Settled, out.New)); reason != nil {
		p.suspension = reason
	}
	p.events = append(p.events, out.Settled...)
	for _, a := range landed {
		p.unsent = append(p.unsent, a.Action.ActionID())
	}
	p.answered = p.answered || len(out.Settled) > 0
	if p.answered && len(out.Messages) > 0 {
		if err := s.commit(ctx, stage{more: true}); err != nil {
			return err
		}
		p = s.pending
	}
	if out.Replaced {
		p.events, p.unsent, p.replaced = nil, nil, true
	}
	if out.Replaced || out.Completed != nil {
		s.dropFlights(activity.ErrUnwanted) // nobody is left to answer to
	}
	p.events = append(p.events, out.New...)
	p.messages = append(p.messages, out.Messages...)
	p.crews = append(p.crews, make([]*flight, len(out.Messages))...)
	s.open = out.Open
	if s.mayWait(out) {
		s.goAhead(out)
		s.launch(out.Held)
		return nil
	}
	if err := s.commit(ctx, stage{flying: len(s.flights)+len(out.Held) > 0}); err != nil {
		return err
	}
	if out.Completed == nil {
		s.launch(out.Held)
	}
	return nil
}

// goAhead makes the session's state what is pending. What the store says beside the events stays.
func (s *session) goAhead(out *turn.Outcome) {
	ahead := *s.stored
	ahead.State, ahead.ExecutionID, ahead.Complete = out.State, out.Instance().ExecutionID, false
	s.stored, s.exec = &ahead, out.Execution
}

// mayWait reports whether what is pending need not be stored before what was held has been carried out.
func (s *session) mayWait(out *turn.Outcome) bool {
	p := s.pending
	switch {
	case !out.Open, time.Since(p.since) >= patienceAhead, len(p.events) > maxEventsAhead:
		return false
	case p.answered && slices.ContainsFunc(out.Held, isRemote):
		return false
	default:
		// A child has no status row yet, and its start, which others will recognise as a second one by its
		// history, makes none.
		return !p.before.fresh || out.State.Started().Parent == nil
	}
}

// maxEventsAhead bounds what may be computed without being stored; it fits into one transaction.
const maxEventsAhead = 90

// isRemote reports whether what an action rests on has to be stored before it is carried out.
func isRemote(h turn.Held) bool {
	a, ok := h.Action.(*orchestration.ActivityAction)
	return !ok || !a.Local
}

// ground puts what has been in the air for too long into the queues, and stores what is pending.
func (s *session) ground(ctx context.Context) error {
	leaving := s.overdue(time.Now())
	if s.pending == nil && len(leaving) == 0 {
		return s.payDebt(ctx)
	}
	if s.pending == nil {
		s.pending = &pending{in: &sorted{}, before: s.before(&sorted{}), since: time.Now(), out: s.standing()}
	}
	if s.pending.answered && len(leaving) > 0 {
		if err := s.commit(ctx, stage{more: true}); err != nil {
			return err
		}
	}
	p := s.pending
	if len(leaving) > 0 {
		held := make([]turn.Held, len(leaving))
		for i, f := range leaving {
			held[i] = f.Held
		}
		events, messages := turn.Send(s.stored.State, held)
		p.events = append(p.events, events...)
		p.messages = append(p.messages, messages...)
		p.crews = append(p.crews, leaving...)
		s.open = false
	}
	return s.commit(ctx, stage{flying: len(s.flights) > len(leaving)})
}

// standing is the outcome of no turn: how the instance is.
func (s *session) standing() *turn.Outcome {
	return &turn.Outcome{
		State: s.stored.State, Execution: s.exec, CustomStatus: s.exec.CustomStatus(), Suspended: s.stored.State.Suspended(),
	}
}
