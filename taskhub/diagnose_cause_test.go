package taskhub_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// ahead returns a hub as a process sees it whose clock is ahead.
func ahead(t *testing.T, w *fleettest.World, by time.Duration) *taskhub.Hub {
	t.Helper()
	hub, err := taskhub.Open(w.Context(), taskhub.PortsIn(w.Account, store.Environment{
		Now: func() time.Time { return time.Now().Add(by) }, Network: w.Network,
	}), w.Hub.Name(), nil)
	check(t, err)
	return hub
}

// The clock of the machine on which the diagnosis runs is wrong.
func TestDoctor_OwnClockOff(t *testing.T) {
	t.Parallel()
	for off, text := range map[time.Duration]string{5 * time.Minute: "5m0s ahead", -5 * time.Minute: "5m0s behind"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				w.Start(nil, dxAll()...)
				dxPass(w, 10*time.Second)
				found, err := taskhub.NewClient(ahead(t, w, off)).Doctor(w.Context(), nil)
				check(t, err)
				f := dxOnly(t, found.Findings, taskhub.CodeClockOff)
				if len(found.Findings) != 1 || f.Severity != taskhub.SeverityWarning || f.Fixable || f.Advice == "" ||
					!strings.Contains(f.Text, "the clock of this machine is "+text) {
					t.Errorf("findings %+v", found.Findings)
				}
				dxNone(t, "from elsewhere", dxDoctor(t, w).Findings)
			})
		})
	}
}

// The clock of a worker is wrong.
func TestDoctor_WorkerClockOff(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		odd, err := worker.New(ahead(t, w, 5*time.Minute), &worker.Options{WorkerID: "odd", MaxPollInterval: time.Second}, dxAll()...)
		check(t, err)
		ctx, stop := context.WithCancel(w.Context())
		var group run.Group
		group.Go(ctx, "test: worker", func(ctx context.Context) { _ = odd.Run(ctx) })
		defer group.Wait()
		defer stop()
		dxPass(w, 10*time.Second)
		dxStart(t, w, dxWait, taskhub.InstanceID("clock"))
		dxReach(t, w, "clock", history.Running)
		dxPass(w, 2*time.Minute)
		found := dxDoctor(t, w).Findings
		told := false
		for i := range found {
			told = told || found[i].Code == taskhub.CodeClockOff && strings.Contains(found[i].Text, "worker odd is") && strings.Contains(found[i].Text, "ahead")
		}
		if !told {
			t.Errorf("findings %+v", found)
		}
		f := dxOnly(t, dxDiagnose(t, w, "clock").Findings, taskhub.CodeClockOff)
		if !strings.Contains(f.Text, "worker that stored the last turn is") || !strings.Contains(f.Text, "ahead") {
			t.Errorf("finding %+v", f)
		}
	})
}

// The status row names an execution of which there is no history, while another one goes on.
func TestDiagnose_RowForeign(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxStart(t, w, dxWait, taskhub.InstanceID("foreign"))
		dxReach(t, w, "foreign", history.Running)
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), "foreign", "", map[string]any{"ExecutionId": "11111111111111111111111111111111"})
		dxPass(w, 3*time.Minute)
		f := dxBoth(t, w, "foreign", taskhub.CodeRowForeign)
		if f.Severity != taskhub.SeverityWarning || f.Fixable || f.Advice == "" || !strings.Contains(f.Text, "1111") {
			t.Errorf("finding %+v", f)
		}
	})
}

// An instance waits for an activity that no worker knows.
func TestDiagnose_ActivityUnknown(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(&worker.Options{NoInline: true}, append(dxOrchestrations(), dxActivities()[1])...)
		instance := dxStart(t, w, dxCall, taskhub.InstanceID("unknown"))
		dxPass(w, 2*time.Minute)
		d := dxDiagnose(t, w, "unknown")
		f := dxOnly(t, d.Findings, taskhub.CodeNameUnknown)
		if f.Severity != taskhub.SeverityWarning || !containsAll(f.Text, []string{`activity "DxAdd"`, m.ID()}) || f.Advice == "" {
			t.Errorf("finding %+v", f)
		}
		if d.Waits[0].Kind != taskhub.WaitActivity || d.Waits[0].Name != "DxAdd" {
			t.Errorf("waits %+v", d.Waits)
		}
		if f := dxOnly(t, dxDoctor(t, w).Findings, taskhub.CodeNameUnknown); !strings.Contains(f.Text, "DxAdd") {
			t.Errorf("finding %+v", f)
		}
		w.Start(nil, dxActivities()...)
		dxPass(w, 10*time.Minute)
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != 2 {
			t.Errorf("%d, %v", got, err)
		}
	})
}
