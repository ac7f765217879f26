package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Instance is a status row with its version.
type Instance struct {
	wire.Instance
	ETag storage.ETag
}

// ReadInstance returns the status row of an instance, with or without the columns that hold
// payloads; references are not resolved. The error matches storage.ErrNotFound if there is none.
func (h *Hub) ReadInstance(ctx context.Context, instanceID string, payloads bool) (Instance, error) {
	key := wire.EscapeKey(instanceID)
	row, err := h.Account.Tables.Read(ctx, h.Names.InstancesTable(), key, "", wire.InstanceColumns(payloads)...)
	if err != nil {
		return Instance{}, fmt.Errorf("read status of instance %q: %w", instanceID, err)
	}
	return decodeInstance(row)
}

// decodeInstance decodes a status row. Of one that cannot be read it returns, with the error, whose
// it is and whether it bears a poison mark.
func decodeInstance(row storage.Row) (Instance, error) {
	in, err := wire.DecodeInstance(row.PartitionKey, row.Values)
	if err != nil {
		in = wire.Instance{
			InstanceID: wire.UnescapeKey(row.PartitionKey), Poison: wire.DecodePoisonMark(row.Values), Unreadable: err.Error(),
		}
		return Instance{Instance: in, ETag: row.ETag}, fmt.Errorf("status row of instance %q: %w", wire.UnescapeKey(row.PartitionKey), err)
	}
	return Instance{Instance: in, ETag: row.ETag}, nil
}

// CreateInstance writes the status row of a new start: it adds it, or replaces the row of the
// given version. The error matches storage.ErrExists or storage.ErrPrecondition if another
// start was quicker.
func (h *Hub) CreateInstance(ctx context.Context, in wire.Instance, replaces storage.ETag) error {
	row := storage.Row{PartitionKey: wire.EscapeKey(in.InstanceID), Values: wire.EncodeNewInstance(in)}
	var err error
	if replaces == "" {
		_, err = h.Account.Tables.Insert(ctx, h.Names.InstancesTable(), row)
	} else {
		_, err = h.Account.Tables.Replace(ctx, h.Names.InstancesTable(), row, replaces)
	}
	if err != nil {
		return fmt.Errorf("write status of instance %q: %w", in.InstanceID, err)
	}
	return nil
}

// UpdateInstance merges columns into the status row of the given version, or adds the row if etag
// is empty. The error matches storage.ErrPrecondition, ErrExists or ErrNotFound if the row is not
// what the caller took it for.
func (h *Hub) UpdateInstance(
	ctx context.Context, instanceID string, columns wire.Columns, etag storage.ETag,
) (storage.ETag, error) {
	row := storage.Row{PartitionKey: wire.EscapeKey(instanceID), Values: columns}
	var err error
	if etag == "" {
		etag, err = h.Account.Tables.Insert(ctx, h.Names.InstancesTable(), row)
	} else {
		etag, err = h.Account.Tables.Merge(ctx, h.Names.InstancesTable(), row, etag)
	}
	if err != nil {
		return "", fmt.Errorf("write status of instance %q: %w", instanceID, err)
	}
	return etag, nil
}

// InstanceQuery selects status rows. Empty fields select all.
type InstanceQuery struct {
	Statuses    []history.Status
	CreatedFrom time.Time
	CreatedTo   time.Time
	IDPrefix    string
	Name        string
	// Payloads includes input and output, resolved.
	Payloads bool
	// Limit is the size of a page; Next continues after one.
	Limit int
	Next  string
}

// QueryInstances returns one page of status rows in the order of their ids, and what continues
// the query, "" at the end. Entities are left out. A payload whose blob is gone or damaged is nil, and
// the row says so; so does a row that cannot be read.
func (h *Hub) QueryInstances(ctx context.Context, q InstanceQuery) ([]wire.Instance, string, error) {
	page, err := h.Account.Tables.Query(ctx, h.Names.InstancesTable(), storage.Query{
		Filter: q.filter(), Columns: wire.InstanceColumns(q.Payloads), Limit: q.Limit, Next: q.Next,
	})
	if err != nil {
		return nil, "", fmt.Errorf("query instances: %w", err)
	}
	instances := make([]wire.Instance, len(page.Rows))
	err = h.each(ctx, len(page.Rows), func(ctx context.Context, i int) error {
		in, err := decodeInstance(page.Rows[i])
		instances[i] = in.Instance
		if err != nil || !q.Payloads { // one bad row does not hide the others
			return nil
		}
		err = h.ResolvePayloads(ctx, &instances[i])
		if InData(err) {
			return nil // purged or replaced meanwhile, or damaged; the row says it
		}
		return err
	})
	return instances, page.Next, err
}

func (q InstanceQuery) filter() storage.Filter {
	filter := storage.And{storage.Compare{Column: "RowKey", Operator: storage.Equal, Value: ""}}
	compare := func(column string, operator storage.Comparison, value any) {
		filter = append(filter, storage.Compare{Column: column, Operator: operator, Value: value})
	}
	if q.IDPrefix != "" {
		from, to := wire.EscapePrefixRange(q.IDPrefix)
		compare("PartitionKey", storage.GreaterOrEqual, from)
		if to != "" {
			compare("PartitionKey", storage.Less, to)
		}
	} else {
		filter = append(filter, storage.Or{
			storage.Compare{Column: "PartitionKey", Operator: storage.Less, Value: "@"},
			storage.Compare{Column: "PartitionKey", Operator: storage.GreaterOrEqual, Value: "A"},
		})
	}
	if q.Name != "" {
		compare("Name", storage.Equal, q.Name)
	}
	if !q.CreatedFrom.IsZero() {
		compare("CreatedTime", storage.GreaterOrEqual, wire.TableTime(q.CreatedFrom))
	}
	if !q.CreatedTo.IsZero() {
		compare("CreatedTime", storage.LessOrEqual, wire.TableTime(q.CreatedTo))
	}
	var statuses storage.Or
	for _, status := range q.Statuses {
		statuses = append(statuses, storage.Compare{
			Column: "RuntimeStatus", Operator: storage.Equal, Value: string(status),
		})
	}
	if len(statuses) > 0 {
		filter = append(filter, statuses)
	}
	return filter
}

// gone reports that a message or row is not there any more or belongs to somebody else now.
func gone(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrReceipt)
}
