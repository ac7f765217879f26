package azure

import (
	"context"
	"net/http"

	"github.com/durafleet/durafleet/internal/storage"
)

// Insert implements storage.Tables.
func (p *tables) Insert(ctx context.Context, table string, row storage.Row) (storage.ETag, error) {
	return p.write(ctx, storage.TableInsert, table, storage.Operation{Action: storage.Insert, Row: row})
}

// Merge implements storage.Tables.
func (p *tables) Merge(ctx context.Context, table string, row storage.Row, etag storage.ETag) (storage.ETag, error) {
	return p.write(ctx, storage.TableMerge, table, storage.Operation{Action: storage.Merge, Row: row, ETag: etag})
}

// Replace implements storage.Tables.
func (p *tables) Replace(ctx context.Context, table string, row storage.Row, etag storage.ETag) (storage.ETag, error) {
	return p.write(ctx, storage.TableReplace, table, storage.Operation{Action: storage.Replace, Row: row, ETag: etag})
}

// Delete implements storage.Tables.
func (p *tables) Delete(ctx context.Context, table, partitionKey, rowKey string, etag storage.ETag) error {
	if etag == "" {
		return storage.Refusal(storage.TableDelete, table, storage.ErrInvalid, "delete without an ETag")
	}
	row := storage.Row{PartitionKey: partitionKey, RowKey: rowKey}
	_, err := p.write(ctx, storage.TableDelete, table, storage.Operation{Action: storage.Delete, Row: row, ETag: etag})
	return err
}

func (p *tables) write(ctx context.Context, op storage.Kind, table string, operation storage.Operation) (storage.ETag, error) {
	if err := storage.CheckTableName(op, table); err != nil {
		return "", err
	}
	if err := storage.CheckRow(op, table, operation.Row); err != nil {
		return "", err
	}
	ctx, c := begin(ctx, op, table)
	response, err := p.send(ctx, rowRequest(table, operation, p.ascii))
	if err != nil {
		return "", c.failure(ctx, err)
	}
	return storage.ETag(response.Header.Get(headerETag)), nil
}

// rowRequest is the request that carries out an operation, by itself or within a transaction.
// Without an ETag, a merge or replace creates the row if need be.
func rowRequest(table string, operation storage.Operation, ascii bool) request {
	row := operation.Row
	r := request{path: rowPath(table, row.PartitionKey, row.RowKey), header: map[string]string{}}
	switch operation.Action {
	case storage.Insert:
		r.method, r.path = http.MethodPost, table
		r.header["Prefer"] = preferNoContent
	case storage.Merge, storage.InsertOrMerge:
		r.method = http.MethodPatch
	case storage.Replace, storage.InsertOrReplace:
		r.method = http.MethodPut
	case storage.Delete:
		r.method = http.MethodDelete
	}
	if operation.Action != storage.Delete {
		r.body = encodeRow(row, ascii)
	}
	if operation.ETag != "" {
		r.header[headerIfMatch] = string(operation.ETag)
	}
	return r
}
