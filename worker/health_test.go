package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	healthSlow   = activity.Declare[string, string]("HealthSlow")
	healthNobody = activity.Declare[string, string]("HealthNobody")
	healthCall   = orchestration.Declare[string, string]("HealthCall")
	healthLost   = orchestration.Declare[string, string]("HealthLost")
)

func healthCaller(ctx *orchestration.Context, name string) (string, error) {
	if name == "nobody" {
		return orchestration.CallActivity(ctx, healthNobody, name).Await()
	}
	return orchestration.CallActivity(ctx, healthSlow, name).Await()
}

// slowUntil returns a binding of the slow activity that ends when the channel is closed.
func slowUntil(done <-chan struct{}) activity.Binding {
	return healthSlow.With(func(ctx context.Context, in string) (string, error) {
		select {
		case <-done:
			return in, nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	})
}

func reportsOf(t *testing.T, w *fleettest.World) []store.Report {
	t.Helper()
	reports, err := w.Hub.Store().Reports(w.Context())
	check(t, err)
	return reports
}

func TestHealth_TellsWhatWaitsAndRuns(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		done := make(chan struct{})
		m := w.Start(nil, slowUntil(done), healthCall.With(healthCaller))
		running := launch(t, w, healthCall, "run")
		waiting := launch(t, w, healthCall, "nobody")
		lost := launch(t, w, healthLost, "x")
		w.Eventually(soon, "everything is under way", func() bool {
			h := m.Health()
			return len(h.Partitions) == 4 && h.Activities == 1 && len(h.Unknown) == 2
		})
		pass(t, w, 30*time.Second)
		h := m.Health()
		for _, p := range h.Partitions {
			if h.At.Sub(p.LastPolled) > time.Second || p.LeaseAge > 11*time.Second || p.Draining || h.At.Sub(p.Since) < 29*time.Second {
				t.Errorf("partition %+v at %v", p, h.At)
			}
		}
		if len(h.Running) != 1 || h.Running[0].InstanceID != running.ID() || h.Running[0].Name != "HealthSlow" ||
			h.At.Sub(h.Running[0].Since) < 25*time.Second {
			t.Errorf("running: %+v", h.Running)
		}
		if a := h.Unknown[0]; a.Kind != taskhub.ActivityName || a.Name != "HealthNobody" || a.Count < 3 ||
			!a.LastSeen.After(a.Since) || a.LastSeen.After(h.At) {
			t.Errorf("unknown: %+v", a)
		}
		if o := h.Unknown[1]; o.Kind != taskhub.OrchestrationName || o.Name != "HealthLost" || o.Count < 3 {
			t.Errorf("unknown: %+v", o)
		}
		// Half a minute later the others have read it; it is gone after an orderly end.
		pass(t, w, 45*time.Second)
		if r := reportsOf(t, w); len(r) != 1 || r[0].WorkerID != m.ID() || r[0].Activities != 1 || len(r[0].Unknown) != 2 ||
			len(r[0].Partitions) != 4 || time.Since(r[0].At) > time.Minute {
			t.Errorf("reports: %+v", r)
		}
		close(done)
		resultOf(t, w, running)
		check(t, w.Client.Terminate(w.Context(), waiting.ID(), ""))
		check(t, w.Client.Terminate(w.Context(), lost.ID(), ""))
		pass(t, w, 20*time.Minute)
		// Nothing waits any more: the work item of the activity that nobody knows went with its instance.
		if h := m.Health(); len(h.Unknown) != 0 || h.Activities != 0 || h.Buffered != 0 {
			t.Errorf("long after: %+v", h)
		}
		check(t, m.Stop())
		if r := reportsOf(t, w); len(r) != 0 {
			t.Errorf("reports of a worker that has stopped: %+v", r)
		}
	})
}

func TestHealth_HeldInstance(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		first := w.Start(nil, healthCall.With(func(ctx *orchestration.Context, _ string) (string, error) {
			return progSignalled(ctx)
		}))
		instance := launch(t, w, healthCall, "")
		reach(t, w, instance.ID(), history.Running)
		check(t, first.Stop())
		m := w.Start(nil, healthCall.With(func(ctx *orchestration.Context, in string) (string, error) {
			return orchestration.CallActivity(ctx, healthSlow, in).Await()
		}))
		raise(t, w, instance.ID(), progSignal, 1)
		w.Eventually(soon, "it is held", func() bool { return len(m.Health().Held) == 1 })
		held := m.Health().Held[0]
		if held.InstanceID != instance.ID() || !strings.Contains(held.Reason, "HealthSlow") || held.Since.IsZero() {
			t.Errorf("held: %+v", held)
		}
	})
}

// progSignalled sets a timer that the other code does not set, and waits.
func progSignalled(ctx *orchestration.Context) (string, error) {
	_, err := ctx.Timer(time.Hour).Await()
	return "", err
}

func TestHealth_NoReports(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(&worker.Options{NoHealthReports: true}, progHello.With(sayHelloTo))
		resultOf(t, w, launch(t, w, progHello, "x"))
		pass(t, w, 3*time.Minute)
		if r := reportsOf(t, w); len(r) != 0 {
			t.Errorf("reports: %+v", r)
		}
		puts := m.Hub.Requests()[string(storage.BlobPut)]
		if puts > 1 { // the application lease
			t.Errorf("%d blobs were written", puts)
		}
	})
}

// A worker without reports works as well: the container cannot be written.
func TestHealth_ReportsFail(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var tries atomic.Int64
		m := w.StartHooked(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if strings.HasSuffix(call.Target, "-workers") {
				tries.Add(1)
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnauthorized}
			}
			return next(ctx)
		}, nil, progHello.With(sayHelloTo))
		pass(t, w, 10*time.Minute+time.Second)
		resultOf(t, w, launch(t, w, progHello, "x"))
		if n := tries.Load(); n != 10 {
			t.Errorf("%d requests in ten minutes", n)
		}
		check(t, m.Stop())
	})
}

// hangs returns a hook that keeps requests for messages of one queue from ever returning, until
// letGo is closed.
func hangs(queue string, on *atomic.Bool, letGo <-chan struct{}) storage.Hook {
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Kind == storage.QueueGet && call.Target == queue && on.Load() {
			<-letGo
		}
		return next(ctx)
	}
}

// A reader whose request never returns is noticed and cut off, and its partition goes to another
// worker.
func TestHealth_HungReaderIsReplaced(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		letGo := make(chan struct{})
		defer close(letGo)
		queue := w.Hub.Store().Names.ControlQueue(0)
		a := w.StartHooked(hangs(queue, &on, letGo), nil, progHello.With(sayHelloTo))
		w.Eventually(soon, "a owns all", func() bool { return len(a.Health().Partitions) == 4 })
		on.Store(true)
		pass(t, w, 10*time.Second)
		b := w.Start(nil, progHello.With(sayHelloTo))
		instance := launch(t, w, progHello, "x", taskhub.InstanceID(idIn(w, 0)))
		// A minute and 5 s without a poll, 15 s to end in order, 5 s of grace, 30 s of lease.
		out, err := instance.Wait(w.Timeout(3 * time.Minute))
		if err != nil || out != "Hello, x!" {
			t.Fatalf("%q, %v", out, err)
		}
		if h := a.Health(); h.Stalls[queue] != 1 || len(h.Stalls) != 1 {
			t.Errorf("stalls: %v", h.Stalls)
		}
		if h := b.Health(); len(h.Stalls) != 0 {
			t.Errorf("stalls of b: %v", h.Stalls)
		}
	})
}

// A reader that comes back after it was cut off leaves its partition to be taken by the same worker, which is alone.
func TestHealth_HungReaderIsStartedAgain(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		var on atomic.Bool
		letGo := make(chan struct{})
		queue := w.Hub.Store().Names.ControlQueue(0)
		m := w.StartHooked(hangs(queue, &on, letGo), nil, progHello.With(sayHelloTo))
		w.Eventually(soon, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
		on.Store(true)
		w.Eventually(3*time.Minute, "the hang is noticed", func() bool { return m.Health().Stalls[queue] == 1 })
		pass(t, w, time.Minute)
		if n := len(m.Health().Partitions); n != 3 {
			t.Errorf("%d partitions are owned while one reader hangs", n)
		}
		on.Store(false)
		close(letGo)
		instance := launch(t, w, progHello, "x", taskhub.InstanceID(idIn(w, 0)))
		if got := resultOf(t, w, instance); got != "Hello, x!" {
			t.Errorf("%q", got)
		}
		if h := m.Health(); h.Stalls[queue] != 1 || len(h.Partitions) != 4 {
			t.Errorf("health: %+v", h)
		}
	})
}

// idIn returns an instance id of a partition.
func idIn(w *fleettest.World, partition int) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("in-%d", i); w.Hub.PartitionOf(id) == partition {
			return id
		}
	}
}
