package taskhub_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// An activity whose work item is lost never answers. Its input is not in the history, so the owner
// of the instance has to send it again.
func TestDiagnose_ActivityLost(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.StartHooked(loses(1, "TaskScheduledEvent", "DxAdd"), &worker.Options{NoInline: true}, dxAll()...)
		instance := dxStart(t, w, dxCall)
		dxReach(t, w, instance.ID(), history.Running)
		d := dxDiagnose(t, w, instance.ID())
		dxWaits(t, d, taskhub.WaitActivity, `activity "DxAdd"`, "in vain")
		f := dxOnly(t, d.Findings, taskhub.CodeMessageLost)
		if f.Likely || f.Severity != taskhub.SeverityError || len(f.Evidence) == 0 || len(d.Findings) != 1 {
			t.Errorf("finding %+v", f)
		}
		dxFix(t, w, d.Findings, taskhub.CodeMessageLost)
		dxResult(t, w, instance, 2)
	})
}

func TestDiagnose_TimerLost(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.StartHooked(loses(1, "TimerFiredEvent"), &worker.Options{NoInline: true, MaxPollInterval: 5 * time.Second}, dxAll()...)
		instance := dxStart(t, w, dxTimer)
		dxReach(t, w, instance.ID(), history.Running)
		began := time.Now()
		d := dxDiagnose(t, w, instance.ID())
		wait := dxWaits(t, d, taskhub.WaitTimer, "in vain")
		if left := time.Until(wait.Due); left < 59*time.Minute || left > time.Hour {
			t.Errorf("due in %v", left)
		}
		dxFix(t, w, d.Findings, taskhub.CodeMessageLost)
		dxNone(t, "after the fix", dxDiagnose(t, w, instance.ID()).Findings)
		dxResult(t, w, instance, 2)
		if took := time.Since(began); took < 59*time.Minute || took > 62*time.Minute {
			t.Errorf("it fired after %v", took)
		}
	})
}

func TestDiagnose_ChildStartLost(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.StartHooked(loses(1, "ExecutionStartedEvent", "DxChild"), &worker.Options{NoInline: true}, dxAll()...)
		instance := dxStart(t, w, dxParent)
		dxReach(t, w, instance.ID(), history.Running)
		d := dxDiagnose(t, w, instance.ID())
		dxWaits(t, d, taskhub.WaitChild, "-child", "never started")
		dxFix(t, w, d.Findings, taskhub.CodeMessageLost)
		dxResult(t, w, instance, 3)
	})
}

func TestDiagnose_ChildAnswerLost(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.StartHooked(loses(1, "SubOrchestrationInstanceCompletedEvent"), &worker.Options{NoInline: true}, dxAll()...)
		instance := dxStart(t, w, dxParent)
		w.Eventually(time.Minute, "the child has ended", func() bool {
			status, err := w.Client.Get(w.Context(), instance.ID()+"-child")
			return err == nil && status.Status == history.Completed
		})
		dxPass(w, 2*time.Second)
		d := dxDiagnose(t, w, instance.ID())
		dxWaits(t, d, taskhub.WaitChild, "-child", "has ended")
		dxFix(t, w, d.Findings, taskhub.CodeAnswerLost)
		dxResult(t, w, instance, 3)
	})
}

func TestDiagnose_StartLost(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]int{"small": 10, "large": 100_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				text := string(make([]byte, 0, input))
				for len(text) < input {
					text += "0123456789"
				}
				instance, err := taskhub.Start(w.Context(), w.Client, dxLarge, text, taskhub.Tags{"k": "v"})
				if err != nil {
					t.Fatal(err)
				}
				dxTake(t, w, dxQueue(w, instance.ID()))
				w.Start(nil, dxAll()...)
				dxPass(w, 10*time.Second)
				d := dxDiagnose(t, w, instance.ID())
				dxWaits(t, d, taskhub.WaitStart, "gone")
				dxFix(t, w, d.Findings, taskhub.CodeStartLost)
				if err := taskhub.RaiseEvent(w.Context(), w.Client, instance.ID(), dxGo, 1); err != nil {
					t.Fatal(err)
				}
				got, err := instance.Wait(w.Timeout(time.Hour))
				if err != nil || got != text {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				w.Settled(time.Hour, instance.ID())
				if _, err := w.Client.Fix(w.Context(), dxOnly(t, d.Findings, taskhub.CodeStartLost)); !errors.Is(err, taskhub.ErrMoved) {
					t.Errorf("fixing once more: %v", err)
				}
			})
		})
	}
}

func TestDiagnose_RowBehind(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		instance := dxStart(t, w, dxCall)
		dxResult(t, w, instance, 2)
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), instance.ID(), "", map[string]any{"RuntimeStatus": "Running", "Output": "old"})
		dxNone(t, "a moment later", dxDiagnose(t, w, instance.ID()).Findings)
		dxPass(w, 3*time.Minute)
		d := dxDiagnose(t, w, instance.ID())
		dxFix(t, w, d.Findings, taskhub.CodeRowBehind)
		dxResult(t, w, instance, 2)
		status, err := w.Client.Get(w.Context(), instance.ID())
		if err != nil || string(status.Input) != "1" || status.Name != "DxCall" {
			t.Errorf("status %+v, %v", status, err)
		}
	})
}

// The repaired row of an instance that is suspended says why.
func TestFix_RowOfSuspended(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		instance := dxStart(t, w, dxWait)
		dxReach(t, w, instance.ID(), history.Running)
		if err := w.Client.Suspend(w.Context(), instance.ID(), "enough for today"); err != nil {
			t.Fatal(err)
		}
		dxReach(t, w, instance.ID(), history.Suspended)
		dxPass(w, 3*time.Minute)
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), instance.ID(), "", map[string]any{"RuntimeStatus": "Running", "Output": ""})
		dxFix(t, w, dxDiagnose(t, w, instance.ID()).Findings, taskhub.CodeRowBehind)
		status, err := w.Client.Get(w.Context(), instance.ID())
		if err != nil || status.Status != history.Suspended || status.Reason != "enough for today" {
			t.Errorf("status %+v, %v", status, err)
		}
	})
}

// A row of a newer start is not the old history's to write.
func TestFix_RowOfNewerStart(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, dxAll()...)
		instance := dxStart(t, w, dxCall, taskhub.InstanceID("one"))
		dxResult(t, w, instance, 2)
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), "one", "", map[string]any{"RuntimeStatus": "Running"})
		dxPass(w, 3*time.Minute)
		d := dxDiagnose(t, w, "one")
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), "one", "", map[string]any{"RuntimeStatus": "Completed"})
		again := dxStart(t, w, dxCall, taskhub.InstanceID("one"))
		if _, err := w.Client.Fix(w.Context(), dxOnly(t, d.Findings, taskhub.CodeRowBehind)); !errors.Is(err, taskhub.ErrMoved) {
			t.Fatalf("the fix ended with %v", err)
		}
		now := dxDiagnose(t, w, "one")
		dxWaits(t, now, taskhub.WaitStart, "waits in queue")
		dxOnly(t, now.Findings, taskhub.CodeNoOwner)
		w.Start(nil, dxAll()...)
		dxResult(t, w, again, 2)
	})
}

func TestDiagnose_OrphanedPayload(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(&worker.Options{MaxPollInterval: 15 * time.Second}, dxAll()...)
		large := make([]byte, 100_000)
		for i := range large {
			large[i] = 'x'
		}
		instance, err := taskhub.Start(w.Context(), w.Client, dxLarge, string(large), taskhub.InstanceID("large"))
		if err != nil {
			t.Fatal(err)
		}
		dxReach(t, w, instance.ID(), history.Running)
		container := w.Hub.Store().Names.LargeMessages()
		garbage := []string{instance.ID() + "/history-00-X-0-Input.json.gz", "nobody/message-00-EventRaised.json.gz"}
		for _, name := range garbage {
			if err := w.Account.Blobs.PutBlob(w.Context(), container, name, []byte("x"), true); err != nil {
				t.Fatal(err)
			}
		}
		dxNone(t, "at once", dxDiagnose(t, w, instance.ID()).Findings)
		dxPass(w, 2*time.Hour)
		found, err := w.Client.Doctor(w.Context(), nil)
		if err != nil || len(found.Findings) != 2 || found.Problems() != 0 {
			t.Fatalf("findings %+v, %v", found.Findings, err)
		}
		for i := range found.Findings {
			if found.Findings[i].Code != taskhub.CodeOrphanedPayload {
				t.Errorf("finding %+v", found.Findings[i])
			}
			if _, err := w.Client.Fix(w.Context(), &found.Findings[i]); err != nil {
				t.Error(err)
			}
		}
		// The start message was consumed: its blob is garbage as well. The input in the history is not.
		if left := w.Blobs(); len(left) != 1 || !strings.Contains(left[0], "/history-") {
			t.Errorf("blobs %q are left", left)
		}
		if err := taskhub.RaiseEvent(w.Context(), w.Client, instance.ID(), dxGo, 1); err != nil {
			t.Fatal(err)
		}
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != string(large) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}
