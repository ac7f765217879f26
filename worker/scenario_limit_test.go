package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	limFree   = activity.Declare[int, int]("LimFree")
	limScarce = activity.Declare[int, int]("LimScarce")
	limFan    = orchestration.Declare[int, int]("LimFan")
	limCall   = orchestration.Declare[int, int]("LimCall")
)

// counted returns an activity that takes a while and counts how many run at once.
func counted(at ...*highWater) func(context.Context, int) (int, error) {
	return func(ctx context.Context, n int) (int, error) {
		for _, h := range at {
			h.enter()
			defer h.leave()
		}
		run.Sleep(ctx, 200*time.Millisecond)
		return n, ctx.Err()
	}
}

// fanOutBoth calls both activities n times each and returns how many calls succeeded.
func fanOutBoth(ctx *orchestration.Context, n int) (int, error) {
	var tasks []orchestration.Task[int]
	for i := range n {
		tasks = append(tasks, orchestration.CallActivity(ctx, limScarce, i), orchestration.CallActivity(ctx, limFree, i))
	}
	results, err := orchestration.All(tasks...).Await()
	return len(results), err
}

func callFree(ctx *orchestration.Context, n int) (int, error) {
	return orchestration.CallActivity(ctx, limFree, n).Await()
}

// J01: no more activities run at once than MaxActivities says, and no more of one name than its
// own limit says; the first is used up, and all activities end. One that waits for its own limit
// counts as running for MaxActivities.
func TestLimit_Activities_J01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var all, scarce highWater
		w.Start(&worker.Options{MaxActivities: 3},
			limFree.With(counted(&all)), limScarce.With(counted(&all, &scarce), activity.Limit(1)),
			limFan.With(fanOutBoth), limCall.With(callFree))
		instance := launch(t, w, limFan, 6)
		if got := resultOf(t, w, instance); got != 12 {
			t.Errorf("%d activities ended", got)
		}
		if all.most.Load() > 3 || scarce.most.Load() != 1 {
			t.Errorf("%d activities at once, %d of the limited one", all.most.Load(), scarce.most.Load())
		}
		w.Settled(soon, instance.ID())
		var instances []*taskhub.Instance[int]
		for i := range 9 {
			instances = append(instances, launch(t, w, limCall, i))
		}
		for _, instance := range instances {
			resultOf(t, w, instance)
			w.Settled(soon, instance.ID())
		}
		if all.most.Load() != 3 {
			t.Errorf("%d activities at once of those without a limit of their own", all.most.Load())
		}
	})
}

// J01: no more turns run at once than MaxTurns says.
func TestLimit_Turns_J01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var turns highWater
		w.Start(&worker.Options{MaxTurns: 2}, limCall.With(func(_ *orchestration.Context, n int) (int, error) {
			return counted(&turns)(context.Background(), n)
		}))
		var instances []*taskhub.Instance[int]
		for i := range 10 {
			instances = append(instances, launch(t, w, limCall, i))
		}
		for i, instance := range instances {
			if got := resultOf(t, w, instance); got != i {
				t.Errorf("instance %d: the result is %d", i, got)
			}
			w.Settled(soon, instance.ID())
		}
		if turns.most.Load() != 2 {
			t.Errorf("%d turns at once", turns.most.Load())
		}
	})
}

// stopping stops a member and returns a channel that is closed when it has stopped.
func stopping(t *testing.T, w *fleettest.World, m *fleettest.Member) <-chan struct{} {
	t.Helper()
	var group run.Group
	stopped := make(chan struct{})
	group.Go(w.Context(), "test: stop", func(context.Context) {
		defer close(stopped)
		if err := m.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return stopped
}

// J03: a stopping worker lets a running activity end and stores its result, takes no more
// messages, and leaves what is queued to others.
func TestLimit_Drain_J03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs, gets atomic.Int64
		var stop atomic.Bool
		began, release := make(chan struct{}), make(chan struct{})
		free := limFree.With(func(_ context.Context, n int) (int, error) {
			if runs.Add(1) == 1 {
				close(began)
				<-release
			}
			return n, nil
		})
		watch := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.QueueGet && stop.Load() {
				gets.Add(1)
			}
			return next(ctx)
		}
		first := w.StartHooked(watch, &worker.Options{MaxActivities: 1}, free, limCall.With(callFree))
		var instances []*taskhub.Instance[int]
		for i := range 3 {
			instances = append(instances, launch(t, w, limCall, i))
		}
		<-began
		for _, instance := range instances {
			reach(t, w, instance.ID(), history.Running)
		}
		stopped := stopping(t, w, first)
		run.Sleep(w.Context(), 500*time.Millisecond) // requests under way when the stop came end
		stop.Store(true)
		run.Sleep(w.Context(), 2*time.Second)
		if run.Ready(stopped) || gets.Load() != 0 {
			t.Errorf("stopped before the activity ended: %t; %d gets after the stop", run.Ready(stopped), gets.Load())
		}
		close(release)
		<-stopped
		if runs.Load() != 1 || w.VisibleMessages() != 3 {
			t.Errorf("after the stop: %d runs, %d messages visible, want an answer and two work items", runs.Load(), w.VisibleMessages())
		}
		w.Start(nil, free, limCall.With(callFree))
		for i, instance := range instances {
			if got := resultOf(t, w, instance); got != i {
				t.Errorf("instance %d: the result is %d", i, got)
			}
			w.Settled(soon, instance.ID())
		}
		if runs.Load() != 3 {
			t.Errorf("%d runs of 3 activities", runs.Load())
		}
	})
}

// J03: draining is bounded: after DrainTimeout an activity sees its context end, with the cause,
// and runs again elsewhere at once.
func TestLimit_DrainIsBounded_J03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs noted[error]
		began := make(chan struct{})
		free := limFree.With(func(ctx context.Context, n int) (int, error) {
			if len(runs.all()) > 0 {
				runs.add(nil)
				return n, nil
			}
			close(began)
			<-ctx.Done()
			runs.add(context.Cause(ctx))
			return 0, ctx.Err()
		})
		first := w.Start(&worker.Options{DrainTimeout: time.Second}, free, limCall.With(callFree))
		instance := launch(t, w, limCall, 5)
		<-began
		since := time.Now()
		check(t, first.Stop())
		if took := time.Since(since); took < time.Second || w.Virtual && took > 2*time.Second {
			t.Errorf("the stop took %v", took)
		}
		w.Start(nil, free, limCall.With(callFree))
		if got := resultOf(t, w, instance); got != 5 {
			t.Errorf("the result is %d", got)
		}
		if causes := runs.all(); len(causes) != 2 || !errors.Is(causes[0], activity.ErrStopping) {
			t.Errorf("the runs ended with %v", causes)
		}
		w.Settled(soon, instance.ID())
	})
}

// J03: an idle worker stops within a second. On Azurite the machine may be busy with other tests,
// and the bound is wider.
func TestLimit_IdleStop_J03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, limFree.With(counted()), limCall.With(callFree))
		resultOf(t, w, launch(t, w, limCall, 1))
		w.DrainedWithin(soon)
		since := time.Now()
		check(t, m.Stop())
		if took := time.Since(since); took > pick(w, time.Second, 10*time.Second) {
			t.Errorf("the stop took %v", took)
		}
	})
}

// J05: running twice is an error, while the worker runs and afterwards; stopping twice is
// harmless; another worker of the same name starts afterwards.
func TestLimit_StartTwice_J05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		bindings := []worker.Binding{limFree.With(counted()), limCall.With(callFree)}
		m := w.Start(&worker.Options{WorkerID: "same"}, bindings...)
		resultOf(t, w, launch(t, w, limCall, 1))
		if err := m.Run(w.Context()); !errors.Is(err, worker.ErrRun) {
			t.Errorf("running a running worker: %v", err)
		}
		resultOf(t, w, launch(t, w, limCall, 2))
		check(t, m.Stop())
		check(t, m.Stop())
		if err := m.Run(w.Context()); !errors.Is(err, worker.ErrRun) {
			t.Errorf("running a stopped worker: %v", err)
		}
		w.Start(&worker.Options{WorkerID: "same"}, bindings...)
		again := launch(t, w, limCall, 3)
		if got := resultOf(t, w, again); got != 3 {
			t.Errorf("the result is %d", got)
		}
		w.Settled(soon, again.ID())
	})
}

// J09: a process with activities only, one with orchestrations only and a client work together.
// The first claims no partition and reads no control queue, the second reads no work items, and
// the client reads no queue at all.
func TestLimit_Roles_J09(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var activities, orchestrations recorder
		workers := w.StartHooked(activities.hook, nil, limFree.With(counted()), limScarce.With(counted()))
		planners := w.StartHooked(orchestrations.hook, nil, limFan.With(fanOutBoth))
		instance := launch(t, w, limFan, 3)
		if got := resultOf(t, w, instance); got != 6 {
			t.Errorf("%d activities ended", got)
		}
		w.Settled(soon, instance.ID())
		if got := len(planners.Stats().Partitions); got != w.Hub.Partitions() {
			t.Errorf("the process with orchestrations owns %d partitions", got)
		}
		if got := len(workers.Stats().Partitions); got != 0 {
			t.Errorf("the process with activities owns %d partitions", got)
		}
		check(t, workers.Stop())
		check(t, planners.Stop())
		names := w.Hub.Store().Names
		for _, call := range activities.calls.all() {
			kind, target, _ := strings.Cut(call, " ")
			claims := target == names.PartitionsTable() && strings.HasPrefix(kind, "table.") &&
				kind != string(storage.TableRead) && kind != string(storage.TableQuery)
			reads := kind == string(storage.QueueGet) && target != names.WorkItemQueue()
			if claims || reads || kind == string(storage.BlobLease) {
				t.Errorf("the process with activities sent: %s", call)
			}
		}
		if n := orchestrations.count(match{storage.QueueGet, names.WorkItemQueue()}); n != 0 {
			t.Errorf("the process with orchestrations read the work items %d times", n)
		}
		for _, kind := range []storage.Kind{storage.QueueGet, storage.IdlePoll} {
			if n := w.Client.Hub().Requests()[string(kind)]; n != 0 {
				t.Errorf("the client sent %s %d times", kind, n)
			}
		}
	})
}
