package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Purge removes everything stored about an instance: its history of all executions, its payload
// blobs and, last, its status row, so that a purge that was cut off can be repeated. It does not
// look at the instance's status.
func (h *Hub) Purge(ctx context.Context, instanceID string) error {
	if err := h.purgeHistory(ctx, instanceID); err != nil {
		return fmt.Errorf("purge history of instance %q: %w", instanceID, err)
	}
	if err := h.purgeBlobs(ctx, instanceID); err != nil {
		return fmt.Errorf("purge payloads of instance %q: %w", instanceID, err)
	}
	err := h.Account.Tables.Delete(ctx, h.Names.InstancesTable(), wire.EscapeKey(instanceID), "", storage.AnyETag)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("purge status of instance %q: %w", instanceID, err)
	}
	return nil
}

func (h *Hub) purgeHistory(ctx context.Context, instanceID string) error {
	rows, _, err := storage.All(ctx, h.Account.Tables, h.Names.HistoryTable(), storage.Query{
		Filter:  storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(instanceID)},
		Columns: []string{"PartitionKey", "RowKey"},
	})
	if err != nil {
		return err
	}
	batches := slices.Collect(slices.Chunk(rows, storage.MaxTransaction))
	return h.each(ctx, len(batches), func(ctx context.Context, i int) error {
		return h.deleteRows(ctx, batches[i])
	})
}

// DropHistory removes a history that was written after its instance was purged, and reports whether it has.
// The history has a number of rows, and is left alone if they do not fit into one transaction with the
// sentinel, or if somebody has changed it since the version with the given tag.
func (h *Hub) DropHistory(ctx context.Context, instanceID string, rows int, etag storage.ETag) (bool, error) {
	if rows >= storage.MaxTransaction {
		return false, nil
	}
	operations := make([]storage.Operation, rows+1)
	for i := range operations {
		row := storage.Row{PartitionKey: wire.EscapeKey(instanceID), RowKey: wire.RowKey(i)}
		operations[i] = storage.Operation{Action: storage.Delete, Row: row, ETag: storage.AnyETag}
	}
	operations[rows].Row.RowKey, operations[rows].ETag = wire.SentinelKey, etag
	_, err := h.Account.Tables.Transact(ctx, h.Names.HistoryTable(), operations, false)
	if err != nil && !storage.LostRace(err) {
		return false, fmt.Errorf("drop history of instance %q: %w", instanceID, err)
	}
	return err == nil, nil
}

// deleteRows deletes rows in one transaction; where one of them is gone, one by one.
func (h *Hub) deleteRows(ctx context.Context, rows []storage.Row) error {
	operations := make([]storage.Operation, len(rows))
	for i, row := range rows {
		keys := storage.Row{PartitionKey: row.PartitionKey, RowKey: row.RowKey}
		operations[i] = storage.Operation{Action: storage.Delete, Row: keys, ETag: storage.AnyETag}
	}
	_, err := h.Account.Tables.Transact(ctx, h.Names.HistoryTable(), operations, false)
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	for _, row := range rows {
		err := h.Account.Tables.Delete(ctx, h.Names.HistoryTable(), row.PartitionKey, row.RowKey, storage.AnyETag)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (h *Hub) purgeBlobs(ctx context.Context, instanceID string) error {
	names, err := h.InstanceBlobs(ctx, instanceID)
	if err != nil {
		return err
	}
	return h.DeletePayloads(ctx, names)
}

// RemoveHistory removes a history of any length that was written after its instance was purged, and the payloads that
// it refers to, and reports whether it has: not if somebody has changed it since the version that was loaded. It goes
// from the end to the beginning, and the sentinel with the beginning, so that one that was cut off can be repeated.
func (h *Hub) RemoveHistory(ctx context.Context, instanceID string, loaded *History) (bool, error) {
	rows, _, err := storage.All(ctx, h.Account.Tables, h.Names.HistoryTable(), storage.Query{
		Filter:  storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(instanceID)},
		Columns: []string{"PartitionKey", "RowKey"},
	})
	if err != nil {
		return false, fmt.Errorf("remove history of instance %q: %w", instanceID, err)
	}
	last := len(rows) - 1
	if last < 0 || rows[last].RowKey != wire.SentinelKey || rows[last].ETag != loaded.ETag {
		return false, nil
	}
	slices.Reverse(rows)
	rows = append(rows[1:], rows[0])
	operations := make([]storage.Operation, len(rows))
	for i, row := range rows {
		operations[i] = storage.Operation{
			Action: storage.Delete, Row: storage.Row{PartitionKey: row.PartitionKey, RowKey: row.RowKey}, ETag: row.ETag,
		}
	}
	first := len(operations) % storage.MaxTransaction // so that the last transaction has the first row
	for _, batch := range append([][]storage.Operation{operations[:first]}, slices.Collect(slices.Chunk(operations[first:], storage.MaxTransaction))...) {
		if len(batch) == 0 {
			continue
		}
		_, err := h.Account.Tables.Transact(ctx, h.Names.HistoryTable(), batch, false)
		if storage.LostRace(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("remove history of instance %q: %w", instanceID, err)
		}
	}
	return true, h.DeletePayloads(ctx, loaded.Blobs)
}
