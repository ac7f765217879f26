package interop_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// columns says what .NET was recorded to write into rows of one sort.
type columns struct {
	rows  int
	count map[string]int
	types map[string]string
}

// netColumns are the columns of all recorded hubs: of history rows by event type, of sentinels
// under "sentinel", and of status rows of instances with ("client") and without ("child") a
// generation, by status. Hubs of other engine modes and hand-made rows are left out.
var netColumns = sync.OnceValue(func() map[string]*columns {
	all := map[string]*columns{}
	for _, name := range fixture.Names() {
		switch name {
		case "old-rows", "correlation", "rewind", "rewind-tail":
			continue
		}
		hub := fixture.Load(loadOnly{}, name)
		for table := range hub.Tables {
			for _, row := range hub.Rows(table) {
				sort := sortOf(table, row)
				if sort == "" || strings.HasPrefix(row.PartitionKey, "@") {
					continue
				}
				c, ok := all[sort]
				if !ok {
					c = &columns{count: map[string]int{}, types: map[string]string{}}
					all[sort] = c
				}
				c.rows++
				for column, value := range row.Values {
					c.count[column]++
					c.types[column] = fmt.Sprintf("%T", value)
				}
			}
		}
	}
	return all
})

// loadOnly lets fixtures be loaded outside of a test.
type loadOnly struct{ testing.TB }

func (loadOnly) Helper() {}

func (loadOnly) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// sortOf names the sort of a row.
func sortOf(table string, row storage.Row) string {
	switch {
	case strings.HasSuffix(table, "History") && row.RowKey == wire.SentinelKey:
		return wire.SentinelKey
	case strings.HasSuffix(table, "History"):
		kind, _ := row.Values["EventType"].(string)
		return kind
	case strings.HasSuffix(table, "Instances"):
		if _, ok := row.Values["Generation"]; ok {
			return "client"
		}
		return "child"
	}
	return ""
}

// privatePrefix begins the columns that are ours alone. They exist on sentinels, where .NET leaves
// them alone.
const privatePrefix = "Durafleet"

// checkColumns checks that a row has all columns that .NET always writes into rows of its sort,
// none that it never writes, and all with the same EDM types.
func (w *world) checkColumns(table string, row storage.Row) {
	w.Helper()
	sort := sortOf(table, row)
	known, ok := netColumns()[sort]
	if !ok {
		w.Errorf("%s: .NET never wrote a row of sort %q", row.PartitionKey, sort)
		return
	}
	for column, value := range row.Values {
		private := sort == wire.SentinelKey && strings.HasPrefix(column, privatePrefix)
		if got := fmt.Sprintf("%T", value); !private && known.types[column] != got {
			w.Errorf("%s %s (%s): column %s is a %s, with .NET %q", row.PartitionKey, row.RowKey, sort, column, got, known.types[column])
		}
	}
	status, _ := row.Values["RuntimeStatus"].(string)
	if _, has := row.Values["CompletedTime"]; has != history.Status(status).Terminal() {
		w.Errorf("%s: CompletedTime %v in a row with the status %s", row.PartitionKey, has, status)
	}
	for _, column := range slices.Sorted(maps.Keys(known.count)) {
		if _, has := row.Values[column]; !has && known.count[column] == known.rows {
			w.Errorf("%s %s (%s): column %s is missing", row.PartitionKey, row.RowKey, sort, column)
		}
	}
}

// checkAllColumns checks every row of the hub.
func (w *world) checkAllColumns() {
	w.Helper()
	names := w.hub.Store().Names
	for _, table := range []string{names.HistoryTable(), names.InstancesTable()} {
		for _, row := range w.rows(table) {
			w.checkColumns(table, row)
		}
	}
}
