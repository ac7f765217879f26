package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// session is the one place in this worker where an instance is worked on. One goroutine runs it
// at a time; what arrives meanwhile waits in the inbox and shares the next turn.
type session struct {
	r  *reader
	id string
	// wake is signalled when there is something for a session that waits.
	wake chan struct{}

	// The following are guarded by reader.mu.
	inbox     []*held
	running   bool
	idleSince time.Time
	idleSize  int // about how many bytes it took in memory then

	// The following belong to the goroutine that runs the session.
	stored *store.History
	exec   *orchestration.Execution
	row    *store.Instance // last known status row, nil if not known
	// replaced holds executions of the instance that this session has seen end in another one.
	replaced map[string]bool
	// seat is the slot in which the session works.
	seat seat
	// spent is how many storage requests the instance has taken here beyond what is noted in its history;
	// see cost.go.
	spent atomic.Int64

	// pending is what has been computed and is not stored yet, nil if all is.
	pending *pending
	// open says that the last episode is not closed; see turn.Outcome.
	open bool
	// flights are the actions that are carried out ahead of the history, in the order of their ids, and
	// guard is the message that stands for them. done are messages that are deleted with the next
	// checkpoint.
	flights []*flight
	lane    *lane
	guard   *held
	done    []*held
	// grounding says that everything in the air is to go into the queues.
	grounding bool
	// debt is what the status row does not say yet, nil if it says all it should.
	debt *debt

	air sync.Mutex // guards what flights share with their runs
}

// run works until the inbox is empty and nothing is in the air, or the partition is handed over.
func (s *session) run(ctx context.Context) {
	defer s.rest()
	ctx = storage.WithTally(storage.WithCause(ctx, storage.CauseTurn), &s.spent)
	for s.next(ctx) {
	}
}

// next does what is to be done next, and reports whether there was something.
func (s *session) next(ctx context.Context) bool {
	s.seat.of = s.r.w.turns
	defer s.seat.leave()
	inTime := s.seat.take(ctx, s.r.intake)
	if s.r.own.Err() != nil {
		s.giveUp(ctx, nil, context.Cause(s.r.own))
		return false
	}
	if !inTime && !s.busy() {
		return false
	}
	batch, landed := s.nextBatch(), s.landed()
	due, now := s.airborne(time.Now())
	switch {
	case len(batch)+len(landed) > 0:
		s.work(ctx, batch, landed)
	case !s.busy():
		return false
	case now:
		if err := s.ground(ctx); err != nil {
			s.giveUp(ctx, nil, err)
		}
	default:
		s.seat.leave()
		s.wait(ctx, due)
	}
	if !s.busy() && s.r.w.opts.NoSessionCache {
		s.forget()
	}
	return true
}

// busy reports whether the session has something in the air or not stored. The guard stands for what has
// landed a moment ago, too.
func (s *session) busy() bool { return len(s.flights) > 0 || s.pending != nil || s.guard != nil }

// nextBatch takes the messages for the next turn: all that have arrived, but one that has been
// delivered several times only by itself, and when nothing is in the air.
func (s *session) nextBatch() []*held {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.r.draining || s.r.own.Err() != nil {
		return nil
	}
	n := 0
	for n < len(s.inbox) && !s.inbox[n].suspect() {
		n++
	}
	s.grounding = n == 0 && len(s.inbox) > 0 && s.busy()
	if s.grounding {
		return nil
	}
	if n == 0 {
		n = min(1, len(s.inbox))
	}
	batch := s.inbox[:n:n]
	s.inbox = s.inbox[n:]
	return batch
}

// rest marks the session as idle, and as gone if it is not to be kept. A message that slipped in
// starts it again.
func (s *session) rest() {
	if s.leave() {
		s.forget()
	}
}

// leave reports whether the session is gone.
func (s *session) leave() bool {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.running, s.idleSince, s.idleSize = false, time.Now(), s.footprint()
	switch {
	case s.r.draining, len(s.inbox) > 0 && s.r.own.Err() != nil:
		return false // finish puts back what is left in the inbox
	case len(s.inbox) > 0:
		s.running = true
		s.r.group.Go(s.r.own, "worker: session", s.run)
		return false
	case s.r.w.opts.NoSessionCache || s.exec == nil:
		delete(s.r.sessions, s.id)
		return true
	default:
		return false
	}
}

// forget drops what the session has in memory. The next turn loads it again.
func (s *session) forget() {
	if s.exec != nil {
		s.exec.Close()
	}
	s.stored, s.exec, s.row = nil, nil, nil
	s.pending, s.open, s.guard, s.done, s.debt = nil, false, nil, nil, nil
}

// work does one turn with a batch of messages and what has landed, and settles each message that is not
// needed any more.
func (s *session) work(ctx context.Context, batch []*held, landed []turn.Answered) {
	sorted, err := s.prepare(ctx, batch)
	if err != nil {
		s.giveUp(ctx, batch, err)
		return
	}
	if sorted.start != nil && s.busy() {
		// Another start takes the place of what is in the air. It is judged anew by what is stored.
		s.work(ctx, append(s.takeAhead(activity.ErrUnwanted), batch...), nil)
		return
	}
	for _, later := range sorted.later {
		s.r.w.early.add(later.message.ID)
		s.r.log.Debug("message put back", "instance", s.id, "kind", later.message.Content.Event.Kind(),
			"reason", later.reason, "delay", later.delay)
		later.message.because(later.reason)
		s.release(ctx, later.message, later.delay)
	}
	done, err := s.goAlone(ctx, sorted)
	defer done()
	if err == nil {
		err = s.completeUnfinished(sorted)
	}
	if err == nil {
		err = s.turn(ctx, sorted, landed)
	}
	if err != nil {
		s.giveUp(ctx, sorted.unsettled(), err)
	}
}

// takeAhead drops everything that is not stored, and returns the messages that were kept for it.
func (s *session) takeAhead(cause error) []*held {
	s.dropFlights(cause)
	messages := s.done
	if s.pending != nil {
		messages = append(messages, s.pending.in.unsettled()...)
	}
	if s.guard != nil && !slices.Contains(messages, s.guard) {
		messages = append(messages, s.guard)
	}
	if s.debt != nil && s.debt.whole {
		s.doubtBeginning()
	}
	s.forget()
	return messages
}

// giveUp drops the session after a turn that was not stored and puts its messages back, but for
// those that have been tried often enough.
func (s *session) giveUp(ctx context.Context, batch []*held, err error) {
	for _, h := range s.takeAhead(activity.ErrUnwanted) {
		if !slices.Contains(batch, h) {
			batch = append(batch, h)
		}
	}
	batch = s.condemn(ctx, batch, err)
	delay, log := s.r.w.delayAfter(err, maxDeliveries(batch)), s.r.log.Warn
	switch {
	case len(batch) == 0:
		return
	case errors.Is(err, errStopping):
		delay, log = 0, s.r.log.Debug
	case errors.Is(err, store.ErrRefused):
		s.r.w.stats.conflicts.Add(1)
		s.r.w.metrics.Conflict(ctx)
		delay, log = time.Second, s.r.log.Info
	case errors.Is(err, orchestration.ErrNonDeterminism):
		log = s.r.log.Error
		if s.r.w.heldInstances.add(s.id, err) {
			s.r.w.alarm()
		}
	}
	log("turn not stored; messages put back", "instance", s.id, "error", err, "delay", delay)
	unbound := &unboundError{}
	lacking := errors.As(err, &unbound)
	for _, h := range batch {
		if h.because(err.Error()); lacking {
			h.lacks(taskhub.OrchestrationName, unbound.name)
		}
	}
	s.releaseAll(ctx, batch, delay)
}

func maxDeliveries(batch []*held) int {
	deliveries := 0
	for _, h := range batch {
		deliveries = max(deliveries, h.deliveries())
	}
	return deliveries
}

// release makes a message visible again after delay. A result that came here without a message is sent
// to whoever is to have it.
func (s *session) release(ctx context.Context, h *held, delay time.Duration) {
	ctx = storage.WithCause(ctx, storage.CauseSettle)
	s.r.w.uncount(h)
	if h.answers {
		s.r.w.items.group.Go(s.r.w.work, "worker: answer of an activity", func(ctx context.Context) { s.r.w.items.tell(ctx, h) })
		return
	}
	if s.r.own.Err() != nil {
		s.r.w.abandon(ctx, h) // the new owner gets it when its visibility ends; the receipt is not ours to use
		return
	}
	h.putBack(ctx, delay)
}

func (s *session) releaseAll(ctx context.Context, batch []*held, delay time.Duration) {
	run.Each(ctx, "worker: put messages back", len(batch), parallel, func(ctx context.Context, i int) {
		s.release(ctx, batch[i], delay)
	})
}

// parallel is how many requests about the messages of one session go out at once.
const parallel = 16

// discard deletes messages that have no effect any more. Payloads that only they refer to go first: nobody comes
// back for them once the messages are gone, while a message without its payload is dropped all the same.
func (s *session) discard(ctx context.Context, batch []*held) {
	ctx = storage.WithCause(ctx, storage.CauseSettle)
	run.Each(ctx, "worker: delete messages", len(batch), parallel, func(ctx context.Context, i int) {
		if batch[i].Blob != "" && s.nowhere() {
			s.dropPayload(ctx, batch[i].Blob)
		}
		s.r.remove(ctx, batch[i])
	})
}

// discardAside deletes messages whose effect is stored, while the session goes on. Those that would take
// effect again stay on the list of the processed ones until they are known to be gone.
func (s *session) discardAside(ctx context.Context, batch []*held) {
	if len(batch) == 0 {
		return
	}
	s.r.expect(batch)
	// They count now: the next checkpoint may be stored before they are sent.
	s.spent.Add(costOfDeletes(batch))
	ctx = storage.WithTally(storage.WithCause(ctx, storage.CauseSettle), nil)
	s.r.group.Go(ctx, "worker: delete messages", func(ctx context.Context) {
		run.Each(ctx, "worker: delete messages", len(batch), parallel, func(ctx context.Context, i int) {
			s.r.remove(ctx, batch[i])
		})
	})
}

// nowhere reports that the instance is known not to exist.
func (s *session) nowhere() bool {
	return s.stored != nil && s.stored.State.Started() == nil && s.row == nil
}

// dropPayload removes the payload blob of a message that was dropped. Those of an instance that
// exists are left to its purge; one that came after the purge would stay for ever.
func (s *session) dropPayload(ctx context.Context, blob string) {
	if err := s.r.w.hub.DeletePayloads(ctx, []string{blob}); err != nil {
		s.r.log.Warn("payload of a dropped message not deleted", "instance", s.id, "blob", blob, "error", err)
	}
}

// needsMemory reports whether an event would take effect again if its message were delivered
// again. All others are recognised by what the history says.
func needsMemory(e history.Event) bool {
	switch e.Kind() {
	case history.KindEventRaised, history.KindExecutionTerminated, history.KindExecutionSuspended,
		history.KindExecutionResumed, history.KindGenericEvent:
		return true
	default:
		return false
	}
}

// execution returns a fresh execution of an orchestration.
func (s *session) execution(name string) (*orchestration.Execution, error) {
	binding, ok := s.r.w.registry.orchestration(name)
	if !ok {
		if s.r.w.unknown.add(taskhub.OrchestrationName, name) {
			s.r.w.alarm()
		}
		return nil, &unboundError{name}
	}
	return orchestration.NewExecution(binding, s.r.w.executionOptions()), nil
}

func (w *Worker) executionOptions() orchestration.Options {
	return orchestration.Options{TimerLimit: w.opts.TimerLimit, TimerHop: w.opts.TimerHop, Logger: w.opts.Logger}
}

// rowIs reports whether the status row is known and belongs to the execution.
func rowIs(row *store.Instance, executionID string) bool {
	return row != nil && sameID(row.ExecutionID, executionID)
}

// startOf returns the start event in a message, nil if it holds another event.
func startOf(m *wire.Message) *history.ExecutionStarted {
	started, _ := m.Event.(*history.ExecutionStarted)
	return started
}
