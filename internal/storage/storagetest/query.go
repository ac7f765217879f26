package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

var queryCases = []testCase{
	{name: "Filters", run: queryFilters},
	{name: "Pages", run: queryPages},
	{name: "Columns", run: func(s *scene) {
		table := s.table()
		etag := s.insert(table, "p", "r", map[string]any{"A": "1", "B": int64(2)})
		s.insert(table, "p", "s", nil)
		rows, at, err := storage.All(s.Context(), s.Tables, table, storage.Query{Columns: []string{"B"}})
		s.must(err)
		if len(rows) != 2 || len(rows[0].Values) != 1 || rows[0].Values["B"] != int64(2) || rows[0].RowKey != "r" || len(rows[1].Values) != 0 {
			s.Errorf("restricted rows: %+v", rows)
		}
		if rows[0].ETag != etag {
			s.Errorf("ETag %q, want %q", rows[0].ETag, etag)
		}
		s.near("Date", at, time.Now())
	}},
	{name: "Refuses", run: func(s *scene) {
		table := s.table()
		for _, query := range []storage.Query{
			{Limit: -1},
			{Limit: storage.MaxPage + 1},
			{Next: "no token!"},
			{Columns: []string{"a b"}},
			{Filter: storage.And{}},
			{Filter: storage.Or{nil}},
			{Filter: storage.Compare{Column: "A", Operator: "like", Value: "x"}},
			{Filter: storage.Compare{Column: "A", Operator: storage.Equal, Value: 7}},
			{Filter: storage.Compare{Column: "A or B", Operator: storage.Equal, Value: "x"}},
		} {
			_, err := s.Tables.Query(s.Context(), table, query)
			s.want(err, storage.ErrInvalid)
		}
	}},
}

func queryFilters(s *scene) {
	table := s.table()
	day := func(d int) time.Time { return time.Date(2026, 1, d, 1, 2, 3, 400, time.UTC) }
	s.insert(table, "p", "1", map[string]any{"T": "a", "I": int32(1), "L": int64(1 << 40), "B": true, "D": day(1)})
	s.insert(table, "p", "2", map[string]any{"T": "it's", "I": int32(2), "L": int64(2 << 40), "B": false, "D": day(2)})
	s.insert(table, "p", "3", map[string]any{"T": "z", "I": int32(-3)})
	s.insert(table, "q", "4", map[string]any{"T": "ü", "I": int32(4)})
	compare := func(column string, operator storage.Comparison, value any) storage.Filter {
		return storage.Compare{Column: column, Operator: operator, Value: value}
	}
	for _, c := range []struct {
		filter storage.Filter
		want   string
	}{
		{nil, "1234"},
		{compare("PartitionKey", storage.Equal, "p"), "123"},
		{compare("PartitionKey", storage.Greater, "p"), "4"},
		{compare("RowKey", storage.GreaterOrEqual, "2"), "234"},
		{compare("RowKey", storage.NotEqual, "2"), "134"},
		{compare("T", storage.Equal, "it's"), "2"},
		{compare("T", storage.Less, "it't"), "12"},
		{compare("I", storage.Less, int32(2)), "13"},
		{compare("I", storage.LessOrEqual, int32(2)), "123"},
		{compare("L", storage.Equal, int64(1<<40)), "1"},
		{compare("L", storage.Greater, int64(1<<40)), "2"},
		{compare("B", storage.Equal, true), "1"},
		{compare("D", storage.Equal, day(2)), "2"},
		{compare("D", storage.Less, day(2)), "1"},
		{compare("Timestamp", storage.Greater, time.Now().Add(-time.Hour)), "1234"},
		{compare("Timestamp", storage.Greater, time.Now().Add(time.Hour)), ""},
		{compare("Missing", storage.Equal, "x"), ""},
		{storage.And{compare("PartitionKey", storage.Equal, "p"), compare("I", storage.Greater, int32(0))}, "12"},
		{storage.Or{compare("RowKey", storage.Equal, "1"), compare("RowKey", storage.Equal, "4")}, "14"},
		{storage.And{compare("PartitionKey", storage.Equal, "p"), storage.Or{compare("RowKey", storage.Equal, "1"), compare("RowKey", storage.Equal, "4")}}, "1"},
		{storage.And{storage.And{compare("PartitionKey", storage.GreaterOrEqual, "p"), compare("PartitionKey", storage.Less, "q")}}, "123"},
	} {
		rows, _, err := storage.All(s.Context(), s.Tables, table, storage.Query{Filter: c.filter})
		s.must(err)
		got := ""
		for _, row := range rows {
			got += row.RowKey
		}
		if got != c.want {
			s.Errorf("filter %+v: rows %q, want %q", c.filter, got, c.want)
		}
	}
}

func queryPages(s *scene) {
	table := s.table()
	var want []string
	for i := range 25 {
		partition, row := fmt.Sprintf("p %d'", i/10), fmt.Sprintf("r%02d", i)
		want = append(want, partition+row)
		s.insert(table, partition, row, map[string]any{"I": int32(i)})
	}
	for _, c := range []struct{ limit, pages int }{{10, 3}, {25, 1}, {7, 4}, {0, 1}} {
		var got []string
		query := storage.Query{Limit: c.limit}
		pages := 0
		for {
			page, err := s.Tables.Query(s.Context(), table, query)
			s.must(err)
			pages++
			for _, row := range page.Rows {
				got = append(got, row.PartitionKey+row.RowKey)
			}
			if c.limit > 0 && len(page.Rows) > c.limit {
				s.Errorf("page of %d rows, limit %d", len(page.Rows), c.limit)
			}
			if page.Next == "" {
				break
			}
			query.Next = page.Next
		}
		if !slices.Equal(got, want) {
			s.Errorf("limit %d: rows %q, want %q", c.limit, got, want)
		}
		if pages < c.pages || pages > c.pages+1 {
			s.Errorf("limit %d: %d pages, want about %d", c.limit, pages, c.pages)
		}
	}
}
