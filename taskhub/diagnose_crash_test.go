package taskhub_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// Workers die one after the other of an activity, and of the code of an orchestration.
func TestDiagnose_WorkersDie(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"activity", "orchestration"} {
		t.Run(of, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				running := make(chan *fleettest.Member, 1) // the worker that is to die
				kill := func() {
					m := <-running
					running <- m
					m.Kill()
				}
				die := func(ctx context.Context) {
					kill()
					<-ctx.Done()
				}
				bindings := []worker.Binding{
					dxAdd.With(func(ctx context.Context, n int) (int, error) { die(ctx); return n, ctx.Err() }), dxOrchestrations()[0],
				}
				name := "DxAdd"
				if of == "orchestration" {
					name = "DxCall"
					bindings = []worker.Binding{dxCall.With(func(*orchestration.Context, int) (int, error) { kill(); return 0, nil })}
				}
				dxStart(t, w, dxCall, taskhub.InstanceID("deadly"))
				for range 6 {
					running <- w.Start(&worker.Options{NoInline: true}, bindings...)
					dxPass(w, 3*time.Minute)
					<-running
				}
				d := dxDiagnose(t, w, "deadly")
				found, err := w.Client.Doctor(w.Context(), nil)
				check(t, err)
				health, err := w.Hub.Health(w.Context())
				check(t, err)
				for what, findings := range map[string][]taskhub.Finding{"diagnosis": d.Findings, "doctor": found.Findings, "show": health.Findings} {
					f := dxOnly(t, findings, taskhub.CodeWorkersDie)
					if f.Severity != taskhub.SeverityWarning || !strings.Contains(f.Text, "workers die of") || !strings.Contains(f.Text, of+` "`+name+`" of instance "deadly"`) ||
						!strings.Contains(f.Text, "4 attempts") || f.Advice == "" {
						t.Errorf("%s: %+v", what, f)
					}
				}
				dxPass(w, time.Hour)
				if codes := dxCodes(dxDoctor(t, w).Findings); codes[taskhub.CodeWorkersDie] != 0 {
					t.Errorf("an hour later: %+v", codes)
				}
			})
		})
	}
}

// One worker that dies is an accident.
func TestDoctor_OneWorkerDied(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...).Kill()
		dead := w.Start(nil, dxAll()...)
		dxPass(w, 10*time.Second)
		dead.Kill()
		w.Start(nil, dxAll()...)
		dxPass(w, 5*time.Minute)
		f := dxOnly(t, dxDoctor(t, w).Findings, taskhub.CodeWorkersDie)
		if f.Problem() || !strings.Contains(f.Text, "1 worker stopped without a word in the last 6 minutes") || !strings.Contains(f.Evidence[0], dead.ID()) {
			t.Errorf("finding %+v", f)
		}
	})
}

// A worker that belongs to another application works on nothing, however long one waits.
func TestDiagnose_OtherApplication(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		first := w.Start(&worker.Options{AppName: "first"}, dxAll()...)
		dxPass(w, 10*time.Second)
		second := w.Start(&worker.Options{AppName: "second"}, dxAll()...)
		dxPass(w, 70*time.Second)
		f := dxOnly(t, dxDoctor(t, w).Findings, taskhub.CodeOtherApplication)
		if f.Problem() || !containsAll(f.Text, []string{`"first"`, `"second"`, wire.AppLeaseID("first")}) || !strings.Contains(f.Evidence[0], second.ID()) {
			t.Errorf("finding %+v", f)
		}
		dxResult(t, w, dxStart(t, w, dxCall), 2)
		// Somebody holds the lease, and nobody works.
		check(t, first.Stop())
		names := w.Hub.Store().Names
		check(t, w.Account.Blobs.RenewLease(w.Context(), names.AppLease(), wire.AppLeaseID("first")))
		dxStart(t, w, dxWait, taskhub.InstanceID("pending"))
		dxPass(w, 40*time.Second)
		d := dxDiagnose(t, w, "pending")
		if f := dxOnly(t, d.Findings, taskhub.CodeOtherApplication); f.Severity != taskhub.SeverityError || !strings.Contains(f.Text, wire.AppLeaseID("first")) {
			t.Errorf("finding %+v", f)
		}
		dxOnly(t, d.Findings, taskhub.CodeNoOwner)
		dxPass(w, 7*time.Minute)
		dxReach(t, w, "pending", history.Running)
		dxPass(w, 70*time.Second)
		dxNone(t, "afterwards", dxDiagnose(t, w, "pending").Findings)
	})
}
