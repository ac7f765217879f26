package orchestration_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// The inputs of activities are not in the histories but in the messages that .NET sent to the
// work-item queues: ours are the same, byte for byte.
func TestGolden_ActivityInputs(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, scenario := range fixture.Names() {
		if strings.HasPrefix(scenario, "entity-") || scenario == "data-contract" {
			continue
		}
		sent := sentInputs(t, scenario)
		for _, r := range recordingsOf(t, fixture.Load(t, scenario)) {
			for id, call := range callsOf(t, r) {
				want, ok := sent[fmt.Sprintf("%s:%d", r.execution, id)]
				if !ok {
					continue // too long a message, or one that was left out of the recording
				}
				compared++
				if got := history.TextOr(call.Input, ""); got != want {
					t.Errorf("%s: input of %s #%d is %s, .NET sent %s", r.key, call.Name, id, got, want)
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d inputs were compared", compared)
	}
}

// sentInputs returns the inputs of the activity messages of a scenario by execution and id, in the
// form execution:id.
func sentInputs(t *testing.T, scenario string) map[string]string {
	t.Helper()
	inputs := map[string]string{}
	for _, request := range fixture.Traffic(t, scenario) {
		if request.Op != "queue.put" || !strings.Contains(request.URL, "-workitems/") || request.ReqBody.Text == "" {
			continue
		}
		var body struct{ MessageText string }
		if err := xml.Unmarshal([]byte(strings.TrimPrefix(request.ReqBody.Text, "\uFEFF")), &body); err != nil {
			t.Fatalf("%s: %v", scenario, err)
		}
		message, blob, err := wire.DecodeMessage(body.MessageText)
		if err != nil || blob != "" {
			continue // put by the driver to be unreadable, or large
		}
		if e, ok := message.Event.(*history.TaskScheduled); ok {
			inputs[fmt.Sprintf("%s:%d", message.Target.ExecutionID, e.EventID)] = history.TextOr(e.Input, "(none)")
		}
	}
	return inputs
}

// callsOf returns the activity actions of an execution by id.
func callsOf(t *testing.T, r recording) map[int32]*orchestration.ActivityAction {
	t.Helper()
	calls := map[int32]*orchestration.ActivityAction{}
	for _, e := range episodesOf(r.events) {
		x := orchestration.NewExecution(bindingOf(t, r.name), orchestration.Options{})
		if err := x.Replay(e.before); err != nil {
			t.Fatal(err)
		}
		decision, err := x.Advance(e.inbound)
		x.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range decision.Actions {
			if call, ok := action.(*orchestration.ActivityAction); ok {
				calls[call.ID] = call
			}
		}
	}
	return calls
}
