package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// silent returns a hook that lets no request for messages of one queue be answered before its caller gives
// up, as long as on is set.
func silent(queue string, on *atomic.Bool) storage.Hook {
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Kind == storage.QueueGet && call.Target == queue && on.Load() {
			<-ctx.Done()
			return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: context.Cause(ctx)}
		}
		return next(ctx)
	}
}

// refuses returns a hook that answers requests for messages of one queue with an error.
func refuses(queue string, on *atomic.Bool) storage.Hook {
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Kind == storage.QueueGet && call.Target == queue && on.Load() {
			return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable, Detail: "the queue is closed"}
		}
		return next(ctx)
	}
}

// logged collects what is logged as a warning or worse.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// line returns the first line with a text.
func (l *logged) line(with string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.out.String()) {
		if strings.Contains(line, with) {
			return line
		}
	}
	return ""
}

// A queue that does not answer one worker, however it does that, is dropped in order: what waits in memory
// is put back, and another worker goes on with it at once.
func TestStall_PartitionIsDropped(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(string, *atomic.Bool) storage.Hook{"silent": silent, "refuses": refuses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				var on atomic.Bool
				log := &logged{}
				queue := w.Hub.Store().Names.ControlQueue(0)
				a := w.StartHooked(fault(queue, &on), &worker.Options{Logger: log.logger()}, progHello.With(sayHelloTo))
				w.Eventually(soon, "a owns all", func() bool { return len(a.Health().Partitions) == 4 })
				pass(t, w, 10*time.Second)
				on.Store(true)
				since := time.Now()
				w.Eventually(2*time.Minute, "it is dropped", func() bool { return len(a.Health().Partitions) == 3 })
				if took := time.Since(since); took < 60*time.Second || took > 75*time.Second || a.Health().Stalls[queue] != 1 {
					t.Errorf("dropped after %v, stalls %v", took, a.Health().Stalls)
				}
				line := log.line("reader has stalled")
				for _, part := range []string{"level=WARN", "partition=" + queue, "since=", "error="} {
					if !strings.Contains(line, part) {
						t.Errorf("logged %q, without %q", line, part)
					}
				}
				c := w.Start(nil, progHello.With(sayHelloTo))
				instance := launch(t, w, progHello, "x", taskhub.InstanceID(idIn(w, 0)))
				if got := resultOf(t, w, instance); got != "Hello, x!" {
					t.Errorf("%q", got)
				}
				pass(t, w, 5*time.Minute)
				if len(c.Health().Stalls) != 0 || a.Health().Stalls[queue] != 1 {
					t.Errorf("stalls %v and %v", a.Health().Stalls, c.Health().Stalls)
				}
			})
		})
	}
}

// A worker that is alone takes the partition again, and works on it when its queue answers.
func TestStall_AloneItIsTakenAgain(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		queue := w.Hub.Store().Names.ControlQueue(0)
		m := w.StartHooked(silent(queue, &on), nil, progHello.With(sayHelloTo))
		w.Eventually(soon, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
		on.Store(true)
		instance := launch(t, w, progHello, "x", taskhub.InstanceID(idIn(w, 0)))
		w.Eventually(4*time.Minute, "it has stalled twice", func() bool { return m.Health().Stalls[queue] == 2 })
		on.Store(false)
		w.Eventually(time.Minute, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
		if got := resultOf(t, w, instance); got != "Hello, x!" {
			t.Errorf("%q", got)
		}
		if h := m.Health(); len(h.Stalls) != 1 || h.Stalls[queue] != 2 {
			t.Errorf("stalls %v", h.Stalls)
		}
	})
}

// While nothing of the storage answers, no partition is dropped because of that, nor when it answers again.
func TestStall_OutageIsNone(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		m := w.StartHooked(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if on.Load() {
				<-ctx.Done()
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: context.Cause(ctx)}
			}
			return next(ctx)
		}, &worker.Options{LeaseDuration: 10 * time.Minute, AcquireInterval: 10 * time.Second}, progHello.With(sayHelloTo))
		w.Eventually(soon, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
		on.Store(true)
		pass(t, w, 5*time.Minute)
		on.Store(false)
		pass(t, w, 2*time.Minute)
		if h := m.Health(); len(h.Stalls) != 0 || len(h.Partitions) != 4 {
			t.Errorf("stalls %v, %d partitions", h.Stalls, len(h.Partitions))
		}
		if got := resultOf(t, w, launch(t, w, progHello, "x")); got != "Hello, x!" {
			t.Errorf("%q", got)
		}
	})
}

// slowCommits returns a hook that holds what goes into histories up for as long as on is set.
func slowCommits(w *fleettest.World, on *atomic.Bool, delay time.Duration) storage.Hook {
	table := w.Hub.Store().Names.HistoryTable()
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if on.Load() && call.Kind == storage.TableTransact && call.Target == table {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: context.Cause(ctx)}
			}
		}
		return next(ctx)
	}
}

// A worker that has its hands full and gets on with it has not stalled, although it reads nothing for long.
// One that does not get on lets others do it.
func TestStall_HandsFull(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		delay   time.Duration
		stalled bool
	}{"slowly": {20 * time.Second, false}, "not at all": {time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				var on atomic.Bool
				m := w.StartHooked(slowCommits(w, &on, test.delay), &worker.Options{BufferThreshold: 1, MaxTurns: 1}, progHello.With(sayHelloTo))
				w.Eventually(soon, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
				on.Store(true)
				for range 30 {
					launch(t, w, progHello, "x")
				}
				pass(t, w, 100*time.Second)
				if stalls := m.Health().Stalls; (len(stalls) > 0) != test.stalled {
					t.Errorf("stalls %v", stalls)
				}
				on.Store(false)
				w.Eventually(3*time.Minute, "all is done", func() bool { return w.MessagesLeft() == 0 && len(m.Health().Partitions) == 4 })
			})
		})
	}
}
