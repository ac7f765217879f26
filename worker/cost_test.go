package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	costStep = activity.Declare[int, int]("CostStep")
	costRun  = orchestration.Declare[int, int]("CostRun")
	costWait = orchestration.Declare[int, int]("CostWait")
)

func costWaiter(ctx *orchestration.Context, _ int) (int, error) {
	return orchestration.WaitForEvent(ctx, progSignal).Await()
}

func costRunner(ctx *orchestration.Context, n int) (int, error) {
	for i := range n {
		if _, err := orchestration.CallActivity(ctx, costStep, i).Await(); err != nil {
			return i, nil //nolint:nilerr // that is the result
		}
	}
	return n, nil
}

// costsOfInstances returns what a meter has counted for instances. Gets are shared, and leases are nobody's.
func costsOfInstances(t *testing.T, counts *storage.Meter) int64 {
	t.Helper()
	var sum int64
	for _, e := range counts.Entries() {
		switch e.Cause {
		case storage.CauseLoad, storage.CauseMessage, storage.CauseTurn, storage.CauseRow, storage.CauseSettle, storage.CauseActivity:
			sum += e.Requests
		case storage.CausePoll, storage.CauseReceive, storage.CauseLease, storage.CauseOpen:
		default:
			t.Errorf("unexpected: %+v", e)
		}
	}
	return sum
}

// Whoever goes on with an instance goes on counting; a new start under its id begins again.
func TestCost_GoesOn(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		want := int64(2 + 1) // the start and the event
		during := func(step func()) {
			counts := &storage.Meter{}
			member := w.StartHooked(counts.Hook, &worker.Options{NoHealthReports: true}, costWait.With(costWaiter))
			step()
			check(t, member.Stop())
			want += costsOfInstances(t, counts)
		}
		instance := launch(t, w, costWait, 0, taskhub.InstanceID("again"))
		during(func() {
			_, err := w.Client.WaitForStart(w.Context(), "again")
			check(t, err)
		})
		first := w.Sentinel("again").Cost
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, "again", progSignal, 1))
		during(func() { w.Settled(time.Minute, instance.ID()) })
		if got := w.Sentinel("again").Cost; first == 0 || got <= first || got != want {
			t.Errorf("noted %d, then %d, want %d", first, got, want)
		}
		launch(t, w, costWait, 0, taskhub.InstanceID("again"), taskhub.ReplaceLive)
		want = 2
		during(func() {
			_, err := w.Client.WaitForStart(w.Context(), "again")
			check(t, err)
		})
		if got := w.Sentinel("again").Cost; got != want {
			t.Errorf("after another start: noted %d, want %d", got, want)
		}
	})
}

// An instance notes what it takes, work items that were run out of the queue included.
func TestCost_OfInstances(t *testing.T) {
	t.Parallel()
	for _, noInline := range []bool{false, true} {
		fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
			counts := &storage.Meter{}
			member := w.StartHooked(counts.Hook, &worker.Options{NoInline: noInline, NoHealthReports: true},
				costStep.With(plusOne), costRun.With(costRunner))
			id := launch(t, w, costRun, 3).ID()
			w.Settled(time.Minute, id)
			check(t, member.Stop())
			client := taskhub.NewClient(w.Hub)
			got, known, err := client.InstanceCost(w.Context(), id)
			check(t, err)
			want := 2 + costsOfInstances(t, counts) // the start is the client's
			if !known || got != want {
				t.Errorf("inline %v: noted %d, known %v, want %d: %v", !noInline, got, known, want, counts.Entries())
			}
			status, err := client.Get(w.Context(), id)
			check(t, err)
			if string(status.Output) != "3" {
				t.Errorf("output %s", status.Output)
			}
		})
	}
}

// scribe writes down the requests that are made for instances, in their order.
type scribe struct {
	mu    sync.Mutex
	lines []string
}

func (s *scribe) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	err := next(ctx)
	switch cause := storage.CauseOf(ctx); cause {
	case storage.CauseLease, storage.CauseOpen, storage.CauseReport:
	default:
		if !call.Empty {
			s.mu.Lock()
			s.lines = append(s.lines, fmt.Sprintf("%s %s", cause, call.Kind))
			s.mu.Unlock()
		}
	}
	return err
}

// HelloCities5 is the example of docs/cost.md, request by request.
func TestCost_OfFiveActivities(t *testing.T) {
	t.Parallel()
	for _, chosen := range []bool{false, true} {
		fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
			s := &scribe{}
			hub, err := taskhub.Open(w.Context(), taskhub.Ports(storage.WithHook(w.Account, s.hook)), w.Hub.Name(), nil)
			check(t, err)
			member := w.StartHooked(s.hook, &worker.Options{NoHealthReports: true}, costStep.With(plusOne), costRun.With(costRunner))
			var options []taskhub.StartOption
			want := []string{
				"start queue.put", "start table.insert", "receive queue.get", "load table.read",
				"turn table.transact", "turn table.transact", "turn table.transact", "turn table.transact", "turn table.transact",
				"row table.merge", "settle queue.delete",
			}
			if chosen {
				options = append(options, taskhub.InstanceID("chosen"))
				want = append([]string{"start table.read"}, want...)
			}
			instance, err := taskhub.Start(w.Context(), taskhub.NewClient(hub), costRun, 5, options...)
			check(t, err)
			w.Settled(time.Minute, instance.ID())
			check(t, member.Stop())
			if diff := cmp.Diff(want, s.lines); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if noted := w.Sentinel(instance.ID()).Cost; noted != 10 {
				t.Errorf("the instance notes %d", noted)
			}
		})
	}
}

// What a worker reports about its requests is what its hub counts.
func TestCost_OfFleets(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, costStep.With(plusOne), costRun.With(costRunner))
		w.Settled(time.Minute, launch(t, w, costRun, 2).ID())
		w.Eventually(5*time.Minute, "a report about the turn", func() bool {
			fleet, err := w.Hub.FleetCost(w.Context())
			check(t, err)
			for _, r := range fleet.Requests {
				if r.Kind == string(storage.TableTransact) && r.Cause == "turn" {
					return r.Count > 0 && r.PerHour > 0 && len(fleet.Workers) == 1 && fleet.Workers[0].WorkerID == m.ID()
				}
			}
			return false
		})
		health := m.Health()
		causes := map[string]bool{}
		for _, r := range health.Cost.Requests {
			causes[r.Cause] = true
		}
		for _, cause := range []string{"poll", "receive", "load", "turn", "row", "settle", "lease", "report"} {
			if !causes[cause] {
				t.Errorf("nothing was sent for %s: %v", cause, causes)
			}
		}
		if causes["other"] {
			t.Errorf("there are requests without a cause: %+v", health.Cost.Requests)
		}
		check(t, m.Stop())
	})
}

// gathered returns the sums that a reader has, by name and attributes.
func gathered(t *testing.T, reader sdk.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	check(t, reader.Collect(context.Background(), &all))
	sums := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			data, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
			for _, point := range data.DataPoints {
				name := m.Name
				for _, attribute := range point.Attributes.ToSlice() {
					name += fmt.Sprintf(" %s=%s", attribute.Key, attribute.Value.AsString())
				}
				sums[name] += point.Value
			}
		}
	}
	return sums
}

// The counters of OpenTelemetry say what those of the worker and the hub say.
func TestCost_Metrics(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		reader := sdk.NewManualReader()
		hub, err := taskhub.Open(w.Context(), taskhub.Ports(w.Account), w.Hub.Name(), &taskhub.Options{
			MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader)),
		})
		check(t, err)
		failing := func(_ context.Context, n int) (int, error) {
			if n == 1 {
				return 0, fmt.Errorf("step %d", n)
			}
			return n, nil
		}
		member, err := worker.New(hub, nil, costStep.With(failing), costRun.With(costRunner))
		check(t, err)
		ctx, stop := context.WithCancel(w.Context())
		var group run.Group
		var stopped error
		group.Go(ctx, "worker", func(ctx context.Context) { stopped = member.Run(ctx) })
		w.Settled(time.Minute, launch(t, w, costRun, 5).ID())
		stop()
		group.Wait()
		check(t, stopped)
		got := gathered(t, reader)
		want, name := map[string]int64{}, "hub="+hub.Name()
		add := func(n int64, format string, arguments ...any) {
			if n > 0 {
				want[fmt.Sprintf(format, arguments...)] += n
			}
		}
		for _, r := range hub.Cost().Requests {
			add(r.Count, "durafleet.storage.requests cause=%s %s kind=%s", r.Cause, name, r.Kind)
		}
		add(member.Stats().Turns, "durafleet.turns %s", name)
		add(1, "durafleet.activities activity=CostStep %s outcome=completed", name)
		add(1, "durafleet.activities activity=CostStep %s outcome=failed", name)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if member.Stats().Turns == 0 {
			t.Error("no turn was counted")
		}
	})
}
