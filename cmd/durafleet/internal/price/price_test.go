package price

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/internal/storage"
)

func text(t *testing.T, table *Table) string {
	t.Helper()
	data, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRead_Default(t *testing.T) {
	t.Parallel()
	got, err := Read(strings.NewReader(text(t, Default()) + "\n"))
	if diff := cmp.Diff(Default(), got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestRead_Errors(t *testing.T) {
	t.Parallel()
	with := func(change func(*Table)) string {
		table := Default()
		change(table)
		return text(t, table)
	}
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", []string{"not JSON"}},
		{"no JSON", "prices: 1", []string{"not JSON", "--print-prices"}},
		{"another form", `{"currency":"USD","prices":{}}`, []string{`"prices"`}},
		{"a text for a price", `{"currency":"USD","per":1,"hoursPerMonth":1,"requests":{"queue":"cheap"}}`, []string{"string", "float64"}},
		{"two tables", text(t, Default()) + "{}", []string{"behind its end"}},
		{"too large", strings.Repeat(" ", maxFile+1), []string{"1048576 bytes"}},
		{"no currency", with(func(t *Table) { t.Currency = " " }), []string{"currency is empty"}},
		{"per", with(func(t *Table) { t.Per = 0 }), []string{"per is 0", "positive"}},
		{"long month", with(func(t *Table) { t.HoursPerMonth = 745 }), []string{"hoursPerMonth is 745", "744"}},
		{"no month", with(func(t *Table) { t.HoursPerMonth = -1 }), []string{"hoursPerMonth is -1"}},
		{"negative", with(func(t *Table) { t.Requests["table"] = -2 }), []string{"the price of table is -2", "negative"}},
		{"unknown", with(func(t *Table) { t.Requests["queue.putt"] = 1 }), []string{`"queue.putt"`, "blob.read", "queue.put"}},
		{"missing", with(func(t *Table) { delete(t.Requests, "table") }), []string{`"table" is missing`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(strings.NewReader(tt.in))
			if !errors.Is(err, ErrTable) {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}

// Every kind that is counted has a price of its own or that of its class.
func TestTable_Of(t *testing.T) {
	t.Parallel()
	table := Default()
	for i, class := range []string{queues, tables, blobWrite, blobRead, blobList, blobOther, blobDelete, retry} {
		table.Requests[class] = float64(i + 1)
	}
	table.Requests[string(storage.QueuePeek)] = 100
	want := map[storage.Kind]float64{
		storage.QueuePut: 1, storage.IdlePoll: 1, storage.QueuePeek: 100, storage.TableTransact: 2, storage.BlobPut: 3, storage.BlobGet: 4,
		storage.BlobList: 5, storage.BlobAdmin: 5, storage.BlobLease: 6, storage.BlobDelete: 7, storage.Retry: 8, "unknown": 8,
	}
	for kind, price := range want {
		if got := table.Of(string(kind), 20_000); math.Abs(got-2*price) > 1e-9 {
			t.Errorf("%s costs %v, want %v", kind, got, 2*price)
		}
	}
	for _, kind := range storage.Kinds() {
		if kind != "unknown" && classes[classOf(string(kind))] == "" {
			t.Errorf("%s has no class", kind)
		}
	}
}
