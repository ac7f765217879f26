package interop_test

import (
	"fmt"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/worker"
)

// cutScenarios are recordings without raised events: an event that .NET has stored and not deleted
// counts twice, whoever goes on. Outcome gives an output where ours is another by intention.
var cutScenarios = []struct {
	name  string
	quick bool // also with -short
}{
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
	w.checkAllColumns()
	w.checkBlobs()
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
