package memory

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/durafleet/durafleet/internal/storage"
)

// ListTables implements storage.Tables.
func (p tables) ListTables(ctx context.Context) ([]string, error) {
	if err := p.store.lock(ctx, storage.TableAdmin, ""); err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	var names []string
	for _, t := range p.store.tables {
		names = append(names, t.name)
	}
	slices.Sort(names)
	return names, nil
}

// Read implements storage.Tables.
func (p tables) Read(ctx context.Context, name, partitionKey, rowKey string, columns ...string) (storage.Row, error) {
	if err := storage.CheckKeys(storage.TableRead, name, partitionKey, rowKey); err != nil {
		return storage.Row{}, err
	}
	t, err := p.open(ctx, storage.TableRead, name)
	if err != nil {
		return storage.Row{}, err
	}
	defer p.store.mu.Unlock()
	row := t.find(partitionKey, rowKey)
	if row == nil {
		return storage.Row{}, notFound(storage.TableRead, name, "ResourceNotFound")
	}
	return project(row, columns), nil
}

// Query implements storage.Tables.
func (p tables) Query(ctx context.Context, name string, query storage.Query) (storage.Page, error) {
	if err := storage.CheckQuery(name, query); err != nil {
		return storage.Page{}, err
	}
	from, err := parseToken(name, query.Next)
	if err != nil {
		return storage.Page{}, err
	}
	t, err := p.open(ctx, storage.TableQuery, name)
	if err != nil {
		return storage.Page{}, err
	}
	defer p.store.mu.Unlock()
	limit := query.Limit
	if limit == 0 {
		limit = storage.MaxPage
	}
	page := storage.Page{Date: serverDate()}
	t.scan(from, onePartition(query.Filter), func(row *storage.Row) bool {
		if !storage.Matches(query.Filter, *row) {
			return true
		}
		if len(page.Rows) == limit {
			page.Next = token(row)
			return false
		}
		page.Rows = append(page.Rows, project(row, query.Columns))
		return true
	})
	return page, nil
}

// onePartition returns the partition key that the filter demands, if it demands one.
func onePartition(filter storage.Filter) *string {
	switch f := filter.(type) {
	case storage.Compare:
		if key, ok := f.Value.(string); ok && f.Column == "PartitionKey" && f.Operator == storage.Equal {
			return &key
		}
	case storage.And:
		for _, part := range f {
			if key := onePartition(part); key != nil {
				return key
			}
		}
	}
	return nil
}

// project copies a row out, restricted to the columns if there are any.
func project(row *storage.Row, columns []string) storage.Row {
	shown := *row
	shown.Values = make(map[string]any, len(row.Values))
	if len(columns) == 0 {
		copyValues(shown.Values, row.Values)
		return shown
	}
	chosen := make(map[string]any, len(columns))
	for _, column := range columns {
		if value, ok := row.Values[column]; ok {
			chosen[column] = value
		}
	}
	copyValues(shown.Values, chosen)
	return shown
}

func token(row *storage.Row) string {
	keys, _ := json.Marshal(position{row.PartitionKey, row.RowKey}) // two strings always encode
	return base64.RawURLEncoding.EncodeToString(keys)
}

func parseToken(name, next string) (position, error) {
	var from position
	if next == "" {
		return from, nil
	}
	keys, err := base64.RawURLEncoding.DecodeString(next)
	if err == nil {
		err = json.Unmarshal(keys, &from)
	}
	if err != nil {
		return from, storage.Refusal(storage.TableQuery, name, storage.ErrInvalid, "continuation token %q", next)
	}
	return from, nil
}
