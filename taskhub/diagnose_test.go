package taskhub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// Nothing is found on a healthy hub, however busy: the instances are diagnosed over and over while
// they start, run, wait, continue and end.
func TestDiagnose_BusyHubHasNoFindings(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		for range 2 {
			w.Start(&worker.Options{MaxActivities: 3}, dxAll()...)
		}
		dxPass(w, 40*time.Second) // the partitions are shared out
		var ids []string
		kinds := []orchestration.Orchestrator[int, int]{dxCall, dxTimer, dxParent, dxWait, dxMixed, dxAgain}
		for round := range 40 {
			id := fmt.Sprintf("busy-%d", round)
			dxStart(t, w, kinds[round%len(kinds)], taskhub.InstanceID(id))
			ids = append(ids, id)
			if round%6 == 3 {
				check(t, w.Client.Suspend(w.Context(), id, "a pause"))
			}
			for _, id := range ids {
				d, err := w.Client.Diagnose(w.Context(), id)
				check(t, err)
				dxNone(t, fmt.Sprintf("round %d, %s", round, id), d.Findings)
				if alive := d.Status != nil && !d.Status.Status.Terminal(); alive && len(d.Waits) == 0 {
					t.Errorf("%s is %s and waits for nothing", id, d.Status.Status)
				}
			}
			found, err := w.Client.Doctor(w.Context(), nil)
			check(t, err)
			dxNone(t, fmt.Sprintf("round %d, hub", round), found.Findings)
			dxPass(w, time.Duration(round*997)*time.Millisecond)
		}
	})
}

// The fleet goes on between the requests of a diagnosis, which then sees parts of different moments.
func TestDiagnose_FleetMovesMeanwhile(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxPass(w, 10*time.Second)
		var pause atomic.Int64
		ports := storage.WithHook(w.Account, func(ctx context.Context, _ *storage.Call, next func(context.Context) error) error {
			dxPass(w, time.Duration(pause.Load()))
			return next(ctx)
		})
		hub, err := taskhub.Open(w.Context(), taskhub.Ports(ports), w.Hub.Name(), nil)
		check(t, err)
		slow := taskhub.NewClient(hub)
		for round := range 120 {
			id := fmt.Sprintf("moving-%d", round)
			o := []orchestration.Orchestrator[int, int]{dxMixed, dxBrief, dxParent}[round%3]
			dxStart(t, w, o, taskhub.InstanceID(id))
			pause.Store(int64(round*43) * int64(time.Millisecond) % int64(4*time.Second))
			d, err := slow.Diagnose(w.Context(), id)
			check(t, err)
			dxNone(t, id, d.Findings)
		}
	})
}

// The same with requests that take their time.
func TestDiagnose_BusyHubOnAzurite(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs real time; -short is set")
	}
	fleettest.Real(t, false, func(t *testing.T, w *fleettest.World) {
		for range 2 {
			w.Start(&worker.Options{AcquireInterval: time.Second}, append(dxOrchestrations(), dxActivities()[0])...)
		}
		w.Eventually(time.Minute, "the partitions are shared out", func() bool {
			health, err := w.Hub.Health(w.Context())
			check(t, err)
			owners := map[string]int{}
			for _, p := range health.Partitions {
				if p.State == taskhub.PartitionOwned && p.NextOwner == "" {
					owners[p.Owner]++
				}
			}
			return owners["worker-1"] == 2 && owners["worker-2"] == 2
		})
		kinds := []orchestration.Orchestrator[int, int]{dxCall, dxParent, dxTimer, dxWait, dxCall, dxParent}
		looks := 0
		for began := time.Now(); time.Since(began) < 5*time.Second; looks++ {
			id := fmt.Sprintf("busy-%d", looks)
			dxStart(t, w, kinds[looks%len(kinds)], taskhub.InstanceID(id))
			for back := range min(looks+1, 6) {
				dxNone(t, "look", dxDiagnose(t, w, fmt.Sprintf("busy-%d", looks-back)).Findings)
			}
		}
		found, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		dxNone(t, "the hub", found.Findings)
		t.Logf("%d instances", looks)
	})
}

// Requests are made between any two steps of a worker, and of an activity: a diagnosis may see
// every state in between.
func TestDiagnose_NoFindingsBetweenSteps(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		var looks atomic.Int64
		hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			err := next(ctx)
			if on.Load() && call.Kind != storage.QueueGet && !strings.HasSuffix(call.Target, "-applease") {
				looks.Add(1)
				for _, id := range []string{"step", "step-child"} {
					d, err := w.Client.Diagnose(w.Context(), id)
					if err == nil {
						dxNone(t, fmt.Sprintf("after %s %s", call.Kind, call.Target), d.Findings)
					} else if !errors.Is(err, taskhub.ErrNotFound) {
						t.Error(err)
					}
				}
			}
			return err
		}
		w.StartHooked(hook, nil, dxAll()...)
		dxPass(w, 40*time.Second)
		on.Store(true)
		instance := dxStart(t, w, dxParent, taskhub.InstanceID("step"))
		dxResult(t, w, instance, 3)
		on.Store(false)
		if looks.Load() < 15 {
			t.Errorf("only %d looks", looks.Load())
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDiagnose_WhyNotStarted(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		// Nobody owns the partition.
		first := dxStart(t, w, dxWait, taskhub.InstanceID("one"))
		for i := range 3 {
			dxPass(w, time.Second)
			dxStart(t, w, dxWait, taskhub.InstanceID(sameQueue(w, "one", i)))
		}
		d := dxDiagnose(t, w, sameQueue(w, "one", 2))
		dxWaits(t, d, taskhub.WaitStart, "behind 3 others")
		if f := dxOnly(t, d.Findings, taskhub.CodeNoOwner); f.Severity != taskhub.SeverityError || f.Partition != dxQueue(w, "one") {
			t.Errorf("finding %+v", f)
		}
		// Scheduled for later.
		at := time.Now().Add(time.Hour).Truncate(time.Second)
		dxStart(t, w, dxWait, taskhub.InstanceID("later"), taskhub.StartAt(at))
		if wait := dxWaits(t, dxDiagnose(t, w, "later"), taskhub.WaitStart, "scheduled"); !wait.Due.Equal(at) {
			t.Errorf("due %v, want %v", wait.Due, at)
		}
		// The owner does not know the name.
		m := w.Start(nil, dxActivities()[0], dxCall.With(func(*orchestration.Context, int) (int, error) { return 0, nil }))
		dxPass(w, 70*time.Second)
		d = dxDiagnose(t, w, "one")
		if f := dxOnly(t, d.Findings, taskhub.CodeNameUnknown); !strings.Contains(f.Text, m.ID()) || !strings.Contains(f.Text, "DxWait") {
			t.Errorf("finding %+v", f)
		}
		found, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		dxOnly(t, found.Findings, taskhub.CodeNameUnknown)
		// The owner dies.
		m.Kill()
		dxPass(w, 40*time.Second)
		dxOnly(t, dxDiagnose(t, w, "one").Findings, taskhub.CodeLeaseExpired)
		w.Start(nil, dxAll()...)
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, "one", dxGo, 5))
		dxPass(w, 12*time.Minute)
		if got, err := first.Wait(w.Timeout(time.Minute)); err != nil || got != 6 {
			t.Errorf("%d, %v", got, err)
		}
	})
}

// sameQueue returns another id of the partition of an id.
func sameQueue(w *fleettest.World, id string, n int) string {
	for i := 0; ; i++ {
		other := fmt.Sprintf("%s-%d", id, i)
		if w.Hub.PartitionOf(other) != w.Hub.PartitionOf(id) {
			continue
		}
		if n == 0 {
			return other
		}
		n--
	}
}

// An owner that renews its lease and does not read its queue is found by its report.
func TestDiagnose_OwnerDoesNotPoll(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		member := w.StartHooked(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.QueueGet && on.Load() {
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
			}
			return next(ctx)
		}, nil, dxAll()...)
		dxPass(w, 10*time.Second)
		on.Store(true)
		dxStart(t, w, dxWait, taskhub.InstanceID("one"))
		dxPass(w, 5*time.Minute)
		// The worker drops it once in a while, and takes it again, since there are no others.
		w.Eventually(2*time.Minute, "it is dropped", func() bool { return len(member.Health().Partitions) == 0 })
		w.Eventually(time.Minute, "it is owned", func() bool { return len(member.Health().Partitions) == 4 })
		dxPass(w, 15*time.Second)
		if f := dxOnly(t, dxDiagnose(t, w, "one").Findings, taskhub.CodeNotPolling); !strings.Contains(f.Text, "worker-1") {
			t.Errorf("finding %+v", f)
		}
		health, err := w.Hub.Health(w.Context())
		check(t, err)
		if len(health.Findings) != 4 || health.At.Sub(health.Partitions[0].LastPolled) < 4*time.Minute {
			t.Errorf("health %+v", health)
		}
	})
}

func TestDiagnose_WhatItWaitsFor(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		dxStart(t, w, dxWait, taskhub.InstanceID("event"))
		dxStart(t, w, dxWait, taskhub.InstanceID("paused"))
		dxStart(t, w, dxMixed, taskhub.InstanceID("mixed"))
		dxReach(t, w, "mixed", history.Running)
		dxReach(t, w, "paused", history.Running)
		check(t, w.Client.Suspend(w.Context(), "paused", "lunch"))
		dxReach(t, w, "paused", history.Suspended)
		if wait := dxWaits(t, dxDiagnose(t, w, "event"), taskhub.WaitEvent, `it waits for event "Go" since `); wait.Name != "Go" || wait.Since.IsZero() {
			t.Errorf("wait %+v", wait)
		}
		paused := dxDiagnose(t, w, "paused")
		if len(paused.Waits) != 2 || paused.Waits[1].Name != "Go" {
			t.Errorf("waits %+v", paused.Waits)
		}
		paused.Waits = paused.Waits[:1]
		dxWaits(t, paused, taskhub.WaitResume, "suspended since", "lunch")
		// A turn of a worker that does not note it leaves the column as it is, and other times.
		w.MergeRow(w.Hub.Store().Names.HistoryTable(), "event", wire.SentinelKey, map[string]any{"CheckpointCompletedTimestamp": time.Now().UTC()})
		dxWaits(t, dxDiagnose(t, w, "event"), taskhub.WaitEvent, "an event, or for nothing")
		if d := dxDiagnose(t, w, "mixed"); len(d.Waits) < 2 || !strings.Contains(d.Summary, "DxSlow") || !strings.Contains(d.Summary, " more)") {
			t.Errorf("summary %q, waits %+v", d.Summary, d.Waits)
		}
		dxPass(w, 70*time.Second)
		if _, err := w.Client.Diagnose(w.Context(), "nobody"); !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("an unknown instance: %v", err)
		}
	})
}

// A parent tells how its child is, and the child which worker runs its activity since when.
func TestDiagnose_RunningAndChildren(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		done := make(chan struct{})
		bindings := append(dxOrchestrations(), dxAdd.With(func(context.Context, int) (int, error) { <-done; return 2, nil }))
		m := w.Start(nil, bindings...)
		instance := dxStart(t, w, dxParent, taskhub.InstanceID("parent"))
		dxPass(w, 90*time.Second)
		d := dxDiagnose(t, w, "parent")
		wait := dxWaits(t, d, taskhub.WaitChild, "parent-child", "is Running", `activity "DxAdd"`, "worker "+m.ID()+" runs it since")
		if wait.InstanceID != "parent-child" {
			t.Errorf("wait %+v", wait)
		}
		dxNone(t, "parent", d.Findings)
		close(done)
		dxResult(t, w, instance, 3)
	})
}

// What hidden messages make uncertain is likely at most, and only if nothing else explains it.
func TestDiagnose_LikelyLost(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		done := make(chan struct{})
		slow := dxSlow.With(func(context.Context, int) (int, error) { <-done; return 0, nil })
		w.StartHooked(loses(1, "TaskScheduledEvent", "DxAdd"), &worker.Options{NoInline: true}, append(dxOrchestrations(), dxActivities()[0], slow)...)
		dxStart(t, w, dxMixed)
		instance := dxStart(t, w, dxCall)
		dxReach(t, w, instance.ID(), history.Running)
		d := dxDiagnose(t, w, instance.ID())
		dxNone(t, "soon", d.Findings)
		dxWaits(t, d, taskhub.WaitActivity, "or it is lost", "5 messages")
		dxPass(w, 20*time.Minute)
		d = dxDiagnose(t, w, instance.ID())
		if f := dxOnly(t, d.Findings, taskhub.CodeMessageLost); !f.Likely || f.Fixable || f.Severity != taskhub.SeverityWarning {
			t.Errorf("finding %+v", f)
		}
		close(done)
		dxPass(w, time.Minute)
		dxFix(t, w, dxDiagnose(t, w, instance.ID()).Findings, taskhub.CodeMessageLost)
		dxResult(t, w, instance, 2)
	})
}

func TestDiagnose_SettledMessage(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, dxAll()...)
		instance, other := dxStart(t, w, dxCall, taskhub.InstanceID("one")), sameQueue(w, "one", 1)
		dxResult(t, w, instance, 2)
		waiting := dxStart(t, w, dxWait, taskhub.InstanceID(other))
		dxReach(t, w, other, history.Running)
		check(t, m.Stop())
		again := &wire.Message{
			Event:  &history.TaskCompleted{Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, TaskID: 0},
			Target: history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()},
			Sender: &history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()},
		}
		queue := dxQueue(w, instance.ID())
		waits := func(n int) {
			t.Helper()
			seen, err := w.Account.Queues.Peek(w.Context(), queue, storage.MaxMessagesPerGet)
			check(t, err)
			if len(seen) != n {
				t.Errorf("%d messages are visible, want %d", len(seen), n)
			}
		}
		w.Put(again, 0)
		w.Put(again, 0)
		for range 20 {
			check(t, taskhub.RaiseEvent(w.Context(), w.Client, other, dxGo, 7))
		}
		dxPass(w, 10*time.Minute)
		waits(22)
		d := dxDiagnose(t, w, instance.ID())
		f := dxOnly(t, d.Findings, taskhub.CodeSettled)
		if f.Problem() || !f.Fixable {
			t.Errorf("findings %+v", d.Findings)
		}
		hub, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		if f := dxOnly(t, hub.Findings, taskhub.CodeSettled); f.InstanceID != instance.ID() || !f.Fixable {
			t.Errorf("the doctor found %+v", f)
		}
		if done := dxFix(t, w, d.Findings, taskhub.CodeSettled); !strings.Contains(done, "deleted 2 messages") {
			t.Errorf("the fix has %s", done)
		}
		waits(20)
		dxNone(t, "fixed", dxDiagnose(t, w, instance.ID()).Findings)
		if _, err := w.Client.Fix(w.Context(), f); !errors.Is(err, taskhub.ErrMoved) {
			t.Errorf("the second fix ended with %v", err)
		}
		waits(20)
		w.Start(nil, dxAll()...)
		dxResult(t, w, waiting, 8)
	})
}

func TestDiagnose_Damage(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, dxAll()...)
		for _, id := range []string{"gap", "poison", "row"} {
			dxStart(t, w, dxWait, taskhub.InstanceID(id))
			dxReach(t, w, id, history.Running)
		}
		names := w.Hub.Store().Names
		check(t, w.Account.Tables.Delete(w.Context(), names.HistoryTable(), "gap", wire.RowKey(1), storage.AnyETag))
		f := dxOnly(t, dxDiagnose(t, w, "gap").Findings, taskhub.CodeCorruptHistory)
		if !strings.Contains(strings.Join(f.Evidence, " "), "row 1") {
			t.Errorf("finding %+v", f)
		}
		record := &wire.Poison{
			Queue: dxQueue(w, "poison"), MessageID: "m", InstanceID: "poison", Kind: history.KindEventRaised, Reason: "too bad",
			Deliveries: 20, Inserted: time.Now(), Moved: time.Now(), Worker: "w", Text: "{}",
		}
		record.ID = w.Hub.Store().PoisonID(record.Queue, record.MessageID)
		check(t, w.Hub.Store().PutPoison(w.Context(), record))
		check(t, w.Hub.Store().MarkPoison(w.Context(), record))
		f = dxOnly(t, dxDiagnose(t, w, "poison").Findings, taskhub.CodePoison)
		if !strings.Contains(f.Text, record.ID) {
			t.Errorf("finding %+v", f)
		}
		w.MergeRow(names.InstancesTable(), "row", "", map[string]any{"CreatedTime": "yesterday"})
		dxOnly(t, dxDiagnose(t, w, "row").Findings, taskhub.CodeUnreadable)
		found, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		dxOnly(t, found.Findings, taskhub.CodePoison)
		dxOnly(t, found.Findings, taskhub.CodeCorruptHistory)
	})
}

func TestDoctor_QueuesAndReports(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, dxAll()...)
		dxPass(w, 10*time.Second)
		names := w.Hub.Store().Names
		extra := names.ControlQueue(4)
		check(t, w.Account.Queues.CreateQueue(w.Context(), extra))
		// A sender that counts other partitions than there are.
		check(t, m.Stop())
		self := history.Instance{InstanceID: "astray"}
		text, err := wire.EncodeMessage(&wire.Message{
			ActivityID: "00000000-0000-0000-0000-000000000001", Target: self, Sender: &history.Instance{},
			Event: &history.EventRaised{Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, Name: "e"},
		})
		check(t, err)
		wrong := names.ControlQueue((w.Hub.PartitionOf("astray") + 1) % 4)
		w.PutText(wrong, text)
		found, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		if f := dxOnly(t, found.Findings, taskhub.CodePartitionCount); !strings.Contains(f.Evidence[0], extra) {
			t.Errorf("finding %+v", f)
		}
		if f := dxOnly(t, found.Findings, taskhub.CodeWrongQueue); f.Partition != wrong || !strings.Contains(f.Evidence[0], "astray") {
			t.Errorf("finding %+v", f)
		}
		// A worker dies; its report is garbage a day later.
		dead := w.Start(nil, dxAll()...)
		dxPass(w, 10*time.Second)
		dead.Kill()
		dxPass(w, 25*time.Hour)
		w.Start(nil, dxAll()...)
		dxPass(w, 10*time.Second)
		found, err = w.Client.Doctor(w.Context(), nil)
		check(t, err)
		dxFix(t, w, found.Findings, taskhub.CodeDeadReport)
		health, err := w.Hub.Health(w.Context())
		check(t, err)
		if len(health.Workers) != 1 || !health.Workers[0].Fresh || len(health.Silent) != 0 {
			t.Errorf("workers %+v", health.Workers)
		}
	})
}

// Workers that leave no reports, as .NET's, are named; nothing is concluded from their silence.
func TestHealth_SilentWorkers(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(&worker.Options{NoHealthReports: true}, dxAll()...)
		dxStart(t, w, dxWait, taskhub.InstanceID("one"))
		dxPass(w, 20*time.Minute)
		health, err := w.Hub.Health(w.Context())
		check(t, err)
		if len(health.Workers) != 0 || len(health.Silent) != 1 || health.Silent[0] != m.ID() || len(health.Findings) != 0 {
			t.Errorf("health %+v", health)
		}
		for _, p := range health.Partitions {
			if p.State != taskhub.PartitionOwned || p.Owner != m.ID() || !p.LastPolled.IsZero() || p.LeaseAge > 15*time.Second {
				t.Errorf("partition %+v", p)
			}
		}
		dxNone(t, "the instance", dxDiagnose(t, w, "one").Findings)
	})
}

func TestDiagnose_Held(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, dxAll()...)
		dxStart(t, w, dxTimer, taskhub.InstanceID("held"))
		dxReach(t, w, "held", history.Running)
		check(t, m.Stop())
		w.Start(nil, dxTimer.With(func(ctx *orchestration.Context, n int) (int, error) {
			return orchestration.CallActivity(ctx, dxAdd, n).Await()
		}))
		check(t, w.Client.Suspend(w.Context(), "held", ""))
		dxPass(w, 2*time.Minute)
		f := dxOnly(t, dxDiagnose(t, w, "held").Findings, taskhub.CodeHeld)
		if f.Severity != taskhub.SeverityError || !strings.Contains(strings.Join(f.Evidence, ""), "DxAdd") {
			t.Errorf("finding %+v", f)
		}
		found, err := w.Client.Doctor(w.Context(), nil)
		check(t, err)
		dxOnly(t, found.Findings, taskhub.CodeHeld)
	})
}
