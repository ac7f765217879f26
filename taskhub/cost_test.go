package taskhub_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/taskhub"
)

// causesOf returns how many requests were sent for each cause but the opening.
func causesOf(cost taskhub.Cost) map[string]int64 {
	causes := map[string]int64{}
	for _, r := range cost.Requests {
		if r.Cause != "open" {
			causes[r.Cause] += r.Count
		}
	}
	return causes
}

func TestHub_Cost(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		ctx := t.Context()
		hub := newHub(t, account)
		client := taskhub.NewClient(hub)
		instance := start(t, client, "x", taskhub.InstanceID("chosen"))
		errs := []error{taskhub.RaiseEvent(ctx, client, "chosen", approved, true)}
		_, err := instance.Status(ctx)
		errs = append(errs, err)
		_, err = client.List(ctx, taskhub.Query{})
		errs = append(errs, err)
		_, err = client.PoisonCount(ctx)
		errs = append(errs, err, client.Purge(ctx, "chosen", taskhub.Force{}))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		cost := hub.Cost()
		got := causesOf(cost)
		if got["purge"] < 4 { // it depends on what there is
			t.Errorf("purge: %d requests", got["purge"])
		}
		delete(got, "purge")
		want := map[string]int64{"start": 3, "command": 2, "read": 2, "admin": 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		var sum int64
		for _, n := range hub.Requests() {
			sum += n
		}
		if cost.Total() != sum {
			t.Errorf("Total = %d, Requests has %d", cost.Total(), sum)
		}
		if cost.Since.IsZero() || cost.At.Before(cost.Since) || cost.Counter == "" {
			t.Errorf("%+v", cost)
		}
	})
}

func TestHub_CostCountsBytes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		cost := newHub(t, account).Cost()
		var sent, received int64
		for _, r := range cost.Requests {
			sent += r.Sent
			received += r.Received
		}
		if inMemory := account.(interface{ String() string }).String() == "account in memory"; (sent > 0 && received > 0) == inMemory {
			t.Errorf("%d bytes sent, %d received", sent, received)
		}
	})
}

func putReport(t *testing.T, hub *taskhub.Hub, worker string, cost store.ReportCost, at time.Time) {
	t.Helper()
	if err := hub.Store().PutReport(t.Context(), store.Report{WorkerID: worker, At: at, Cost: cost}); err != nil {
		t.Fatal(err)
	}
}

// The figures of workers that share a counter count once, those of dead workers in sums alone.
func TestHub_FleetCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, taskhub.Memory())
		now := time.Now().UTC()
		turns := func(counter string, n int64) store.ReportCost {
			return store.ReportCost{Counter: counter, Since: now.Add(-2 * time.Hour), Requests: []store.ReportRequests{
				{Kind: "table.transact", Cause: "turn", Count: n, Sent: 10, Received: 20},
				{Kind: "table.query", Cause: "open", Count: 1},
			}}
		}
		putReport(t, hub, "dead", turns("d", 1000), now)
		run.Sleep(t.Context(), 5*time.Minute) // the report gets old
		putReport(t, hub, "old version", store.ReportCost{}, now)
		putReport(t, hub, "a", turns("shared", 90), now.Add(-time.Hour))
		putReport(t, hub, "b", turns("shared", 100), now)
		putReport(t, hub, "c", turns("c", 60), now)
		fleet, err := hub.FleetCost(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []taskhub.FleetRequests{
			{Requests: taskhub.Requests{Kind: "table.query", Cause: "open", Count: 3}},
			{Requests: taskhub.Requests{Kind: "table.transact", Cause: "turn", Count: 1160, Sent: 30, Received: 60}, PerHour: 80},
		}
		if diff := cmp.Diff(want, fleet.Requests); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		var told []string
		for _, w := range fleet.Workers {
			text := w.WorkerID
			if w.Fresh {
				text += " fresh"
			}
			if w.Shared {
				text += " shared"
			}
			told = append(told, text)
		}
		if want := []string{"b fresh", "c fresh", "dead", "old version fresh", "a fresh shared"}; !slices.Equal(told, want) {
			t.Errorf("workers %q, want %q", told, want)
		}
	})
}

func TestHub_FleetCostWithoutWorkers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		fleet, err := hub.FleetCost(t.Context())
		if err != nil || len(fleet.Workers)+len(fleet.Requests) != 0 || fleet.Hub != hub.Name() || fleet.At.IsZero() {
			t.Errorf("%+v, %v", fleet, err)
		}
	})
}

func TestClient_InstanceCost(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	instance := start(t, client, "x")
	if n, known, err := client.InstanceCost(t.Context(), instance.ID()); n != 0 || known || err != nil {
		t.Errorf("not begun: %d, %v, %v", n, known, err)
	}
	var argument *taskhub.ArgumentError
	if _, _, err := client.InstanceCost(t.Context(), ""); !errors.As(err, &argument) {
		t.Errorf("no id: %v", err)
	}
}
