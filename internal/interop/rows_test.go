package interop_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// rows returns all rows of a table in key order.
func (w *world) rows(table string) []storage.Row {
	w.Helper()
	rows, _, err := storage.All(w.ctx, w.account.Tables, table, storage.Query{})
	if err != nil {
		w.Fatal(err)
	}
	return rows
}

func (w *world) historyRows() []storage.Row { return w.rows(w.hub.Store().Names.HistoryTable()) }

func (w *world) instanceRows() []storage.Row { return w.rows(w.hub.Store().Names.InstancesTable()) }

// byInstance groups history rows by partition key.
func byInstance(rows []storage.Row) map[string][]storage.Row {
	grouped := map[string][]storage.Row{}
	for _, row := range rows {
		grouped[row.PartitionKey] = append(grouped[row.PartitionKey], row)
	}
	return grouped
}

// current returns the rows of the execution that an instance's sentinel names, and its sentinel.
func current(rows []storage.Row) (events []storage.Row, sentinel *storage.Row) {
	if n := len(rows); n > 0 && rows[n-1].RowKey == wire.SentinelKey {
		sentinel, rows = &rows[n-1], rows[:n-1]
	}
	for i := range rows {
		if sentinel != nil && rows[i].Values["ExecutionId"] != sentinel.Values["ExecutionId"] {
			return rows[:i], sentinel
		}
	}
	return rows, sentinel
}

// shortKinds abbreviates event types for outlines.
var shortKinds = map[string]string{
	"OrchestratorStarted": "OS", "OrchestratorCompleted": "OC",
	"ExecutionStarted": "ES", "ExecutionCompleted": "EC", "ExecutionTerminated": "ET",
	"ExecutionSuspended": "SU", "ExecutionResumed": "RE",
	"TaskScheduled": "TS", "TaskCompleted": "TC", "TaskFailed": "TF",
	"SubOrchestrationInstanceCreated": "SC", "SubOrchestrationInstanceCompleted": "SD",
	"SubOrchestrationInstanceFailed": "SF",
	"TimerCreated":                   "TI", "TimerFired": "FI", "EventRaised": "ER", "EventSent": "ES→", "GenericEvent": "GE",
}

// outline describes a history in one line: the kind of each event, the number it has or answers,
// and its name or result. Episodes are separated by a bar.
func outline(events []storage.Row) string {
	var parts []string
	for _, row := range events {
		kind, _ := row.Values["EventType"].(string)
		part := shortKinds[kind]
		switch kind {
		case "OrchestratorStarted":
			if len(parts) > 0 {
				part = "| " + part
			}
		case "OrchestratorCompleted":
		default:
			part += outlineNumber(row) + outlineText(row)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func outlineNumber(row storage.Row) string {
	for _, column := range []string{"TaskScheduledId", "TimerId", "EventId"} {
		if id, ok := row.Values[column].(int32); ok && id >= 0 {
			return strconv.Itoa(int(id))
		}
	}
	return ""
}

func outlineText(row storage.Row) string {
	for _, column := range []string{"Result", "Name", "Reason"} {
		if text, ok := row.Values[column].(string); ok {
			if len(text) > 60 {
				text = text[:40] + "…"
			}
			return "=" + text
		}
	}
	return ""
}

// checkContiguous checks that an instance's rows are numbered from 0 on and that its sentinel says
// the checkpoint was finished.
func (w *world) checkContiguous(id string, rows []storage.Row) {
	w.Helper()
	events, sentinel := current(rows)
	if sentinel == nil || sentinel.Values["IsCheckpointComplete"] != true {
		w.Errorf("%s: the sentinel is %v", id, sentinel)
	}
	for i := range rows[:len(rows)-1] {
		if rows[i].RowKey != wire.RowKey(i) {
			w.Errorf("%s: row %d has the key %q", id, i, rows[i].RowKey)
		}
	}
	if n := len(events); n == 0 || events[n-1].Values["EventType"] != "OrchestratorCompleted" {
		w.Errorf("%s: the history does not end with the end of an episode: %s", id, outline(events))
	}
}

// checkUntouched checks that rows that were there before are there still, never written again.
func (w *world) checkUntouched(id string, before, after []storage.Row) {
	w.Helper()
	events, _ := current(before)
	for i, row := range events {
		if i >= len(after) || !sameRow(row, after[i]) || row.ETag != after[i].ETag {
			w.Errorf("%s: row %d was touched:\n%v\n%v", id, i, row, after[i])
		}
	}
}

func sameRow(a, b storage.Row) bool {
	return a.PartitionKey == b.PartitionKey && a.RowKey == b.RowKey && fmt.Sprint(a.Values) == fmt.Sprint(b.Values)
}

// checkBlobs checks that every payload blob is referred to by a row. Those of messages, and of an
// input that was too long for its row before the first checkpoint, stay until the instance is
// purged, as with .NET.
func (w *world) checkBlobs() {
	w.Helper()
	names := w.hub.Store().Names
	containers, err := w.account.Blobs.ListContainers(w.ctx, names.LargeMessages())
	if err != nil {
		w.Fatal(err)
	}
	if !slices.Contains(containers, names.LargeMessages()) {
		return
	}
	blobs, err := w.account.Blobs.ListBlobs(w.ctx, names.LargeMessages(), "")
	if err != nil {
		w.Fatal(err)
	}
	references := ""
	for _, row := range append(w.historyRows(), w.instanceRows()...) {
		references += fmt.Sprintln(row.Values)
	}
	for _, blob := range blobs {
		if !strings.Contains(references, blob) && !strings.Contains(blob, "/message-") && !strings.Contains(blob, "/history--Input-") {
			w.Errorf("nothing refers to the blob %s", blob)
		}
	}
}
