package storagetest

import (
	"fmt"
	"strings"

	"github.com/durafleet/durafleet/internal/storage"
)

var transactCases = []testCase{
	{name: "AllActions", run: transactAllActions},
	{name: "Hundred", run: func(s *scene) {
		table := s.table()
		var operations []storage.Operation
		for i := range storage.MaxTransaction {
			operations = append(operations, operation(storage.Insert, fmt.Sprintf("%03d", i), "", map[string]any{"T": "it's"}))
		}
		etags, err := s.Tables.Transact(s.Context(), table, operations, false)
		s.must(err)
		if len(etags) != storage.MaxTransaction {
			s.Fatalf("%d ETags", len(etags))
		}
		s.holds(table, "p", "042", etags[42], map[string]any{"T": "it's"})
		operations = append(operations, operation(storage.Insert, "x", "", nil))
		_, err = s.Tables.Transact(s.Context(), table, operations, false)
		s.want(err, storage.ErrTooLarge)
	}},
	{name: "Refuses", run: transactRefuses},
	{name: "TooLarge", run: func(s *scene) {
		table := s.table()
		var operations []storage.Operation
		for i := range 90 {
			values := map[string]any{"A": strings.Repeat("a", 24*1024), "B": strings.Repeat("\"", 12*1024)}
			operations = append(operations, operation(storage.Insert, fmt.Sprintf("%03d", i), "", values))
		}
		_, err := s.Tables.Transact(s.Context(), table, operations, true)
		s.want(err, storage.ErrTooLarge)
		_, err = s.Tables.Transact(s.Context(), table, operations[:80], true)
		s.must(err)
	}},
	{name: "StaleMergeRollsBack", run: rollsBack(storage.Merge, "old", true, storage.ErrPrecondition)},
	{name: "StaleReplaceRollsBack", run: rollsBack(storage.Replace, "old", true, storage.ErrPrecondition)},
	{name: "StaleDeleteRollsBack", real: true, run: rollsBack(storage.Delete, "old", true, storage.ErrPrecondition)},
	{name: "ExistingInsertRollsBack", run: rollsBack(storage.Insert, "old", false, storage.ErrExists)},
	{name: "MissingMergeRollsBack", real: true, run: rollsBack(storage.Merge, "missing", true, storage.ErrNotFound)},
	{name: "MissingReplaceRollsBack", real: true, run: rollsBack(storage.Replace, "missing", true, storage.ErrNotFound)},
	{name: "MissingDeleteRollsBack", real: true, run: rollsBack(storage.Delete, "missing", true, storage.ErrNotFound)},
}

func operation(action storage.Action, rowKey string, etag storage.ETag, values map[string]any) storage.Operation {
	return storage.Operation{Action: action, ETag: etag, Row: storage.Row{PartitionKey: "p", RowKey: rowKey, Values: values}}
}

func transactAllActions(s *scene) {
	table := s.table()
	values := map[string]any{"A": "1"}
	for _, key := range []string{"merge", "replace", "any", "insert-or-replace", "insert-or-merge", "delete"} {
		s.insert(table, "p", key, values)
	}
	version := func(key string) storage.ETag { return s.read(table, "p", key).ETag }
	changed := map[string]any{"B": "2", "Null": nil}
	etags, err := s.Tables.Transact(s.Context(), table, []storage.Operation{
		operation(storage.Insert, "new", "", oneOfEach()),
		operation(storage.Merge, "merge", version("merge"), changed),
		operation(storage.Replace, "replace", version("replace"), changed),
		operation(storage.Merge, "any", storage.AnyETag, changed),
		operation(storage.InsertOrReplace, "insert-or-replace", "", changed),
		operation(storage.InsertOrMerge, "insert-or-merge", "", changed),
		operation(storage.InsertOrMerge, "new-or-merge", "", changed),
		operation(storage.Delete, "delete", version("delete"), nil),
	}, true)
	s.must(err)
	if len(etags) != 8 || etags[7] != "" {
		s.Fatalf("ETags %q", etags)
	}
	merged, replaced := map[string]any{"A": "1", "B": "2"}, map[string]any{"B": "2"}
	s.holds(table, "p", "new", etags[0], oneOfEach())
	s.holds(table, "p", "merge", etags[1], merged)
	s.holds(table, "p", "replace", etags[2], replaced)
	s.holds(table, "p", "any", etags[3], merged)
	s.holds(table, "p", "insert-or-replace", etags[4], replaced)
	s.holds(table, "p", "insert-or-merge", etags[5], merged)
	s.holds(table, "p", "new-or-merge", etags[6], replaced)
	_, err = s.Tables.Read(s.Context(), table, "p", "delete")
	s.want(err, storage.ErrNotFound)
}

func transactRefuses(s *scene) {
	table := s.table()
	other := operation(storage.Insert, "b", "", nil)
	other.Row.PartitionKey = "q"
	for name, operations := range map[string][]storage.Operation{
		"empty":              nil,
		"two partition keys": {operation(storage.Insert, "a", "", nil), other},
		"a row twice":        {operation(storage.Insert, "a", "", nil), operation(storage.Merge, "a", storage.AnyETag, nil)},
		"insert with ETag":   {operation(storage.Insert, "a", storage.AnyETag, nil)},
		"upsert with ETag":   {operation(storage.InsertOrMerge, "a", storage.AnyETag, nil)},
		"merge without ETag": {operation(storage.Merge, "a", "", nil)},
		"delete without":     {operation(storage.Delete, "a", "", nil)},
		"unknown action":     {operation(0, "a", "", nil)},
		"bad key":            {operation(storage.Insert, "a/b", "", nil)},
		"bad value":          {operation(storage.Insert, "a", "", map[string]any{"A": 7})},
	} {
		_, err := s.Tables.Transact(s.Context(), table, operations, false)
		if err == nil {
			s.Errorf("%s: accepted", name)
			continue
		}
		s.want(err, storage.ErrInvalid)
	}
	rows, _, err := storage.All(s.Context(), s.Tables, table, storage.Query{})
	s.must(err)
	if len(rows) != 0 {
		s.Errorf("rows after refused transactions: %+v", rows)
	}
}

// rollsBack is the case of a transaction whose last operation fails.
func rollsBack(action storage.Action, rowKey string, withETag bool, sentinel error) func(*scene) {
	return func(s *scene) {
		table := s.table()
		stale := s.insert(table, "p", "old", map[string]any{"A": "1"})
		etag, err := s.Tables.Merge(s.Context(), table, storage.Row{PartitionKey: "p", RowKey: "old"}, stale)
		s.must(err)
		bystander := s.insert(table, "p", "bystander", nil)
		failing := operation(action, rowKey, "", map[string]any{"A": "2"})
		if withETag {
			failing.ETag = stale
		}
		_, err = s.Tables.Transact(s.Context(), table, []storage.Operation{
			operation(storage.Insert, "new", "", nil),
			operation(storage.Merge, "bystander", bystander, map[string]any{"A": "2"}),
			failing,
			operation(storage.Insert, "later", "", nil),
		}, false)
		s.want(err, sentinel)
		s.holds(table, "p", "old", etag, map[string]any{"A": "1"})
		s.holds(table, "p", "bystander", bystander, nil)
		for _, key := range []string{"new", "later", "missing"} {
			_, err := s.Tables.Read(s.Context(), table, "p", key)
			s.want(err, storage.ErrNotFound)
		}
	}
}
