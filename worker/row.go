package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// debt is what the status row does not say yet although the history does.
type debt struct {
	since time.Time
	// whole says that everything in the row may be missing.
	whole bool
}

// rowUpdate returns what a checkpoint changes in the status row, nil if the row is not due: it is
// written when the execution, the status or the custom status changes, and otherwise once a
// minute, so that its last update shows that the instance is alive. Messages that are dropped after
// they had been delivered before may be all that is left of a turn whose row was never written: then
// everything is.
//
// As long as something is in the air, a row that would only say that the instance has begun waits for a
// moment: the instance may be at its end before.
func (s *session) rowUpdate(p *pending, at stage, now time.Time) *wire.InstanceUpdate {
	out := p.out
	repeated := maxDeliveries(p.in.done) > 1
	whole := p.before.fresh || p.replaced || repeated || s.debt != nil && s.debt.whole
	said := sameText(p.before.customStatus, out.CustomStatus) && p.suspension == nil && out.Completed == nil && !repeated && !p.replaced
	due := whole || !said || s.debt != nil || !now.Truncate(time.Minute).Equal(p.before.latest.Truncate(time.Minute))
	if !due {
		return nil
	}
	if said && at.flying && s.mayOwe(p) {
		if s.debt == nil {
			s.debt = &debt{since: time.Now()}
		}
		s.debt.whole = whole
		return nil
	}
	update := s.baseUpdate(out.State, out.CustomStatus)
	if whole {
		update.Start = store.RowStart(out.State.Started())
	}
	if whole || p.suspension != nil {
		store.StateUpdate(&update, out.State)
	}
	if out.Completed != nil {
		store.CompleteUpdate(&update, out.Completed, now)
	}
	return &update
}

// mayOwe reports whether the status row may be written later. That of a child has to be there before its
// start is taken for a second one.
func (s *session) mayOwe(p *pending) bool {
	if p.before.fresh && p.out.State.Started().Parent != nil {
		return false
	}
	return s.debt == nil || time.Since(s.debt.since) < patienceAhead
}

// payDebt writes the status row if it is due although there is no checkpoint.
func (s *session) payDebt(ctx context.Context) error {
	if s.debt == nil || time.Since(s.debt.since) < patienceAhead {
		return nil
	}
	update := s.baseUpdate(s.stored.State, s.exec.CustomStatus())
	if s.debt.whole {
		update.Start = store.RowStart(s.stored.State.Started())
		store.StateUpdate(&update, s.stored.State)
	}
	store.Refer(&update, s.stored.Payloads)
	if err := s.writeRow(ctx, update, ""); err != nil {
		return err
	}
	s.debt = nil
	return nil
}

func (s *session) baseUpdate(state *history.State, customStatus *string) wire.InstanceUpdate {
	events := state.Events()
	return wire.InstanceUpdate{
		ExecutionID:  state.Started().Instance.ExecutionID,
		LastUpdated:  events[len(events)-1].Head().Timestamp,
		TaskHubName:  s.r.w.hub.Names.Hub(),
		CustomStatus: customStatus,
	}
}

func sameText(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// maxRowAttempts bounds how often a status row is read again after somebody changed it.
const maxRowAttempts = 5

// writeRow merges an update into the status row as long as the row is about this execution or
// the one it follows; previous is that one's id. The session knows the row as it was before the turn
// was stored, or that there was none. A row that names another execution belongs to a newer start
// and is left alone; so are one that was purged, and one that shows a later turn.
func (s *session) writeRow(ctx context.Context, update wire.InstanceUpdate, previous string) error {
	ctx = storage.WithCause(ctx, storage.CauseRow)
	if err := s.r.w.hub.PlaceLarge(ctx, s.id, &update); err != nil {
		return err
	}
	for range maxRowAttempts {
		if s.rowEnded() {
			return s.follow(ctx)
		}
		etag := storage.ETag("")
		if s.row != nil {
			etag = s.row.ETag
		} else if update.Start == nil {
			// The checkpoint that began the execution was cut off before its row.
			if err := s.makeWhole(ctx, &update); err != nil {
				return err
			}
		}
		written, err := s.r.w.hub.UpdateInstance(ctx, s.id, update.Encode(), etag)
		if err == nil {
			s.noteRow(update, written)
			return nil
		}
		if !storage.LostRace(err) {
			return err
		}
		if due, err := s.stillDue(ctx, previous); err != nil || !due {
			return err
		}
	}
	return fmt.Errorf("write status of instance %q: %w %d times in a row", s.id, storage.ErrPrecondition, maxRowAttempts)
}

// rowEnded reports whether the status row shows an end of the very execution that this history is of.
// What a row has once shown as the end stays.
func (s *session) rowEnded() bool {
	return s.row != nil && s.row.Status.Terminal() && sameID(s.row.ExecutionID, s.stored.ExecutionID)
}

// follow ends an instance that its status row says was terminated before it began, although a worker
// that had stood still for long began it afterwards: the row is right, as clients have seen it.
func (s *session) follow(ctx context.Context) error {
	if s.stored.State.Completed() != nil {
		return nil
	}
	row, err := s.r.w.hub.ReadInstance(ctx, s.id, true)
	if err != nil {
		return err
	}
	s.r.log.Warn("instance was terminated before it began, and began; it is terminated again", "instance", s.id)
	return s.r.w.send(ctx, &wire.Message{
		Event: &history.ExecutionTerminated{
			Header: history.Header{EventID: history.NoEventID, Timestamp: s.r.w.hub.Now()}, Reason: row.Output,
		},
		Target: history.Instance{InstanceID: s.id}, Sender: &history.Instance{},
	})
}

// stillDue reads the status row that has changed and reports whether it is still for this turn to
// write. If that is for others to find out, the error is store.ErrRefused.
func (s *session) stillDue(ctx context.Context, previous string) (bool, error) {
	if err := s.readRow(ctx); err != nil {
		return false, err
	}
	switch {
	case s.row == nil:
		s.r.log.Info("instance was purged; its status is not written", "instance", s.id)
		_, err := s.r.w.hub.DropHistory(ctx, s.id, s.stored.Rows, s.stored.ETag)
		return false, err
	case s.row.HasGeneration && !s.ours(previous):
		s.r.log.Info("status row belongs to another start; left alone", "instance", s.id, "execution", s.row.ExecutionID)
		return false, nil
	}
	// Whoever wrote it may have gone on from our turn. The row was read before the history is looked
	// at: if that is ours still, the row is behind it. If not, the row may be behind all the same, since
	// others write only what they have changed: the messages of the turn stay, to remind them of it.
	current, err := s.r.w.hub.Current(ctx, s.id, s.stored.ETag)
	if err == nil && !current {
		err = fmt.Errorf("status of instance %q: another worker has gone on: %w", s.id, store.ErrRefused)
	}
	return current, err
}

// doubtBeginning has it looked into later whether the history that this session has begun belongs to an instance that
// was purged: it has not seen the status row since.
func (s *session) doubtBeginning() { s.r.w.hub.Doubt(s.id, s.stored.ExecutionID) }

// dropOrphan removes the history of an instance that was purged before it was written: a worker had stood
// still over it. Who is started by a client has a status row from before its history on. Without this, a
// message that is still on its way would bring the instance to life once more.
func (s *session) dropOrphan(ctx context.Context) error {
	if started := s.stored.State.Started(); s.row != nil || started == nil || started.Parent != nil || s.stored.State.Completed() != nil {
		return nil
	}
	dropped, err := s.r.w.hub.DropHistory(ctx, s.id, s.stored.Rows, s.stored.ETag)
	if err == nil && dropped {
		err = fmt.Errorf("instance %q was purged before its history was written: %w", s.id, store.ErrRefused)
	}
	return err
}

// makeWhole adds what the first checkpoint of an execution writes to an update, so that a row can
// be made of it.
func (s *session) makeWhole(ctx context.Context, update *wire.InstanceUpdate) error {
	update.Start = store.RowStart(s.stored.State.Started())
	if update.Status == "" {
		update.Status = store.StatusOf(s.stored.State)
	}
	return s.r.w.hub.PlaceLarge(ctx, s.id, update)
}

// ours reports whether the status row is about an execution that this instance's history leads
// on from.
func (s *session) ours(previous string) bool {
	id := s.row.ExecutionID
	return id == "" || sameID(id, s.stored.ExecutionID) || sameID(id, previous) ||
		slices.ContainsFunc(s.stored.Replaced, func(former string) bool { return sameID(id, former) })
}

func (s *session) noteRow(update wire.InstanceUpdate, etag storage.ETag) {
	row := store.Instance{ETag: etag}
	if s.row != nil {
		row = *s.row
		row.ETag = etag
	}
	row.InstanceID, row.ExecutionID = s.id, update.ExecutionID
	if update.Status != "" {
		row.Status = update.Status
	}
	if update.Start != nil {
		row.Created = update.Start.Created
		if update.Start.Generation != nil {
			row.Generation, row.HasGeneration = *update.Start.Generation, true
		}
	}
	s.row = &row
}

// repair brings the status row into line with the stored history, if it is about the same
// execution or missing: a checkpoint may have been cut off between the two.
func (s *session) repair(ctx context.Context) error {
	ctx = storage.WithCause(ctx, storage.CauseRow)
	if err := s.readRow(ctx); err != nil {
		return err
	}
	if err := s.dropOrphan(ctx); err != nil {
		return err
	}
	state := s.stored.State
	want := store.StatusOf(state)
	if s.row != nil && s.rowShows(want) {
		return nil
	}
	if s.row != nil && s.row.HasGeneration && !s.ours("") {
		return nil
	}
	// The row was read after the history: only if that has not moved since, the row is behind it.
	current, err := s.r.w.hub.Current(ctx, s.id, s.stored.ETag)
	if err != nil {
		return err
	}
	if !current {
		return fmt.Errorf("repair status of instance %q: %w", s.id, store.ErrRefused)
	}
	s.r.log.Warn("status row fell behind the history; repaired", "instance", s.id, "status", want)
	return s.writeRow(ctx, s.r.w.hub.WholeUpdate(s.stored, s.customStatus()), "")
}

// rowShows reports whether the status row says what the history does.
func (s *session) rowShows(status history.Status) bool {
	return sameID(s.row.ExecutionID, s.stored.ExecutionID) && s.row.Status == status &&
		(s.exec == nil || sameText(s.row.CustomStatus, s.exec.CustomStatus()))
}

// customStatus returns the custom status to store with a repair. The history does not tell it; a
// replay does, if the code is here and still fits.
func (s *session) customStatus() *string {
	if s.exec != nil {
		return s.exec.CustomStatus()
	}
	if binding, ok := s.r.w.registry.orchestration(s.stored.State.Started().Name); ok {
		exec := orchestration.NewExecution(binding, s.r.w.executionOptions())
		defer exec.Close()
		if exec.Replay(s.stored.State.Events()) == nil {
			return exec.CustomStatus()
		}
	}
	if s.row != nil {
		return s.row.CustomStatus
	}
	return nil
}
