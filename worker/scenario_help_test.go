package worker_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// soon bounds what a healthy worker does at once; real time may be shared with many tests.
const soon = time.Minute

func launch[In, Out any](
	t *testing.T, w *fleettest.World, o orchestration.Orchestrator[In, Out], in In, options ...taskhub.StartOption,
) *taskhub.Instance[Out] {
	t.Helper()
	instance, err := taskhub.Start(w.Context(), w.Client, o, in, options...)
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

// resultOf waits for the result of an instance.
func resultOf[Out any](t *testing.T, w *fleettest.World, instance *taskhub.Instance[Out]) Out {
	t.Helper()
	out, err := instance.Wait(w.Timeout(soon))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// endOf waits for the end of an instance, whatever it is.
func endOf(t *testing.T, w *fleettest.World, id string) *taskhub.Status {
	t.Helper()
	status, err := w.Client.Wait(w.Timeout(soon), id)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func statusOf(t *testing.T, w *fleettest.World, id string) *taskhub.Status {
	t.Helper()
	status, err := w.Client.Get(w.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// reach waits until the instance has a status.
func reach(t *testing.T, w *fleettest.World, id string, want history.Status) *taskhub.Status {
	t.Helper()
	var status *taskhub.Status
	w.Eventually(soon, "the instance "+id+" is "+string(want), func() bool {
		status = statusOf(t, w, id)
		return status.Status == want
	})
	return status
}

func raise[T any](t *testing.T, w *fleettest.World, id string, event orchestration.Event[T], data T) {
	t.Helper()
	if err := taskhub.RaiseEvent(w.Context(), w.Client, id, event, data); err != nil {
		t.Fatal(err)
	}
}

func eventsOf(t *testing.T, w *fleettest.World, id string) []history.Event {
	t.Helper()
	events, err := w.Client.History(w.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// kinds counts the events of a history by kind.
func kinds(events []history.Event) map[history.Kind]int {
	counts := map[history.Kind]int{}
	for _, e := range events {
		counts[e.Kind()]++
	}
	return counts
}

// check fails the test at an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lazyOptions poll rarely, for tests in which hours pass.
func lazyOptions() *worker.Options {
	options := quietOptions()
	options.MaxPollInterval = 15 * time.Second
	return options
}

// logTo returns options whose log goes to out.
func logTo(out io.Writer) *worker.Options {
	return &worker.Options{Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
}

// storeCommit makes a checkpoint that begins the history of an execution.
func storeCommit(self history.Instance, now time.Time, events ...history.Event) store.Commit {
	return store.Commit{InstanceID: self.InstanceID, ExecutionID: self.ExecutionID, Events: events, Now: now}
}
