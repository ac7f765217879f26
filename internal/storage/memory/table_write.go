package memory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

type tables struct{ store *Store }

// open locks the store and finds the table. The caller unlocks if there is no error.
func (p tables) open(ctx context.Context, op storage.Kind, name string) (*table, error) {
	if err := storage.CheckTableName(op, name); err != nil {
		return nil, err
	}
	if err := p.store.lock(ctx, op, name); err != nil {
		return nil, err
	}
	t, ok := p.store.tables[strings.ToLower(name)]
	if !ok {
		p.store.mu.Unlock()
		return nil, notFound(op, name, "TableNotFound")
	}
	return t, nil
}

// CreateTable implements storage.Tables.
func (p tables) CreateTable(ctx context.Context, name string) error {
	if err := storage.CheckTableName(storage.TableAdmin, name); err != nil {
		return err
	}
	if err := p.store.lock(ctx, storage.TableAdmin, name); err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if _, ok := p.store.tables[strings.ToLower(name)]; !ok {
		p.store.tables[strings.ToLower(name)] = &table{name: name, partitions: map[string]*partition{}}
	}
	return nil
}

// DeleteTable implements storage.Tables.
func (p tables) DeleteTable(ctx context.Context, name string) error {
	if _, err := p.open(ctx, storage.TableAdmin, name); err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	delete(p.store.tables, strings.ToLower(name))
	return nil
}

// Insert implements storage.Tables.
func (p tables) Insert(ctx context.Context, name string, row storage.Row) (storage.ETag, error) {
	return p.write(ctx, storage.TableInsert, name, storage.Operation{Action: storage.Insert, Row: row})
}

// Merge implements storage.Tables.
func (p tables) Merge(ctx context.Context, name string, row storage.Row, etag storage.ETag) (storage.ETag, error) {
	operation := storage.Operation{Action: storage.Merge, Row: row, ETag: etag}
	if etag == "" {
		operation.Action = storage.InsertOrMerge
	}
	return p.write(ctx, storage.TableMerge, name, operation)
}

// Replace implements storage.Tables.
func (p tables) Replace(ctx context.Context, name string, row storage.Row, etag storage.ETag) (storage.ETag, error) {
	operation := storage.Operation{Action: storage.Replace, Row: row, ETag: etag}
	if etag == "" {
		operation.Action = storage.InsertOrReplace
	}
	return p.write(ctx, storage.TableReplace, name, operation)
}

// Delete implements storage.Tables.
func (p tables) Delete(ctx context.Context, name, partitionKey, rowKey string, etag storage.ETag) error {
	if etag == "" {
		return storage.Refusal(storage.TableDelete, name, storage.ErrInvalid, "delete without an ETag")
	}
	row := storage.Row{PartitionKey: partitionKey, RowKey: rowKey}
	_, err := p.write(ctx, storage.TableDelete, name, storage.Operation{Action: storage.Delete, Row: row, ETag: etag})
	return err
}

func (p tables) write(ctx context.Context, op storage.Kind, name string, operation storage.Operation) (storage.ETag, error) {
	if err := storage.CheckRow(op, name, operation.Row); err != nil {
		return "", err
	}
	t, err := p.open(ctx, op, name)
	if err != nil {
		return "", err
	}
	defer p.store.mu.Unlock()
	row, err := p.prepare(op, t, operation)
	if err != nil {
		return "", err
	}
	t.apply(operation, row)
	return row.ETag, nil
}

// Transact implements storage.Tables. Once makes no difference: no reply gets lost here.
func (p tables) Transact(ctx context.Context, name string, operations []storage.Operation, _ bool) ([]storage.ETag, error) {
	if err := storage.CheckOperations(name, operations); err != nil {
		return nil, err
	}
	t, err := p.open(ctx, storage.TableTransact, name)
	if err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	// No row is named twice, so each operation can be judged by the rows as they are now.
	rows := make([]*storage.Row, len(operations))
	etags := make([]storage.ETag, len(operations))
	for i, operation := range operations {
		rows[i], err = p.prepare(storage.TableTransact, t, operation)
		if err != nil {
			return nil, inOperation(i, err)
		}
		etags[i] = rows[i].ETag
	}
	for i, operation := range operations {
		t.apply(operation, rows[i])
	}
	return etags, nil
}

// inOperation adds to the error of an operation which one of the transaction it was.
func inOperation(i int, err error) error {
	var failure *storage.Error
	if errors.As(err, &failure) {
		failure.Detail = strings.TrimSuffix(fmt.Sprintf("operation %d: %s", i, failure.Detail), ": ")
	}
	return err
}

// apply carries out an operation whose outcome is row.
func (t *table) apply(operation storage.Operation, row *storage.Row) {
	if operation.Action == storage.Delete {
		t.remove(row.PartitionKey, row.RowKey)
		return
	}
	t.put(row)
}

// prepare checks an operation's condition and returns the row as it will be, without an ETag if
// it will be gone. The table stays as it is.
func (p tables) prepare(op storage.Kind, t *table, operation storage.Operation) (*storage.Row, error) {
	given := operation.Row
	old := t.find(given.PartitionKey, given.RowKey)
	if err := condition(op, t.name, old, operation); err != nil {
		return nil, err
	}
	if operation.Action == storage.Delete {
		return &storage.Row{PartitionKey: given.PartitionKey, RowKey: given.RowKey}, nil
	}
	row := &storage.Row{
		PartitionKey: given.PartitionKey,
		RowKey:       given.RowKey,
		ETag:         storage.ETag(fmt.Sprintf(`W/"%d"`, p.store.next())),
		Timestamp:    storage.RoundTime(time.Now()),
		Values:       make(map[string]any, len(given.Values)),
	}
	if old != nil && (operation.Action == storage.Merge || operation.Action == storage.InsertOrMerge) {
		copyValues(row.Values, old.Values)
	}
	copyValues(row.Values, given.Values)
	return row, storage.CheckRow(op, t.name, *row)
}

func condition(op storage.Kind, name string, old *storage.Row, operation storage.Operation) error {
	switch operation.Action {
	case storage.InsertOrMerge, storage.InsertOrReplace:
		return nil
	case storage.Insert:
		if old != nil {
			return &storage.Error{Op: op, Target: name, Sentinel: storage.ErrExists, Code: "EntityAlreadyExists"}
		}
		return nil
	}
	if old == nil {
		return notFound(op, name, "ResourceNotFound")
	}
	if operation.ETag != storage.AnyETag && operation.ETag != old.ETag {
		return &storage.Error{Op: op, Target: name, Sentinel: storage.ErrPrecondition, Code: "UpdateConditionNotSatisfied"}
	}
	return nil
}

// copyValues copies values as the service stores them.
func copyValues(to, from map[string]any) {
	for name, value := range from {
		switch v := value.(type) {
		case nil:
		case []byte:
			to[name] = append([]byte{}, v...)
		case time.Time:
			to[name] = storage.RoundTime(v)
		default:
			to[name] = v
		}
	}
}
