package worker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	scaleWide = orchestration.Declare[int, int]("ScaleWide")
	scaleLong = orchestration.Declare[int, int]("ScaleLong")
	scaleWait = orchestration.Declare[string, int]("ScaleWait")
)

func scaleBindings() []worker.Binding {
	return []worker.Binding{
		actNumber.With(plusOne),
		scaleWide.With(func(ctx *orchestration.Context, n int) (int, error) {
			calls := make([]orchestration.Task[int], n)
			for i := range calls {
				calls[i] = orchestration.CallActivity(ctx, actNumber, i)
			}
			sum := 0
			for _, call := range calls {
				one, err := call.Await()
				if err != nil {
					return 0, err
				}
				sum += one
			}
			return sum, nil
		}),
		scaleLong.With(func(ctx *orchestration.Context, n int) (int, error) {
			sum := 0
			for range n {
				var err error
				if sum, err = orchestration.CallActivity(ctx, actNumber, sum).Await(); err != nil {
					return 0, err
				}
			}
			more, err := orchestration.WaitForEvent(ctx, progSignal).Await()
			return sum + more, err
		}),
		scaleWait.With(func(ctx *orchestration.Context, _ string) (int, error) {
			return orchestration.WaitForEvent(ctx, progSignal).Await()
		}),
	}
}

// A fan-out of ten thousand quick activities completes, and costs little more than the transactions that
// its twenty thousand rows fill. A transaction takes a while here, as on any service: on one that answers
// at once, the scheduler of this machine would say how many results are there for the next.
func TestScale_FanOut(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		const n = 10_000
		slow := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.TableTransact {
				run.Sleep(ctx, 10*time.Millisecond)
			}
			return next(ctx)
		}
		m := w.StartHooked(slow, nil, scaleBindings()...)
		instance := launch(t, w, scaleWide, n)
		if sum := resultOf(t, w, instance); sum != n*(n+1)/2 {
			t.Errorf("the sum is %d", sum)
		}
		w.Settled(soon, instance.ID())
		sent := m.Hub.Requests()
		if transactions := sent[string(storage.TableTransact)]; transactions > 230 {
			t.Errorf("%d transactions; all requests: %v", transactions, sent)
		}
		if puts := sent[string(storage.QueuePut)]; puts > 0 {
			t.Errorf("%d messages were sent", puts)
		}
	})
}

// A history of ten thousand rows is read once, in pages, by whoever takes the instance over, and never
// again while the instance stays in memory.
func TestScale_LongHistory(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		const n = 2_500 // of four rows each
		var reads int
		count := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.TableQuery && strings.HasSuffix(call.Target, "History") {
				reads++
			}
			return next(ctx)
		}
		first := w.StartHooked(count, nil, scaleBindings()...)
		instance := launch(t, w, scaleLong, n)
		w.Eventually(soon, "all activities have run", func() bool {
			run.Sleep(w.Context(), time.Second)
			return first.Stats().Activities == n && w.MessagesLeft() == 0
		})
		if rows := len(eventsOf(t, w, instance.ID())); rows < 4*n {
			t.Fatalf("the history has %d rows", rows)
		}
		if reads != 0 {
			t.Errorf("the history was read %d times by the worker that wrote it", reads)
		}
		if err := first.Stop(); err != nil {
			t.Fatal(err)
		}
		w.StartHooked(count, nil, scaleBindings()...)
		raise(t, w, instance.ID(), progSignal, 1)
		if got := resultOf(t, w, instance); got != n+1 {
			t.Errorf("the result is %d", got)
		}
		if pages := (4*n+4)/storage.MaxPage + 1; reads != pages {
			t.Errorf("the history was read with %d requests, want %d", reads, pages)
		}
	})
}

// Instances that wait take as much memory as the worker's options say, however many they are; those that
// were idle longest go first, and all of them come back.
func TestScale_Waiting(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]*worker.Options{
		"bytes": {MaxSessionBytes: 1 << 20},
		"count": {MaxSessions: 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				m := w.Start(opts, scaleBindings()...)
				var waiting []*taskhub.Instance[int]
				for range 400 {
					waiting = append(waiting, launch(t, w, scaleWait, strings.Repeat("x", 8<<10)))
				}
				w.Eventually(soon, "the worker has come to rest", func() bool {
					run.Sleep(w.Context(), 20*time.Second)
					return w.MessagesLeft() == 0
				})
				stats := m.Stats()
				if stats.SessionBytes > 1<<20 || stats.Sessions > 50 || stats.Sessions < 30 {
					t.Errorf("%d instances with %d bytes are in memory", stats.Sessions, stats.SessionBytes)
				}
				reads := m.Hub.Requests()[string(storage.TableQuery)]
				last := waiting[len(waiting)-1]
				raise(t, w, last.ID(), progSignal, 1)
				resultOf(t, w, last)
				if now := m.Hub.Requests()[string(storage.TableQuery)]; now > reads+2 { // the partitions are read with time
					t.Errorf("the instance that came last was not in memory any more: %d reads", now-reads)
				}
				for _, instance := range waiting[:len(waiting)-1] {
					raise(t, w, instance.ID(), progSignal, 1)
				}
				for _, instance := range waiting {
					resultOf(t, w, instance)
				}
			})
		})
	}
}

// A hub may hold any number of instances that wait: the worker keeps what its budget allows, and any of them
// goes on when its event comes. With n at 100,000 this takes a minute.
func TestScale_ManyWaiting(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some time")
	}
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		const n, budget = 20_000, 16 << 20
		m := w.Start(&worker.Options{MaxSessionBytes: budget}, scaleBindings()...)
		ids := make([]string, n)
		for i := range ids {
			ids[i] = launch(t, w, scaleWait, "x").ID()
		}
		w.Eventually(time.Hour, "the worker has come to rest", func() bool {
			run.Sleep(w.Context(), 20*time.Second)
			return w.MessagesLeft() == 0
		})
		if stats := m.Stats(); stats.SessionBytes > budget || stats.Sessions > budget>>13 || stats.Turns < n {
			t.Errorf("after %d turns %d instances with %d bytes are in memory", stats.Turns, stats.Sessions, stats.SessionBytes)
		}
		for i := 0; i < n; i += n / 10 {
			raise(t, w, ids[i], progSignal, i)
			if status := endOf(t, w, ids[i]); status.Status != history.Completed {
				t.Errorf("instance %d is %s", i, status.Status)
			}
		}
	})
}
