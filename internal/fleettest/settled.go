package fleettest

import (
	"time"

	"github.com/durafleet/durafleet/history"
)

// Settled waits until no message of the hub is left, and then checks that the given instances
// have ended and that what is stored about them is whole.
func (w *World) Settled(limit time.Duration, ids ...string) {
	w.T.Helper()
	w.DrainedWithin(limit)
	for _, id := range ids {
		w.CheckEnded(id)
	}
}

// CheckEnded checks that an instance has ended, that its history holds no event twice, and no
// answer before its question, and that its status row says what the history does.
func (w *World) CheckEnded(id string) {
	w.T.Helper()
	loaded, err := w.Hub.Store().LoadHistory(w.ctx, id)
	if err != nil {
		w.T.Fatal(err)
	}
	if repeated := loaded.Rows - loaded.State.Len(); repeated != 0 {
		w.T.Errorf("history of %s: %d of %d rows repeat another", id, repeated, loaded.Rows)
	}
	asked := &history.State{}
	for i, e := range loaded.State.Events() {
		if history.IsAnswer(e) && asked.Request(e) == nil {
			w.T.Errorf("history of %s: event %d, %s, answers nothing", id, i, e.Kind())
		}
		if err := asked.Append(e); err != nil {
			w.T.Errorf("history of %s: event %d, %s: %v", id, i, e.Kind(), err)
		}
	}
	end := loaded.State.Completed()
	if end == nil || !loaded.State.AtRest() || !loaded.Complete {
		w.T.Errorf("history of %s has no proper end", id)
		return
	}
	w.checkRow(id, loaded.ExecutionID, end)
}

func (w *World) checkRow(id, executionID string, end *history.ExecutionCompleted) {
	w.T.Helper()
	status, err := w.Client.Get(w.ctx, id)
	if err != nil {
		w.T.Fatal(err)
	}
	if status.Status != end.Status || status.ExecutionID != executionID {
		w.T.Errorf("row of %s: %s of execution %s; its history: %s of execution %s",
			id, status.Status, status.ExecutionID, end.Status, executionID)
	}
	if end.Status == history.Completed && history.TextOr(status.RawOutput, "none") != history.TextOr(end.Result, "none") {
		w.T.Errorf("row of %s: output %q; its history: %q",
			id, history.TextOr(status.RawOutput, "none"), history.TextOr(end.Result, "none"))
	}
	if status.Completed == nil {
		w.T.Errorf("row of %s does not say when it ended", id)
	}
}
