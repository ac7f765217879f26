package storage

import "context"

// hookedTables passes every request of a table port through a hook. The key of a row is its
// partition key and row key with a slash between them, which no key can contain; that of a
// transaction is the partition key.
type hookedTables struct {
	next Tables
	hook Hook
}

func rowCall(kind Kind, table, partitionKey, rowKey string) *Call {
	return &Call{Kind: kind, Target: table, Key: partitionKey + "/" + rowKey}
}

func writeCall(kind Kind, table string, operation Operation) *Call {
	call := rowCall(kind, table, operation.Row.PartitionKey, operation.Row.RowKey)
	call.Content = []Operation{operation}
	return call
}

func (h *hookedTables) CreateTable(ctx context.Context, table string) error {
	return h.hook(ctx, &Call{Kind: TableAdmin, Target: table}, func(ctx context.Context) error {
		return h.next.CreateTable(ctx, table)
	})
}

func (h *hookedTables) DeleteTable(ctx context.Context, table string) error {
	return h.hook(ctx, &Call{Kind: TableAdmin, Target: table}, func(ctx context.Context) error {
		return h.next.DeleteTable(ctx, table)
	})
}

func (h *hookedTables) ListTables(ctx context.Context) ([]string, error) {
	return through(ctx, h.hook, &Call{Kind: TableAdmin}, h.next.ListTables)
}

func (h *hookedTables) Read(ctx context.Context, table, partitionKey, rowKey string, columns ...string) (Row, error) {
	call := rowCall(TableRead, table, partitionKey, rowKey)
	return through(ctx, h.hook, call, func(ctx context.Context) (Row, error) {
		return h.next.Read(ctx, table, partitionKey, rowKey, columns...)
	})
}

func (h *hookedTables) Query(ctx context.Context, table string, query Query) (Page, error) {
	return through(ctx, h.hook, &Call{Kind: TableQuery, Target: table, Content: query.Filter}, func(ctx context.Context) (Page, error) {
		return h.next.Query(ctx, table, query)
	})
}

func (h *hookedTables) Insert(ctx context.Context, table string, row Row) (ETag, error) {
	call := writeCall(TableInsert, table, Operation{Action: Insert, Row: row})
	return through(ctx, h.hook, call, func(ctx context.Context) (ETag, error) {
		return h.next.Insert(ctx, table, row)
	})
}

func (h *hookedTables) Merge(ctx context.Context, table string, row Row, etag ETag) (ETag, error) {
	call := writeCall(TableMerge, table, Operation{Action: Merge, Row: row, ETag: etag})
	return through(ctx, h.hook, call, func(ctx context.Context) (ETag, error) {
		return h.next.Merge(ctx, table, row, etag)
	})
}

func (h *hookedTables) Replace(ctx context.Context, table string, row Row, etag ETag) (ETag, error) {
	call := writeCall(TableReplace, table, Operation{Action: Replace, Row: row, ETag: etag})
	return through(ctx, h.hook, call, func(ctx context.Context) (ETag, error) {
		return h.next.Replace(ctx, table, row, etag)
	})
}

func (h *hookedTables) Delete(ctx context.Context, table, partitionKey, rowKey string, etag ETag) error {
	row := Row{PartitionKey: partitionKey, RowKey: rowKey}
	call := writeCall(TableDelete, table, Operation{Action: Delete, Row: row, ETag: etag})
	return h.hook(ctx, call, func(ctx context.Context) error {
		return h.next.Delete(ctx, table, partitionKey, rowKey, etag)
	})
}

func (h *hookedTables) Transact(ctx context.Context, table string, operations []Operation, once bool) ([]ETag, error) {
	call := &Call{Kind: TableTransact, Target: table, Content: operations}
	if len(operations) > 0 {
		call.Key = operations[0].Row.PartitionKey
	}
	return through(ctx, h.hook, call, func(ctx context.Context) ([]ETag, error) {
		return h.next.Transact(ctx, table, operations, once)
	})
}
