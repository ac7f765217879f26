package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// H5: only the last transaction of a checkpoint says that it is complete. After a crash between
// two of them the instance resumes with only what is missing; without the rule the worker would
// trust the half checkpoint, and the activities beyond it would never be scheduled.
func TestH5_CrashBetweenTransactions(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		const n = 120
		var runs atomic.Int64
		var victim *fleettest.Member
		trap := killAt(&victim, true, historyWrite)
		victim = w.StartHooked(trap.hook, crashOptions(), crashBindings(&runs)[2]) // without the activity
		instance := launch(t, w, crashFan, n)
		<-trap.sprung
		if w.Sentinel(instance.ID()).Complete {
			t.Error("half a checkpoint says that it is complete")
		}
		stored := kinds(eventsOf(t, w, instance.ID()))[history.KindTaskScheduled]
		if stored == 0 || stored >= n {
			t.Fatalf("%d of %d activities are in the history", stored, n)
		}
		var second recorder
		w.StartHooked(second.hook, crashOptions(), crashBindings(&runs)[2])
		w.Eventually(patiently, "all activities are scheduled, although none has answered", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindTaskScheduled] == n
		})
		w.Start(crashOptions(), crashBindings(&runs)[0])
		got, err := instance.Wait(w.Timeout(time.Hour))
		if want := wantFan(n); err != nil || got != want {
			t.Errorf("the end is %.60q, %v", got, err)
		}
		if puts := second.count(workItemPut); puts != n-stored {
			t.Errorf("%d activities sent again, %d were missing", puts, n-stored)
		}
		w.DrainedWithin(patiently)
		checkHistory(t, w, instance.ID())
	})
}

func wantFan(n int) string {
	want := ""
	for i := range n {
		want += fmt.Sprint(i) + "!"
	}
	return want
}

// answerOf makes the message that answers activity 0 of an execution.
func answerOf(target history.Instance, result string, private *wire.Private) *wire.Message {
	return &wire.Message{
		Event: &history.TaskCompleted{
			Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, TaskID: 0, Result: &result,
		},
		Target: target, Sender: &target, Private: private,
	}
}

// H6: an answer to another activity of the same number, of a turn that was never stored, is
// dropped. Without the rule its result would be taken for that of the stored one.
func TestH6_StaleAnswer(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(nil, ruleOne.With(callOne))
		instance := launch(t, w, ruleOne, "x")
		reach(t, w, instance.ID(), history.Running)
		target := history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()}
		w.Put(answerOf(target, `"stale"`, &wire.Private{TaskName: "RuleWork", ScheduledAt: time.Now().Add(-time.Hour)}), 0)
		w.Put(answerOf(target, `"other"`, &wire.Private{TaskName: "RuleOther"}), 0)
		w.Eventually(soon, "the stale answers are dropped", func() bool { return w.MessagesLeft() == 1 })
		w.Start(nil, ruleWork.With(countRuns(&runs)))
		if got := resultOf(t, w, instance); got != "x!" {
			t.Errorf("the result is %q", got)
		}
	})
}

// H6: a child whose start was sent twice, because its parent's turn was computed again, runs once.
// Without an execution id that is made of the call, the second start would replace the child.
func TestH6_ChildStartedTwice(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		var victim *fleettest.Member
		trap := killAt(&victim, false, historyWrite)
		victim = w.StartHooked(trap.hook, crashOptions(), crashBindings(&runs)...)
		instance := launch(t, w, crashParent, "x")
		<-trap.sprung
		w.Start(crashOptions(), crashBindings(&runs)...)
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "x!" || runs.Load() != 1 {
			t.Errorf("the end is %q, %v after %d runs", got, err, runs.Load())
		}
		w.DrainedWithin(patiently)
		checkHistory(t, w, instance.ID())
		checkHistory(t, w, "the-child")
	})
}

// H7: an event whose message could not be deleted comes again and is not applied a second time.
// Without the list of processed messages it would be: nothing in an event tells it from another.
func TestH7_EventOnce(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var failing atomic.Bool
		noDeletion := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if failing.Load() && call.Kind == storage.QueueDelete {
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
			}
			return next(ctx)
		}
		w.StartHooked(noDeletion, quietOptions(), ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 4)
		reach(t, w, instance.ID(), history.Running)
		w.DrainedWithin(soon)
		failing.Store(true)
		raise(t, w, instance.ID(), ctlNumber, 1)
		raise(t, w, instance.ID(), ctlNumber, 2)
		pass(t, w, 5*time.Minute) // it comes again several times
		if got := kinds(eventsOf(t, w, instance.ID()))[history.KindEventRaised]; got != 2 {
			t.Errorf("%d events are in the history", got)
		}
		if got := len(w.Sentinel(instance.ID()).Processed); got != 2 {
			t.Errorf("the sentinel remembers %d messages", got)
		}
		failing.Store(false)
		w.DrainedWithin(patiently)
		raise(t, w, instance.ID(), ctlNumber, 3)
		w.Eventually(soon, "the third event is stored", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindEventRaised] == 3
		})
		w.DrainedWithin(soon)
		// The last ones are remembered although they are deleted: each may have been put twice.
		if got := len(w.Sentinel(instance.ID()).Processed); got != 3 {
			t.Errorf("the sentinel remembers %d messages", got)
		}
		raise(t, w, instance.ID(), ctlNumber, 4)
		if got := resultOf(t, w, instance); fmt.Sprint(got) != "[1 2 3 4]" {
			t.Errorf("the events are %v", got)
		}
	})
}

// H7: the same after a take-over: the new owner learns from the sentinel which events have taken
// effect, suspensions, too.
func TestH7_EventOnceAfterTakeOver(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var victim *fleettest.Member
		trap := killAt(&victim, false, match{storage.QueueDelete, ""}).disarmed()
		victim = w.StartHooked(trap.hook, crashOptions(), ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 3)
		reach(t, w, instance.ID(), history.Running)
		w.DrainedWithin(soon)
		raise(t, w, instance.ID(), ctlNumber, 1)
		w.DrainedWithin(soon)
		trap.arm()
		raise(t, w, instance.ID(), ctlNumber, 2)
		<-trap.sprung
		if n := w.MessagesLeft(); n != 1 {
			t.Fatalf("%d messages are left after the crash", n)
		}
		w.Start(nil, ctlCollect.With(collectNumbers))
		w.DrainedWithin(patiently)
		if got := kinds(eventsOf(t, w, instance.ID()))[history.KindEventRaised]; got != 2 {
			t.Errorf("%d events are in the history", got)
		}
		raise(t, w, instance.ID(), ctlNumber, 3)
		if got := resultOf(t, w, instance); fmt.Sprint(got) != "[1 2 3]" {
			t.Errorf("the events are %v", got)
		}
	})
}

// H7: the list of processed messages does not grow with the age of an instance that changes its
// owner.
func TestH7_ListShrinksAfterTakeOver(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		const rounds, each, kept = 4, 60, 100
		instance := launch(t, w, ctlCollect, each*rounds)
		for round := range rounds {
			member := w.Start(lazyOptions(), ctlCollect.With(collectNumbers))
			reach(t, w, instance.ID(), history.Running)
			for i := range each {
				if i == each-1 {
					w.DrainedWithin(soon)
					pass(t, w, 20*time.Minute) // now nothing of the former owner can come any more
				}
				raise(t, w, instance.ID(), ctlNumber, each*round+i)
			}
			w.DrainedWithin(soon)
			if round == rounds-1 {
				break
			}
			if got := len(w.Sentinel(instance.ID()).Processed); got > kept+1 {
				t.Errorf("round %d: the sentinel remembers %d messages", round, got)
			}
			check(t, member.Stop())
		}
		if got := resultOf(t, w, instance); len(got) != each*rounds {
			t.Errorf("the events are %v", got)
		}
	})
}

// A start that takes the place of a running instance makes what the older one still waits for
// stale: its activities' answers, timers and children are dropped, and its events go to nobody.
func TestRules_ReplacedExecution_G06(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(nil, ruleOne.With(callOne))
		first := launch(t, w, ruleOne, "first", taskhub.InstanceID("replaced"))
		reach(t, w, "replaced", history.Running)
		second := launch(t, w, ruleOne, "second", taskhub.InstanceID("replaced"), taskhub.ReplaceLive)
		w.Eventually(soon, "the second has begun", func() bool {
			return w.Sentinel("replaced").ExecutionID == second.ExecutionID()
		})
		target := history.Instance{InstanceID: "replaced", ExecutionID: first.ExecutionID()}
		w.Put(answerOf(target, `"stale"`, nil), 0)
		pass(t, w, 5*time.Minute)
		if got := kinds(eventsOf(t, w, "replaced"))[history.KindTaskCompleted]; got != 0 {
			t.Errorf("%d results are in the history", got)
		}
		w.Start(nil, ruleWork.With(countRuns(&runs)))
		if got, err := second.Wait(w.Timeout(time.Hour)); err != nil || got != "second!" {
			t.Errorf("the end is %q, %v", got, err)
		}
		w.DrainedWithin(patiently)
	})
}
