package storagetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/internal/storage"
)

var tableCases = []testCase{
	{name: "CreateTwice", run: func(s *scene) {
		table := s.table()
		s.insert(table, "p", "r", nil)
		s.must(s.Tables.CreateTable(s.Context(), table))
		s.read(table, "p", "r")
	}},
	{name: "Missing", run: func(s *scene) {
		table, ctx := s.name(), s.Context()
		s.want(s.Tables.DeleteTable(ctx, table), storage.ErrNotFound)
		_, err := s.Tables.Insert(ctx, table, storage.Row{PartitionKey: "p", RowKey: "r"})
		s.want(err, storage.ErrNotFound)
		_, err = s.Tables.Read(ctx, table, "p", "r")
		s.want(err, storage.ErrNotFound)
		_, err = s.Tables.Query(ctx, table, storage.Query{})
		s.want(err, storage.ErrNotFound)
		_, err = s.Tables.Merge(ctx, table, storage.Row{PartitionKey: "p", RowKey: "r"}, "")
		s.want(err, storage.ErrNotFound)
	}},
	{name: "TransactOnMissing", real: true, run: func(s *scene) {
		_, err := s.Tables.Transact(s.Context(), s.name(), []storage.Operation{
			{Action: storage.Insert, Row: storage.Row{PartitionKey: "p", RowKey: "r"}},
		}, false)
		s.want(err, storage.ErrNotFound)
	}},
	{name: "List", run: func(s *scene) {
		table := s.table()
		names, err := s.Tables.ListTables(s.Context())
		s.must(err)
		if !slices.Contains(names, table) {
			s.Errorf("ListTables = %q, lacks %q", names, table)
		}
	}},
	{name: "NamesWithoutCase", real: true, run: func(s *scene) {
		table := s.table()
		s.insert(table, "p", "r", nil)
		s.read(strings.ToUpper(table), "p", "r")
	}},
	{name: "CanceledContext", run: func(s *scene) {
		table := s.table()
		ctx, cancel := context.WithCancel(s.Context())
		cancel()
		_, err := s.Tables.Insert(ctx, table, storage.Row{PartitionKey: "p", RowKey: "r"})
		s.want(err, context.Canceled)
		_, err = s.Tables.Query(ctx, table, storage.Query{})
		s.want(err, context.Canceled)
	}},
}

func (s *scene) insert(table, partitionKey, rowKey string, values map[string]any) storage.ETag {
	s.Helper()
	etag, err := s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: partitionKey, RowKey: rowKey, Values: values})
	s.must(err)
	if etag == "" {
		s.Fatal("no ETag after an insert")
	}
	return etag
}

func (s *scene) read(table, partitionKey, rowKey string) storage.Row {
	s.Helper()
	row, err := s.Tables.Read(s.Context(), table, partitionKey, rowKey)
	s.must(err)
	return row
}

// holds checks the version and the values of a row.
func (s *scene) holds(table, partitionKey, rowKey string, etag storage.ETag, values map[string]any) {
	s.Helper()
	row := s.read(table, partitionKey, rowKey)
	if row.PartitionKey != partitionKey || row.RowKey != rowKey || row.ETag != etag {
		s.Errorf("row %q %q with ETag %s, want %q %q with %s", row.PartitionKey, row.RowKey, row.ETag, partitionKey, rowKey, etag)
	}
	if values == nil {
		values = map[string]any{}
	}
	if diff := cmp.Diff(values, row.Values); diff != "" {
		s.Errorf("values (-want +got):\n%s", diff)
	}
	s.near("Timestamp", row.Timestamp, time.Now())
}

// oneOfEach has a value of every type, with those that get lost easily.
func oneOfEach() map[string]any {
	return map[string]any{
		"Text": "it's <&> \"x\" \\ \r\n\t\x00\x1f\x7f 😀 \u2028", "Empty": "",
		"Yes": true, "No": false,
		"Small": int32(7), "Least": int32(-1 << 31), "Zero": int32(0),
		"Big": int64(1<<53 + 1), "Long": int64(7), "Lowest": int64(-1 << 63),
		"Half": 0.5, "Whole": float64(3), "Large": 1e300, "Nought": 0.0,
		"At":   time.Date(2026, 2, 28, 23, 59, 59, 123456700, time.UTC),
		"Full": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"Old":  time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), "Late": time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC),
		"Raw": []byte{0, 1, 254, 255}, "Nothing": []byte{},
	}
}

func with(values map[string]any, name string, value any) map[string]any {
	values = maps.Clone(values)
	values[name] = value
	return values
}
