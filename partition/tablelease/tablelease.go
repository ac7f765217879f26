// Package tablelease keeps partition leases in a storage table, in the rows and columns of
// DurableTask.AzureStorage's table partition manager.
package tablelease

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition"
)

// Store is a partition.Store on a table. It may be used concurrently.
type Store struct {
	tables storage.Tables
	table  string
}

var _ partition.Store = (*Store)(nil)

// New returns the store for a hub's Partitions table. It sends nothing.
func New(tables storage.Tables, table string) *Store {
	return &Store{tables: tables, table: table}
}

// Create adds the row of a partition that nobody has owned yet. A row that exists is left alone,
// so Create may be repeated.
func (s *Store) Create(ctx context.Context, id string) error {
	row := storage.Row{RowKey: id, Values: wire.EncodePartition(wire.Partition{ID: id})}
	_, err := s.tables.Insert(ctx, s.table, row)
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("create partition %s: %w", id, err)
	}
	return nil
}

// List implements partition.Store.
func (s *Store) List(ctx context.Context) (partition.Listing, error) {
	rows, date, err := storage.All(ctx, s.tables, s.table, storage.Query{})
	if err != nil {
		return partition.Listing{}, fmt.Errorf("list partitions: %w", err)
	}
	listing := partition.Listing{Date: date}
	for _, row := range rows {
		p, err := wire.DecodePartition(row.RowKey, row.Values)
		if err != nil {
			listing.Unreadable = append(listing.Unreadable, fmt.Errorf("partition %s: %w", row.RowKey, err))
			continue
		}
		listing.Leases = append(listing.Leases, leaseOf(p, row))
	}
	return listing, nil
}

// Replace implements partition.Store. Columns that are empty vanish from the rows. Several rows are
// written by one transaction, which is sent once.
func (s *Store) Replace(ctx context.Context, leases ...partition.Lease) ([]string, error) {
	operations := make([]storage.Operation, len(leases))
	for i, lease := range leases {
		if lease.Version == "" {
			// The table would take it for an unconditional write.
			return nil, fmt.Errorf("write partition %s: the lease was not read from a store", lease.ID)
		}
		operations[i] = storage.Operation{Action: storage.Replace, Row: rowOf(lease), ETag: storage.ETag(lease.Version)}
	}
	etags, err := s.replace(ctx, operations)
	switch {
	case errors.Is(err, storage.ErrPrecondition), errors.Is(err, storage.ErrNotFound):
		// Also when an earlier try of the same request met its own change: the caller reads again.
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("write %s: %w", partitions(leases), err)
	}
	versions := make([]string, len(etags))
	for i, etag := range etags {
		versions[i] = string(etag)
	}
	return versions, nil
}

func (s *Store) replace(ctx context.Context, operations []storage.Operation) ([]storage.ETag, error) {
	if len(operations) == 1 {
		etag, err := s.tables.Replace(ctx, s.table, operations[0].Row, operations[0].ETag)
		return []storage.ETag{etag}, err
	}
	return s.tables.Transact(ctx, s.table, operations, true)
}

func partitions(leases []partition.Lease) string {
	if len(leases) == 1 {
		return "partition " + leases[0].ID
	}
	return fmt.Sprintf("%d partitions", len(leases))
}

func rowOf(lease partition.Lease) storage.Row {
	return storage.Row{RowKey: lease.ID, Values: wire.EncodePartition(wire.Partition{
		ID:           lease.ID,
		CurrentOwner: lease.CurrentOwner,
		NextOwner:    lease.NextOwner,
		OwnedSince:   lease.OwnedSince,
		LastRenewal:  lease.LastRenewal,
		ExpiresAt:    lease.ExpiresAt,
		Draining:     lease.Draining,
		Doorbell:     lease.Doorbell,
	})}
}

func leaseOf(p wire.Partition, row storage.Row) partition.Lease {
	return partition.Lease{
		ID:           p.ID,
		CurrentOwner: p.CurrentOwner,
		NextOwner:    p.NextOwner,
		OwnedSince:   p.OwnedSince,
		LastRenewal:  p.LastRenewal,
		ExpiresAt:    p.ExpiresAt,
		Draining:     p.Draining,
		Doorbell:     p.Doorbell,
		Written:      row.Timestamp,
		Version:      string(row.ETag),
	}
}
