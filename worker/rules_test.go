package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	ruleOne  = orchestration.Declare[string, string]("RuleOne")
	ruleWork = activity.Declare[string, string]("RuleWork")
)

func callOne(ctx *orchestration.Context, in string) (string, error) {
	return orchestration.CallActivity(ctx, ruleWork, in).Await()
}

// countRuns answers at once and counts.
func countRuns(runs *atomic.Int64) func(context.Context, string) (string, error) {
	return func(_ context.Context, in string) (string, error) {
		runs.Add(1)
		return in + "!", nil
	}
}

// H1: a redelivered message is deleted as a duplicate only when nothing that it may still have to
// cause is missing. Without the rule the start of an instance whose row fell behind is deleted,
// and the row stays Pending for ever.
func TestH1_DuplicateDeletedAfterRepair(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var victim *fleettest.Member
		trap := killAt(&victim, true, historyWrite)
		victim = w.StartHooked(trap.hook, nil, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 1)
		<-trap.sprung
		if got := statusOf(t, w, instance.ID()).Status; got != history.Pending {
			t.Fatalf("the instance is %s already", got)
		}
		var second recorder
		w.StartHooked(second.hook, nil, ctlCollect.With(collectNumbers))
		w.DrainedWithin(patiently)
		s := statusOf(t, w, instance.ID())
		if s.Status != history.Running || string(s.CustomStatus) != `"collecting"` {
			t.Errorf("the row says %s with custom status %s", s.Status, s.CustomStatus)
		}
		rows, deletes := second.places(rowMerge), second.places(match{storage.QueueDelete, ""})
		if len(rows) != 1 || len(deletes) != 1 || rows[0] > deletes[0] {
			t.Errorf("row written at %v, message deleted at %v", rows, deletes)
		}
		raise(t, w, instance.ID(), ctlNumber, 7)
		resultOf(t, w, instance)
	})
}

// H1: a message that comes again while it is worked on replaces the older receipt. Without the
// rule its activity runs twice at a time, and the deletion with the older receipt fails.
func TestH1_SecondDeliveryReplacesReceipt(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		var failing atomic.Bool
		failing.Store(true)
		var calls recorder
		noRenewal := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if failing.Load() && (match{storage.QueueUpdate, "-workitems"}).is(call) {
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
			}
			return next(ctx)
		}
		w.StartHooked(hooks(calls.hook, noRenewal), quietOptions(), ruleOne.With(callOne),
			ruleWork.With(func(ctx context.Context, in string) (string, error) {
				runs.Add(1)
				run.Sleep(ctx, 100*time.Second)
				return in, nil
			}))
		instance := launch(t, w, ruleOne, "x")
		pass(t, w, 50*time.Second) // the item was visible for a moment and has been taken again
		failing.Store(false)
		if _, err := instance.Wait(w.Timeout(time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.DrainedWithin(10 * time.Second)
		if gets := calls.count(match{storage.QueueGet, "-workitems"}); gets == 0 || runs.Load() != 1 {
			t.Errorf("the activity ran %d times", runs.Load())
		}
	})
}

// bumpSentinel changes the version of an instance's sentinel, as another writer's turn does.
func bumpSentinel(w *fleettest.World, id string) {
	w.MergeRow(w.Hub.Store().Names.HistoryTable(), id, wire.SentinelKey, map[string]any{})
}

// H2: a turn that was refused at its first attempt has not happened, so what it sent is taken
// back. Without the rule the activity of the refused turn runs, and that of the next one as well.
func TestH2_RefusedTurnIsUndone(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		const id = "refused"
		var runs atomic.Int64
		var calls recorder
		trap := newTrap(func(ctx context.Context, next func(context.Context) error) error {
			bumpSentinel(w, id)
			return next(ctx)
		}, historyWrite).disarmed()
		afterEvent := ruleOne.With(func(ctx *orchestration.Context, in string) (string, error) {
			if _, err := orchestration.WaitForEvent(ctx, ctlNumber).Await(); err != nil {
				return "", err
			}
			return callOne(ctx, in)
		})
		member := w.StartHooked(hooks(calls.hook, trap.hook), nil, afterEvent)
		instance := launch(t, w, ruleOne, "x", taskhub.InstanceID(id))
		reach(t, w, id, history.Running)
		w.DrainedWithin(soon)
		trap.arm()
		raise(t, w, id, ctlNumber, 1)
		<-trap.sprung
		w.Eventually(soon, "the activity is scheduled", func() bool {
			return kinds(eventsOf(t, w, id))[history.KindTaskScheduled] == 1
		})
		if puts, deletes := calls.count(workItemPut), calls.count(match{storage.QueueDelete, "-workitems"}); puts != 2 || deletes != 1 {
			t.Errorf("%d work items sent, %d taken back", puts, deletes)
		}
		if got := member.Stats().Conflicts; got != 1 {
			t.Errorf("%d conflicts counted", got)
		}
		w.Start(nil, ruleWork.With(countRuns(&runs)))
		if got := resultOf(t, w, instance); got != "x!" || runs.Load() != 1 {
			t.Errorf("the result is %q after %d runs", got, runs.Load())
		}
		w.DrainedWithin(soon)
	})
}

// H2: when the reply of a history transaction is lost, it is read back whether it took effect.
// Without the rule the work item of a stored turn is taken back and never runs, or its turn is
// computed again and it runs twice.
func TestH2_LostReplyIsReadBack(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		var calls recorder
		trap := newTrap(func(ctx context.Context, next func(context.Context) error) error {
			return errors.Join(next(ctx), lostReply())
		}, historyWrite)
		w.StartHooked(hooks(calls.hook, trap.hook), &worker.Options{NoInline: true}, ruleOne.With(callOne), ruleWork.With(countRuns(&runs)))
		instance := launch(t, w, ruleOne, "x")
		if got := resultOf(t, w, instance); got != "x!" || runs.Load() != 1 || calls.count(workItemPut) != 1 {
			t.Errorf("the result is %q after %d runs, %d work items", got, runs.Load(), calls.count(workItemPut))
		}
		w.DrainedWithin(soon)
		checkHistory(t, w, instance.ID())
	})
}

// H2: when that cannot be read back either, messages are left: a double is tolerated, a loss is
// not. Without the rule the instance waits for ever if the transaction took effect.
func TestH2_UnclearIsLeft(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		t.Run(fmt.Sprintf("stored=%t", stored), func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				var runs atomic.Int64
				var calls recorder
				write := newTrap(func(ctx context.Context, next func(context.Context) error) error {
					if stored {
						check(t, next(ctx))
					}
					return lostReply()
				}, historyWrite)
				read := newTrap(func(context.Context, func(context.Context) error) error {
					return &storage.Error{Op: storage.TableRead, Sentinel: storage.ErrUnavailable}
				}, match{storage.TableRead, "History"})
				options := quietOptions()
				options.NoInline = true
				w.StartHooked(hooks(calls.hook, write.hook, read.hook), options, ruleOne.With(callOne), ruleWork.With(countRuns(&runs)))
				instance := launch(t, w, ruleOne, "x")
				if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "x!" {
					t.Errorf("the end is %q, %v", got, err)
				}
				<-read.sprung
				w.DrainedWithin(patiently)
				want := map[bool]int{true: 1, false: 2}[stored]
				if calls.count(workItemPut) != want || runs.Load() != int64(want) {
					t.Errorf("%d work items, %d runs, want %d", calls.count(workItemPut), runs.Load(), want)
				}
				checkHistory(t, w, instance.ID())
			})
		})
	}
}

// H3, classic path: an instance that continues as new in its very first turn leaves its start
// message behind if the worker dies before it is deleted. Without the rule that start begins the
// instance again with generation 0, because the status row may still name it.
func TestH3_HeldStartAfterContinueAsNew(t *testing.T) {
	t.Parallel()
	for _, cut := range []struct {
		name  string
		after bool
		at    []match
	}{
		{"before the row", true, []match{historyWrite}},
		{"after the row", true, []match{rowMerge}},
	} {
		t.Run(cut.name, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				again := orchestration.Declare[int, int]("H3Again")
				binding := again.With(func(ctx *orchestration.Context, n int) (int, error) {
					if n < 3 {
						orchestration.ContinueAsNew(ctx, again, n+1)
						return 0, nil
					}
					_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
					return n, err
				})
				var victim *fleettest.Member
				trap := killAt(&victim, cut.after, cut.at...)
				victim = w.StartHooked(trap.hook, nil, binding)
				instance := launch(t, w, again, 0)
				<-trap.sprung
				before := w.Sentinel(instance.ID()).ExecutionID
				w.Start(nil, binding)
				w.DrainedWithin(patiently)
				if after := w.Sentinel(instance.ID()).ExecutionID; after != before {
					t.Errorf("the instance began again: execution %s, then %s", before, after)
				}
				if s := statusOf(t, w, instance.ID()); s.Status != history.Running || s.ExecutionID != before || string(s.Input) != "3" {
					t.Errorf("the row says %s, execution %s, input %s", s.Status, s.ExecutionID, s.Input)
				}
				raise(t, w, instance.ID(), ctlNumber, 1)
				resultOf(t, w, instance)
			})
		})
	}
}

// H4: a worker that is late with its status row does not destroy a newer start. Without the
// condition on the row's version, the new start's row would say Completed, with the old result.
func TestH4_LateRowWrite(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		thaw := make(chan struct{})
		trap := newTrap(func(ctx context.Context, next func(context.Context) error) error {
			<-thaw
			return next(ctx)
		}, rowMerge).disarmed()
		w.StartHooked(trap.hook, nil, ctlCollect.With(collectNumbers), ruleWork.With(countRuns(&runs)))
		launch(t, w, ctlCollect, 1, taskhub.InstanceID("twice"))
		reach(t, w, "twice", history.Running)
		trap.arm()
		raise(t, w, "twice", ctlNumber, 1)
		select {
		case <-trap.sprung:
		case <-time.After(time.Second): // it is held, not sprung
		}
		second := launch(t, w, ctlCollect, 2, taskhub.InstanceID("twice"), taskhub.ReplaceLive)
		close(thaw)
		<-trap.sprung
		pass(t, w, time.Second)
		if s := statusOf(t, w, "twice"); s.ExecutionID != second.ExecutionID() || s.Status == history.Completed {
			t.Errorf("the row is %s, execution %s, not %s", s.Status, s.ExecutionID, second.ExecutionID())
		}
		reach(t, w, "twice", history.Running)
		raise(t, w, "twice", ctlNumber, 2)
		raise(t, w, "twice", ctlNumber, 3)
		if got := resultOf(t, w, second); fmt.Sprint(got) != "[2 3]" {
			t.Errorf("the result is %v", got)
		}
	})
}

// H4: a worker whose row was refused because another one has gone on does not know whether that one wrote
// what the row lacks: the message that reminds of it stays. Without the rule it would be deleted, and the row
// of the suspended instance would say Running for good, if the other worker saw no change of the status.
func TestH4_RowLeftToAnother(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		const id = "left"
		trap := newTrap(func(ctx context.Context, next func(context.Context) error) error {
			w.MergeRow(w.Hub.Store().Names.InstancesTable(), id, "", map[string]any{"LastUpdatedTime": time.Now()})
			bumpSentinel(w, id)
			return next(ctx)
		}, rowMerge).disarmed()
		w.StartHooked(trap.hook, nil, ctlCollect.With(collectNumbers))
		launch(t, w, ctlCollect, 1, taskhub.InstanceID(id))
		reach(t, w, id, history.Running)
		w.DrainedWithin(soon)
		trap.arm()
		check(t, w.Client.Suspend(w.Context(), id, "wait"))
		<-trap.sprung
		w.DrainedWithin(time.Minute)
		if got := statusOf(t, w, id).Status; got != history.Suspended {
			t.Errorf("the row says %s", got)
		}
	})
}

// H4: after a crash between history and row of a continue-as-new the row names the former
// execution, which the sentinel lists; so the row is known to be ours and is repaired. Without
// the list it would be taken for that of a newer start, and name an execution that is gone.
func TestH4_RepairAfterContinueAsNew(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		again := orchestration.Declare[int, int]("H4Again")
		binding := again.With(func(ctx *orchestration.Context, n int) (int, error) {
			number, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
			if err != nil || number == 0 {
				return n, err
			}
			orchestration.ContinueAsNew(ctx, again, number)
			return 0, nil
		})
		var victim *fleettest.Member
		trap := killAt(&victim, true, historyWrite).disarmed()
		victim = w.StartHooked(trap.hook, nil, binding)
		instance := launch(t, w, again, 1)
		reach(t, w, instance.ID(), history.Running)
		w.DrainedWithin(soon)
		trap.arm()
		raise(t, w, instance.ID(), ctlNumber, 2)
		<-trap.sprung
		sentinel := w.Sentinel(instance.ID())
		if row := statusOf(t, w, instance.ID()); row.ExecutionID == sentinel.ExecutionID || len(sentinel.Replaced) != 1 {
			t.Fatalf("the row names %s, the sentinel %s after %q", row.ExecutionID, sentinel.ExecutionID, sentinel.Replaced)
		}
		w.Start(nil, binding)
		w.DrainedWithin(patiently)
		if row := statusOf(t, w, instance.ID()); row.ExecutionID != sentinel.ExecutionID || string(row.Input) != "2" || row.Status != history.Running {
			t.Errorf("the row is %s, names %s with input %s", row.Status, row.ExecutionID, row.Input)
		}
		raise(t, w, instance.ID(), ctlNumber, 0)
		if got, err := taskhub.Attach[int](w.Client, instance.ID()).Wait(w.Timeout(soon)); err != nil || got != 2 {
			t.Errorf("the end is %d, %v", got, err)
		}
	})
}
