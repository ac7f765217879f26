package worker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

// held is a message this worker has taken and not yet settled.
type held struct {
	store.Received
	keeper *keeper
	// counted says that the message counts among those of control queues that the worker holds; it
	// belongs to whoever works on the message.
	counted bool
	// answers says that the message is a work item whose activity has run here: Content is the answer,
	// and the work item is deleted when that is stored.
	answers bool
	// reason and missing say why it is put back, see because and lacks; they belong to whoever works on it.
	reason  string
	missing unknownName
	// turn holds one token: requests about a message go out one at a time.
	turn chan struct{}

	mu      sync.Mutex
	receipt string
	renewed time.Time
	watcher func(ctx context.Context) // called after each renewal, nil for none
	settled bool                      // deleted, put back, or known to be somebody else's
	// marked is the text in the queue while an attempt alone is noted in it, else ""; see lone.go.
	marked string
}

// keeper holds the messages a worker has taken and renews them until they are settled.
type keeper struct {
	queues     storage.Queues
	visibility time.Duration
	log        *slog.Logger
	// returned, if set, is told the queue of a message that was put back for others to take at once.
	returned func(ctx context.Context, queue string)
	aside    putBacks

	mu   sync.Mutex
	held map[string]*held
	// owed are the marks that could not be taken off; see lone.go.
	owed map[string]int
}

func newKeeper(queues storage.Queues, visibility time.Duration, log *slog.Logger) *keeper {
	return &keeper{queues: queues, visibility: visibility, log: log, held: map[string]*held{}}
}

// take starts to hold a message that was received by a request sent at the given time. If the
// message is held already, it has been delivered again: the older holder gets the new receipt,
// and take returns nil. So it does for a message that this worker has put, if that took so long that it
// was delivered meanwhile; the receipt of the delivery is the newer one then.
func (k *keeper) take(received store.Received, sent time.Time) *held {
	k.mu.Lock()
	defer k.mu.Unlock()
	if older, ok := k.held[received.ID]; ok {
		if received.DequeueCount > 0 {
			older.replaceReceipt(received.PopReceipt, sent)
		}
		return nil
	}
	k.aside.taken(received.ID)
	received.Text = k.withoutOwed(received)
	h := &held{
		Received: received, keeper: k, receipt: received.PopReceipt, renewed: sent,
		turn: make(chan struct{}, 1),
	}
	k.held[received.ID] = h
	return h
}

func (k *keeper) drop(h *held) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held[h.ID] == h { // not a later holding of the same message
		delete(k.held, h.ID)
	}
}

func (h *held) replaceReceipt(receipt string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.receipt, h.renewed, h.settled = receipt, at, false
}

func (h *held) currentReceipt() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.receipt
}

// request carries out one request about the message with its current receipt. It reports false
// without a request if the message is settled.
func (h *held) request(ctx context.Context, f func(receipt string) error) (bool, error) {
	if !slots(h.turn).acquire(ctx, ctx) {
		return false, context.Cause(ctx)
	}
	defer func() { <-h.turn }()
	h.mu.Lock()
	receipt, settled := h.receipt, h.settled
	h.mu.Unlock()
	if settled {
		return false, nil
	}
	return true, f(receipt)
}

// lost reports whether the message is not held any more: it was settled, or somebody else has it.
func (h *held) lost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settled
}

// deliveries returns how often the message was delivered, with the time when its sender began with it.
func (h *held) deliveries() int {
	if h.Content != nil && h.Content.Private != nil && h.Content.Private.Leased {
		return h.DequeueCount + 1
	}
	return h.DequeueCount
}

// forget ends the holding without a request: the message will come back, to whom it may.
func (h *held) forget() { h.letGo() }

// letGo ends the holding and returns the last receipt. A later delivery begins another holding.
func (h *held) letGo() (receipt string) {
	h.keeper.drop(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = true
	return h.receipt
}

// remove deletes the message. A message that is gone counts as deleted; confirmed is false if it
// may still be there.
func (h *held) remove(ctx context.Context) (confirmed bool) {
	var err error
	var asked bool
	var used string
	for range 2 { // a second time if the message was delivered to us again meanwhile
		asked, err = h.request(ctx, func(receipt string) error {
			used = receipt
			return h.keeper.queues.Delete(ctx, h.Queue, h.ID, receipt)
		})
		if !errors.Is(err, storage.ErrReceipt) || h.currentReceipt() == used {
			break
		}
	}
	h.forget()
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		h.owe()
		h.keeper.log.Warn("message not deleted; it will be delivered again",
			"queue", h.Queue, "message", h.ID, "error", err)
		return false
	}
	return asked // not if somebody else was found to have taken it
}

// maxPutBack is the longest delay of a message that is put back.
const maxPutBack = 600 * time.Second

// putBackDelay is the delay of a message that cannot be used yet: it doubles with each delivery,
// as with .NET, so that neither side starves the other.
func putBackDelay(dequeueCount int) time.Duration {
	return run.Backoff(dequeueCount+1, time.Second, maxPutBack)
}

// putBack makes the message visible again after delay, as it was received. It is let go of before
// the request: this worker, too, may get it again before the reply is here, and has to take it for a
// new delivery.
func (h *held) putBack(ctx context.Context, delay time.Duration) {
	delay = min(max(delay, 0), storage.MaxVisibility) // a message may claim to be due in a thousand years
	asked, err := h.request(ctx, func(string) error {
		_, err := h.keeper.queues.Update(ctx, h.Queue, h.ID, h.letGo(), h.Text, delay)
		return err
	})
	h.forget()
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		h.owe()
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrReceipt) {
		h.keeper.log.Warn("message not put back; it will come back when its visibility ends",
			"queue", h.Queue, "message", h.ID, "error", err)
	}
	if asked && err == nil {
		h.keeper.aside.note(h, delay)
	}
	if asked && err == nil && delay == 0 && h.keeper.returned != nil {
		h.keeper.returned(ctx, h.Queue)
	}
}

// renew extends the time for which the message is hidden from others.
func (h *held) renew(ctx context.Context) {
	sent := time.Now()
	var used string
	asked, err := h.request(ctx, func(receipt string) error {
		used = receipt
		renewed, err := h.keeper.queues.Update(ctx, h.Queue, h.ID, receipt, h.currentText(), h.keeper.visibility)
		if err == nil {
			h.replaceReceipt(renewed.PopReceipt, sent)
		}
		return err
	})
	switch {
	case !asked:
		return
	case errors.Is(err, storage.ErrReceipt) && h.currentReceipt() != used:
		return // it was delivered again, to us
	case errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrReceipt):
		h.keeper.log.Warn("held message was taken by another worker", "queue", h.Queue, "message", h.ID)
		h.forget()
		return
	case err != nil:
		h.keeper.log.Warn("message not renewed; trying again", "queue", h.Queue, "message", h.ID, "error", err)
		return
	}
	h.mu.Lock()
	watcher := h.watcher
	h.mu.Unlock()
	if watcher != nil {
		watcher(ctx)
	}
}

// watch makes f be called after each renewal of the message.
func (h *held) watch(f func(ctx context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watcher = f
}

// run renews what is held until ctx ends.
func (k *keeper) run(ctx context.Context) {
	period := k.visibility / 9
	for run.Sleep(ctx, period) {
		var group run.Group
		for _, h := range k.due(time.Now()) {
			group.Go(ctx, "worker: renew message", h.renew)
		}
		group.Wait()
	}
}

// due returns the messages that were last renewed a third of their visibility ago.
func (k *keeper) due(now time.Time) []*held {
	k.mu.Lock()
	defer k.mu.Unlock()
	var due []*held
	for _, id := range slices.Sorted(maps.Keys(k.held)) {
		h := k.held[id]
		h.mu.Lock()
		if now.Sub(h.renewed) >= k.visibility/3 {
			due = append(due, h)
		}
		h.mu.Unlock()
	}
	return due
}
