package store

import (
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

// StatusOf returns the status of an instance with the given history.
func StatusOf(state *history.State) history.Status {
	switch {
	case state.Completed() != nil:
		return state.Completed().Status
	case state.Suspended():
		return history.Suspended
	default:
		return history.Running
	}
}

// LastSuspension returns the reason of the last suspend or resume among events, nil if there was none.
func LastSuspension(events []history.Event) *string {
	for _, e := range slices.Backward(events) {
		switch e := e.(type) {
		case *history.ExecutionSuspended:
			return history.Text(history.TextOr(e.Reason, ""))
		case *history.ExecutionResumed:
			return history.Text(history.TextOr(e.Reason, ""))
		}
	}
	return nil
}

// StateUpdate adds to an update of a status row how an instance is that has not ended: its status, and why it was
// suspended or resumed last, if ever.
func StateUpdate(update *wire.InstanceUpdate, state *history.State) {
	update.Status = StatusOf(state)
	if reason := LastSuspension(state.Events()); reason != nil {
		output := wire.SafeOutput(*reason)
		update.Output = &output
	}
}

// RowStart returns what the start of an execution says in a status row.
func RowStart(started *history.ExecutionStarted) *wire.InstanceStart {
	return &wire.InstanceStart{
		Name: started.Name, Version: started.Version, Created: started.Timestamp, Tags: started.Tags,
		Input: started.Input, Generation: started.Generation, ScheduledStart: started.ScheduledStart,
	}
}

// CompleteUpdate adds the end of an instance to an update of its status row.
func CompleteUpdate(update *wire.InstanceUpdate, end *history.ExecutionCompleted, now time.Time) {
	update.Status, update.Completed = end.Status, &now
	switch end.Status {
	case history.Completed:
		update.Output = end.Result
	case history.Failed:
		update.Output = wire.FailedOutput(end.Result, end.Failure)
	default:
		reason := wire.SafeOutput(history.TextOr(end.Result, ""))
		update.Output = &reason
	}
}

// Refer makes an update of a status row refer to payloads that the history has in blobs.
func Refer(update *wire.InstanceUpdate, payloads Payloads) {
	if payloads.InputURL != "" && update.Start != nil {
		update.Start.Input = &payloads.InputURL
	}
	if payloads.ResultURL != "" && update.Completed != nil {
		update.Output = &payloads.ResultURL
	}
}

// WholeUpdate returns an update that makes the status row of an instance say what its history does,
// whatever it says now. The custom status is not in the history.
func (h *Hub) WholeUpdate(stored *History, customStatus *string) wire.InstanceUpdate {
	state := stored.State
	events := state.Events()
	update := wire.InstanceUpdate{
		ExecutionID: stored.ExecutionID, LastUpdated: events[len(events)-1].Head().Timestamp,
		TaskHubName: h.Names.Hub(), CustomStatus: customStatus,
		Start: RowStart(state.Started()),
	}
	if end := state.Completed(); end != nil {
		CompleteUpdate(&update, end, end.Timestamp)
	} else {
		StateUpdate(&update, state)
	}
	Refer(&update, stored.Payloads)
	return update
}

// Leads reports whether a status row is about the execution of the history, or about one that it
// leads on from. A row of another execution belongs to another start and is not the history's to
// write; children, which only their parents start, have no number of their start.
func (s *History) Leads(row *Instance) bool {
	return row.ExecutionID == "" || !row.HasGeneration || strings.EqualFold(row.ExecutionID, s.ExecutionID) ||
		slices.ContainsFunc(s.Replaced, func(former string) bool { return strings.EqualFold(row.ExecutionID, former) })
}
