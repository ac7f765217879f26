package storagetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

var rowCases = []testCase{
	{name: "TypesSurvive", run: func(s *scene) {
		table := s.table()
		etag := s.insert(table, "p", "r", with(oneOfEach(), "Null", nil))
		s.holds(table, "p", "r", etag, oneOfEach())
		etag, err := s.Tables.Merge(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{"New": "x"}}, etag)
		s.must(err)
		s.holds(table, "p", "r", etag, with(oneOfEach(), "New", "x"))
		rows, _, err := storage.All(s.Context(), s.Tables, table, storage.Query{})
		s.must(err)
		if len(rows) != 1 || rows[0].ETag != etag || rows[0].Values["Whole"] != 3.0 || rows[0].Values["Long"] != int64(7) {
			s.Errorf("queried rows: %+v", rows)
		}
	}},
	{name: "WideText", run: func(s *scene) {
		table := s.table()
		wide := map[string]any{"A": strings.Repeat("😀漢é", storage.MaxStringUnits/4)}
		for i := range 5 {
			key := fmt.Sprint(i)
			s.holds(table, "p", key, s.insert(table, "p", key, wide), wide)
			etags, err := s.Tables.Transact(s.Context(), table, []storage.Operation{
				{Action: storage.InsertOrReplace, Row: storage.Row{PartitionKey: "p", RowKey: key, Values: wide}},
			}, false)
			s.must(err)
			s.holds(table, "p", key, etags[0], wide)
		}
	}},
	{name: "TimesHave100ns", run: func(s *scene) {
		table := s.table()
		at := time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 3600))
		etag := s.insert(table, "p", "r", map[string]any{"At": at})
		s.holds(table, "p", "r", etag, map[string]any{"At": time.Date(2026, 5, 6, 6, 8, 9, 123456700, time.UTC)})
	}},
	{name: "OddKeys", run: rowOddKeys},
	{name: "DataIsCopied", run: func(s *scene) {
		table := s.table()
		raw, values := []byte{1}, map[string]any{}
		values["Raw"] = raw
		etag := s.insert(table, "p", "r", values)
		raw[0], values["More"] = 2, "x"
		s.read(table, "p", "r").Values["Raw"].([]byte)[0] = 3
		s.holds(table, "p", "r", etag, map[string]any{"Raw": []byte{1}})
	}},
	{name: "InsertExisting", run: func(s *scene) {
		table := s.table()
		etag := s.insert(table, "p", "r", map[string]any{"A": "1"})
		_, err := s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "r"})
		s.want(err, storage.ErrExists)
		s.holds(table, "p", "r", etag, map[string]any{"A": "1"})
	}},
	{name: "MergeKeepsReplaceDrops", run: rowMergeAndReplace},
	{name: "Conditions", run: rowConditions},
	{name: "Delete", run: rowDelete},
	{name: "ReadColumns", run: func(s *scene) {
		table := s.table()
		etag := s.insert(table, "p", "r", map[string]any{"A": "1", "B": int64(2), "C": true})
		row, err := s.Tables.Read(s.Context(), table, "p", "r", "B", "Missing")
		s.must(err)
		if len(row.Values) != 1 || row.Values["B"] != int64(2) || row.PartitionKey != "p" || row.RowKey != "r" || row.ETag != etag {
			s.Errorf("restricted row: %+v", row)
		}
	}},
	{name: "ETagsDiffer", run: func(s *scene) {
		table := s.table()
		seen := map[storage.ETag]bool{}
		for range 50 {
			etag, err := s.Tables.Merge(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "r"}, "")
			s.must(err)
			if seen[etag] {
				s.Fatalf("ETag %s twice", etag)
			}
			seen[etag] = true
		}
	}},
}

func rowOddKeys(s *scene) {
	table := s.table()
	keys := []string{
		"", "it's", "''", "a b", "a%b", "a%20b", "a+b", "@x@y", "a:b", "a;b,c", "(x)", "a=b&c", "ünï", "漢字", "😀", "a\"b", "<&>", "a.b..", "~!$*|^`{}[]",
		strings.Repeat("k", 512),
	}
	for i, key := range keys {
		etag := s.insert(table, key, key, map[string]any{"I": int32(i)})
		s.holds(table, key, key, etag, map[string]any{"I": int32(i)})
		rows, _, err := storage.All(s.Context(), s.Tables, table, storage.Query{Filter: storage.And{
			storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: key},
			storage.Compare{Column: "RowKey", Operator: storage.Equal, Value: key},
		}})
		s.must(err)
		if len(rows) != 1 || rows[0].PartitionKey != key {
			s.Errorf("query for key %q: %+v", key, rows)
		}
		etags, err := s.Tables.Transact(s.Context(), table, []storage.Operation{
			{Action: storage.Merge, Row: storage.Row{PartitionKey: key, RowKey: key, Values: map[string]any{"J": int32(i)}}, ETag: etag},
			{Action: storage.Insert, Row: storage.Row{PartitionKey: key, RowKey: "other"}},
		}, true)
		if err != nil {
			s.Errorf("transaction on key %q: %v", key, err)
			continue
		}
		s.holds(table, key, key, etags[0], map[string]any{"I": int32(i), "J": int32(i)})
		if err := s.Tables.Delete(s.Context(), table, key, key, etags[0]); err != nil {
			s.Errorf("delete of key %q: %v", key, err)
		}
	}
}

func rowMergeAndReplace(s *scene) {
	table, ctx := s.table(), s.Context()
	row := func(values map[string]any) storage.Row {
		return storage.Row{PartitionKey: "p", RowKey: "r", Values: values}
	}
	etag, err := s.Tables.Merge(ctx, table, row(map[string]any{"A": "1", "B": "1"}), "") // inserts
	s.must(err)
	s.holds(table, "p", "r", etag, map[string]any{"A": "1", "B": "1"})
	etag, err = s.Tables.Merge(ctx, table, row(map[string]any{"B": "2", "A": nil}), etag)
	s.must(err)
	s.holds(table, "p", "r", etag, map[string]any{"A": "1", "B": "2"})
	etag, err = s.Tables.Merge(ctx, table, row(map[string]any{"C": "3"}), storage.AnyETag)
	s.must(err)
	s.holds(table, "p", "r", etag, map[string]any{"A": "1", "B": "2", "C": "3"})
	etag, err = s.Tables.Replace(ctx, table, row(map[string]any{"D": "4"}), etag)
	s.must(err)
	s.holds(table, "p", "r", etag, map[string]any{"D": "4"})
	etag, err = s.Tables.Replace(ctx, table, row(map[string]any{"E": "5"}), "")
	s.must(err)
	s.holds(table, "p", "r", etag, map[string]any{"E": "5"})
	etag, err = s.Tables.Replace(ctx, table, storage.Row{PartitionKey: "p", RowKey: "new"}, "")
	s.must(err)
	s.holds(table, "p", "new", etag, nil)
}

func rowConditions(s *scene) {
	table, ctx := s.table(), s.Context()
	row := storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{"A": "2"}}
	for _, etag := range []storage.ETag{storage.AnyETag, `W/"datetime'2026-01-01T00%3A00%3A00.0000000Z'"`} {
		_, err := s.Tables.Merge(ctx, table, row, etag)
		s.want(err, storage.ErrNotFound)
		_, err = s.Tables.Replace(ctx, table, row, etag)
		s.want(err, storage.ErrNotFound)
		s.want(s.Tables.Delete(ctx, table, "p", "r", etag), storage.ErrNotFound)
	}
	old := s.insert(table, "p", "r", map[string]any{"A": "1"})
	now, err := s.Tables.Merge(ctx, table, storage.Row{PartitionKey: "p", RowKey: "r"}, old)
	s.must(err)
	_, err = s.Tables.Merge(ctx, table, row, old)
	s.want(err, storage.ErrPrecondition)
	_, err = s.Tables.Replace(ctx, table, row, old)
	s.want(err, storage.ErrPrecondition)
	s.want(s.Tables.Delete(ctx, table, "p", "r", old), storage.ErrPrecondition)
	s.holds(table, "p", "r", now, map[string]any{"A": "1"})
}

func rowDelete(s *scene) {
	table, ctx := s.table(), s.Context()
	etag := s.insert(table, "p", "r", nil)
	s.insert(table, "p", "s", nil)
	s.must(s.Tables.Delete(ctx, table, "p", "r", etag))
	s.must(s.Tables.Delete(ctx, table, "p", "s", storage.AnyETag))
	s.want(s.Tables.Delete(ctx, table, "p", "s", storage.AnyETag), storage.ErrNotFound)
	_, err := s.Tables.Read(ctx, table, "p", "r")
	s.want(err, storage.ErrNotFound)
	s.insert(table, "p", "r", nil)
	s.want(s.Tables.Delete(ctx, table, "p", "r", ""), storage.ErrInvalid)
}

var rowRefusalCases = []testCase{
	{name: "TableNames", run: func(s *scene) {
		for _, name := range []string{"", "ab", "1abc", "a-b", "a_b", "täble", strings.Repeat("a", 64)} {
			s.want(s.Tables.CreateTable(s.Context(), name), storage.ErrInvalid)
		}
	}},
	{name: "Keys", run: func(s *scene) {
		table := s.table()
		keys := []string{"a/b", `a\b`, "a#b", "a?b", "\x00", "\x1f", "\x7f", "\u0080", "\u009f", "\t", "\xff", strings.Repeat("k", 513), strings.Repeat("😀", 257)}
		for _, key := range keys {
			_, err := s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: key, RowKey: "r"})
			s.want(err, storage.ErrInvalid)
			_, err = s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: key})
			s.want(err, storage.ErrInvalid)
			_, err = s.Tables.Read(s.Context(), table, key, "r")
			s.want(err, storage.ErrInvalid)
			s.want(s.Tables.Delete(s.Context(), table, "p", key, storage.AnyETag), storage.ErrInvalid)
		}
	}},
	{name: "Values", run: func(s *scene) {
		table := s.table()
		for _, c := range []struct {
			value    any
			sentinel error
		}{
			{strings.Repeat("a", storage.MaxStringUnits), nil},
			{strings.Repeat("a", storage.MaxStringUnits+1), storage.ErrTooLarge},
			{strings.Repeat("😀", storage.MaxStringUnits/2), nil},
			{strings.Repeat("😀", storage.MaxStringUnits/2) + "a", storage.ErrTooLarge},
			{make([]byte, 64*1024), nil},
			{make([]byte, 64*1024+1), storage.ErrTooLarge},
			{time.Date(1600, 12, 31, 0, 0, 0, 0, time.UTC), storage.ErrInvalid},
			{"\xff", storage.ErrInvalid},
			{7, storage.ErrInvalid},
			{uint64(7), storage.ErrInvalid},
			{struct{}{}, storage.ErrInvalid},
		} {
			_, err := s.Tables.Replace(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{"A": c.value}}, "")
			if c.sentinel == nil {
				s.must(err)
				continue
			}
			s.want(err, c.sentinel)
		}
	}},
	{name: "Columns", run: func(s *scene) {
		table := s.table()
		for _, name := range []string{"", "PartitionKey", "Timestamp", "a b", "1a", "a-b", strings.Repeat("a", 256)} {
			_, err := s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{name: "x"}})
			s.want(err, storage.ErrInvalid)
		}
		many := map[string]any{}
		for i := range 252 {
			many[fmt.Sprintf("C%d", i)] = true
		}
		s.insert(table, "p", "r", many)
		_, err := s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "s", Values: with(many, "X", true)})
		s.want(err, storage.ErrInvalid)
	}},
	{name: "ColumnsAfterMerge", real: true, run: func(s *scene) {
		table := s.table()
		many := map[string]any{}
		for i := range 252 {
			many[fmt.Sprintf("C%d", i)] = true
		}
		etag := s.insert(table, "p", "r", many)
		_, err := s.Tables.Merge(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{"X": 1.0}}, etag)
		s.want(err, storage.ErrInvalid)
	}},
	{name: "RowSize", run: func(s *scene) {
		table := s.table()
		values := map[string]any{}
		for i := range 15 {
			values[fmt.Sprintf("C%d", i)] = strings.Repeat("a", storage.MaxStringUnits)
		}
		s.insert(table, "p", "r", values)
		_, err := s.Tables.Insert(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "s", Values: with(values, "X", strings.Repeat("a", storage.MaxStringUnits))})
		s.want(err, storage.ErrTooLarge)
	}},
}
