package interop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// fresh is a recorded program that is run again from the beginning.
type fresh struct {
	scenario string
	// late starts the worker last: what the recording's worker took in one batch, ours must, too.
	late bool
	// adapt takes the differences that are meant out of what .NET left, and ours out of ours.
	adapt func(net, ours *contents)
	// classic turns inline execution off, by which episodes are others.
	classic bool
}

var freshRuns = []fresh{
	{scenario: "hello-3"},
	{scenario: "hello-5"},
	{scenario: "fan-out-120", adapt: unordered, classic: true},
	{scenario: "sub-orchestration", classic: true},
	{scenario: "approval-event"},
	{scenario: "approval-late-timer"},
	{scenario: "approval-timeout"},
	{scenario: "event-relay"},
	{scenario: "event-before-start", adapt: eventIsKept},
	{scenario: "start-with-event", late: true, adapt: timerWithdrawn},
	{scenario: "suspend-resume"},
	{scenario: "continue-as-new", classic: true},
	{scenario: "continue-as-new-carried"},
	{scenario: "continue-as-new-large"},
	{scenario: "terminate-running"},
	{scenario: "terminate-completed"},
	{scenario: "terminate-pending", adapt: firstStepDropped},
	{scenario: "terminate-scheduled", adapt: staysTerminated},
	{scenario: "large-input-35k", adapt: inputIsURL},
	{scenario: "large-input-50k"},
	{scenario: "large-result-200k", classic: true},
	{scenario: "large-event-200k"},
	{scenario: "timer"},
	{scenario: "custom-status"},
	{scenario: "tags"},
	{scenario: "version"},
	{scenario: "null-values"},
	{scenario: "payload-text"},
	{scenario: "scheduled-start"},
	{scenario: "restart"},
	{scenario: "retry", adapt: failureDetails},
}

// Programs that .NET was recorded to run leave the same tables, blobs and messages when they run
// here.
func TestFresh_LeavesWhatNetLeaves(t *testing.T) {
	t.Parallel()
	for _, run := range freshRuns {
		t.Run(run.scenario, func(t *testing.T) {
			t.Parallel()
			each(t, func(w *world) { runFresh(w, run) })
		})
	}
}

func runFresh(w *world, run fresh) {
	w.Helper()
	hub := fixture.Load(w, run.scenario)
	net := recordedContents(hub)
	w.create(w.named(hub).Name)
	w.noInline = run.classic
	w.play(hub, run.late)
	if len(hub.Queues) == 0 || total(net.messages) == 0 {
		w.empty()
	}
	w.stop()
	ours := w.contents()
	for id, rows := range byInstance(ours.history) {
		w.checkContiguous(id, rows)
		w.checkReplay(id)
	}
	w.checkBlobs()
	w.checkAllColumns()
	w.checkTimes(ours)
	if run.adapt != nil {
		run.adapt(net, ours)
	}
	w.compare(net.shape(), ours.shape())
}

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

func (w *world) compare(net, ours []string) {
	w.Helper()
	for _, line := range net {
		if !slices.Contains(ours, line) {
			w.Errorf("only .NET: %s", line)
		}
	}
	for _, line := range ours {
		if !slices.Contains(net, line) {
			w.Errorf("only ours: %s", line)
		}
	}
	if len(net) != len(ours) {
		w.Errorf("%d lines with .NET, %d ours", len(net), len(ours))
	}
}

// checkTimes checks how the times in a hub relate: a status row was created when its execution
// was started, and the clock of an instance never goes back.
func (w *world) checkTimes(c *contents) {
	w.Helper()
	histories := byInstance(c.history)
	for _, row := range c.instances {
		events, _ := current(histories[row.PartitionKey])
		if len(events) < 2 {
			continue
		}
		if created := events[1].Values["_Timestamp"]; row.Values["CreatedTime"] != created {
			w.Errorf("%s: created at %v, started at %v", row.PartitionKey, row.Values["CreatedTime"], created)
		}
		last := ""
		for _, event := range events {
			at := fmt.Sprint(event.Values["_Timestamp"])
			if event.Values["EventType"] == "OrchestratorStarted" {
				if at <= last {
					w.Errorf("%s: an episode began at %v, the one before at %v", row.PartitionKey, at, last)
				}
				last = at
			}
		}
	}
}

// unordered drops what depends on which answers arrive together: the order of answers and how
// many episodes take them in.
func unordered(net, ours *contents) {
	for _, c := range []*contents{net, ours} {
		var kept []storage.Row
		for _, row := range c.history {
			switch row.Values["EventType"] {
			case "OrchestratorStarted", "OrchestratorCompleted":
				continue
			case "TaskCompleted", "ExecutionCompleted":
				row.RowKey = "*"
			}
			kept = append(kept, row)
		}
		c.history = kept
	}
}

// inputIsURL: .NET's client writes an empty Input and the name of a blob that no status reader
// looks at; ours writes the URL of that blob, and the first checkpoint replaces either.
func inputIsURL(net, _ *contents) {
	for _, row := range net.instances {
		delete(row.Values, "InputBlobName")
	}
}

// staysTerminated: with .NET, an instance that is terminated before its scheduled start runs all
// the same. Ours stays terminated and has no history.
func staysTerminated(net, ours *contents) {
	net.history = nil
	for _, row := range net.instances {
		row.Values["RuntimeStatus"], row.Values["Output"] = "Terminated", "not needed"
		delete(row.Values, "CustomStatus")
	}
	for _, row := range ours.instances {
		delete(row.Values, "CustomStatus")
	}
}

// eventIsKept: .NET deletes an event that comes before the start of its instance. Ours is kept
// for a while, so that the instance gets it.
func eventIsKept(net, ours *contents) {
	for _, c := range []*contents{net, ours} {
		c.history, c.messages = nil, nil
		for _, row := range c.instances {
			if output, _ := row.Values["Output"].(string); strings.HasPrefix(output, `"approved`) || output == `"timeout"` {
				row.Values["Output"] = "either"
			}
		}
	}
}

// firstStepDropped: with .NET, an instance that is terminated together with its start still runs
// the activity that its code asked for. Ours asks for nothing any more.
func firstStepDropped(net, _ *contents) { net.without("TaskScheduled") }

// timerWithdrawn: a timer that is set and cancelled in one turn is set by .NET all the same, and
// leaves a message. Ours never sets it.
func timerWithdrawn(net, _ *contents) {
	net.without("TimerCreated")
	net.messages = nil
}

// without drops the events of a type from a history, which moves the others up.
func (c *contents) without(kind string) {
	var kept []storage.Row
	for _, row := range c.history {
		if row.Values["EventType"] == kind {
			continue
		}
		if row.RowKey != wire.SentinelKey {
			row.RowKey = wire.RowKey(len(kept))
		}
		kept = append(kept, row)
	}
	c.history = kept
}

// failureDetails: the recording's worker stored failures as serialized exceptions, which is an
// option of .NET; ours always stores the details.
func failureDetails(net, ours *contents) {
	for _, c := range []*contents{net, ours} {
		for _, row := range c.history {
			if row.Values["EventType"] == "TaskFailed" {
				delete(row.Values, "Details")
				delete(row.Values, "FailureDetails")
			}
		}
	}
}
