package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

const (
	// overlap is how far back a look reaches beyond the newest row that was seen: rows that are written side by
	// side become visible in any order.
	overlap = 300 * time.Millisecond
	// wholeInterval is the time between two looks at all rows, for what was missed in spite of that.
	wholeInterval = time.Second
	// drainPause is the time between two looks at the queues.
	drainPause = 5 * time.Millisecond
)

// watcher waits for instances. One query for the rows that have changed serves all waits: reads of single
// rows would take more from the storage that is measured.
type watcher struct {
	hub *store.Hub
	// pause is the shortest time between two looks, latency what is added to each on purpose, patience for how
	// long one instance is waited for.
	pause, latency, patience time.Duration
	// wake gets a value when there is somebody to wait for.
	wake chan struct{}

	mu     sync.Mutex
	waits  map[string]*wait
	newest time.Time // of the rows that were seen, by the service's clock
	whole  time.Time // when all rows were last looked at
}

// wait is a wait for an instance.
type wait struct {
	begun  time.Time
	enough func(*wire.Instance) bool
	met    chan sight
	// last is what was seen of it that was not enough.
	last string
}

// sight is an instance as it was seen.
type sight struct {
	wire.Instance
	at time.Time
}

func newWatcher(hub *store.Hub, pause, latency, patience time.Duration) *watcher {
	return &watcher{
		hub: hub, pause: pause, latency: latency, patience: patience,
		wake: make(chan struct{}, 1), waits: map[string]*wait{},
	}
}

// run looks until ctx ends. What goes wrong ends the run by fail.
func (w *watcher) run(ctx context.Context, fail context.CancelCauseFunc) {
	for ctx.Err() == nil {
		if !w.waiting() {
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
			continue
		}
		begun := time.Now()
		if err := w.look(ctx); err != nil {
			if ctx.Err() == nil {
				fail(fmt.Errorf("wait: %w", err))
			}
			return
		}
		run.Sleep(ctx, w.pauseAfter(time.Since(begun)-w.latency))
	}
}

// pauseAfter returns how long to wait after a look that has taken so long: looks may take a part of the
// storage's time, not all of it, and the time of those who wait need not be known better than to 2 %.
func (w *watcher) pauseAfter(took time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	for _, one := range w.waits {
		longest = max(longest, time.Since(one.begun))
	}
	return max(w.pause, 2*took, min(longest/50, longPause))
}

func (w *watcher) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waits) > 0
}

// look reads the rows that have changed and serves those who wait for them.
func (w *watcher) look(ctx context.Context) error {
	query := storage.Query{Columns: wire.InstanceColumns(true)}
	w.mu.Lock()
	if since := w.newest.Add(-overlap); time.Since(w.whole) < wholeInterval {
		query.Filter = storage.Compare{Column: "Timestamp", Operator: storage.GreaterOrEqual, Value: since}
	} else {
		w.whole = time.Now()
	}
	w.mu.Unlock()
	rows, _, err := storage.All(ctx, w.hub.Account.Tables, w.hub.Names.InstancesTable(), query)
	if err != nil {
		return err
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range rows {
		if row.Timestamp.After(w.newest) {
			w.newest = row.Timestamp
		}
		instance, err := wire.DecodeInstance(row.PartitionKey, row.Values)
		if err != nil {
			return fmt.Errorf("row of instance %q: %w", wire.UnescapeKey(row.PartitionKey), err)
		}
		found := w.waits[instance.InstanceID]
		switch {
		case found == nil:
		case found.enough(&instance):
			found.met <- sight{instance, now}
			delete(w.waits, instance.InstanceID)
		default:
			found.last = fmt.Sprintf("%s since %s", instance.Status, instance.LastUpdated.Format(time.RFC3339))
		}
	}
	return nil
}

// until waits until what is seen of an instance is enough.
func (w *watcher) until(ctx context.Context, id string, enough func(*wire.Instance) bool) (sight, error) {
	one := &wait{begun: time.Now(), enough: enough, met: make(chan sight, 1), last: "not seen"}
	w.mu.Lock()
	w.waits[id] = one
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	timer := time.NewTimer(w.patience)
	defer timer.Stop()
	select {
	case seen := <-one.met:
		return seen, nil
	case <-timer.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		return sight{}, fmt.Errorf("%w: instance %q, which is %s, after %v", ErrTimeout, id, one.last, w.patience)
	case <-ctx.Done():
		return sight{}, context.Cause(ctx)
	}
}

// ended says that an instance has ended.
func ended(i *wire.Instance) bool { return i.Status.Terminal() }

// awaitDrained waits until the hub holds no message, visible or not.
func (w *watcher) awaitDrained(ctx context.Context) error {
	queues := []string{w.hub.Names.WorkItemQueue()}
	for i := range w.hub.Partitions {
		queues = append(queues, w.hub.Names.ControlQueue(i))
	}
	for begun := time.Now(); ; {
		left := 0
		for _, queue := range queues {
			n, err := w.hub.Account.Queues.Count(ctx, queue)
			if err != nil {
				return fmt.Errorf("count messages: %w", err)
			}
			if left += n; left > 0 {
				break
			}
		}
		switch {
		case left == 0:
			return nil
		case time.Since(begun) > w.patience:
			return fmt.Errorf("%w: messages are left in the queues %v after all instances have ended", ErrTimeout, w.patience)
		case !run.Sleep(ctx, drainPause):
			return context.Cause(ctx)
		}
	}
}

const (
	shareLimit = 3 * time.Minute
	sharePause = 100 * time.Millisecond
)

// awaitShared waits until the workers have shared the partitions out evenly.
func (w *watcher) awaitShared(ctx context.Context, workers int) error {
	for begun := time.Now(); ; {
		rows, _, err := storage.All(ctx, w.hub.Account.Tables, w.hub.Names.PartitionsTable(), storage.Query{})
		if err != nil {
			return fmt.Errorf("read partitions: %w", err)
		}
		owned := map[string]int{}
		for _, row := range rows {
			partition, err := wire.DecodePartition(row.RowKey, row.Values)
			if err != nil {
				return fmt.Errorf("partition %s: %w", row.RowKey, err)
			}
			if partition.NextOwner == "" && !partition.Draining {
				owned[partition.CurrentOwner]++
			}
		}
		switch {
		case shared(owned, w.hub.Partitions, workers):
			return nil
		case time.Since(begun) > shareLimit:
			return fmt.Errorf("%w: the workers have not shared the partitions out evenly after %v", ErrTimeout, shareLimit)
		case !run.Sleep(ctx, sharePause):
			return context.Cause(ctx)
		}
	}
}

// shared reports whether all partitions have owners and no owner could have more or fewer.
func shared(owned map[string]int, partitions, workers int) bool {
	sum := 0
	for owner, n := range owned {
		if owner == "" || n < partitions/workers || n > (partitions+workers-1)/workers {
			return false
		}
		sum += n
	}
	return sum == partitions && len(owned) == min(partitions, workers)
}
