package worker_test

import (
	"context"
	"fmt"
	"strings"
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
	"github.com/durafleet/durafleet/worker"
)

// untouched fails the test if a message was moved, or bears a mark after having been put back.
func untouched(t *testing.T, w *fleettest.World) {
	t.Helper()
	if list := poisonList(t, w); len(list) > 0 {
		t.Errorf("moved: %+v", list[0])
	}
	for _, queue := range w.Queues() {
		head, err := w.Account.Queues.Peek(w.Context(), queue, storage.MaxMessagesPerGet)
		check(t, err)
		for _, m := range head {
			if n := wire.Lone(m.Text); n > 0 {
				t.Errorf("a message in %s bears the mark of %d crashes", queue, n)
			}
		}
	}
}

// worn puts a message that has been delivered n times.
func worn(t *testing.T, w *fleettest.World, queue, text string, n int) {
	t.Helper()
	w.PutText(queue, text)
	for range n {
		batch, err := w.Account.Queues.Get(w.Context(), queue, 1, time.Minute)
		check(t, err)
		m := batch.Messages[0]
		_, err = w.Account.Queues.Update(w.Context(), queue, m.ID, m.PopReceipt, m.Text, 0)
		check(t, err)
	}
}

// A name that no worker knows is no poison, however long it takes; when it is bound, the work goes
// on.
func TestPoison_UnknownNamesAreNone(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		lazy := lazyOptions()
		lazy.MaxDeliveries = 3
		m := w.Start(lazy, ruleOne.With(callOne), poisonWork.With(countRuns(new(atomic.Int64))))
		called := launch(t, w, ruleOne, "x")
		started := launch(t, w, poisonOther, "y")
		pass(t, w, 3*time.Hour)
		untouched(t, w)
		if m.Stats().Unknown[ruleWork.Name()] < 15 || m.Stats().Unknown[poisonOther.Name()] < 15 {
			t.Errorf("seen %v", m.Stats().Unknown)
		}
		check(t, m.Stop())
		w.Start(lazy, ruleOne.With(callOne), ruleWork.With(countRuns(new(atomic.Int64))),
			poisonOther.With(func(_ *orchestration.Context, in string) (string, error) { return in, nil }))
		for _, instance := range []*taskhub.Instance[string]{called, started} {
			if _, err := instance.Wait(w.Timeout(time.Hour)); err != nil {
				t.Error(err)
			}
		}
		w.DrainedWithin(patiently)
		untouched(t, w)
	})
}

// An instance that is held because its code does not match its history is no poison.
func TestPoison_HeldInstanceIsNone(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		version := func(wrong bool) worker.Binding {
			return ruleOne.With(func(ctx *orchestration.Context, in string) (string, error) {
				if wrong {
					_, _ = ctx.Timer(time.Minute).Await()
				}
				return callOne(ctx, in)
			})
		}
		lazy := lazyOptions()
		lazy.MaxDeliveries = 3
		first := w.Start(lazy, version(false))
		instance := launch(t, w, ruleOne, "x")
		reach(t, w, instance.ID(), history.Running)
		check(t, first.Stop())
		wrong := w.Start(lazy, version(true), ruleWork.With(countRuns(new(atomic.Int64))))
		pass(t, w, 3*time.Hour)
		if len(wrong.Stats().Held) != 1 {
			t.Errorf("held are %v", wrong.Stats().Held)
		}
		untouched(t, w)
		check(t, wrong.Stop())
		w.Start(lazy, version(false))
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "x!" {
			t.Errorf("the end is %q, %v", got, err)
		}
		w.DrainedWithin(patiently)
		untouched(t, w)
	})
}

// Messages for entities are left to workers that know them, and messages that are not due yet are
// put back: neither is ever moved.
func TestPoison_EntitiesAndEarlyMessagesAreNone(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		lazy := lazyOptions()
		lazy.MaxDeliveries = 3
		w.Start(lazy, ctlCollect.With(collectNumbers))
		entity := numberFor("@counter@k", 1)
		w.Put(entity, 0)
		instance := launch(t, w, ctlCollect, 1)
		reach(t, w, instance.ID(), history.Running)
		self := history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()}
		w.Put(answerOf(self, `"early"`, nil), 0)
		w.Put(&wire.Message{Target: self, Sender: &self, Event: &history.TimerFired{
			Header: history.Header{EventID: -1, Timestamp: time.Now()}, TimerID: 0, FireAt: time.Now().AddDate(500, 0, 0),
		}}, 0)
		pass(t, w, 3*time.Hour)
		untouched(t, w)
		if n := w.MessagesLeft(); n != 3 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// A worker that stops, and storage that fails, while a suspicious message is worked on are no
// crashes: the mark is taken off, now or when the message comes again.
func TestPoison_StopsAndOutagesAreNone(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"stop", "tables fail", "queues fail"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) { innocentOutage(t, w, what) })
		})
	}
}

func innocentOutage(t *testing.T, w *fleettest.World, what string) {
	t.Helper()
	var failing atomic.Bool
	var began atomic.Int64
	hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		tables := what == "tables fail" && call.Kind == storage.TableTransact && strings.HasSuffix(call.Target, "History")
		queues := what == "queues fail" && (call.Kind == storage.QueueUpdate || call.Kind == storage.QueueDelete || call.Kind == storage.QueuePut) && began.Load() > 0
		if failing.Load() && (tables || queues) {
			return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
		}
		return next(ctx)
	}
	slow := func(ctx context.Context, in string) (string, error) {
		if !failing.Load() {
			return in + "!", nil
		}
		began.Add(1)
		run.Sleep(ctx, time.Second)
		if what == "stop" {
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		return in + "!", nil
	}
	start := func() *fleettest.Member {
		o := quietOptions()
		o.MaxDeliveries, o.DrainTimeout = 3, 2*time.Second
		return w.StartHooked(hook, o, ruleOne.With(callOne), ruleWork.With(slow))
	}
	failing.Store(true)
	instance := launch(t, w, ruleOne, "x")
	m := start()
	for range 8 {
		pass(t, w, 5*time.Minute)
		began.Store(0) // queues that fail do so from when the activity has begun
		if what == "stop" {
			check(t, m.Stop())
			m = start()
		}
	}
	failing.Store(false)
	pass(t, w, 20*time.Minute)
	check(t, m.Stop())
	failing.Store(false)
	w.Start(&worker.Options{MaxDeliveries: 3, Logger: quietOptions().Logger}, ruleOne.With(callOne), ruleWork.With(slow))
	if got, err := instance.Wait(w.Timeout(2 * time.Hour)); err != nil || got != "x!" {
		t.Errorf("the end is %q, %v", got, err)
	}
	w.DrainedWithin(patiently)
	untouched(t, w)
}

// A mark that could not be taken off is not held against the message by the worker that set it.
func TestPoison_MarkOwed(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var failing atomic.Bool
		updates := 0
		hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if failing.Load() && call.Kind == storage.QueueUpdate && strings.Contains(call.Target, "-control-") {
				if updates++; updates%2 == 0 { // the mark is set, and not taken off
					return lostRequestError(call)
				}
			}
			if failing.Load() && (match{storage.TableTransact, "History"}).is(call) {
				return lostRequestError(call)
			}
			return next(ctx)
		}
		first := w.Start(nil, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 1)
		reach(t, w, instance.ID(), history.Running)
		check(t, first.Stop())
		text, err := wire.EncodeMessage(withID(numberFor(instance.ID(), 7)))
		check(t, err)
		queue := w.Hub.Store().ControlQueueOf(instance.ID())
		worn(t, w, queue, text, 2)
		o := quietOptions()
		o.MaxDeliveries = 3
		w.StartHooked(hook, o, ctlCollect.With(collectNumbers))
		failing.Store(true)
		pass(t, w, 30*time.Minute)
		failing.Store(false)
		if got, err := instance.Wait(w.Timeout(2 * time.Hour)); err != nil || fmt.Sprint(got) != "[7]" {
			t.Errorf("the end is %v, %v after %d updates", got, err, updates)
		}
		if updates < 10 {
			t.Errorf("only %d updates", updates)
		}
		w.DrainedWithin(patiently)
		untouched(t, w)
	})
}

func lostRequestError(call *storage.Call) error {
	return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
}

func withID(m *wire.Message) *wire.Message {
	m.ActivityID = "4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05"
	return m
}
