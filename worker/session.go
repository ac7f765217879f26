package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// session is the one place in this worker where an instance is worked on. One goroutine runs it
// at a time; what arrives meanwhile waits in the inbox and shares the next turn.
type session struct {
	r  *reader
	id string

	// The following are guarded by reader.mu.
	inbox     []*held
	running   bool
	idleSince time.Time

	// The following belong to the goroutine that runs the session.
	stored *store.History
	exec   *orchestration.Execution
	row    *store.Instance // last known status row, nil if not known
	// replaced holds executions of the instance that this session has seen end in another one.
	replaced map[string]bool
	// seat is the slot in which the session works.
	seat seat
}

// run works until the inbox is empty or the partition is handed over.
func (s *session) run(ctx context.Context) {
	defer s.rest()
	for {
		s.seat.of = s.r.w.turns
		if !s.seat.take(s.r.intake) {
			return
		}
		batch := s.nextBatch()
		if len(batch) == 0 {
			s.seat.leave()
			return
		}
		s.work(ctx, batch)
		if s.r.w.opts.NoSessionCache {
			s.forget()
		}
		s.seat.leave()
	}
}

// nextBatch takes the messages for the next turn: all that have arrived, but one that has been
// delivered several times only by itself.
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
	s.running, s.idleSince = false, time.Now()
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
}

// work does one turn with a batch of messages and settles each of them.
func (s *session) work(ctx context.Context, batch []*held) {
	sorted, err := s.prepare(ctx, batch)
	if err != nil {
		s.giveUp(ctx, batch, err)
		return
	}
	for _, later := range sorted.later {
		s.r.w.early.add(later.message.ID)
		s.r.log.Debug("message put back", "instance", s.id, "kind", later.message.Content.Event.Kind(),
			"reason", later.reason, "delay", later.delay)
		s.release(ctx, later.message, later.delay)
	}
	done, err := s.goAlone(ctx, sorted)
	defer done()
	if err == nil {
		err = s.completeUnfinished(sorted)
	}
	if err == nil {
		err = s.turn(ctx, sorted)
	}
	if err != nil {
		s.giveUp(ctx, sorted.unsettled(), err)
	}
}

// giveUp drops the session after a turn that was not stored and puts its messages back, but for
// those that have been tried often enough.
func (s *session) giveUp(ctx context.Context, batch []*held, err error) {
	s.forget()
	batch = s.condemn(ctx, batch, err)
	delay, log := s.r.w.delayAfter(err, maxDeliveries(batch)), s.r.log.Warn
	switch {
	case len(batch) == 0:
		return
	case errors.Is(err, errStopping):
		delay, log = 0, s.r.log.Debug
	case errors.Is(err, store.ErrRefused):
		s.r.w.stats.conflicts.Add(1)
		delay, log = time.Second, s.r.log.Info
	case errors.Is(err, orchestration.ErrNonDeterminism):
		log = s.r.log.Error
		s.r.w.heldInstances.add(s.id, err)
	}
	log("turn not stored; messages put back", "instance", s.id, "error", err, "delay", delay)
	s.releaseAll(ctx, batch, delay)
}

func maxDeliveries(batch []*held) int {
	deliveries := 0
	for _, h := range batch {
		deliveries = max(deliveries, h.DequeueCount)
	}
	return deliveries
}

// release makes a message visible again after delay.
func (s *session) release(ctx context.Context, h *held, delay time.Duration) {
	defer s.r.w.buffer.add(-1)
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

// discard deletes messages whose effect is stored or that never can have one.
func (s *session) discard(ctx context.Context, batch []*held) {
	run.Each(ctx, "worker: delete messages", len(batch), parallel, func(ctx context.Context, i int) {
		deleted := batch[i].remove(ctx)
		s.r.w.buffer.add(-1)
		if deleted && batch[i].Blob != "" && s.nowhere() {
			s.dropPayload(ctx, batch[i].Blob)
		}
		if needsMemory(batch[i].Content.Event) {
			s.r.confirm(batch[i].Content.ActivityID, deleted)
		}
	})
	if s.stored != nil {
		s.stored.Processed = s.r.processed(s.stored.Processed)
	}
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
		s.r.w.unknown.add(taskhub.OrchestrationName, name)
		return nil, fmt.Errorf("orchestration %q is not bound in this worker", name)
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
