package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/orchestration"
)

// What a session carries out ahead of its history. An activity that is likely to be quick runs here
// before anything says that it was to run; its record and its result are stored together. As long as
// one message of the instance, the guard, is not deleted, a crash costs nothing but the run: whoever
// gets the guard next finds the history as it was and goes on from there. What takes longer than the
// window is put into the queues after all, see ground.

// flight is one action on its way ahead of the history.
type flight struct {
	turn.Held
	s         *session
	scheduled *history.TaskScheduled // nil for a timer
	binding   activity.Binding
	execution string
	// local says that the flight never has to be in the queues, nor its result be stored before it has
	// an effect.
	local bool
	place *place
	// wasFlying says that the activity ran when it had to leave.
	wasFlying bool

	// The following are guarded by session.air.
	phase phase
	// since is when it was decided or, if it runs, begun; zero if it cannot run here.
	since  time.Time
	cancel context.CancelCauseFunc
	answer history.Event
	// cause is why the run was to end early, nil if it was not.
	cause error
	// item is the work item that the flight has become, nil before.
	item *held
}

// phase is how far a flight is.
type phase int

const (
	// queued: it waits for a slot.
	queued phase = iota
	// flying: the activity runs, or the timer is not due.
	flying
	// answered: the answer is there.
	answered
	// leaving: it is being put into the queues.
	leaving
	// gone: it is none of the session's business any more.
	gone
)

// hold returns which of the actions that a turn decides on are carried out ahead of the history, nil
// for none.
func (s *session) hold(in *sorted) func(orchestration.Action) bool {
	w := s.r.w
	if w.opts.NoInline || s.grounding || in.suspect() || s.r.intake.Err() != nil {
		return nil
	}
	now, before := w.hub.Now(), len(s.flights)
	return func(action orchestration.Action) bool {
		switch a := action.(type) {
		case *orchestration.TimerAction:
			return a.FireAt.Sub(now) <= w.opts.InlineWindow
		case *orchestration.ActivityAction:
			if _, bound := w.registry.activity(a.Name); !bound {
				return false
			}
			if !a.Local && !w.speeds.quick(a.Name, before, w.items.slots.size, w.opts.InlineWindow) {
				return false
			}
			before++
			return true
		default:
			return false
		}
	}
}

// suspect reports whether there is a message that may be what makes workers crash.
func (s *sorted) suspect() bool {
	return slices.ContainsFunc(s.unsettled(), (*held).suspect)
}

// launch begins to carry actions out.
func (s *session) launch(actions []turn.Held) {
	self := s.stored.State.Started()
	for _, h := range actions {
		f := &flight{Held: h, s: s, since: time.Now(), execution: self.Instance.ExecutionID}
		switch a := h.Action.(type) {
		case *orchestration.TimerAction:
			f.phase = flying
		case *orchestration.ActivityAction:
			f.scheduled = turn.WorkItem(self, h)
			f.binding, _ = s.r.w.registry.activity(a.Name)
			f.local = a.Local
		}
		s.flights = append(s.flights, f)
	}
	slices.SortStableFunc(s.flights, func(a, b *flight) int { return cmp.Compare(a.Action.ActionID(), b.Action.ActionID()) })
	if s.lane == nil {
		s.lane = s.r.w.items.slots.lane()
	}
	for _, f := range s.flights {
		if f.scheduled != nil && f.place == nil {
			f.place = s.lane.want(f.start)
		}
	}
}

// start begins the run of an activity; there is a slot for it.
func (f *flight) start() {
	w := f.s.r.w
	w.items.group.Go(w.work, "worker: activity ahead", f.run)
}

func (f *flight) run(ctx context.Context) {
	w := f.s.r.w
	defer w.items.slots.release()
	if limit := w.items.limitOf(f.binding); limit != nil {
		if !limit.tryAcquire() {
			f.ground()
			return
		}
		defer limit.release()
	}
	info := f.info()
	ctx, end := w.running.begin(ctx, info)
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !f.begin(cancel) {
		return
	}
	result, failed := w.items.call(ctx, info, f.scheduled, f.binding)
	f.finish(ctx, newAnswer(f.scheduled, w.hub.Now(), result, failed))
}

func (f *flight) info() activity.Info {
	self := f.s.id
	a, _ := f.Action.(*orchestration.ActivityAction)
	return activity.Info{
		Name: a.Name, InstanceID: self, ExecutionID: f.execution, TaskID: a.ID,
		CallID: a.CallID, Attempt: max(1, a.Attempt), Delivery: 1, Tags: a.Tags,
	}
}

// begin notes that the activity runs now, and reports whether it is to.
func (f *flight) begin(cancel context.CancelCauseFunc) bool {
	f.s.air.Lock()
	defer f.s.air.Unlock()
	if f.phase != queued {
		return false
	}
	f.phase, f.since, f.cancel = flying, time.Now(), cancel
	return true
}

// ground sends a flight to the queues, where it has to wait.
func (f *flight) ground() {
	f.s.air.Lock()
	if f.phase == queued {
		f.since = time.Time{}
	}
	f.s.air.Unlock()
	f.s.signal()
}

// finish delivers the result of a run to whom it belongs: to the session, or, if the activity has become
// a work item meanwhile, to where results of work items go.
func (f *flight) finish(ctx context.Context, answer history.Event) {
	cause := context.Cause(ctx)
	f.s.air.Lock()
	item := f.item
	switch {
	case item != nil:
	case f.phase == flying && cause != nil && answer.Kind() == history.KindTaskFailed:
		f.phase, f.since = queued, time.Time{} // it did not fail, it was not let finish
	default:
		f.answer, f.cause = answer, cause
		if f.phase == flying {
			f.phase = answered
		}
	}
	f.s.air.Unlock()
	if item != nil {
		f.s.r.w.items.conclude(ctx, item, f.scheduled, answer, cause)
		return
	}
	f.s.signal()
}

// become makes a flight that was put into the queue a work item of this worker.
// It is nil if it was delivered to this worker meanwhile: it runs once more then, and that run answers.
func (f *flight) become(item *held) {
	w := f.s.r.w
	f.s.air.Lock()
	f.item, f.phase = item, gone
	answer, cause := f.answer, f.cause
	f.s.air.Unlock()
	if item == nil {
		return
	}
	item.watch(w.checkWanted(item.Content.Target))
	if answer != nil {
		w.items.group.Go(w.work, "worker: answer of an activity", func(ctx context.Context) {
			w.items.conclude(ctx, item, f.scheduled, answer, cause)
		})
	}
}

// landed takes out the actions that have been carried out, in the order of their ids.
func (s *session) landed() []turn.Answered {
	if len(s.flights) == 0 {
		return nil
	}
	now := s.r.w.hub.Now()
	var landed []turn.Answered
	s.air.Lock()
	defer s.air.Unlock()
	s.flights = slices.DeleteFunc(s.flights, func(f *flight) bool {
		if timer, ok := f.Action.(*orchestration.TimerAction); ok && f.phase == flying && !timer.FireAt.After(now) {
			f.answer = turn.Fired(timer, now)
			f.phase = answered
		}
		if f.phase != answered {
			return false
		}
		f.phase = gone
		landed = append(landed, turn.Answered{Held: f.Held, Answer: f.answer})
		return true
	})
	return landed
}

// airborne says when what is in the air has to be looked at next, and whether that is now: something has
// been in the air for longer than the window, or the guard is lost.
func (s *session) airborne(now time.Time) (next time.Time, due bool) {
	if len(s.flights) > 0 && (s.grounding || s.guard != nil && s.guard.lost()) {
		return now, true
	}
	sooner := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if s.pending != nil {
		sooner(s.pending.since.Add(patienceAhead))
	}
	if s.debt != nil {
		sooner(s.debt.since.Add(patienceAhead))
	}
	s.air.Lock()
	defer s.air.Unlock()
	for _, f := range s.flights {
		switch timer, ok := f.Action.(*orchestration.TimerAction); {
		case ok:
			sooner(now.Add(timer.FireAt.Sub(s.r.w.hub.Now())))
		case !f.local || f.since.IsZero():
			sooner(f.since.Add(s.r.w.opts.InlineWindow))
		case s.r.intake.Err() != nil:
			sooner(f.since.Add(s.r.w.opts.InlineWindow))
		}
	}
	return next, !next.IsZero() && !next.After(now)
}

// patienceAhead is how long what local activities brought may stay unstored, and how long after the
// first checkpoint the status row may say that the instance has not begun.
const patienceAhead = time.Second

// wait waits until there is something to do for a session that has something in the air.
func (s *session) wait(ctx context.Context, next time.Time) {
	if next.IsZero() {
		next = time.Now().Add(time.Minute)
	}
	stopping := s.r.intake.Done()
	if s.r.intake.Err() != nil {
		stopping = nil
	}
	run.SleepOr(ctx, time.Until(next), s.wake, stopping)
}

// signal wakes the session if it waits.
func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// overdue returns the flights that are to go into the queues now, and makes them leave.
func (s *session) overdue(now time.Time) []*flight {
	all := s.grounding || s.guard != nil && s.guard.lost()
	window := s.r.w.opts.InlineWindow
	var leave []*flight
	s.air.Lock()
	defer s.air.Unlock()
	for _, f := range s.flights {
		_, isTimer := f.Action.(*orchestration.TimerAction)
		late := now.Sub(f.since) >= window
		switch {
		case f.phase == answered:
			continue // it has landed a moment ago
		case all:
		case isTimer:
			continue
		case f.local && s.r.intake.Err() == nil && !f.since.IsZero():
			continue
		case !late:
			continue
		}
		leave = append(leave, f)
	}
	for _, f := range leave {
		f.wasFlying = f.phase == flying && f.scheduled != nil
		f.phase = leaving
		if !f.wasFlying && f.place != nil {
			f.place.leave()
		}
	}
	return leave
}

// dropFlights ends everything in the air. Results are thrown away.
func (s *session) dropFlights(cause error) {
	s.air.Lock()
	defer s.air.Unlock()
	for _, f := range s.flights {
		f.phase = gone
		if f.place != nil {
			f.place.leave()
		}
		if f.cancel != nil {
			f.cancel(cause)
		}
	}
	s.flights = nil
}
