package worker_test

import (
	"context"
	"errors"
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
	"github.com/durafleet/durafleet/worker"
)

// A move that is cut off at any request, before or after it took effect, is made up for: there is
// one record and one mark in the end, and an orchestration is told once.
func TestPoison_MoveCutOff(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"unreadable", "deadly turn", "deadly activity"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			points := 0
			for n, more := 1, true; more; n++ {
				more = false
				for _, after := range []bool{false, true} {
					point := &crashPoint{n: n, after: after}
					t.Run(fmt.Sprintf("%d,after=%t", n, after), func(t *testing.T) {
						fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) { moveOnce(t, w, what, point) })
					})
					more = more || point.what != ""
				}
				points++
			}
			if points < 5 {
				t.Errorf("only %d requests were cut off", points)
			}
		})
	}
}

func moveOnce(t *testing.T, w *fleettest.World, what string, point *crashPoint) {
	t.Helper()
	queue, instance := prepareMove(t, w, what)
	bindings := []worker.Binding{
		ctlCollect.With(collectNumbers), ruleWork.With(func(_ context.Context, in string) (string, error) { return in, nil }),
		ruleOne.With(func(ctx *orchestration.Context, in string) (string, error) {
			out, err := callOne(ctx, in)
			var failed *orchestration.TaskError
			if errors.As(err, &failed) && failed.Details.Type == worker.PoisonType {
				return "given up", nil
			}
			return out, err
		}),
	}
	point.killed = make(chan struct{})
	// Only requests of the move count: those from the first that touches the poison container on.
	var armed atomic.Bool
	var victim *fleettest.Member
	started := make(chan struct{})
	hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Kind == storage.BlobPut && call.Target == w.Hub.Store().Names.Poison() && armed.CompareAndSwap(false, true) {
			<-started
			point.arm(victim)
		}
		for _, m := range []match{
			{storage.BlobPut, "-poison"},
			{storage.BlobAdmin, "-poison"},
			{storage.QueuePut, ""},
			{storage.QueueDelete, ""},
			{storage.TableRead, "Instances"},
			rowMerge,
		} {
			if m.is(call) {
				return point.hook(ctx, call, next)
			}
		}
		return next(ctx)
	}
	victim = w.StartHooked(hook, quietOptions(), bindings...)
	close(started)
	timer := time.NewTimer(time.Minute)
	select {
	case <-point.killed:
		w.Start(quietOptions(), bindings...)
	case <-timer.C: // the move has fewer requests than that
	}
	w.Eventually(time.Hour, "nothing is left", func() bool { run.Sleep(w.Context(), time.Second); return w.MessagesLeft() == 0 })
	p := onePoison(t, w)
	if p.Queue != queue || p.Answered != (what == "deadly activity") || wire.Lone(p.Text) != 0 {
		t.Errorf("%s: the record is %+v", point.what, p)
	}
	if s := statusOf(t, w, instance); s.Poison == nil || s.Poison.Count() != 1 {
		t.Errorf("%s: the status is %+v", point.what, s)
	}
	if what == "deadly activity" {
		if s := endOf(t, w, instance); string(s.Output) != `"given up"` {
			t.Errorf("%s: the end is %+v", point.what, s)
		}
		if n := kinds(eventsOf(t, w, instance))[history.KindTaskFailed]; n != 1 {
			t.Errorf("%s: the orchestration was told %d times", point.what, n)
		}
	}
}

// prepareMove puts a message that is to be moved by the next worker, and returns its queue and
// instance.
func prepareMove(t *testing.T, w *fleettest.World, what string) (queue, instance string) {
	t.Helper()
	first := w.Start(nil, ctlCollect.With(collectNumbers), ruleOne.With(callOne))
	defer func() { check(t, first.Stop()) }()
	st := w.Hub.Store()
	if what == "deadly activity" {
		id := launch(t, w, ruleOne, "x", taskhub.InstanceID("bad")).ID()
		reach(t, w, id, history.Running)
		batch, err := w.Account.Queues.Get(w.Context(), st.Names.WorkItemQueue(), 1, time.Second)
		check(t, err)
		m := batch.Messages[0]
		check(t, w.Account.Queues.Delete(w.Context(), st.Names.WorkItemQueue(), m.ID, m.PopReceipt))
		text, err := wire.WithLone(m.Text, 18)
		check(t, err)
		worn(t, w, st.Names.WorkItemQueue(), text, 20)
		return st.Names.WorkItemQueue(), id
	}
	id := launch(t, w, ctlCollect, 1, taskhub.InstanceID("bad")).ID()
	reach(t, w, id, history.Running)
	check(t, first.Stop())
	text := rawMessage(`"$type":"DurableTask.Core.History.NoveltyEvent"`)
	if what == "deadly turn" {
		event, err := wire.EncodeMessage(withID(numberFor(id, 1)))
		check(t, err)
		text, err = wire.WithLone(event, 18)
		check(t, err)
	}
	worn(t, w, st.ControlQueueOf(id), text, 20)
	return st.ControlQueueOf(id), id
}
