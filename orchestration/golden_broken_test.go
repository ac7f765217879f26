package orchestration_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Y07: a recorded history in which one record of an action is changed, moved to another id or
// doubled does not replay, and the error names that record.
func TestGolden_BrokenHistories_Y07(t *testing.T) {
	t.Parallel()
	eachRecording(t, func(t *testing.T, r recording) {
		for i, event := range r.events {
			if _, terminated := event.(*history.ExecutionTerminated); terminated {
				return // records that follow are of no interest any more
			}
			id := event.Head().EventID
			if id == history.NoEventID || id == history.SplitTimerID || event.Kind() == history.KindGenericEvent {
				continue
			}
			for what, broken := range brokenRecords(event) {
				events := slices.Clone(r.events)
				if what == "doubled" {
					events = slices.Insert(events, i, event)
				} else {
					events[i] = broken
				}
				expectDifference(t, r.name, what, broken.Head().EventID, events)
			}
		}
	})
}

// brokenRecords returns ways in which the record of an action can be wrong.
func brokenRecords(event history.Event) map[string]history.Event {
	const stray = 1 << 20
	h := *event.Head()
	strayed := h
	strayed.EventID = stray
	switch e := event.(type) {
	case *history.TaskScheduled:
		return map[string]history.Event{
			"renamed": &history.TaskScheduled{Header: h, Name: e.Name + "?"},
			"changed": &history.TimerCreated{Header: h},
			"moved":   &history.TaskScheduled{Header: strayed, Name: e.Name},
			"doubled": event,
		}
	case *history.SubOrchestrationCreated:
		return map[string]history.Event{
			"renamed": &history.SubOrchestrationCreated{Header: h, Name: e.Name + "?"},
			"changed": &history.EventSent{Header: h, Name: e.Name},
			"doubled": event,
		}
	case *history.TimerCreated:
		return map[string]history.Event{"changed": &history.TaskScheduled{Header: h, Name: "Work"}, "doubled": event}
	case *history.EventSent:
		return map[string]history.Event{"renamed": &history.EventSent{Header: h, Name: e.Name + "?"}, "doubled": event}
	case *history.ExecutionCompleted:
		return map[string]history.Event{"changed": &history.ExecutionCompleted{Header: h, Status: history.Canceled}}
	default:
		return nil
	}
}

func expectDifference(t *testing.T, name, what string, id int32, events []history.Event) {
	t.Helper()
	x := orchestration.NewExecution(bindingOf(t, name), orchestration.Options{})
	defer x.Close()
	err := x.Replay(events)
	var differs *orchestration.NonDeterminismError
	if !errors.As(err, &differs) || differs.EventID != id {
		t.Errorf("record %d %s: %v", id, what, err)
	}
}
