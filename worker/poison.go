package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// PoisonType is the type of the failure (history.FailureDetails.Type) with which an activity fails
// whose work item was moved out of the way. It is not retried by retry policies.
const PoisonType = "worker.PoisonError"

// PoisonError is the failure of an activity that workers died of each time they ran it. The
// orchestration sees it as a *orchestration.TaskError whose details have the type PoisonType.
type PoisonError struct {
	// Activity is the activity's name, Crashes how many workers died.
	Activity string
	Crashes  int
	// ID names the poison message; see taskhub.Client.GetPoison.
	ID string
}

// Error implements error.
func (e *PoisonError) Error() string {
	return fmt.Sprintf("activity %q was given up: %d workers died while they ran it and nothing else of the kind; see poison message %s",
		e.Activity, e.Crashes, e.ID)
}

// ErrorType is the type name under which the failure is stored.
func (e *PoisonError) ErrorType() string { return PoisonType }

// NonRetriable says that a retry policy has no say: the activity has had all its attempts.
func (e *PoisonError) NonRetriable() bool { return true }

// inData reports whether the reason of a failure lies in what is stored.
func inData(err error) bool {
	return store.InData(err) || errors.Is(err, orchestration.ErrCorruptHistory)
}

// unreadable settles a message that cannot be decoded: it comes again, with growing pauses, since a
// payload that is missing may still be on its way, and is moved in the end.
func (w *Worker) unreadable(ctx context.Context, h *held) {
	if errors.Is(h.Err, storage.ErrNotFound) && h.DequeueCount >= patience && w.outlasted(ctx, h) {
		w.opts.Logger.Info("message dropped: its instance was purged, and its payload with it", "queue", h.Queue, "message", h.ID)
		h.remove(ctx)
		return
	}
	if inData(h.Err) && h.DequeueCount >= w.opts.MaxDeliveries {
		w.quarantine(ctx, h, h.Err, nil)
		return
	}
	delay := w.delayAfter(h.Err, h.DequeueCount)
	w.opts.Logger.Warn("unreadable message; put back", "queue", h.Queue, "message", h.ID,
		"deliveries", h.DequeueCount, "error", h.Err, "delay", delay)
	h.because("it cannot be read: " + fmt.Sprint(h.Err))
	h.putBack(ctx, delay)
}

// outlasted reports that a message whose payload is missing is not needed: the instance which the
// payload blob is named for was purged since the message was put, or has ended and the message is
// not its start. The latter makes up for senders who stood still: they put the message after the purge.
func (w *Worker) outlasted(ctx context.Context, h *held) bool {
	glimpse := wire.Look(h.Text)
	id := glimpse.Target.InstanceID
	if id == "" {
		return false // no engine names a message's blob so
	}
	sentinel, err := w.hub.ReadSentinel(ctx, id)
	if err != nil {
		return false // it is asked again
	}
	if sentinel != nil && h.InsertedOn.Before(sentinel.Started) {
		return true
	}
	row, err := w.hub.ReadInstance(ctx, id, false)
	if err == nil {
		return h.InsertedOn.Add(clockTolerance).Before(row.Created) ||
			row.Status.Terminal() && glimpse.Kind != "" && glimpse.Kind != history.KindExecutionStarted
	}
	return errors.Is(err, storage.ErrNotFound) && sentinel == nil
}

// condemn moves those messages of a batch that failed for good, and returns the others.
func (s *session) condemn(ctx context.Context, batch []*held, err error) []*held {
	fatal, data := errors.Is(err, errFatal), inData(err)
	if !fatal && !data || s.r.own.Err() != nil {
		return batch
	}
	var others []*held
	for _, h := range batch {
		if fatal && h.suspect() || data && h.DequeueCount >= s.r.w.opts.MaxDeliveries {
			s.r.w.quarantine(ctx, h, err, nil)
			s.r.w.buffer.add(-1)
		} else {
			others = append(others, h)
		}
	}
	return others
}

// condemn gives a work item up of which workers die. Its orchestration is told so.
func (i *items) condemn(ctx context.Context, h *held, scheduled *history.TaskScheduled, crashes int) {
	reason := &PoisonError{Activity: scheduled.Name, Crashes: crashes, ID: i.w.hub.PoisonID(h.Queue, h.ID)}
	answer := answerTo(h, scheduled, newAnswer(scheduled, i.w.hub.Now(), nil, failure.FromError(reason)))
	i.w.quarantine(ctx, h, fmt.Errorf("%w: activity %q, %d attempts", errFatal, scheduled.Name, crashes), answer)
}

// quarantine moves a message out of its queue. The order: the record, so that nothing is lost; the
// answer, if the message is a work item; the mark on the status row; and at last the message is
// deleted. Cut off in between, all of it is done again: the record is made once, of two answers the
// first counts, and a mark names a record once.
func (w *Worker) quarantine(ctx context.Context, h *held, reason error, answer *wire.Message) {
	ctx = storage.WithCause(ctx, storage.CausePoison)
	p := w.recordOf(h, reason)
	p.Answered = answer != nil
	err := w.hub.PutPoison(ctx, p)
	if err == nil && answer != nil {
		err = w.tellOf(p, w.send(ctx, answer))
	}
	if err == nil && p.InstanceID != "" && !isEntity(p.InstanceID) {
		err = w.tellOf(p, w.hub.MarkPoison(ctx, p))
	}
	if err != nil {
		delay := w.delayAfter(err, h.DequeueCount)
		w.opts.Logger.Warn("poison message not moved; put back", "poison", p.ID, "error", err, "delay", delay)
		h.because("it is to be moved aside, and could not be: " + err.Error())
		h.putBack(ctx, delay)
		return
	}
	w.stats.poisoned.Add(1)
	w.opts.Logger.Error("poison message moved out of its queue", "poison", p.ID, "queue", h.Queue, "instance", p.InstanceID,
		"kind", p.Kind, "name", p.Name, "deliveries", p.Deliveries, "crashes", p.Crashes, "reason", p.Reason)
	h.remove(ctx)
}

// tellOf passes an error on, unless it would come again for ever: what a bad message names may be
// such that nobody can be told.
func (w *Worker) tellOf(p *wire.Poison, err error) error {
	if err != nil && store.InData(err) {
		w.opts.Logger.Warn("nobody can be told of a poison message", "poison", p.ID, "error", err)
		return nil
	}
	return err
}

// maxReason bounds the reason in a record, in bytes.
const maxReason = 4000

// recordOf describes a message that is to be moved, as far as it can be read.
func (w *Worker) recordOf(h *held, reason error) *wire.Poison {
	glimpse := wire.Look(h.Text)
	p := &wire.Poison{
		ID: w.hub.PoisonID(h.Queue, h.ID), Queue: h.Queue, MessageID: h.ID,
		InstanceID: glimpse.Target.InstanceID, ExecutionID: glimpse.Target.ExecutionID, Kind: glimpse.Kind, Name: glimpse.Name,
		Reason: shorten(reason.Error()), Deliveries: h.deliveries(), Crashes: h.crashes(),
		Inserted: h.InsertedOn, Moved: w.hub.Now(), Worker: w.opts.WorkerID, Text: h.Text, Payload: glimpse.Blob,
	}
	if text, err := wire.WithLone(h.Text, 0); err == nil {
		p.Text = text
	}
	if h.Content != nil {
		p.InstanceID, p.ExecutionID = h.Content.Target.InstanceID, h.Content.Target.ExecutionID
		p.Kind, p.Name = h.Content.Event.Kind(), nameIn(h.Content.Event)
	}
	return p
}

func shorten(text string) string {
	if len(text) > maxReason {
		return strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// nameIn returns the name that an event carries, "" if it carries none.
func nameIn(e history.Event) string {
	switch e := e.(type) {
	case *history.ExecutionStarted:
		return e.Name
	case *history.TaskScheduled:
		return e.Name
	case *history.EventRaised:
		return e.Name
	default:
		return ""
	}
}

// abandoned reports whether the execution that a work item belongs to is over for sure: it has ended,
// was replaced, or was purged. It is asked of items that have been put back for long, so that a
// checkpoint that sent the item is over, too.
func (w *Worker) abandoned(ctx context.Context, target history.Instance) bool {
	sentinel, err := w.hub.ReadSentinel(ctx, target.InstanceID)
	if err != nil {
		return false // it is asked again
	}
	if sentinel != nil && !sameID(sentinel.ExecutionID, target.ExecutionID) {
		return true
	}
	row, err := w.hub.ReadInstance(ctx, target.InstanceID, false)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return sentinel == nil
	case err != nil:
		return false
	default:
		return sameID(row.ExecutionID, target.ExecutionID) && row.Status.Terminal()
	}
}
