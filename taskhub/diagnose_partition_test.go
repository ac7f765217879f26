package taskhub_test

import (
	"errors"
	"fmt"
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

// reopened returns a client that counts the partitions that the table has now.
func reopened(t *testing.T, w *fleettest.World) *taskhub.Client {
	t.Helper()
	hub, err := taskhub.Open(w.Context(), taskhub.Ports(w.Account), w.Hub.Name(), nil)
	check(t, err)
	return taskhub.NewClient(hub)
}

// dxCodes counts findings by code.
func dxCodes(findings []taskhub.Finding) map[taskhub.Code]int {
	codes := map[taskhub.Code]int{}
	for i := range findings {
		codes[findings[i].Code]++
	}
	return codes
}

// visible counts the messages of all control queues.
func visible(t *testing.T, w *fleettest.World) (n int) {
	t.Helper()
	for i := range 4 {
		seen, err := w.Account.Queues.Peek(w.Context(), w.Hub.Store().Names.ControlQueue(i), storage.MaxMessagesPerGet)
		check(t, err)
		n += len(seen)
	}
	return n
}

// As long as it is in doubt how many partitions there are, no start message is lost that is in another queue, and none
// is sent again.
func TestDoctor_PartitionRowMissing(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		names := w.Hub.Store().Names
		for i := range 8 {
			dxStart(t, w, dxWait, taskhub.InstanceID(fmt.Sprintf("pending-%d", i)))
		}
		lease, err := w.Account.Tables.Read(w.Context(), names.PartitionsTable(), "", names.ControlQueue(2))
		check(t, err)
		check(t, w.Account.Tables.Delete(w.Context(), names.PartitionsTable(), "", names.ControlQueue(2), storage.AnyETag))
		for name, client := range map[string]*taskhub.Client{"opened before": w.Client, "opened after": reopened(t, w)} {
			found, err := client.Doctor(w.Context(), nil)
			check(t, err)
			if codes := dxCodes(found.Findings); len(codes) != 2 || codes[taskhub.CodePartitionCount] != 1 || codes[taskhub.CodeNoOwner] != 1 {
				t.Errorf("%s: findings %+v", name, found.Findings)
			}
			f := dxOnly(t, found.Findings, taskhub.CodePartitionCount)
			if text := strings.Join(f.Evidence, "\n"); !strings.Contains(text, names.ControlQueue(2)) || !strings.Contains(text, "8 where 4 do") || f.Fixable || f.Advice == "" {
				t.Errorf("%s: %+v", name, f)
			}
			for i := range 8 {
				d, err := client.Diagnose(w.Context(), fmt.Sprintf("pending-%d", i))
				check(t, err)
				dxOnly(t, d.Findings, taskhub.CodePartitionCount)
				if dxCodes(d.Findings)[taskhub.CodeStartLost] > 0 || !strings.Contains(d.Waits[0].Text, "in queue ") {
					t.Errorf("%s: %+v", name, d)
				}
			}
		}
		// A message that is gone may be anywhere as well.
		dxTake(t, w, dxQueue(w, "pending-0"))
		d, err := reopened(t, w).Diagnose(w.Context(), "pending-0")
		check(t, err)
		dxWaits(t, d, taskhub.WaitStart, "cannot be told while the table has 3 partitions and there are 4 control queues")
		// A fix that was found before the row vanished does nothing while it is away.
		check(t, putBack(w, lease))
		left := visible(t, w)
		lost := dxOnly(t, dxDiagnose(t, w, "pending-0").Findings, taskhub.CodeStartLost)
		check(t, w.Account.Tables.Delete(w.Context(), names.PartitionsTable(), "", names.ControlQueue(2), storage.AnyETag))
		if _, err := w.Client.Fix(w.Context(), lost); !errors.Is(err, taskhub.ErrNotFixable) || !strings.Contains(err.Error(), "cannot be told while") {
			t.Errorf("the fix ended with %v", err)
		}
		if got := visible(t, w); got != left {
			t.Errorf("%d messages, want %d", got, left)
		}
		check(t, putBack(w, lease))
		if _, err := w.Client.Fix(w.Context(), lost); err != nil {
			t.Error(err)
		}
	})
}

func putBack(w *fleettest.World, row storage.Row) error {
	_, err := w.Account.Tables.Insert(w.Context(), w.Hub.Store().Names.PartitionsTable(), storage.Row{RowKey: row.RowKey, Values: row.Values})
	return err
}

// A row of the partitions table that cannot be read leaves everything in doubt.
func TestDoctor_PartitionRowUnreadable(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		names := w.Hub.Store().Names
		dxStart(t, w, dxWait, taskhub.InstanceID("gone"))
		dxTake(t, w, dxQueue(w, "gone"))
		w.MergeRow(names.PartitionsTable(), "", names.ControlQueue(1), map[string]any{"IsDraining": "perhaps", "ExpiresAt": "soon"})
		found, err := reopened(t, w).Doctor(w.Context(), nil)
		check(t, err)
		if f := dxOnly(t, found.Findings, taskhub.CodeUnreadable); !strings.Contains(f.Text, names.ControlQueue(1)) || f.Severity != taskhub.SeverityError {
			t.Errorf("finding %+v", f)
		}
		if codes := dxCodes(found.Findings); len(codes) != 2 || codes[taskhub.CodeNoOwner] != 1 {
			t.Errorf("findings %+v", found.Findings)
		}
		d := dxDiagnose(t, w, "gone")
		dxOnly(t, d.Findings, taskhub.CodeUnreadable)
		dxWaits(t, d, taskhub.WaitStart, "cannot be told while a row of the partitions table cannot be read")
	})
}

// A start that is in another queue is not lost.
func TestDiagnose_StartInWrongQueue(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		dxStart(t, w, dxWait, taskhub.InstanceID("astray"))
		queues, right := w.Account.Queues, dxQueue(w, "astray")
		batch, err := queues.Get(w.Context(), right, 1, time.Minute)
		check(t, err)
		check(t, queues.Delete(w.Context(), right, batch.Messages[0].ID, batch.Messages[0].PopReceipt))
		wrong := w.Hub.Store().Names.ControlQueue((w.Hub.PartitionOf("astray") + 1) % 4)
		w.PutText(wrong, batch.Messages[0].Text)
		d := dxDiagnose(t, w, "astray")
		dxWaits(t, d, taskhub.WaitStart, "is in queue "+wrong)
		f := dxOnly(t, d.Findings, taskhub.CodeWrongQueue)
		if dxCodes(d.Findings)[taskhub.CodeStartLost] > 0 || !strings.Contains(f.Evidence[0], "an ExecutionStarted for") {
			t.Errorf("findings %+v", d.Findings)
		}
	})
}

// A control queue was deleted, and is made again.
func TestDiagnose_QueueMissing(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		dxStart(t, w, dxWait, taskhub.InstanceID("gone"))
		queue := dxQueue(w, "gone")
		check(t, w.Account.Queues.DeleteQueue(w.Context(), queue))
		check(t, w.Account.Queues.DeleteQueue(w.Context(), w.Hub.Store().Names.WorkItemQueue()))
		w.Start(nil, dxAll()...)
		dxPass(w, 5*time.Minute)
		found, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		health, err := w.Hub.Health(w.Context())
		check(t, err)
		for what, findings := range map[string][]taskhub.Finding{"doctor": found.Findings, "show": health.Findings} {
			if codes := dxCodes(findings); len(codes) != 1 || codes[taskhub.CodeQueueMissing] != 2 {
				t.Errorf("%s: %+v", what, findings)
			}
		}
		d := dxDiagnose(t, w, "gone")
		dxWaits(t, d, taskhub.WaitStart, "cannot be told while there is no queue "+queue)
		if f := dxOnly(t, d.Findings, taskhub.CodeQueueMissing); f.Partition != queue || !strings.Contains(f.Text, "durafleet hub create "+w.Hub.Name()) {
			t.Errorf("finding %+v", f)
		}
		_, err = taskhub.Create(w.Context(), taskhub.Ports(w.Account), w.Hub.Name(), nil)
		check(t, err)
		dxPass(w, 2*time.Minute)
		dxFix(t, w, dxDiagnose(t, w, "gone").Findings, taskhub.CodeStartLost)
		dxReach(t, w, "gone", history.Running)
	})
}

// What is asked of an owner is not done before there is one.
func TestFix_AskedOnly(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.StartHooked(loses(1, "TaskScheduledEvent", "DxAdd"), &worker.Options{NoInline: true}, dxAll()...)
		instance := dxStart(t, w, dxCall)
		dxReach(t, w, instance.ID(), history.Running)
		check(t, m.Stop())
		f := dxOnly(t, dxDiagnose(t, w, instance.ID()).Findings, taskhub.CodeMessageLost)
		done, err := w.Client.Fix(w.Context(), f)
		check(t, err)
		if !f.AsksOwner || !strings.Contains(done, "nobody owns its partition") {
			t.Errorf("%q of %+v", done, f)
		}
		w.Start(nil, dxAll()...)
		dxResult(t, w, instance, 2)
	})
}

// A start that was moved aside is not lost, and nothing is sent in its place.
func TestDiagnose_StartMovedAside(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxPass(w, 5*time.Second)
		dxStart(t, w, dxWait, taskhub.InstanceID("aside"), taskhub.StartAt(time.Now().Add(time.Hour)))
		row, err := w.Hub.Store().ReadInstance(w.Context(), "aside", true)
		check(t, err)
		text, err := wire.EncodeMessage(&wire.Message{
			ActivityID: "00000000-0000-0000-0000-000000000001", Sender: &history.Instance{},
			Target: history.Instance{InstanceID: "aside", ExecutionID: row.ExecutionID},
			Event: &history.ExecutionStarted{
				Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, Name: "DxWait",
				Instance: history.Instance{InstanceID: "aside", ExecutionID: row.ExecutionID},
			},
		})
		check(t, err)
		record := &wire.Poison{
			Queue: dxQueue(w, "aside"), MessageID: "m", InstanceID: "aside", ExecutionID: row.ExecutionID,
			Kind: history.KindExecutionStarted, Reason: "too bad", Deliveries: 20, Inserted: time.Now(), Moved: time.Now(), Worker: "w", Text: text,
		}
		record.ID = w.Hub.Store().PoisonID(record.Queue, record.MessageID)
		check(t, w.Hub.Store().PutPoison(w.Context(), record))
		check(t, w.Hub.Store().MarkPoison(w.Context(), record))
		d := dxDiagnose(t, w, "aside")
		dxWaits(t, d, taskhub.WaitStart, "its start message was moved aside", "poison show")
		if f := dxOnly(t, d.Findings, taskhub.CodePoison); len(d.Findings) != 1 || f.Severity != taskhub.SeverityError || !strings.Contains(f.Text, "its start among them") {
			t.Errorf("findings %+v", d.Findings)
		}
	})
}
