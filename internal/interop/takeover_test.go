package interop_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/fixture/code"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

const (
	helloOutline = `OS ES=HelloSequence TS0=SayHello OC | OS TC0="Hello Tokyo!" TS1=SayHello OC` +
		` | OS TC1="Hello Seattle!" TS2=SayHello OC` +
		` | OS TC2="Hello London!" EC3=["Hello Tokyo!","Hello Seattle!","Hello London!"] OC`
	gateOutline = `OS ES=GateTwo TS0=SayHello OC | OS TC0="Hello first!" TS1=Gate OC` +
		` | OS TC1="through gate" EC2="Hello first!|through gate" OC`
)

// takeovers are the hubs that .NET left half-run, and the histories with which a .NET worker would
// have ended them.
var takeovers = map[string]map[string]string{
	"takeover-activity-queued":      {"queued-1": helloOutline},
	"takeover-activity-running":     {"running-1": gateOutline},
	"takeover-crash-activity":       {"crash-5": helloOutline},
	"takeover-crash-before-history": {"crash-1": helloOutline},
	"takeover-response-queued":      {"resp-1": gateOutline},
	"takeover-continue-as-new":      {"can-9": `OS ES=Counter OC | OS ER=op EC0=2 OC`},
	"takeover-pending-start":        {"pending-1": helloOutline, "pending-2": `OS ES=Echo EC0="later" OC`},
	"takeover-timer":                {"timer-1": `OS ES=Sleeper TI0 OC | OS FI0 EC1="woke" OC`},
	"takeover-step": {
		"step-1": `OS ES=StepByStep OC | OS ER=go TS0=SayHello OC | OS TC0="Hello Anna!" OC` +
			` | OS ER=go TS1=SayHello OC | OS TC1="Hello Berta!" EC2="Hello Anna! Hello Berta!" OC`,
	},
	"takeover-sub": {
		"parent-1":       `OS ES=ParentWait SC0=StepByStep OC | OS SD0="Hello Carl!" EC1="child said: Hello Carl!" OC`,
		"parent-1:child": `OS ES=StepByStep OC | OS ER=go TS0=SayHello OC | OS TC0="Hello Carl!" EC1="Hello Carl!" OC`,
	},
	"takeover-suspended": {
		"susp-1": `OS ES=StepByStep OC | OS SU=hold OC | OS ER=go OC | OS RE=go on TS0=SayHello OC` +
			` | OS TC0="Hello Dora!" EC1="Hello Dora!" OC`,
	},
	// The event was stored and not deleted when the worker died, so it counts twice; which of the
	// second delivery and the first answer comes first is open.
	"takeover-crash-before-delete": nil,
}

func TestTakeOver_CoversTheRecordings(t *testing.T) {
	t.Parallel()
	for _, name := range fixture.Names() {
		if _, ok := takeovers[name]; !ok && strings.HasPrefix(name, "takeover-") {
			t.Errorf("%s is not taken over", name)
		}
	}
	hub := fixture.Load(t, "hello-3")
	events, _ := current(hub.Rows("FxHello3History"))
	if got := outline(events); got != helloOutline {
		t.Errorf("a full run of .NET is %s, not %s", got, helloOutline)
	}
}

// A01: hubs that a .NET worker left half-run are finished here as it would have finished them.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	for name, outlines := range takeovers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(w *world) { takeOver(w, fixture.Load(w, name), outlines) })
		})
	}
}

func takeOver(w *world, hub *fixture.Hub, outlines map[string]string) {
	w.Helper()
	w.restore(hub)
	historyBefore, statusBefore := byInstance(w.historyRows()), w.instanceRows()
	w.start(worker.Options{})
	w.finish(hub.Finish)
	w.empty()
	w.checkOwnership()
	w.stop()

	historyAfter := byInstance(w.historyRows())
	for id, rows := range historyAfter {
		w.checkContiguous(id, rows)
		w.checkUntouched(id, historyBefore[id], rows)
		w.checkReplay(id)
	}
	for id, want := range outlines {
		events, _ := current(historyAfter[id])
		if got := outline(events); got != want {
			w.Errorf("%s: the history is\n%s\nwant\n%s", id, got, want)
		}
	}
	if len(historyAfter) != len(hub.Finish.Expect) {
		w.Errorf("there are histories of %d instances, want %d", len(historyAfter), len(hub.Finish.Expect))
	}
	w.checkStatusKept(statusBefore)
	w.checkAllColumns()
	w.checkBlobs()
	w.checkReleased()
}

// finish does what is left to do in a half-run hub and checks how its instances end.
func (w *world) finish(finish *fixture.Finish) {
	w.Helper()
	for _, raise := range finish.Raise {
		if err := w.client.RaiseEventByName(w.ctx, raise.ID, raise.Event, json.RawMessage(raise.Input)); err != nil {
			w.Fatal(err)
		}
	}
	for _, resume := range finish.Resume {
		if err := w.client.Resume(w.ctx, resume.ID, resume.Reason); err != nil {
			w.Fatal(err)
		}
	}
	for id, want := range finish.Expect {
		w.expect(id, want.Status, want.Output)
	}
}

// expect waits for the end of an instance.
func (w *world) expect(id, status, output string) {
	w.Helper()
	w.eventually(id+" ends", func() bool {
		got, err := w.client.Get(w.ctx, id)
		return err == nil && got.Status.Terminal()
	})
	got, err := w.client.Get(w.ctx, id)
	if err != nil {
		w.Fatal(err)
	}
	if string(got.Status) != status || history.TextOr(got.RawOutput, "") != output {
		w.Errorf("%s ended %s with %s, want %s with %s", id, got.Status, history.TextOr(got.RawOutput, "nothing"), status, output)
	}
}

// checkOwnership checks that the worker owns all partitions and holds the app lease under the id
// that .NET workers without an app name use.
func (w *world) checkOwnership() {
	w.Helper()
	names := w.hub.Store().Names
	for _, row := range w.rows(names.PartitionsTable()) {
		if row.Values["CurrentOwner"] != w.worker.ID() {
			w.Errorf("partition %s belongs to %v", row.RowKey, row.Values["CurrentOwner"])
		}
	}
	if err := w.account.Blobs.AcquireLease(w.ctx, names.AppLease(), wire.AppLeaseID("another"), time.Minute); !errors.Is(err, storage.ErrLeaseHeld) {
		w.Errorf("another app got the app lease: %v", err)
	}
	if err := w.account.Blobs.AcquireLease(w.ctx, names.AppLease(), wire.AppLeaseID(""), time.Minute); err != nil {
		w.Errorf("a .NET worker of the same app would not get the app lease: %v", err)
	}
}

// checkReleased checks that a stopped worker left its partitions to whoever comes.
func (w *world) checkReleased() {
	w.Helper()
	for _, row := range w.rows(w.hub.Store().Names.PartitionsTable()) {
		if owner, ok := row.Values["CurrentOwner"]; ok {
			w.Errorf("partition %s still belongs to %v", row.RowKey, owner)
		}
	}
}

// checkStatusKept checks what a worker may never change in a status row that it took over.
func (w *world) checkStatusKept(before []storage.Row) {
	w.Helper()
	after := w.instanceRows()
	for _, row := range before {
		i := slices.IndexFunc(after, func(r storage.Row) bool { return r.PartitionKey == row.PartitionKey })
		if i < 0 {
			w.Errorf("the status row of %s is gone", row.PartitionKey)
			continue
		}
		for _, column := range []string{"Name", "Version", "Input", "Tags", "Generation", "CreatedTime", "ExecutionId", "TaskHubName", "ScheduledStartTime"} {
			if row.Values[column] != after[i].Values[column] {
				w.Errorf("%s: %s was %v and is %v", row.PartitionKey, column, row.Values[column], after[i].Values[column])
			}
		}
	}
}

// checkReplay checks that a stored history replays to its end and that nothing is missing from it.
func (w *world) checkReplay(id string) {
	w.Helper()
	events, err := w.client.History(w.ctx, id)
	if err != nil {
		w.Errorf("history of %s: %v", id, err)
		return
	}
	state := history.NewState(events)
	all := code.Orchestrations()
	i := slices.IndexFunc(all, func(b orchestration.Binding) bool { return b.Name == state.Started().Name })
	if i < 0 {
		w.Errorf("%s is a %s", id, state.Started().Name)
		return
	}
	exec := orchestration.NewExecution(all[i], orchestration.Options{})
	defer exec.Close()
	if err := exec.Replay(events); err != nil {
		w.Errorf("history of %s: %v", id, err)
	}
	if exec.Pending() || !state.AtRest() {
		w.Errorf("history of %s is not complete: pending %v, at rest %v", id, exec.Pending(), state.AtRest())
	}
}
