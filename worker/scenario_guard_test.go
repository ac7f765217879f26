package worker_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// G01: two workers complete one turn. The slower one, frozen before its history write while the
// other took over, is refused (first turn: the row exists; later: the version is stale); what it
// sent is taken back, and the other's history stands.
func TestGuard_TwoWorkersOneTurn_G01(t *testing.T) {
	t.Parallel()
	for _, turn := range []string{"first", "later"} {
		t.Run(turn, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				binding := ruleOne.With(func(ctx *orchestration.Context, in string) (string, error) {
					if turn == "later" {
						if _, err := orchestration.WaitForEvent(ctx, ctlNumber).Await(); err != nil {
							return "", err
						}
					}
					_, err := ctx.Timer(time.Hour).Await()
					return in, err
				})
				freezer := newFreezer(historyWrite)
				w.StartHooked(freezer.hook, crashOptions(), binding)
				var instance *taskhub.Instance[string]
				if turn == "first" {
					freezer.arm()
					instance = launch(t, w, ruleOne, "x")
				} else {
					instance = launch(t, w, ruleOne, "x")
					reach(t, w, instance.ID(), history.Running)
					w.DrainedWithin(soon)
					freezer.arm()
					raise(t, w, instance.ID(), ctlNumber, 1)
				}
				<-freezer.frozen
				winner := w.Start(crashOptions(), binding)
				w.Eventually(10*time.Minute, "the other worker sets the timer", func() bool {
					loaded, err := w.Hub.Store().LoadHistory(w.Context(), instance.ID())
					return err == nil && kinds(loaded.State.Events())[history.KindTimerCreated] == 1
				})
				pass(t, w, time.Second)
				before, messages := storedState(w, instance.ID()), w.MessagesLeft()
				close(freezer.thaw)
				pass(t, w, 2*time.Minute)
				if after := storedState(w, instance.ID()); after != before {
					t.Errorf("what is stored has changed from\n%s\nto\n%s", before, after)
				}
				if left := w.MessagesLeft(); messages != 2 || left != 1 {
					t.Errorf("%d messages were there before, %d are left; want two timers and then one", messages, left)
				}
				if winner.Stats().Turns == 0 {
					t.Error("the other worker has stored nothing")
				}
				if got, err := instance.Wait(w.Timeout(2 * time.Hour)); err != nil || got != "x" {
					t.Errorf("the end is %q, %v", got, err)
				}
				w.DrainedWithin(patiently)
				checkHistory(t, w, instance.ID())
			})
		})
	}
}

var repairEnd = orchestration.Declare[string, string]("RepairEnd")

// endAs ends at once, in the way its input says, or waits to be terminated.
func endAs(ctx *orchestration.Context, in string) (string, error) {
	how, text, _ := strings.Cut(in, ":")
	ctx.SetCustomStatus("custom " + how)
	switch how {
	case "complete":
		return text, nil
	case "fail":
		return "", errors.New(text)
	default:
		_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
		return "", err
	}
}

// G02: after a crash between history and status row, the next message repairs the row and is
// itself discarded. The row is as it would be without the crash, whatever the end and its size,
// and whether the row is old or missing.
func TestGuard_CrashBeforeRow_G02(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"complete", "fail", "terminate"} {
		for _, size := range []int{10, 100 << 10} {
			for _, row := range []string{"as it was", "running", "missing"} {
				t.Run(fmt.Sprintf("%s/%d/%s", how, size, row), func(t *testing.T) {
					t.Parallel()
					fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
						crashed := endUnder(t, w, how, incompressible(size), row)
						clean := endUnder(t, w, how, incompressible(size), "")
						sameEnd(t, crashed, clean)
						w.DrainedWithin(patiently)
					})
				})
			}
		}
	}
}

// endUnder brings an instance to its end, with a crash before the last write of its row unless
// row is empty, and returns its status.
func endUnder(t *testing.T, w *fleettest.World, how, text, row string) *taskhub.Status {
	t.Helper()
	var victim *fleettest.Member
	trap := killAt(&victim, false, rowMerge, rowInsert).disarmed()
	victim = w.StartHooked(trap.hook, crashOptions(), repairEnd.With(endAs))
	input := how + ":" + text
	if how == "terminate" {
		input = how
	} else if row != "" {
		trap.arm()
	}
	instance := launch(t, w, repairEnd, input, taskhub.Tags{"k": "v"}, taskhub.Version("7"),
		taskhub.InstanceID(cmp.Or(strings.ReplaceAll(row, " ", "-"), "clean")))
	if how == "terminate" {
		reach(t, w, instance.ID(), history.Running)
		w.DrainedWithin(soon)
		if row != "" {
			trap.arm()
		}
		check(t, w.Client.Terminate(w.Context(), instance.ID(), text))
	}
	if row != "" {
		<-trap.sprung
		table := w.Hub.Store().Names.InstancesTable()
		switch row {
		case "running":
			w.MergeRow(table, instance.ID(), "", map[string]any{"RuntimeStatus": "Running"})
		case "missing":
			check(t, w.Account.Tables.Delete(w.Context(), table, instance.ID(), "", storage.AnyETag))
		}
		victim = w.Start(crashOptions(), repairEnd.With(endAs))
		w.DrainedWithin(patiently)
	}
	status, err := w.Client.Wait(w.Timeout(time.Hour), instance.ID())
	check(t, err)
	if status.ExecutionID != instance.ExecutionID() {
		t.Errorf("the execution is %q, want %q", status.ExecutionID, instance.ExecutionID())
	}
	check(t, victim.Stop())
	return status
}

func sameEnd(t *testing.T, got, want *taskhub.Status) {
	t.Helper()
	for _, field := range [][3]string{
		{"status", string(got.Status), string(want.Status)},
		{"name", got.Name, want.Name},
		{"version", got.Version, want.Version},
		{"input", string(got.Input), string(want.Input)},
		{"output", string(got.Output), string(want.Output)},
		{"failure", got.Failure, want.Failure},
		{"reason", got.Reason, want.Reason},
		{"custom status", string(got.CustomStatus), string(want.CustomStatus)},
		{"tags", fmt.Sprint(got.Tags), fmt.Sprint(want.Tags)},
		{"generation", fmt.Sprint(got.Generation), fmt.Sprint(want.Generation)},
		{"end", fmt.Sprint(got.Completed != nil), fmt.Sprint(want.Completed != nil)},
	} {
		if field[1] != field[2] {
			t.Errorf("%s: repaired %.200q, without a crash %.200q", field[0], field[1], field[2])
		}
	}
}

// G04: an answer that comes before its question is in the history is put back, not consumed, and
// delivered once the question is there.
func TestGuard_AnswerBeforeCause_G04(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(lazyOptions(), ruleOne.With(func(ctx *orchestration.Context, in string) (string, error) {
			if _, err := orchestration.WaitForEvent(ctx, ctlNumber).Await(); err != nil {
				return "", err
			}
			return callOne(ctx, in)
		}))
		instance := launch(t, w, ruleOne, "x")
		reach(t, w, instance.ID(), history.Running)
		w.DrainedWithin(soon)
		w.Put(answerOf(history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()}, `"early"`, nil), 0)
		pass(t, w, 3*time.Hour)
		if n := w.MessagesLeft(); n != 1 {
			t.Fatalf("%d messages are left", n)
		}
		raise(t, w, instance.ID(), ctlNumber, 1)
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "early" {
			t.Errorf("the end is %q, %v", got, err)
		}
	})
}

// G05: a message for an instance that does not exist is put back five times and then deleted.
func TestGuard_NoSuchInstance_G05(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var calls recorder
		w.StartHooked(calls.hook, nil, ctlCollect.With(collectNumbers))
		w.Put(numberFor("nobody", 1), 0)
		w.DrainedWithin(10 * time.Minute)
		puts, deletes := calls.places(match{storage.QueueUpdate, ""}), calls.places(match{storage.QueueDelete, ""})
		if len(puts) != 5 || len(deletes) != 1 || deletes[0] < slices.Max(puts) {
			t.Errorf("put back at %v, deleted at %v", puts, deletes)
		}
		if rows := w.HistoryRows("nobody"); len(rows) > 0 {
			t.Errorf("%d history rows have come into being", len(rows))
		}
	})
}

// G06: results that carry an older execution id are discarded, although their number fits.
func TestGuard_OlderExecution_G06(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		again := orchestration.Declare[int, string]("GuardAgain")
		w.Start(nil, again.With(func(ctx *orchestration.Context, n int) (string, error) {
			if n == 0 {
				_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
				orchestration.ContinueAsNew(ctx, again, 1)
				return "", err
			}
			return callOne(ctx, "new")
		}))
		instance := launch(t, w, again, 0)
		reach(t, w, instance.ID(), history.Running)
		raise(t, w, instance.ID(), ctlNumber, 1)
		w.Eventually(soon, "the next generation has begun", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindTaskScheduled] == 1
		})
		w.Put(answerOf(history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()}, `"old"`, nil), 0)
		w.Eventually(5*time.Minute, "the old result is discarded", func() bool { return w.MessagesLeft() == 1 })
		if got := kinds(eventsOf(t, w, instance.ID()))[history.KindTaskCompleted]; got != 0 {
			t.Errorf("%d results are in the history", got)
		}
		w.Start(nil, ruleWork.With(countRuns(&runs)))
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "new!" {
			t.Errorf("the end is %q, %v", got, err)
		}
	})
}

// G13: start and event that arrive together are both in the first turn.
func TestGuard_StartWithEvent_G13(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		instance := launch(t, w, ctlCollect, 1)
		raise(t, w, instance.ID(), ctlNumber, 1)
		w.Start(nil, ctlCollect.With(collectNumbers))
		if got := resultOf(t, w, instance); fmt.Sprint(got) != "[1]" {
			t.Errorf("the result is %v", got)
		}
		if counts := kinds(eventsOf(t, w, instance.ID())); counts[history.KindOrchestratorStarted] != 1 || counts[history.KindEventRaised] != 1 {
			t.Errorf("the history holds %v", counts)
		}
	})
}
