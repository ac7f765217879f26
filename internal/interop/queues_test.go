package interop_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// ledger is a queue port that knows which messages were put with a delay that has not passed yet:
// timers and scheduled starts, which a hub at rest may hold.
type ledger struct {
	storage.Queues
	mu  sync.Mutex
	due map[string]time.Time
	// puts changes when a put begins and when it ends.
	puts atomic.Int64
}

func (l *ledger) Put(ctx context.Context, queue, text string, delay time.Duration) (storage.Receipt, error) {
	l.puts.Add(1)
	defer l.puts.Add(1)
	receipt, err := l.Queues.Put(ctx, queue, text, delay)
	if err == nil && delay > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.due[receipt.ID] = time.Now().Add(delay)
	}
	return receipt, err
}

func (l *ledger) Delete(ctx context.Context, queue, id, popReceipt string) error {
	err := l.Queues.Delete(ctx, queue, id, popReceipt)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.due, id)
	}
	return err
}

// waiting returns how many messages wait for their time.
func (l *ledger) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, due := range l.due {
		if time.Now().Before(due) {
			n++
		}
	}
	return n
}

func (w *world) queueNames() []string {
	names := w.hub.Store().Names
	queues := []string{names.WorkItemQueue()}
	for i := range w.hub.Partitions() {
		queues = append(queues, names.ControlQueue(i))
	}
	return queues
}

// left reports whether the hub holds n messages, hidden ones included. The queues are looked at one
// after the other: a put meanwhile may have moved work into one that was looked at before.
func (w *world) left(n func() int) bool {
	w.Helper()
	puts := w.delayed.puts.Load()
	return w.messages() == n() && puts == w.delayed.puts.Load()
}

func (w *world) messages() int {
	w.Helper()
	left := 0
	for _, queue := range w.queueNames() {
		n, err := w.account.Queues.Count(w.ctx, queue)
		if err != nil {
			w.Fatal(err)
		}
		left += n
	}
	return left
}

// settle waits until the hub is at rest: nothing is in its queues but what waits for its time.
func (w *world) settle() {
	w.Helper()
	w.eventually("the hub is at rest", func() bool { return w.left(w.delayed.waiting) })
}

// empty waits until nothing at all is in the hub's queues.
func (w *world) empty() {
	w.Helper()
	w.eventually("the queues are empty", func() bool { return w.left(func() int { return 0 }) })
}

func (w *world) queuesText() string {
	var parts []string
	for _, queue := range w.queueNames() {
		n, err := w.account.Queues.Count(w.ctx, queue)
		peeked, peekErr := w.account.Queues.Peek(w.ctx, queue, storage.MaxMessagesPerGet)
		parts = append(parts, fmt.Sprintf("%s %d, %d visible (%v, %v)", queue, n, len(peeked), err, peekErr))
	}
	return strings.Join(parts, "; ")
}
