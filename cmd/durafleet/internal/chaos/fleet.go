package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// WorkerCommand is the name of the command that calls Work. It is for this package alone.
const WorkerCommand = "chaos-worker"

// stopTimeout bounds an orderly stop of a worker.
const stopTimeout = 20 * time.Second

// fleet is the worker processes.
type fleet struct {
	hub        *taskhub.Hub
	connection string
	lease      time.Duration
	figures    time.Duration
	ledger     *ledger
	// fail ends the run with an error that comes from a worker.
	fail context.CancelCauseFunc

	group run.Group

	mu      sync.Mutex
	spawned int
	alive   []*child.Process
	closed  bool // nothing may be started any more
}

// errOver is why nothing is started any more.
var errOver = errors.New("the run is over")

// grow starts n more workers and waits until they work.
func (f *fleet) grow(ctx context.Context, n int) error {
	started := make([]*child.Process, n)
	for i := range started {
		m, err := f.spawn(ctx)
		if err != nil {
			return err
		}
		started[i] = m
	}
	for _, m := range started {
		if err := m.AwaitStart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// spawn starts the next worker.
func (f *fleet) spawn(ctx context.Context) (*child.Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errOver
	}
	f.spawned++
	id := fmt.Sprintf("worker-%d", f.spawned)
	m, err := child.Start(ctx, &f.group, &child.Spec{
		ID: id, Connection: f.connection, Fail: f.fail,
		Args: []string{
			WorkerCommand, "--hub", f.hub.Name(), "--worker-id", id,
			"--lease", f.lease.String(), "--figures", f.figures.String(),
		},
		Take: func(text []byte) error {
			told, err := parseLine(text)
			if err == nil {
				f.ledger.take(id, told)
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	f.alive = append(f.alive, m)
	return m, nil
}

// members returns those that are alive, in the order of their start.
func (f *fleet) members() []*child.Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.alive)
}

// bury forgets a member whose end was asked for.
func (f *fleet) bury(m *child.Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alive = slices.DeleteFunc(f.alive, func(other *child.Process) bool { return other == m })
}

// ownedBy returns a function that tells which instances are in the partitions that a worker owns now.
func (f *fleet) ownedBy(ctx context.Context, worker string) (func(instance string) bool, error) {
	hub := f.hub.Store()
	rows, _, err := storage.All(ctx, hub.Account.Tables, hub.Names.PartitionsTable(), storage.Query{})
	if err != nil {
		return nil, fmt.Errorf("partitions of %s: %w", worker, err)
	}
	owned := map[string]bool{}
	for _, row := range rows {
		partition, err := wire.DecodePartition(row.RowKey, row.Values)
		if err != nil {
			return nil, fmt.Errorf("partitions of %s: %w", worker, err)
		}
		owned[partition.ID] = partition.CurrentOwner == worker
	}
	return func(instance string) bool { return owned[hub.ControlQueueOf(instance)] }, nil
}

// stopAll asks all workers to stop and waits for them, so that they can tell the last of their
// requests. Those that do it badly are reported.
func (f *fleet) stopAll(ctx context.Context) error {
	members := f.members()
	failures := make([]error, len(members))
	run.Each(ctx, "chaos: stop", len(members), len(members), func(ctx context.Context, i int) {
		failures[i] = members[i].Stop(ctx, stopTimeout)
	})
	return errors.Join(failures...)
}

// killAll kills what still runs and waits until it has ended.
func (f *fleet) killAll() {
	f.fail(errOver)
	f.mu.Lock()
	f.closed = true
	for _, m := range f.alive {
		m.Kill()
	}
	f.mu.Unlock()
	f.group.Wait()
}
