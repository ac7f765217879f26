package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// numberFor makes the message of an event.
func numberFor(id string, n int) *wire.Message {
	return &wire.Message{
		Event: &history.EventRaised{
			Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, Name: "Number",
			Input: history.Text(fmt.Sprint(n)),
		},
		Target: history.Instance{InstanceID: id},
	}
}

// H11: an event that overtakes the start of its instance waits for it. Without the rule it would
// be deleted, as .NET does.
func TestH11_EventBeforeStart(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, ctlCollect.With(collectNumbers))
		w.Put(numberFor("early", 1), 0)
		pass(t, w, 20*time.Second)
		instance := launch(t, w, ctlCollect, 1, taskhub.InstanceID("early"))
		if got, err := instance.Wait(w.Timeout(5 * time.Minute)); err != nil || fmt.Sprint(got) != "[1]" {
			t.Errorf("the end is %v, %v", got, err)
		}
		w.DrainedWithin(soon)
	})
}

// H11: event, suspension and resumption of an instance that is still Pending are kept for it, as
// long as it takes.
func TestH11_CommandsForPending(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(lazyOptions(), ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 2, taskhub.StartAt(time.Now().Add(2*time.Hour)))
		raise(t, w, instance.ID(), ctlNumber, 5)
		check(t, w.Client.Suspend(w.Context(), instance.ID(), "not yet"))
		pass(t, w, time.Hour)
		if got := statusOf(t, w, instance.ID()).Status; got != history.Pending || w.MessagesLeft() != 3 {
			t.Errorf("the instance is %s, %d messages are left", got, w.MessagesLeft())
		}
		pass(t, w, 90*time.Minute)
		if got := statusOf(t, w, instance.ID()).Status; got != history.Suspended {
			t.Errorf("the instance is %s", got)
		}
		check(t, w.Client.Resume(w.Context(), instance.ID(), ""))
		raise(t, w, instance.ID(), ctlNumber, 6)
		if got := resultOf(t, w, instance); fmt.Sprint(got) != "[5 6]" {
			t.Errorf("the result is %v", got)
		}
	})
}

// H11: an instance that is terminated before its time ends at once, and its start, when it comes,
// is dropped. Without the rule it would run after its end, as with .NET.
func TestH11_TerminateScheduled(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(lazyOptions(), ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 0, taskhub.StartAt(time.Now().Add(time.Hour)))
		check(t, w.Client.Terminate(w.Context(), instance.ID(), "changed my mind"))
		end := endOf(t, w, instance.ID())
		if end.Status != history.Terminated || end.Reason != "changed my mind" || end.Completed == nil {
			t.Errorf("the instance is %s, reason %q", end.Status, end.Reason)
		}
		if n := w.MessagesLeft(); n != 1 {
			t.Errorf("%d messages are left, want the start", n)
		}
		pass(t, w, 2*time.Hour)
		if again := statusOf(t, w, instance.ID()); again.Status != history.Terminated || len(w.HistoryRows(instance.ID())) > 0 || w.MessagesLeft() > 0 {
			t.Errorf("later it is %s with %d history rows, %d messages", again.Status, len(w.HistoryRows(instance.ID())), w.MessagesLeft())
		}
	})
}

// lateRow sends a start whose client writes the row only after a while, or never.
func lateRow(t *testing.T, w *fleettest.World, id string, after time.Duration) {
	t.Helper()
	self := history.Instance{InstanceID: id, ExecutionID: w.Hub.Store().NewID("test")}
	now, generation := wire.Ticks(time.Now()), int32(0)
	w.Put(&wire.Message{
		Event: &history.ExecutionStarted{
			Header: history.Header{EventID: history.NoEventID, Timestamp: now}, Instance: self, Name: ctlCollect.Name(),
			Input: history.Text("0"), Generation: &generation,
		},
		Target: self,
	}, 0)
	if after < 0 {
		return
	}
	pass(t, w, after)
	check(t, w.Hub.Store().CreateInstance(w.Context(), wire.Instance{
		InstanceID: id, ExecutionID: self.ExecutionID, Name: ctlCollect.Name(), Input: history.Text("0"),
		Created: now, LastUpdated: now, TaskHubName: w.Hub.Name(),
	}, ""))
}

// H12: a start that is read before its row is written is held for a moment, then put back, and
// runs when the row is there. Without the rule a quick worker would make every start wait 2 s, or
// run one whose client may still find that another start won.
func TestH12_StartBeforeRow(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var calls recorder
		w.StartHooked(calls.hook, nil, ctlCollect.With(collectNumbers))
		pass(t, w, time.Minute)
		began := time.Now()
		lateRow(t, w, "soon", 110*time.Millisecond)
		endOf(t, w, "soon")
		if took := time.Since(began); took > time.Second || calls.count(match{storage.QueueUpdate, ""}) != 0 {
			t.Errorf("it took %v, the start was put back %d times", took, calls.count(match{storage.QueueUpdate, ""}))
		}
		lateRow(t, w, "later", 5*time.Second)
		endOf(t, w, "later")
		if calls.count(match{storage.QueueUpdate, ""}) == 0 {
			t.Error("the start was not put back")
		}
		lateRow(t, w, "never", -1)
		pass(t, w, 25*time.Minute)
		if rows := w.HistoryRows("never"); len(rows) > 0 || w.MessagesLeft() > 0 {
			t.Errorf("a start without a row left %d history rows and %d messages", len(rows), w.MessagesLeft())
		}
	})
}

// H12: the row of a child is there already when the reply to its creation was lost. That is no
// conflict, if it names our execution.
func TestH12_CreatedTwice(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		trap := newTrap(func(ctx context.Context, next func(context.Context) error) error {
			check(t, next(ctx))
			return &storage.Error{Op: storage.TableInsert, Target: "test", Sentinel: storage.ErrExists, Ambiguous: true}
		}, rowInsert)
		w.StartHooked(trap.hook, nil, crashBindings(&runs)...)
		instance := launch(t, w, crashParent, "x")
		if got := resultOf(t, w, instance); got != "x!" {
			t.Errorf("the result is %q", got)
		}
		<-trap.sprung
		if s := statusOf(t, w, "the-child"); s.Status != history.Completed || string(s.Output) != `"x!"` {
			t.Errorf("the child is %s with %s", s.Status, s.Output)
		}
		w.DrainedWithin(soon)
	})
}

// takeAndDrop takes all visible messages of a queue, as a worker does that dies at once, and waits
// until they are visible again.
func takeAndDrop(t *testing.T, w *fleettest.World, queue string, times int) {
	t.Helper()
	for range times {
		_, err := w.Account.Queues.Get(w.Context(), queue, storage.MaxMessagesPerGet, time.Second)
		check(t, err)
		pass(t, w, 2*time.Second)
	}
}

// H13: work that has been delivered three times may be what makes workers die, so it runs by
// itself. Without the rule, one bad message takes all others in the same process down with it,
// every time.
func TestH13_ThirdDeliveryAlone(t *testing.T) {
	t.Parallel()
	for _, deliveries := range []int{2, 3} {
		t.Run(fmt.Sprint(deliveries), func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				first := w.Start(nil, ruleOne.With(callOne))
				var all []*taskhub.Instance[string]
				for range 5 {
					all = append(all, launch(t, w, ruleOne, "x"))
				}
				w.Eventually(soon, "all are scheduled", func() bool {
					n, err := w.Account.Queues.Count(w.Context(), w.Hub.Store().Names.WorkItemQueue())
					check(t, err)
					return n == 5 && w.MessagesLeft() == 5
				})
				takeAndDrop(t, w, w.Hub.Store().Names.WorkItemQueue(), deliveries-1)
				check(t, first.Stop())
				var now, most atomic.Int64
				w.Start(nil, ruleOne.With(callOne), ruleWork.With(func(ctx context.Context, in string) (string, error) {
					defer now.Add(-1)
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
					run.Sleep(ctx, time.Second)
					return in, nil
				}))
				for _, instance := range all {
					resultOf(t, w, instance)
				}
				if alone := most.Load() == 1; alone != (deliveries == 3) {
					t.Errorf("%d ran at a time", most.Load())
				}
			})
		})
	}
}

// H13: the same for the messages of an instance: each has a turn of its own.
func TestH13_ThirdDeliveryHasItsTurn(t *testing.T) {
	t.Parallel()
	for _, deliveries := range []int{2, 3} {
		t.Run(fmt.Sprint(deliveries), func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				first := w.Start(nil, ctlCollect.With(collectNumbers))
				instance := launch(t, w, ctlCollect, 3)
				reach(t, w, instance.ID(), history.Running)
				check(t, first.Stop())
				for i := range 3 {
					raise(t, w, instance.ID(), ctlNumber, i)
				}
				takeAndDrop(t, w, w.Hub.Store().ControlQueueOf(instance.ID()), deliveries-1)
				w.Start(nil, ctlCollect.With(collectNumbers))
				resultOf(t, w, instance)
				want := map[int]int{2: 2, 3: 4}[deliveries]
				if got := kinds(eventsOf(t, w, instance.ID()))[history.KindOrchestratorStarted]; got != want {
					t.Errorf("there were %d turns, want %d", got, want)
				}
			})
		})
	}
}

// H14: a worker whose clock is behind that of the worker before does not let the orchestrator's
// time go back. Without the rule, code that compares times would decide differently in a replay.
func TestH14_ClockBehind(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		times := orchestration.Declare[struct{}, []time.Time]("H14Times")
		binding := times.With(func(ctx *orchestration.Context, _ struct{}) ([]time.Time, error) {
			all := []time.Time{ctx.Now()}
			_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
			return append(all, ctx.Now()), err
		})
		self := history.Instance{InstanceID: "ahead", ExecutionID: w.Hub.Store().NewID("test")}
		ahead := wire.Ticks(time.Now().Add(10 * time.Minute)) // what a worker with such a clock has stored
		started := &history.ExecutionStarted{Header: history.Header{EventID: -1, Timestamp: ahead}, Instance: self, Name: times.Name()}
		_, err := w.Hub.Store().CommitHistory(w.Context(), storeCommit(self, ahead,
			&history.OrchestratorStarted{Header: history.Header{EventID: -1, Timestamp: ahead}}, started,
			&history.OrchestratorCompleted{Header: history.Header{EventID: -1, Timestamp: ahead}}))
		check(t, err)
		check(t, w.Hub.Store().CreateInstance(w.Context(), wire.Instance{
			InstanceID: "ahead", ExecutionID: self.ExecutionID, Name: times.Name(), Created: ahead, LastUpdated: ahead,
			Status: history.Running, TaskHubName: w.Hub.Name(),
		}, ""))
		w.Start(nil, binding)
		w.Put(numberFor("ahead", 1), 0)
		got, err := taskhub.Attach[[]time.Time](w.Client, "ahead").Wait(w.Timeout(soon))
		check(t, err)
		if len(got) != 2 || !got[0].Equal(ahead) || !got[1].After(ahead) || got[1].Sub(ahead) > time.Second {
			t.Errorf("the times are %v, recorded was %v", got, ahead)
		}
	})
}

// H14: no time of the orchestrator lies before the moment for which its timer was set, although
// queues hand delayed messages out in whole seconds.
func TestH14_NotBeforeTimer(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		times := orchestration.Declare[struct{}, []time.Duration]("H14Timers")
		w.Start(nil, times.With(func(ctx *orchestration.Context, _ struct{}) ([]time.Duration, error) {
			var late []time.Duration
			for _, d := range []time.Duration{time.Millisecond, 333 * time.Millisecond, 1010 * time.Millisecond} {
				due := ctx.Now().Add(d)
				if _, err := ctx.TimerAt(due).Await(); err != nil {
					return nil, err
				}
				late = append(late, ctx.Now().Sub(due))
			}
			return late, nil
		}))
		for _, late := range resultOf(t, w, launch(t, w, times, struct{}{})) {
			if late < 0 {
				t.Errorf("a timer was %v early", -late)
			}
		}
	})
}

// H15: what a worker took and did not get to comes back after 45 s, for control messages and work
// items alike.
func TestH15_Visibility(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		for _, m := range []match{{storage.QueueGet, "-workitems"}, {storage.QueueGet, "-control-00"}} {
			var victim *fleettest.Member
			trap := newTrap(func(ctx context.Context, next func(context.Context) error) error {
				err := next(ctx)
				victim.Kill()
				return err
			}, m).disarmed()
			victim = w.StartHooked(trap.hook, crashOptions(), ruleOne.With(callOne), ruleWork.With(countRuns(new(atomic.Int64))))
			pass(t, w, 20*time.Second)
			w.PutText(w.Hub.Store().Names.WorkItemQueue()[:len(w.Hub.Store().Names.WorkItemQueue())-len("-workitems")]+m.target, "taken")
			trap.arm()
			<-trap.sprung
			began := time.Now()
			w.Eventually(5*time.Minute, "it is visible again", func() bool { return w.VisibleMessages() > 0 })
			if took := time.Since(began); took < 40*time.Second || took > 46*time.Second {
				t.Errorf("%s: the message came back after %v", m.target, took)
			}
			for _, queue := range w.Queues() {
				batch, err := w.Account.Queues.Get(w.Context(), queue, 1, time.Second)
				check(t, err)
				for _, message := range batch.Messages {
					check(t, w.Account.Queues.Delete(w.Context(), queue, message.ID, message.PopReceipt))
				}
			}
		}
	})
}

// H15: for a minute after a take-over queues are polled at least every two seconds, whatever the
// longest pause is: the former owner's messages come back one after the other.
func TestH15_EagerPolling(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		options := quietOptions()
		options.MaxPollInterval = 30 * time.Second
		w.Start(options, ctlCollect.With(collectNumbers), ruleWork.With(countRuns(new(atomic.Int64))))
		for range 8 {
			pass(t, w, 5*time.Second)
			began := time.Now()
			resultOf(t, w, launch(t, w, ctlCollect, 0))
			if took := time.Since(began); took > 3100*time.Millisecond { // the client looks once a second
				t.Errorf("a start took %v", took)
			}
		}
	})
}

// A start under an id that has been used needs both the history and the status row: they are read side
// by side.
func TestStart_ReadsBothAtOnce(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, true, func(t *testing.T, w *fleettest.World) {
		var reads highWater
		slow := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.TableQuery || call.Kind == storage.TableRead {
				reads.enter()
				defer reads.leave()
				run.Sleep(ctx, 10*time.Millisecond)
			}
			return next(ctx)
		}
		instance := launch(t, w, ctlCollect, 0, taskhub.InstanceID("again"))
		member := w.Start(nil, ctlCollect.With(collectNumbers))
		resultOf(t, w, instance)
		w.Settled(soon, instance.ID())
		check(t, member.Stop())
		w.StartHooked(slow, nil, ctlCollect.With(collectNumbers))
		instance = launch(t, w, ctlCollect, 0, taskhub.InstanceID("again"))
		resultOf(t, w, instance)
		if most := reads.most.Load(); most != 2 {
			t.Errorf("%d reads at once, want the history and the row", most)
		}
	})
}
