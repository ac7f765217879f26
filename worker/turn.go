package worker

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// slowTurn is how long orchestrator code may run before it is reported. Orchestrators do not
// block; one that does holds up its instance and a slot.
const slowTurn = 10 * time.Second

// turn computes a turn for sorted messages and what has landed, stores it as far as it is due, and
// settles the messages.
func (s *session) turn(ctx context.Context, in *sorted, landed []turn.Answered) error {
	if err := s.refuseStarts(ctx, in); err != nil {
		return err
	}
	if in.endRow != nil {
		return s.endBeforeStart(ctx, in)
	}
	if !in.turn && len(landed) == 0 {
		return s.dropOnly(ctx, in)
	}
	p := s.pending
	if p == nil {
		p = &pending{in: &sorted{}, before: s.before(in), since: time.Now()}
	}
	out, err := s.compute(in, landed)
	if err != nil {
		return err
	}
	p.in.add(in)
	s.pending = p
	switch err = s.sendAgain(in, out); {
	case err != nil:
	case s.r.own.Err() != nil:
		err = context.Cause(s.r.own)
	default:
		err = s.settle(ctx, out, landed)
	}
	if err != nil && out.Execution != nil {
		out.Execution.Close() // it may be one that the session has not taken over
	}
	return err
}

// dropOnly settles messages that cause no turn. What a session that is ahead of its history drops is
// deleted only when its next checkpoint has proved that history.
func (s *session) dropOnly(ctx context.Context, in *sorted) error {
	if s.busy() {
		s.done = append(s.done, in.done...)
		return nil
	}
	if in.needsRepair {
		if err := s.repair(ctx); err != nil {
			return err
		}
	}
	s.discard(ctx, in.done)
	return nil
}

// before notes what the checkpoint has to know about the time before the turn.
type before struct {
	executionID  string
	blobs        []string
	latest       time.Time
	customStatus *string
	fresh        bool // a start begins a new execution
}

func (s *session) before(in *sorted) before {
	b := before{
		executionID: s.stored.ExecutionID,
		blobs:       s.stored.Blobs,
		latest:      s.stored.State.LatestTime(),
		fresh:       in.start != nil,
	}
	if s.exec != nil && in.start == nil {
		b.customStatus = s.exec.CustomStatus()
	}
	return b
}

// compute runs the orchestrator over the events of the messages.
func (s *session) compute(in *sorted, landed []turn.Answered) (*turn.Outcome, error) {
	input := turn.Input{
		Now:           s.r.w.hub.Now(),
		NewID:         func() string { return s.r.w.hub.NewID(s.id) },
		FailDivergent: s.r.w.opts.FailDivergent,
		Limits:        turn.Limits{Generations: s.r.w.opts.MaxGenerations, History: s.r.w.opts.MaxHistory},
		Hold:          s.hold(in),
		Answered:      landed,
		Firsthand:     in.firsthand(),
		Open:          s.open,
	}
	name, err := s.beginInput(in, &input)
	if err != nil {
		return nil, err
	}
	input.NewExecution = func() *orchestration.Execution {
		next, err := s.execution(name)
		if err != nil {
			panic(err) // the name was bound a moment ago, and bindings never change
		}
		return next
	}
	stop := s.watch(name)
	defer stop()
	outcome, err := turn.Run(input)
	if err == nil && outcome.Divergence != nil {
		s.r.log.Error("instance ends because its code does not match its history", "instance", s.id, "error", outcome.Divergence)
	}
	return outcome, err
}

// beginInput fills in the state, the execution and the events of a turn. It returns the name of
// the orchestration.
func (s *session) beginInput(in *sorted, input *turn.Input) (string, error) {
	if in.start != nil {
		started := startOf(in.start.Content)
		exec, err := s.execution(started.Name)
		if err != nil {
			return "", err
		}
		if s.exec != nil {
			s.exec.Close()
		}
		s.exec = exec
		input.State = &history.State{}
		input.Events = append(input.Events, started)
	} else {
		if err := s.replay(); err != nil {
			if !s.r.w.opts.FailDivergent || !errors.Is(err, orchestration.ErrNonDeterminism) {
				return "", err
			}
			input.Diverged = err
		}
		input.State = s.stored.State
	}
	input.Execution = s.exec
	for _, h := range in.apply {
		input.Events = append(input.Events, h.Content.Event)
	}
	if in.start != nil {
		return startOf(in.start.Content).Name, nil
	}
	return s.stored.State.Started().Name, nil
}

// watch reports orchestrator code that takes long, with what it is doing.
func (s *session) watch(name string) (stop func() bool) {
	timer := time.AfterFunc(slowTurn, func() {
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		s.r.log.Error("orchestrator code blocks; it must not do real work", "instance", s.id,
			"orchestration", name, "after", slowTurn, "stacks", string(stacks))
	})
	return timer.Stop
}

// refuseStarts tells parents that the ids of their children are taken.
func (s *session) refuseStarts(ctx context.Context, in *sorted) error {
	ctx = storage.WithCause(ctx, storage.CauseMessage)
	for _, h := range in.refuse {
		started := startOf(h.Content)
		reason := "instance " + s.id + " is already running"
		s.r.log.Warn("child not started: its id is in use", "instance", s.id, "parent", started.Parent.Instance.InstanceID)
		message := &wire.Message{
			Event: &history.SubOrchestrationFailed{
				Header: history.Header{EventID: history.NoEventID, Timestamp: s.r.w.hub.Now()},
				TaskID: started.Parent.TaskID,
				Reason: &reason,
				Failure: &history.FailureDetails{
					Type: "taskhub.ExistsError", Message: reason,
				},
			},
			Target: started.Parent.Instance,
			Sender: &started.Instance,
		}
		if err := s.r.w.send(ctx, message); err != nil {
			return err
		}
		in.done = append(in.done, h)
	}
	in.refuse = nil
	return nil
}

// endBeforeStart marks an instance that was terminated before it began.
func (s *session) endBeforeStart(ctx context.Context, in *sorted) error {
	ctx = storage.WithCause(ctx, storage.CauseRow)
	event, _ := in.endRow.Content.Event.(*history.ExecutionTerminated)
	reason := history.TextOr(event.Reason, "")
	update := wire.InstanceUpdate{Output: history.Text(wire.SafeOutput(reason))}
	if err := s.r.w.hub.PlaceLarge(ctx, s.id, &update); err != nil {
		return err
	}
	columns := wire.EncodeEarlyTermination(update.Output, event.Timestamp, s.r.w.hub.Now())
	if _, err := s.r.w.hub.UpdateInstance(ctx, s.id, columns, s.row.ETag); err != nil {
		return err
	}
	s.r.log.Info("instance terminated before it began", "instance", s.id, "reason", reason)
	s.discard(ctx, append(in.done, in.endRow))
	s.forget()
	return nil
}

// afterEnd cancels what still runs or waits here for an execution that has ended or was replaced.
func (s *session) afterEnd(ctx context.Context, executionID string) {
	s.r.timers.cancel(ctx, s.id, executionID)
	s.r.w.running.cancel(history.Instance{InstanceID: s.id, ExecutionID: executionID}, activity.ErrUnwanted)
}

// remember notes that the instance has left an execution behind.
func (s *session) remember(executionID string) {
	if executionID == "" {
		return
	}
	if s.replaced == nil || len(s.replaced) > 100 {
		s.replaced = map[string]bool{}
	}
	s.replaced[executionID] = true
}
