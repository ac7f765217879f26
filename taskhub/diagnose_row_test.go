package taskhub_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

func dxDoctor(t *testing.T, w *fleettest.World) *taskhub.HubDiagnosis {
	t.Helper()
	found, err := w.Client.Doctor(w.Context(), nil)
	check(t, err)
	return found
}

// dxBoth returns the only finding of the code, which diagnosis and doctor have to agree on.
func dxBoth(t *testing.T, w *fleettest.World, id string, code taskhub.Code) *taskhub.Finding {
	t.Helper()
	f := dxOnly(t, dxDiagnose(t, w, id).Findings, code)
	if other := dxOnly(t, dxDoctor(t, w).Findings, code); other.InstanceID != id || other.Text != f.Text || other.Fixable != f.Fixable {
		t.Errorf("the doctor found %+v, the diagnosis %+v", other, f)
	}
	return f
}

func dxDropRow(t *testing.T, w *fleettest.World, id string) {
	t.Helper()
	check(t, w.Account.Tables.Delete(w.Context(), w.Hub.Store().Names.InstancesTable(), wire.EscapeKey(id), "", storage.AnyETag))
}

// A status row shows an end, and the history goes on: the row stays, and the history is ended.
func TestDiagnose_RowAheadOfLife(t *testing.T) {
	t.Parallel()
	for _, status := range []history.Status{history.Terminated, history.Completed} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				w.Start(nil, dxAll()...)
				dxStart(t, w, dxWait, taskhub.InstanceID("ahead"))
				dxReach(t, w, "ahead", history.Running)
				w.MergeRow(w.Hub.Store().Names.InstancesTable(), "ahead", "", map[string]any{"RuntimeStatus": string(status), "Output": "7"})
				dxPass(w, 3*time.Minute)
				f := dxBoth(t, w, "ahead", taskhub.CodeRowAhead)
				if f.Severity != taskhub.SeverityError || !f.Fixable || !f.AsksOwner {
					t.Errorf("finding %+v", f)
				}
				if done := dxFix(t, w, []taskhub.Finding{*f}, taskhub.CodeRowAhead); !strings.Contains(done, "worker-1 does it") {
					t.Errorf("the fix has %s", done)
				}
				dxPass(w, 3*time.Minute)
				if _, err := w.Client.Fix(w.Context(), f); !errors.Is(err, taskhub.ErrMoved) {
					t.Errorf("the second fix ended with %v", err)
				}
				d := dxDiagnose(t, w, "ahead")
				if d.Problems() != 0 || d.Status.Status != status || (len(d.Findings) == 0) != (status == history.Terminated) {
					t.Errorf("status %+v, findings %+v", d.Status, d.Findings)
				}
			})
		})
	}
}

// A status row shows another end than the history: nothing is written over what clients have seen.
func TestDiagnose_RowOfAnotherEnd(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxResult(t, w, dxStart(t, w, dxCall, taskhub.InstanceID("other")), 2)
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), "other", "", map[string]any{"RuntimeStatus": "Failed"})
		dxPass(w, 3*time.Minute)
		f := dxBoth(t, w, "other", taskhub.CodeRowAhead)
		if f.Severity != taskhub.SeverityWarning || f.Fixable || f.Advice == "" {
			t.Errorf("finding %+v", f)
		}
		if _, err := w.Client.Fix(w.Context(), f); !errors.Is(err, taskhub.ErrNotFixable) {
			t.Errorf("the fix ended with %v", err)
		}
	})
}

// What is left of a purged instance is not brought to life.
func TestDiagnose_HistoryLeftOfPurge(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, dxAll()...)
		dxStart(t, w, dxWait, taskhub.InstanceID("left"))
		dxReach(t, w, "left", history.Running)
		check(t, m.Stop())
		dxDropRow(t, w, "left")
		dxPass(w, 3*time.Minute)
		f := dxBoth(t, w, "left", taskhub.CodeRowMissing)
		if f.Fixable || !strings.Contains(f.Advice, "purged") {
			t.Errorf("finding %+v", f)
		}
		dxPass(w, time.Hour)
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, "left", dxGo, 1, taskhub.Unchecked{}))
		dxBoth(t, w, "left", taskhub.CodeRowMissing) // a message for it is under way
		dxTake(t, w, dxQueue(w, "left"))
		d := dxDiagnose(t, w, "left")
		if len(d.Waits) != 0 || d.Problems() != 0 || !strings.Contains(d.Summary, "no status row") {
			t.Errorf("diagnosis %+v", d)
		}
		f = dxBoth(t, w, "left", taskhub.CodeOrphanedHistory)
		if f.Severity != taskhub.SeverityNote || !f.Fixable {
			t.Errorf("finding %+v", f)
		}
		dxFix(t, w, []taskhub.Finding{*f}, taskhub.CodeOrphanedHistory)
		if rows := w.HistoryRows("left"); len(rows) != 0 {
			t.Errorf("%d rows are left", len(rows))
		}
		if _, err := w.Client.Fix(w.Context(), f); !errors.Is(err, taskhub.ErrMoved) {
			t.Errorf("the second fix ended with %v", err)
		}
		if _, err := w.Client.Diagnose(w.Context(), "left"); !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("afterwards: %v", err)
		}
		again := dxStart(t, w, dxCall, taskhub.InstanceID("left"))
		if _, err := w.Client.Fix(w.Context(), f); !errors.Is(err, taskhub.ErrMoved) {
			t.Errorf("the fix after another start ended with %v", err)
		}
		w.Start(nil, dxAll()...)
		dxResult(t, w, again, 2)
	})
}

// The row of a child is written after its history; one that is missing is made.
func TestDiagnose_RowOfChildMissing(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxResult(t, w, dxStart(t, w, dxParent, taskhub.InstanceID("parent")), 3)
		dxDropRow(t, w, "parent-child")
		dxPass(w, 2*time.Hour)
		f := dxBoth(t, w, "parent-child", taskhub.CodeRowMissing)
		dxFix(t, w, []taskhub.Finding{*f}, taskhub.CodeRowMissing)
		status, err := w.Client.Get(w.Context(), "parent-child")
		if err != nil || status.Status != history.Completed || string(status.Output) != "3" {
			t.Errorf("status %+v, %v", status, err)
		}
	})
}

// The doctor looks at what has ended as well: rows that fell behind, rows that cannot be read, payloads that nothing
// refers to, work items that nobody waits for.
func TestDoctor_Ended(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(&worker.Options{NoInline: true}, dxAll()...)
		for _, id := range []string{"healthy", "blob", "item", "unreadable"} {
			dxResult(t, w, dxStart(t, w, dxCall, taskhub.InstanceID(id)), 2)
		}
		names := w.Hub.Store().Names
		check(t, w.Account.Blobs.CreateContainer(w.Context(), names.LargeMessages()))
		check(t, w.Account.Blobs.PutBlob(w.Context(), names.LargeMessages(), "blob/history-00-X-0-Input.json.gz", []byte("x"), true))
		check(t, m.Stop())
		dxPass(w, 2*time.Hour)
		found := dxDoctor(t, w)
		if len(found.Findings) != 2 || found.Examined != 0 || found.Compared != 4 || found.Payloads != 1 || found.More || found.MoreHistories || found.MorePayloads {
			t.Errorf("found %+v", found)
		}
		if f := dxOnly(t, found.Findings, taskhub.CodeOrphanedPayload); f.InstanceID != "blob" {
			t.Errorf("finding %+v", f)
		}
		dxFix(t, w, found.Findings, taskhub.CodeOrphanedPayload)
		w.MergeRow(names.InstancesTable(), "unreadable", "", map[string]any{"CreatedTime": "yesterday"})
		if f := dxOnly(t, dxDoctor(t, w).Findings, taskhub.CodeUnreadable); f.InstanceID != "unreadable" {
			t.Errorf("finding %+v", f)
		}
		row, err := w.Hub.Store().ReadInstance(w.Context(), "item", false)
		check(t, err)
		target := history.Instance{InstanceID: "item", ExecutionID: row.ExecutionID}
		for id := range int32(2) {
			text, err := wire.EncodeMessage(&wire.Message{
				ActivityID: "00000000-0000-0000-0000-00000000000" + string('1'+id), Target: target, Sender: &target,
				Event: &history.TaskScheduled{Header: history.Header{EventID: id, Timestamp: time.Now()}, Name: "DxAdd", Input: history.Text("1")},
			})
			check(t, err)
			w.PutText(names.WorkItemQueue(), text)
		}
		dxPass(w, 10*time.Minute)
		f := dxBoth(t, w, "item", taskhub.CodeSettled)
		if f.Problem() || len(f.Evidence) != 2 || !strings.Contains(f.Evidence[0], "its call was answered") || !strings.Contains(f.Evidence[1], "the instance has ended") {
			t.Errorf("finding %+v", f)
		}
		// The first one would only run again what was answered. The second one may be meant to run.
		if done := dxFix(t, w, []taskhub.Finding{*f}, taskhub.CodeSettled); !strings.Contains(done, "deleted 1 message ") {
			t.Errorf("the fix has %s", done)
		}
		if f := dxBoth(t, w, "item", taskhub.CodeSettled); f.Fixable || len(f.Evidence) != 1 || f.Advice == "" {
			t.Errorf("finding %+v", f)
		}
	})
}

// A start that was terminated before it began does not fit the history of the execution before, and is as it should be.
func TestDoctor_TerminatedBeforeItBegan(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxResult(t, w, dxStart(t, w, dxCall, taskhub.InstanceID("twice")), 2)
		dxStart(t, w, dxWait, taskhub.InstanceID("twice"), taskhub.StartAt(time.Now().Add(time.Hour)))
		check(t, w.Client.Terminate(w.Context(), "twice", "no"))
		dxReach(t, w, "twice", history.Terminated)
		dxPass(w, 3*time.Minute)
		dxNone(t, "diagnosis", dxDiagnose(t, w, "twice").Findings)
		dxNone(t, "doctor", dxDoctor(t, w).Findings)
	})
}

// Messages that were moved aside are a note once nothing waits for them.
func TestDiagnose_PoisonOfEnded(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		instance := dxStart(t, w, dxWait, taskhub.InstanceID("poison"))
		dxReach(t, w, "poison", history.Running)
		record := &wire.Poison{
			Queue: dxQueue(w, "poison"), MessageID: "m", InstanceID: "poison", Kind: history.KindEventRaised, Reason: "too bad",
			Deliveries: 20, Inserted: time.Now(), Moved: time.Now(), Worker: "w", Text: "{}",
		}
		record.ID = w.Hub.Store().PoisonID(record.Queue, record.MessageID)
		check(t, w.Hub.Store().PutPoison(w.Context(), record))
		check(t, w.Hub.Store().MarkPoison(w.Context(), record))
		for _, findings := range [][]taskhub.Finding{dxDiagnose(t, w, "poison").Findings, dxDoctor(t, w).Findings} {
			if f := dxOnly(t, findings, taskhub.CodePoison); f.Severity != taskhub.SeverityWarning {
				t.Errorf("finding %+v", f)
			}
		}
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, "poison", dxGo, 1))
		if _, err := instance.Wait(w.Timeout(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for _, findings := range [][]taskhub.Finding{dxDiagnose(t, w, "poison").Findings, dxDoctor(t, w).Findings} {
			if f := dxOnly(t, findings, taskhub.CodePoison); f.Problem() || strings.Contains(f.Text, "for ever") || !strings.Contains(f.Text, "1 message ") {
				t.Errorf("finding %+v", f)
			}
		}
	})
}
