package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// MaxPartitions is the largest number of control queues of a hub.
const MaxPartitions = 16

// PartitionCount returns how many partitions an existing hub has. ErrNoHub if there is no such
// hub, ErrBlobManaged if its partitions are not in the Partitions table.
func PartitionCount(ctx context.Context, account storage.Account, names wire.Names) (int, error) {
	rows, _, err := storage.All(ctx, account.Tables, names.PartitionsTable(), storage.Query{Columns: []string{"RowKey"}})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return 0, fmt.Errorf("read partitions of hub %s: %w", names.Hub(), err)
	}
	if len(rows) > 0 {
		return len(rows), nil
	}
	_, err = account.Blobs.GetBlob(ctx, names.Leases(), wire.HubInfoBlob, 1<<16)
	switch {
	case err == nil:
		return 0, fmt.Errorf("%w: %s", ErrBlobManaged, names.Hub())
	case errors.Is(err, storage.ErrNotFound):
		return 0, fmt.Errorf("%w: %s", ErrNoHub, names.Hub())
	default:
		return 0, fmt.Errorf("read lease information of hub %s: %w", names.Hub(), err)
	}
}

// Create creates the hub's resources as far as they do not exist; it may be repeated. The payload
// container is created when it is first used. ErrPartitionCount if the hub exists with another
// number of partitions.
func (h *Hub) Create(ctx context.Context) error {
	count, err := PartitionCount(ctx, h.Account, h.Names)
	switch {
	case errors.Is(err, ErrNoHub):
	case err != nil:
		return err
	case count != h.Partitions:
		return fmt.Errorf("%w: %s has %d, not %d", ErrPartitionCount, h.Names.Hub(), count, h.Partitions)
	}
	if err := h.createParts(ctx); err != nil {
		return fmt.Errorf("create hub %s: %w", h.Names.Hub(), err)
	}
	return nil
}

func (h *Hub) createParts(ctx context.Context) error {
	a, n := h.Account, h.Names
	if err := create(ctx, func(ctx context.Context) error { return a.Blobs.CreateContainer(ctx, n.AppLease()) }); err != nil {
		return err
	}
	empty := []byte(wire.EncodeAppLeaseInfo(wire.AppLeaseInfo{}))
	if err := a.Blobs.PutBlob(ctx, n.AppLease(), n.AppLeaseInfo(), empty, true); err != nil && !errors.Is(err, storage.ErrExists) {
		return err
	}
	parts := []func(context.Context) error{
		func(ctx context.Context) error { return a.Tables.CreateTable(ctx, n.HistoryTable()) },
		func(ctx context.Context) error { return a.Tables.CreateTable(ctx, n.InstancesTable()) },
		func(ctx context.Context) error { return a.Queues.CreateQueue(ctx, n.WorkItemQueue()) },
	}
	for i := range h.Partitions {
		parts = append(parts, func(ctx context.Context) error { return a.Queues.CreateQueue(ctx, n.ControlQueue(i)) })
	}
	if err := h.each(ctx, len(parts), func(ctx context.Context, i int) error { return create(ctx, parts[i]) }); err != nil {
		return err
	}
	// The rows come last: whoever sees as many as there are partitions finds everything else.
	if err := create(ctx, func(ctx context.Context) error { return a.Tables.CreateTable(ctx, n.PartitionsTable()) }); err != nil {
		return err
	}
	return h.createPartitions(ctx)
}

// createPartitions adds the rows of all partitions at once, so that two creations at the same time
// cannot mix their numbers. The rows of one that was quicker have to be as many.
func (h *Hub) createPartitions(ctx context.Context) error {
	rows := make([]storage.Operation, h.Partitions)
	for i := range rows {
		id := h.Names.ControlQueue(i)
		row := storage.Row{RowKey: id, Values: wire.EncodePartition(wire.Partition{ID: id})}
		rows[i] = storage.Operation{Action: storage.Insert, Row: row}
	}
	_, err := h.Account.Tables.Transact(ctx, h.Names.PartitionsTable(), rows, false)
	if !errors.Is(err, storage.ErrExists) {
		return err
	}
	count, err := PartitionCount(ctx, h.Account, h.Names)
	if err == nil && count != h.Partitions {
		err = fmt.Errorf("%w: %d, not %d", ErrPartitionCount, count, h.Partitions)
	}
	return err
}

// create repeats a creation while the service is still busy deleting a namesake.
func create(ctx context.Context, f func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := f(ctx)
		if !errors.Is(err, storage.ErrBeingDeleted) || !run.Sleep(ctx, run.Backoff(attempt, time.Second, 10*time.Second)) {
			return err
		}
	}
}

// Delete deletes the hub's resources as far as they exist. While a worker holds the app lease its
// container stays behind, as with .NET; the others go.
func (h *Hub) Delete(ctx context.Context) error {
	a, n := h.Account, h.Names
	// The rows go first: without them nobody takes this for a hub.
	parts := []func() error{
		func() error { return a.Tables.DeleteTable(ctx, n.PartitionsTable()) },
		func() error { return a.Tables.DeleteTable(ctx, n.HistoryTable()) },
		func() error { return a.Tables.DeleteTable(ctx, n.InstancesTable()) },
		func() error { return a.Queues.DeleteQueue(ctx, n.WorkItemQueue()) },
		func() error { return a.Blobs.DeleteContainer(ctx, n.LargeMessages()) },
		func() error { return a.Blobs.DeleteContainer(ctx, n.Leases()) },
		func() error { return a.Blobs.DeleteContainer(ctx, n.Workers()) },
		func() error { return a.Blobs.DeleteContainer(ctx, n.Poison()) },
		func() error { return leased(a.Blobs.DeleteContainer(ctx, n.AppLease())) },
	}
	queues, err := a.Queues.ListQueues(ctx, strings.TrimSuffix(n.ControlQueue(0), "00"))
	if err != nil {
		return fmt.Errorf("delete hub %s: %w", n.Hub(), err)
	}
	for _, queue := range queues {
		parts = append(parts, func() error { return a.Queues.DeleteQueue(ctx, queue) })
	}
	var failed []error
	for _, part := range parts {
		if err := part(); err != nil && !errors.Is(err, storage.ErrNotFound) {
			failed = append(failed, err)
		}
	}
	h.container.Store(false)
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("delete hub %s: %w", n.Hub(), err)
	}
	return nil
}

// leased turns the refusal to delete a leased container into success.
func leased(err error) error {
	if errors.Is(err, storage.ErrPrecondition) || errors.Is(err, storage.ErrLeaseHeld) {
		return nil
	}
	return err
}

// List returns the names of the hubs in an account: a name is one if its Instances and History
// tables exist.
func List(ctx context.Context, account storage.Account) ([]string, error) {
	tables, err := account.Tables.ListTables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list hubs: %w", err)
	}
	var hubs []string
	for _, table := range tables {
		hub, ok := strings.CutSuffix(table, "Instances")
		if ok && hub != "" && slices.Contains(tables, hub+"History") {
			hubs = append(hubs, hub)
		}
	}
	slices.Sort(hubs)
	return hubs, nil
}
