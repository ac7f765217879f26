package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// A message that makes workers die cannot be told from one that was put back often, by the number of
// its deliveries: names nobody knows, instances that are held, storage that fails and workers that
// stop make it grow, too. So, from the third delivery on, a message is worked on while no other one
// of that sort is, and before its code runs a number in the message itself goes up by one. Whoever
// survives the attempt puts the message back as it was; only a worker that dies leaves the number
// as it is. When it has reached the limit, the message is moved out of the way.

// aloneFrom is the delivery from which on a message is worked on by itself: it may be what makes
// workers crash.
const aloneFrom = 3

// maxCrashes is how many attempts alone may end with the death of a worker. With the deliveries
// before, these are as many as any message gets.
func (o *Options) maxCrashes() int { return o.MaxDeliveries - (aloneFrom - 1) }

// suspect reports whether a message may be what makes workers crash.
func (h *held) suspect() bool { return h.deliveries() >= aloneFrom }

// crashes returns how many attempts alone have ended with the death of a worker.
func (h *held) crashes() int {
	if !h.suspect() {
		return 0
	}
	return wire.Lone(h.Text)
}

// mark notes in the message that an attempt begins. Without it no attempt may be made: nobody would
// learn that it was fatal. A message that has no room for the note, or no place, is tried all the
// same; it was put by somebody who does not know our limits.
func (h *held) mark(ctx context.Context) error {
	text, err := wire.WithLone(h.Text, h.crashes()+1)
	if err == nil {
		err = h.rewrite(ctx, text)
	}
	if err == nil || !store.InData(err) {
		return err
	}
	h.keeper.log.Warn("attempt at a message that may be fatal cannot be noted in it; tried without",
		"queue", h.Queue, "message", h.ID, "error", err)
	return nil
}

// rewrite changes the text of the message in the queue until it is put back.
func (h *held) rewrite(ctx context.Context, text string) error {
	sent := time.Now()
	asked, err := h.request(ctx, func(receipt string) error {
		renewed, err := h.keeper.queues.Update(ctx, h.Queue, h.ID, receipt, text, h.keeper.visibility)
		if err == nil {
			h.replaceReceipt(renewed.PopReceipt, sent)
		}
		return err
	})
	switch {
	case err != nil:
		if !store.InData(err) {
			h.setMarked(text) // perhaps, for the reply may be lost
		}
		return fmt.Errorf("note an attempt in message %s: %w", h.ID, err)
	case !asked:
		return fmt.Errorf("note an attempt in message %s: it was taken by another worker", h.ID)
	}
	h.setMarked(text)
	return nil
}

func (h *held) setMarked(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marked = text
}

// currentText returns what stands in the queue while the message is held.
func (h *held) currentText() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.marked != "" {
		return h.marked
	}
	return h.Text
}

// maxOwed bounds how many marks are remembered.
const maxOwed = 10_000

// owe remembers the true number of a message whose mark could not be taken off although the attempt
// was survived. If the message comes here again, it is put right.
func (h *held) owe() {
	h.mu.Lock()
	marked := h.marked != ""
	h.mu.Unlock()
	if !marked {
		return
	}
	k := h.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owed == nil || len(k.owed) >= maxOwed {
		k.owed = map[string]int{}
	}
	k.owed[h.ID] = wire.Lone(h.Text)
}

// withoutOwed returns the text of a message without a mark that should have been taken off. The
// keeper is locked.
func (k *keeper) withoutOwed(received store.Received) string {
	n, owed := k.owed[received.ID]
	if !owed {
		return received.Text
	}
	delete(k.owed, received.ID)
	if text, err := wire.WithLone(received.Text, n); err == nil {
		return text
	}
	return received.Text
}

var (
	// errStopping is why an attempt is not begun when the partition is to be handed over.
	errStopping = errors.New("the partition is handed over")
	// errFatal is why an attempt is not begun when enough of them have killed workers.
	errFatal = errors.New("every attempt ended with the death of a worker")
)

// goAlone prepares the only message of a batch for an attempt that may be fatal, if it is one. The
// attempt is over when done is called, which is never nil. Only what runs code of the user counts:
// what is dropped, put back or not known here does not have to wait for its turn.
func (s *session) goAlone(ctx context.Context, in *sorted) (done func(), err error) {
	done = func() {}
	h, name := s.suspectIn(in)
	if h == nil {
		return done, nil
	}
	if _, bound := s.r.w.registry.orchestration(name); !bound {
		_, err := s.execution(name)
		return done, err
	}
	if n := h.crashes(); n >= s.r.w.opts.maxCrashes() {
		return done, fmt.Errorf("%w: orchestration %q, %d attempts", errFatal, name, n)
	}
	// The slot is given up meanwhile: the others must not wait for the one that is tried.
	s.seat.leave()
	if !s.r.w.alone.acquire(ctx, s.r.intake) {
		return done, errStopping
	}
	done = s.r.w.alone.release
	if !s.seat.take(ctx, s.r.intake) {
		return done, errStopping
	}
	if err := h.mark(ctx); err != nil {
		return done, err
	}
	over := s.r.w.attempt(ctx, taskhub.Attempt{Kind: taskhub.OrchestrationName, Name: name, InstanceID: s.id, Number: h.crashes() + 1})
	return func() { over(); s.r.w.alone.release() }, nil
}

// goAlone waits until no other item that may be fatal runs here. Its slot is given up meanwhile: the
// others must not wait for the one that is tried. It reports false if the worker stops first.
func (i *items) goAlone(ctx, intake context.Context, place *seat) bool {
	place.leave()
	if !i.w.aloneItems.acquire(ctx, intake) {
		return false
	}
	if !place.take(ctx, intake) {
		i.w.aloneItems.release()
		return false
	}
	return true
}

// suspectIn returns the message that may be fatal and the orchestration whose code it makes run; nil
// if none does.
func (s *session) suspectIn(in *sorted) (*held, string) {
	if !in.turn && !s.mayBeUnfinished(in) {
		return nil, ""
	}
	for _, h := range in.unsettled() { // one that has been delivered often is the only one
		if !h.suspect() {
			continue
		}
		if in.start != nil {
			return h, startOf(in.start.Content).Name
		}
		return h, s.stored.State.Started().Name
	}
	return nil, ""
}

// abandonTimeout bounds what is done about a message that is not ours to work on any more.
const abandonTimeout = 10 * time.Second

// abandon lets go of a message without settling it: it comes back when its visibility ends. A mark
// is taken off all the same, since nobody has died; the receipt is good for that as long as nobody
// else has taken the message.
func (w *Worker) abandon(ctx context.Context, h *held) {
	h.mu.Lock()
	marked := h.marked != ""
	h.mu.Unlock()
	if !marked {
		h.forget()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	h.putBack(ctx, time.Second)
}
