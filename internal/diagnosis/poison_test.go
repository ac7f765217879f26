package diagnosis_test

import (
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/wire"
)

// What follows from a message that was moved aside depends on what it was, and on whether anything waits for it.
func TestInstance_MovedAside(t *testing.T) {
	t.Parallel()
	item := func(call int32) *wire.Message {
		return &wire.Message{Event: &history.TaskScheduled{Header: header(call, 0), Name: "A"}}
	}
	for _, tt := range []struct {
		name     string
		aside    diagnosis.Aside
		change   func(in *diagnosis.Instance)
		severity diagnosis.Severity
		text     string
		lost     bool
	}{
		{
			"the work item it waits for",
			diagnosis.Aside{Poison: &wire.Poison{Kind: history.KindTaskScheduled}, Content: item(0)},
			nil, diagnosis.Broken, "waits for what is in them", false,
		},
		{
			"another work item",
			diagnosis.Aside{Poison: &wire.Poison{Kind: history.KindTaskScheduled}, Content: item(7)},
			nil, diagnosis.Warning, "may wait for ever", true,
		},
		{
			"another execution's",
			diagnosis.Aside{Poison: &wire.Poison{Kind: history.KindTaskScheduled, ExecutionID: "f"}, Content: item(0)},
			nil, diagnosis.Warning, "may wait for ever", true,
		},
		{
			"a work item that cannot be read",
			diagnosis.Aside{Poison: &wire.Poison{Kind: history.KindTaskScheduled}},
			nil, diagnosis.Warning, "may wait for ever", true,
		},
		{
			"its code was told",
			diagnosis.Aside{Poison: &wire.Poison{Kind: history.KindTaskScheduled, Answered: true}, Content: item(7)},
			nil, diagnosis.Note, "was told that the activity failed", true,
		},
		{
			"it has ended",
			diagnosis.Aside{Poison: &wire.Poison{Kind: history.KindEventRaised}},
			func(in *diagnosis.Instance) {
				in.Row.Status = history.Completed
				in.History.State = history.NewState(append(in.History.State.Events(), &history.ExecutionCompleted{Header: header(1, 0), Status: history.Completed}))
			}, diagnosis.Note, "it has ended", false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := waiting()
			whole(in)
			in.Row.Poison = &wire.PoisonMark{IDs: []string{"p1"}, Reason: "bad"}
			tt.aside.ID = "p1"
			in.Aside = []diagnosis.Aside{tt.aside}
			if tt.change != nil {
				tt.change(in)
			}
			lost := false
			for _, f := range in.Diagnose().Findings {
				switch f.Code {
				case diagnosis.MessageLost:
					lost = true
				case diagnosis.Poison:
					if f.Severity != tt.severity || !strings.Contains(f.Text, tt.text) || !strings.Contains(f.Text, "1 message of the instance was moved aside (p1)") {
						t.Errorf("finding %+v", f)
					}
				default:
					t.Errorf("finding %+v", f)
				}
			}
			if lost != tt.lost {
				t.Errorf("lost is %v", lost)
			}
		})
	}
}
