package interop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/worker"
)

// cutScenarios are recordings without raised events: an event that .NET has stored and not deleted
// counts twice, whoever goes on.
var cutScenarios = []struct {
	name  string
	quick bool // also with -short
}{
	{"old-rows", true},
	{"rewind", true},
	{"hello-5", false},
	{"base64", true},
	{"data-contract", true},
	{"sub-orchestration", true},
	{"instance-etag", false},
	{"extended-sessions", false},
	{"tags", false},
	{"version", false},
	{"null-values", false},
	{"custom-status", false},
	{"include-parameters", false},
	{"timer", true},
	{"approval-timeout", false},
	{"scheduled-start", false},
	{"terminate-running", false},
	{"retry", false},
}

// A .NET fleet that dies after any of its storage requests leaves a hub that is finished here with
// the same outcome: messages in Base64, of the data contract serializer, with inputs in histories,
// whatever half of a checkpoint was written.
func TestTakeOver_AfterEveryRequest(t *testing.T) {
	t.Parallel()
	for _, scenario := range cutScenarios {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && !scenario.quick {
				t.Skip("many runs; -short is set")
			}
			all := cuts(t, scenario.name)
			if len(all) < 4 {
				t.Fatalf("only %d cuts", len(all))
			}
			for i, cut := range all {
				if slices.ContainsFunc(cut.left, func(step map[string]any) bool { return step["cmd"] == "rewind" }) {
					continue // our client cannot
				}
				for _, v := range variants {
					if v.virtual && (!testing.Short() || (i%2 == 0) == v.noCache) {
						t.Run(fmt.Sprintf("%d/%s", i, v.name), func(t *testing.T) {
							inVirtualTime(t, v, func(w *world) { finishCut(w, cut) })
						})
					}
				}
			}
		})
	}
}

func finishCut(w *world, cut *recording) {
	w.Helper()
	hub := cut.hub(w)
	w.restore(hub)
	before := byInstance(w.historyRows())
	w.start(worker.Options{})
	for _, step := range hub.Steps {
		if step["cmd"] == "worker" {
			continue
		}
		w.settle()
		if err := w.command(step); err != nil {
			w.Fatalf("step %v: %v", step, err)
		}
	}
	w.empty()
	w.stop()
	w.checkOutcome(fixture.Load(w, cut.scenario))
	for id, rows := range byInstance(w.historyRows()) {
		w.checkContiguous(id, rows)
		w.checkUntouched(id, before[id], rows)
		w.checkReplay(id)
	}
	switch cut.scenario {
	case "rewind": // makes rows of a sort that nothing else writes
	case "old-rows": // its client's row has no Tags, which a worker adds only with the first turn
	default:
		w.checkAllColumns()
	}
	w.checkBlobs()
}

// A history that .NET wrote half, in one of two transactions, is completed: what it holds is not
// asked for again, the rest is.
func TestTakeOver_MidHistory(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		hub, whole := midHistory(w)
		w.restore(hub)
		before := byInstance(w.historyRows())["recover-1"]
		w.start(worker.Options{})
		w.empty()
		w.expect("recover-1", "Completed", "120")
		w.stop()
		after := byInstance(w.historyRows())["recover-1"]
		w.checkContiguous("recover-1", after)
		w.checkUntouched("recover-1", before, after)
		w.checkReplay("recover-1")
		w.checkAllColumns()
		counts := map[string]int{}
		for _, row := range after {
			counts[fmt.Sprint(row.Values["EventType"], row.Values["TaskScheduledId"], row.Values["EventId"])]++
		}
		for i := range whole {
			if counts[fmt.Sprint("TaskScheduled", nil, i)] != 1 || counts[fmt.Sprint("TaskCompleted", i, -1)] != 1 {
				w.Errorf("activity %d is not in the history once: %v", i, counts)
			}
		}
	})
}

// midHistory returns the hub of recover-mid-history as it was when its first worker was killed,
// and how many activities the whole history has.
func midHistory(w *world) (hub *fixture.Hub, activities int) {
	w.Helper()
	const table, lastRow = "FxRecoverMidHistoryHistory", 98
	all := cuts(w, "recover-mid-history")
	hub = all[1].hub(w) // the start, and the first activity message
	whole := fixture.Load(w, hub.Scenario).Rows(table)
	var rows []storage.Row
	for i, row := range whole {
		switch {
		case row.RowKey == wire.SentinelKey:
			row.Values = map[string]any{"ExecutionId": row.Values["ExecutionId"], "IsCheckpointComplete": false}
			rows = append(rows, row)
		case i <= lastRow:
			rows = append(rows, row)
		}
		if row.Values["EventType"] == "TaskScheduled" {
			activities++
		}
	}
	hub.SetRows(table, rows)
	const items = "fxrecovermidhistory-workitems"
	first := hub.Queues[items][0]
	for i := 1; i < activities; i++ {
		next := first
		next.Text = strings.NewReplacer(
			`"EventId":0`, fmt.Sprintf(`"EventId":%d`, i), `[\"0\"]`, fmt.Sprintf(`[\"%d\"]`, i),
		).Replace(first.Text)
		hub.Queues[items] = append(hub.Queues[items], next)
	}
	return hub, activities
}

// checkOutcome compares the status rows with those that .NET left. The ids of children that were
// not given hold an execution id, which differs if the parent had not begun.
func (w *world) checkOutcome(recorded *fixture.Hub) {
	w.Helper()
	want := map[string][]string{}
	for _, row := range recorded.Rows(recorded.Name + "Instances") {
		id := executionID.ReplaceAllString(row.PartitionKey, "*")
		want[id] = append(want[id], outcomeText(row.Values))
	}
	got := map[string][]string{}
	for _, row := range w.instanceRows() {
		id := executionID.ReplaceAllString(row.PartitionKey, "*")
		got[id] = append(got[id], outcomeText(row.Values))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("the instances ended\n%v\nwant\n%v", got, want)
	}
}

// outcomeText describes the end of an instance. The texts of failures are the engines' own.
func outcomeText(values map[string]any) string {
	output := values["Output"]
	if values["RuntimeStatus"] == string(history.Failed) {
		output = "*"
	}
	return fmt.Sprintf("%v %v %v %v %v", values["Name"], values["Version"], values["RuntimeStatus"], output, values["CustomStatus"])
}
