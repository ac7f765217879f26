package worker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

// prepare loads what is needed to judge a batch, and sorts it.
func (s *session) prepare(ctx context.Context, batch []*held) (*sorted, error) {
	if len(batch) == 0 {
		return &sorted{}, nil
	}
	ctx = storage.WithCause(ctx, storage.CauseLoad)
	cached := s.stored != nil
	if err := s.load(ctx, batch, !cached); err != nil {
		return nil, err
	}
	if err := s.awaitRow(ctx, batch); err != nil {
		return nil, err
	}
	out := s.sort(batch)
	if cached && out.doubtful() && !s.busy() {
		s.forget()
		if err := s.load(ctx, batch, false); err != nil {
			return nil, err
		}
		out = s.sort(batch)
	}
	s.limitMemory(out)
	return out, nil
}

func (s *session) sort(batch []*held) *sorted {
	return s.facts().sort(batch, func(h *held, reason string) {
		s.r.log.Debug("message dropped", "instance", s.id, "kind", h.Content.Event.Kind(), "reason", reason)
	})
}

// doubtful reports that messages would be dropped, or put back again, by a history that no write
// is going to prove. Another worker may have moved on from it: one of the same id, or one that has
// just taken the partition.
func (s *sorted) doubtful() bool {
	return !s.turn && s.start == nil && (len(s.done) > 0 || slices.ContainsFunc(s.later, func(p putBack) bool {
		return p.message.DequeueCount > 1
	}))
}

func (s *session) facts() *facts {
	return &facts{
		stored: s.stored, row: s.row, replaced: s.replaced,
		visibility: s.r.w.opts.Visibility, now: s.r.w.hub.Now(),
		processed: func(activityID string) bool {
			return slices.Contains(s.stored.Processed, activityID) || s.r.w.confirmed.has(activityID) || s.pending.applies(activityID)
		},
		judged: s.r.w.early.count,
	}
}

// clientStart returns the first start by a client in the batch, nil if there is none.
func clientStart(batch []*held) *held {
	for _, h := range batch {
		if started := startOf(h.Content); started != nil && started.Parent == nil {
			return h
		}
	}
	return nil
}

// load reads the history, unless the session has it, and the status row if the batch needs it. unknown
// says that nothing speaks against the batch being the first that the instance ever gets.
func (s *session) load(ctx context.Context, batch []*held, unknown bool) error {
	start := clientStart(batch)
	switch {
	case s.stored != nil && start != nil && !rowIs(s.row, startOf(start.Content).Instance.ExecutionID):
		return s.readRow(ctx)
	case s.stored != nil:
	case start != nil && !mayBeFirst(start):
		return s.readBoth(ctx)
	case start != nil:
		if err := s.readRow(ctx); err != nil {
			return err
		}
		if s.firstEver(start) {
			s.stored = &store.History{State: &history.State{}}
			return nil
		}
	case unknown && s.firstOfChild(batch):
		s.stored, s.row = &store.History{State: &history.State{}}, nil
		return nil
	}
	if s.stored == nil {
		if err := s.readHistory(ctx); err != nil {
			return err
		}
	}
	never, ended := s.stored.State.Started() == nil && s.row == nil, s.stored.State.Completed() != nil
	if start == nil && (never || ended && slices.ContainsFunc(batch, toInstance) || slices.ContainsFunc(batch, s.hopeless)) {
		return s.readRow(ctx) // the instance may be about to start
	}
	return nil
}

// hopeless reports that a message is about to be dropped because its execution is not the current one.
func (s *session) hopeless(h *held) bool {
	return h.DequeueCount >= patience && !toInstance(h) && !sameID(h.Content.Target.ExecutionID, s.stored.ExecutionID)
}

// toInstance reports whether a message is for whatever execution of its instance is current.
func toInstance(h *held) bool { return h.Content.Target.ExecutionID == "" }

// mayBeFirst reports that the status row may tell that a start is the first one of its id: its client
// found no row, and nobody has taken the start before.
func mayBeFirst(start *held) bool {
	generation := startOf(start.Content).Generation
	return start.DequeueCount == 1 && generation != nil && *generation == 0
}

// firstEver reports that a start that may be the first one of its id is, so that there can be no
// history: the status row is that of the start, and nobody has begun.
func (s *session) firstEver(start *held) bool {
	return rowIs(s.row, startOf(start.Content).Instance.ExecutionID) &&
		s.row.Status == history.Pending && s.row.HasGeneration && s.row.Generation == 0
}

// firstOfChild reports that a batch begins a child whose start nobody has had before and whose id was made
// up for it: hardly ever does anything exist under that. Should it, the first checkpoint, which adds the
// sentinel, is refused before anything has happened, and the start comes again.
func (s *session) firstOfChild(batch []*held) bool {
	var start *held
	for _, h := range batch {
		if started := startOf(h.Content); started != nil && started.Parent != nil && start == nil {
			start = h
		} else if h.deliveries() > 1 || started != nil {
			return false
		}
	}
	if start == nil || start.deliveries() > 1 {
		return false
	}
	parent := startOf(start.Content).Parent.Instance.ExecutionID
	return parent != "" && strings.HasPrefix(s.id, parent+":")
}

// readHistory reads the history.
func (s *session) readHistory(ctx context.Context) error {
	stored, err := s.r.w.hub.LoadHistory(ctx, s.id)
	if err != nil {
		return err
	}
	stored.Processed = s.r.processed(stored.Processed)
	s.stored = stored
	return nil
}

// readBoth reads the history and the status row side by side.
func (s *session) readBoth(ctx context.Context) error {
	reads := []func(context.Context) error{s.readHistory, s.readRow}
	errs := make([]error, len(reads))
	run.Each(ctx, "worker: load", len(reads), len(reads), func(ctx context.Context, i int) { errs[i] = reads[i](ctx) })
	return errors.Join(errs...)
}

// readRow reads the status row; a missing one is no error.
func (s *session) readRow(ctx context.Context) error {
	row, err := s.r.w.hub.ReadInstance(ctx, s.id, false)
	switch {
	case err == nil:
		s.row = &row
	case errors.Is(err, storage.ErrNotFound):
		s.row = nil
	default:
		return err
	}
	return nil
}

// awaitRow gives a client that has sent a start the time to write the status row.
func (s *session) awaitRow(ctx context.Context, batch []*held) error {
	start := clientStart(batch)
	if start == nil {
		return nil
	}
	for _, pause := range []time.Duration{20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
		if v, _ := s.facts().judge(start); v != missingRow || !run.Sleep(ctx, pause) {
			return nil
		}
		if err := s.readRow(ctx); err != nil {
			return err
		}
	}
	return nil
}

// limitMemory keeps the list of processed messages within what the sentinel holds: events beyond
// it have to wait until deletions have been confirmed.
func (s *session) limitMemory(out *sorted) {
	s.stored.Processed = s.r.processed(s.stored.Processed)
	room := maxProcessed - len(s.stored.Processed)
	if s.pending != nil {
		room -= len(s.pending.in.apply)
	}
	kept := out.apply[:0]
	for _, h := range out.apply {
		if needsMemory(h.Content.Event) {
			if room--; room < 0 {
				out.later = append(out.later, putBack{h, time.Second, "too many events await the deletion of their messages"})
				continue
			}
		}
		kept = append(kept, h)
	}
	out.apply = kept
	out.turn = out.start != nil || len(out.apply) > 0
}

// completeUnfinished finds out whether the messages to be dropped were part of a checkpoint that
// was cut off: then what is missing of it has to be made up for before they may go.
func (s *session) completeUnfinished(out *sorted) error {
	if s.busy() || !s.mayBeUnfinished(out) {
		return nil
	}
	if s.stored.State.Completed() != nil {
		out.needsRepair = true
		return nil
	}
	if maxDeliveries(out.done) < 2 && s.stored.Complete && s.stored.State.AtRest() {
		return nil
	}
	if err := s.replay(); err != nil {
		return err
	}
	out.turn = s.exec.Pending() || !s.stored.State.AtRest()
	out.needsRepair = true
	return nil
}

// mayBeUnfinished reports whether the messages to be dropped may have been part of a checkpoint that
// was cut off.
func (s *session) mayBeUnfinished(out *sorted) bool {
	return !out.turn && len(out.done) > 0 && s.stored.State.Started() != nil
}

// replay brings the session's execution to the end of the stored history.
func (s *session) replay() error {
	if s.exec != nil {
		return nil
	}
	exec, err := s.execution(s.stored.State.Started().Name)
	if err != nil {
		return err
	}
	if err := exec.Replay(s.stored.State.Events()); err != nil {
		exec.Close()
		return err
	}
	s.exec = exec
	return nil
}
