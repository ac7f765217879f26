package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	poisonWork   = activity.Declare[string, string]("PoisonWork")
	poisonCaller = orchestration.Declare[string, string]("PoisonCaller")
	poisonTurn   = orchestration.Declare[string, string]("PoisonTurn")
	poisonOther  = orchestration.Declare[string, string]("PoisonOther")
)

// mortals is a fleet of one worker that is replaced by another whenever it dies.
type mortals struct {
	w        *fleettest.World
	options  func() *worker.Options
	bindings []worker.Binding
	alive    atomic.Pointer[fleettest.Member]
	deaths   atomic.Int64
	dead     atomic.Bool
}

func startMortals(w *fleettest.World, bind func(die func()) []worker.Binding) *mortals {
	m := &mortals{w: w, options: quietOptions}
	m.bindings = bind(m.die)
	m.alive.Store(w.Start(m.options(), m.bindings...))
	return m
}

// die kills the worker that runs the caller.
func (m *mortals) die() {
	m.deaths.Add(1)
	m.alive.Load().Kill()
	m.dead.Store(true)
}

// until replaces workers until a condition holds.
func (m *mortals) until(what string, condition func() bool) {
	m.w.T.Helper()
	for began := time.Now(); !condition(); run.Sleep(m.w.Context(), time.Second) {
		if time.Since(began) > 6*time.Hour {
			m.w.T.Fatalf("not within hours: %s; %d workers died", what, m.deaths.Load())
		}
		if m.dead.CompareAndSwap(true, false) {
			m.alive.Store(m.w.Start(m.options(), m.bindings...))
		}
	}
}

func poisonList(t *testing.T, w *fleettest.World) []*taskhub.PoisonMessage {
	t.Helper()
	page, err := w.Client.ListPoison(w.Context(), taskhub.PoisonQuery{})
	check(t, err)
	return page.Messages
}

// onePoison returns the only poison message of the hub.
func onePoison(t *testing.T, w *fleettest.World) *taskhub.PoisonMessage {
	t.Helper()
	list := poisonList(t, w)
	if len(list) != 1 {
		t.Fatalf("%d poison messages", len(list))
	}
	return list[0]
}

// A work item of which every worker dies is moved after as many deliveries as any message gets. Its
// orchestration can handle the failure; a retry policy does not begin all over again.
func TestPoison_DeadlyActivity(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var deadly atomic.Bool
		deadly.Store(true)
		var runs atomic.Int64
		m := startMortals(w, func(die func()) []worker.Binding {
			return []worker.Binding{
				poisonWork.With(func(_ context.Context, in string) (string, error) {
					if in == "deadly" {
						runs.Add(1)
						if deadly.Load() {
							die()
						}
					}
					return in + "!", nil
				}),
				poisonCaller.With(func(ctx *orchestration.Context, in string) (string, error) {
					out, err := orchestration.CallActivity(ctx, poisonWork, in, orchestration.Retry{MaxAttempts: 3, FirstInterval: time.Second}).Await()
					var failed *orchestration.TaskError
					if errors.As(err, &failed) && failed.Details.Type == worker.PoisonType {
						return "given up", nil
					}
					return out, err
				}),
			}
		})
		instance := launch(t, w, poisonCaller, "deadly", taskhub.InstanceID("deadly"))
		m.until("the activity is given up", func() bool { return statusOf(t, w, "deadly").Status.Terminal() })
		if got, err := instance.Wait(w.Timeout(soon)); err != nil || got != "given up" {
			t.Errorf("the end is %q, %v", got, err)
		}
		m.until("all queues are empty", func() bool { return w.MessagesLeft() == 0 })
		if got := resultOf(t, w, launch(t, w, poisonCaller, "fine")); got != "fine!" {
			t.Errorf("another instance came to %q", got)
		}
		p := onePoison(t, w)
		// Two runs were inline; then the activity got a work item of its own.
		if m.deaths.Load() != 22 || runs.Load() != 22 {
			t.Errorf("%d workers died in %d runs, want 22", m.deaths.Load(), runs.Load())
		}
		if p.InstanceID != "deadly" || p.Kind != history.KindTaskScheduled || p.Name != "PoisonWork" || p.Crashes != 18 ||
			p.Deliveries < 21 || !p.Answered || p.Queue != w.Hub.Store().Names.WorkItemQueue() || !strings.Contains(p.Reason, "death") {
			t.Errorf("the record is %+v", p)
		}
		if s := statusOf(t, w, "deadly"); s.Poison == nil || s.Poison.Count() != 1 || s.Poison.IDs[0] != p.ID {
			t.Errorf("the status is %+v", s)
		}
		// Retried by people who have put the code right, it runs; its result comes too late.
		deadly.Store(false)
		check(t, w.Client.RetryPoison(w.Context(), p.ID))
		w.DrainedWithin(soon)
		if s := statusOf(t, w, "deadly"); s.Poison != nil || runs.Load() != 23 || len(poisonList(t, w)) != 0 {
			t.Errorf("after the retry: %+v after %d runs", s, runs.Load())
		}
	})
}

// A message whose turn kills every worker is moved; the instance shows it, all others go on, and a
// retry with better code heals it. It makes no difference which message it is.
func TestPoison_DeadlyTurn(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"start", "event"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				var deadly atomic.Bool
				deadly.Store(true)
				m := startMortals(w, func(die func()) []worker.Binding {
					perhaps := func(here string) {
						if here == at && deadly.Load() {
							die()
						}
					}
					return []worker.Binding{
						poisonTurn.With(func(ctx *orchestration.Context, in string) (string, error) {
							perhaps("start")
							n, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
							perhaps("event")
							return fmt.Sprint(in, n), err
						}),
						poisonOther.With(func(_ *orchestration.Context, in string) (string, error) { return in, nil }),
					}
				})
				input := "x"
				if at == "start" {
					input = incompressible(60_000) // so that the queue holds a pointer
				}
				instance := launch(t, w, poisonTurn, input, taskhub.InstanceID("deadly"))
				if at == "event" {
					reach(t, w, "deadly", history.Running)
				}
				raise(t, w, "deadly", ctlNumber, 7)
				m.until("the message is moved", func() bool { return len(poisonList(t, w)) > 0 })
				p := onePoison(t, w)
				if m.deaths.Load() != 20 || p.InstanceID != "deadly" || p.Crashes != 18 || p.Answered || wire.Lone(p.Text) != 0 ||
					(p.PayloadBlob != "") != (at == "start") {
					t.Errorf("%d workers died; the record is %+v", m.deaths.Load(), p)
				}
				if s := statusOf(t, w, "deadly"); s.Status.Terminal() || s.Poison == nil || s.Poison.Reason != p.Reason {
					t.Errorf("the status is %+v", s)
				}
				if got := resultOf(t, w, launch(t, w, poisonOther, "other")); got != "other" {
					t.Errorf("another instance came to %q", got)
				}
				deadly.Store(false)
				check(t, w.Client.RetryPoison(w.Context(), p.ID))
				m.until("the instance ends", func() bool { return statusOf(t, w, "deadly").Status.Terminal() })
				if got, err := instance.Wait(w.Timeout(soon)); err != nil || got != input+"7" {
					t.Errorf("the end is %.20q, %v", got, err)
				}
				w.DrainedWithin(patiently)
				w.CheckEnded("deadly")
				if s := statusOf(t, w, "deadly"); s.Poison != nil {
					t.Errorf("the mark is %+v", s.Poison)
				}
			})
		})
	}
}

// MaxDeliveries is how many times it is, and no less than three.
func TestPoison_MaxDeliveries(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := startMortals(w, func(die func()) []worker.Binding {
			return []worker.Binding{
				poisonWork.With(func(context.Context, string) (string, error) { die(); return "", nil }),
				poisonCaller.With(func(ctx *orchestration.Context, in string) (string, error) {
					return orchestration.CallActivity(ctx, poisonWork, in).Await()
				}),
			}
		})
		m.options = func() *worker.Options {
			o := quietOptions()
			o.MaxDeliveries = 3
			return o
		}
		instance := launch(t, w, poisonCaller, "x")
		w.PutText(w.Hub.Store().Names.ControlQueue(0), "garbage")
		m.until("both are given up", func() bool { return len(poisonList(t, w)) == 2 })
		// The partition may still be that of a worker that died, and messages may be hidden by it.
		s, err := w.Client.Wait(w.Timeout(patiently), instance.ID())
		if err != nil {
			t.Fatal(err)
		}
		if m.deaths.Load() != 5 || s.Status != history.Failed || !strings.Contains(s.Failure, "workers died") {
			t.Errorf("%d workers died; %+v", m.deaths.Load(), s)
		}
		_, err = worker.New(w.Hub, &worker.Options{MaxDeliveries: 2}, poisonOther.With(nil))
		if err == nil || !strings.Contains(err.Error(), "MaxDeliveries is 2; it must be at least 3") {
			t.Errorf("the error is %v", err)
		}
	})
}
