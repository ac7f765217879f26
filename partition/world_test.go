package partition_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/tablelease"
)

const table = "HubPartitions"

// world is a hub in memory with workers, in virtual time. Whenever a queue gets a reader while it
// has one, the test fails (M09).
type world struct {
	t       *testing.T
	account storage.Account
	ids     []string
	changed chan struct{}

	mu      sync.Mutex
	readers map[string]string
}

func newWorld(t *testing.T, partitions int) *world {
	t.Helper()
	return newWorldIn(t, memory.New().Account(), partitions)
}

func newWorldIn(t *testing.T, account storage.Account, partitions int) *world {
	t.Helper()
	w := &world{
		t: t, account: account, changed: make(chan struct{}, 1),
		readers: map[string]string{},
	}
	if err := w.account.Tables.CreateTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	store := tablelease.New(w.account.Tables, table)
	for i := range partitions {
		id := fmt.Sprintf("hub-control-%02d", i)
		w.ids = append(w.ids, id)
		if err := store.Create(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// await waits until the condition holds and returns how long that took.
func (w *world) await(within time.Duration, what string, condition func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	timer := time.NewTimer(within)
	defer timer.Stop()
	for !condition() {
		select {
		case <-w.changed:
		case <-time.After(20 * time.Millisecond):
		case <-timer.C:
			w.t.Fatalf("after %v still not: %s\nrows: %+v", within, what, w.rows())
		}
	}
	return time.Since(start)
}

// always lets the time pass and fails as soon as the condition does not hold.
func (w *world) always(d time.Duration, what string, condition func() bool) {
	w.t.Helper()
	start := time.Now()
	end := time.After(d)
	for {
		if !condition() {
			w.t.Fatalf("after %v no longer: %s\nrows: %+v", time.Since(start), what, w.rows())
		}
		select {
		case <-w.changed:
		case <-time.After(100 * time.Millisecond):
		case <-end:
			return
		}
	}
}

func pass(d time.Duration) { <-time.After(d) }

func (w *world) rows() []partition.Lease {
	w.t.Helper()
	listing, err := tablelease.New(w.account.Tables, table).List(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return listing.Leases
}

func (w *world) enter(id, worker string) {
	w.mu.Lock()
	if other, taken := w.readers[id]; taken {
		w.t.Errorf("%s starts to read %s, which %s still reads", worker, id, other)
	}
	w.readers[id] = worker
	w.mu.Unlock()
	for _, row := range w.rows() {
		if row.ID == id && row.CurrentOwner != worker {
			w.t.Errorf("%s reads %s without owning it: %+v", worker, id, row)
		}
	}
	w.notify()
}

func (w *world) leave(id string) {
	w.mu.Lock()
	delete(w.readers, id)
	w.mu.Unlock()
	w.notify()
}

// readBy returns the number of queues the worker reads.
func (w *world) readBy(worker string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, reader := range w.readers {
		if reader == worker {
			n++
		}
	}
	return n
}

// member is one of our workers.
type member struct {
	*partition.Manager
	name string
	w    *world
	hook atomic.Pointer[storage.Hook]
	// finish is how long a drain takes.
	finish time.Duration
	stop   context.CancelFunc
	result chan error
	// causes of the contexts that ended under a reader.
	mu     sync.Mutex
	causes []error
}

// read is a well-behaved Serve.
func (m *member) read(own context.Context, drain <-chan struct{}, id string, h *partition.Heartbeat) error {
	m.w.enter(id, m.name)
	defer m.w.leave(id)
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	for {
		h.Beat()
		select {
		case <-own.Done():
			return m.ended(own)
		case <-drain:
			select {
			case <-own.Done():
				return m.ended(own)
			case <-time.After(m.finish):
				return nil
			}
		case <-poll.C:
		}
	}
}

func (m *member) ended(own context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.causes = append(m.causes, context.Cause(own))
	return context.Cause(own)
}

func (m *member) causedBy(target error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.causes, func(err error) bool { return errors.Is(err, target) })
}

// join starts a worker. The change may adapt its options.
func (w *world) join(name string, change func(*member, *partition.Options)) *member {
	w.t.Helper()
	m := &member{name: name, w: w, finish: 100 * time.Millisecond, result: make(chan error, 1)}
	account := storage.WithHook(w.account, m.pass)
	opts := &partition.Options{WorkerID: name, Serve: m.read, OnChange: w.notify}
	if testing.Verbose() {
		start := time.Now()
		opts.Logger = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{
			Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Duration("t", time.Since(start))
				}
				return a
			},
		})).With("worker", name)
	}
	if change != nil {
		change(m, opts)
	}
	var err error
	if m.Manager, err = partition.New(tablelease.New(account.Tables, table), opts); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.result <- m.Run(ctx)
		w.notify()
	}()
	w.t.Cleanup(func() {
		stop()
		<-over
	})
	return m
}

func (m *member) pass(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	if hook := m.hook.Load(); hook != nil {
		return (*hook)(ctx, call, next)
	}
	return next(ctx)
}

func (m *member) fault(hook storage.Hook) { m.hook.Store(&hook) }

// cutOff is the fault of a worker that reaches storage no more: killed, as far as others can see.
func cutOff(ctx context.Context, call *storage.Call, _ func(context.Context) error) error {
	<-ctx.Done()
	return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: ctx.Err()}
}

func (m *member) kill() { m.fault(cutOff) }

func (m *member) owns(n int) bool { return len(m.Owned()) == n && m.w.readBy(m.name) == n }

// leaveHub stops the worker and waits until Run has returned.
func (m *member) leaveHub(within time.Duration) {
	m.w.t.Helper()
	m.stop()
	m.w.await(within, m.name+" has stopped", func() bool { return len(m.result) == 1 })
	if err := <-m.result; err != nil {
		m.w.t.Errorf("Run of %s: %v", m.name, err)
	}
	if owned := m.Owned(); len(owned) > 0 || m.w.readBy(m.name) > 0 {
		m.w.t.Errorf("%s has stopped and owns %v", m.name, owned)
	}
}

// each reports whether every member owns n partitions.
func each(n int, members ...*member) func() bool {
	return func() bool {
		return !slices.ContainsFunc(members, func(m *member) bool { return !m.owns(n) })
	}
}
