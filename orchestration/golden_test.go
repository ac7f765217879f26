package orchestration_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/fixture/code"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// recording is the current execution of an instance as the .NET engine left it.
type recording struct {
	key          string // scenario and instance
	name         string
	execution    string
	customStatus *string
	events       []history.Event
}

// lostBlobs lists the executions that cannot be read any more: the scenario purges an instance
// whose id is the beginning of theirs, which takes their blobs along.
var lostBlobs = map[string]bool{"purge-one/purge-me-not": true}

// Y07: every execution that .NET recorded replays, has no actions beyond its history, and shows
// the custom status that .NET stored.
func TestGolden_Replay(t *testing.T) {
	t.Parallel()
	eachRecording(t, func(t *testing.T, r recording) {
		x := orchestration.NewExecution(bindingOf(t, r.name), orchestration.Options{})
		t.Cleanup(x.Close)
		if err := x.Replay(r.events); err != nil {
			t.Fatal(err)
		}
		if got, want := history.TextOr(x.CustomStatus(), "null"), history.TextOr(r.customStatus, "null"); got != want {
			t.Errorf("custom status: got %s, want %s", got, want)
		}
		decision, err := x.Advance(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(decision.Actions) > 0 {
			t.Errorf("beyond the history: %q", render(decision.Actions, epoch))
		}
	})
}

// eachRecording runs f over the current execution of every instance that is no entity, in every
// scenario that is not about entities.
func eachRecording(t *testing.T, f func(*testing.T, recording)) {
	t.Helper()
	count := 0
	for _, scenario := range fixture.Names() {
		if strings.HasPrefix(scenario, "entity-") {
			continue
		}
		for _, r := range recordingsOf(t, fixture.Load(t, scenario)) {
			count++
			t.Run(r.key, func(t *testing.T) {
				t.Parallel()
				f(t, r)
			})
		}
	}
	if count < 100 {
		t.Errorf("only %d recorded executions were found", count)
	}
}

func recordingsOf(t *testing.T, hub *fixture.Hub) []recording {
	t.Helper()
	var recordings []recording
	for table := range hub.Tables {
		prefix, isHistory := strings.CutSuffix(table, "History")
		if !isHistory {
			continue
		}
		instances := map[string]storage.Row{}
		for _, row := range hub.Rows(prefix + "Instances") {
			instances[row.PartitionKey] = row
		}
		for key, rows := range partitionsOf(hub.Rows(table)) {
			r := recording{key: hub.Scenario + "/" + key}
			if lostBlobs[r.key] {
				continue
			}
			r.events = decodeRows(t, hub, rows)
			if status, ok := instances[key].Values["CustomStatus"].(string); ok {
				r.customStatus = &status
			}
			for _, e := range r.events {
				if start, ok := e.(*history.ExecutionStarted); ok {
					r.name, r.execution = start.Name, start.Instance.ExecutionID
				}
			}
			if r.name != "" {
				recordings = append(recordings, r)
			}
		}
	}
	return recordings
}

// partitionsOf groups the rows of current executions by partition key. The sentinel tells which
// execution is current; rows of older ones may follow.
func partitionsOf(rows []storage.Row) map[string][]storage.Row {
	current := map[string]string{}
	for _, row := range rows {
		if row.RowKey == wire.SentinelKey {
			current[row.PartitionKey] = wire.ExecutionOf(row.Values)
		}
	}
	partitions := map[string][]storage.Row{}
	for _, row := range rows {
		if row.RowKey != wire.SentinelKey && wire.ExecutionOf(row.Values) == current[row.PartitionKey] {
			partitions[row.PartitionKey] = append(partitions[row.PartitionKey], row)
		}
	}
	for _, rows := range partitions {
		slices.SortFunc(rows, func(a, b storage.Row) int { return strings.Compare(a.RowKey, b.RowKey) })
	}
	return partitions
}

func decodeRows(t *testing.T, hub *fixture.Hub, rows []storage.Row) []history.Event {
	t.Helper()
	events := make([]history.Event, 0, len(rows))
	for _, row := range rows {
		columns := wire.Columns(row.Values)
		for column, blob := range wire.BlobColumns(columns) {
			columns[column] = blobText(t, hub, blob)
		}
		event, err := wire.DecodeEvent(columns)
		if err != nil {
			t.Fatalf("row %s of %s: %v", row.RowKey, row.PartitionKey, err)
		}
		events = append(events, event)
	}
	return events
}

func blobText(t *testing.T, hub *fixture.Hub, name string) string {
	t.Helper()
	for _, container := range hub.Containers {
		for _, blob := range container.Blobs {
			if blob.Name != name {
				continue
			}
			text, err := wire.Decompress(blob.Content(), 1<<20)
			if err != nil {
				t.Fatalf("blob %s: %v", name, err)
			}
			return text
		}
	}
	t.Fatalf("no blob %s", name)
	return ""
}

func bindingOf(t testing.TB, name string) orchestration.Binding {
	t.Helper()
	for _, binding := range code.Orchestrations() {
		if binding.Name == name {
			return binding
		}
	}
	t.Fatalf("no code for orchestration %q", name)
	return orchestration.Binding{}
}
