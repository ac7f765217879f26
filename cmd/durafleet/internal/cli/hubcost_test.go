package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/price"
	"github.com/durafleet/durafleet/internal/store"
)

// reportCost leaves the report of a worker that has counted for two hours.
func reportCost(b *rig, worker, counter string, requests ...store.ReportRequests) {
	b.t.Helper()
	now := time.Now().UTC()
	err := b.client().Hub().Store().PutReport(b.t.Context(), store.Report{WorkerID: worker, At: now, Cost: store.ReportCost{
		Counter: counter, Since: now.Add(-2 * time.Hour), Requests: requests,
	}})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestHub_Cost(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	golden(t, "hub-cost-none", b.ok("hub", "cost"))
	if view := decode[costView](t, b.ok("hub", "cost", "-o", "json")); len(view.Workers)+len(view.Requests) != 0 {
		t.Errorf("without workers: %+v", view)
	}
	busy := []store.ReportRequests{
		{Kind: "queue.get (empty)", Cause: "poll", Count: 3000, Received: 500},
		{Kind: "queue.get", Cause: "receive", Count: 40_000, Received: 900},
		{Kind: "table.transact", Cause: "turn", Count: 100_000, Sent: 70_000},
		{Kind: "blob.put", Cause: "turn", Count: 2000, Sent: 800},
		{Kind: "retry", Cause: "turn", Count: 2},
	}
	reportCost(b, "w1", "one", busy...)
	reportCost(b, "w2", "two", store.ReportRequests{Kind: "table.transact", Cause: "turn", Count: 20_000})
	reportCost(b, "w3", "two", store.ReportRequests{Kind: "table.transact", Cause: "turn", Count: 20_000})
	if err := b.client().Hub().Store().PutReport(t.Context(), store.Report{WorkerID: "w0"}); err != nil {
		t.Fatal(err)
	}
	golden(t, "hub-cost", b.ok("hub", "cost"))

	prices := filepath.Join(t.TempDir(), "prices.json")
	text := b.ok("hub", "cost", "--print-prices")
	if diff := cmp.Diff(*price.Default(), decode[price.Table](t, text)); diff != "" {
		t.Errorf("prices (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(prices, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	view := decode[costView](t, b.ok("hub", "cost", "--prices", prices, "-o", "json"))
	want := costTotalView{Requests: 165_002, PerHour: 82_501, PerMonth: 60_225_730}
	got := view.Total
	got.Cost, got.CostPerMonth = 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("total (-want +got):\n%s", diff)
	}
	// 43,000 queues, 120,000 tables, 2,000 blobs and 2 again.
	if cost := 0.0172 + 0.00432 + 0.01 + 0.0000008; view.Total.Cost < cost*0.999 || view.Total.Cost > cost*1.001 {
		t.Errorf("they cost %v, want %v", view.Total.Cost, cost)
	}
	if month := view.Total.Cost * 365; view.Total.CostPerMonth < month*0.999 || view.Total.CostPerMonth > month*1.001 {
		t.Errorf("a month costs %v, want %v", view.Total.CostPerMonth, month)
	}
	if len(view.Requests) != 5 || len(view.Workers) != 4 || view.Sent != 70_800 || view.Received != 1400 {
		t.Errorf("%+v", view)
	}
}

// A worker that runs reports what it sends.
func TestHub_CostWithWorker(t *testing.T) {
	t.Parallel()
	b := withWorker(t)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	view := costView{}
	for ; len(view.Workers) == 0; <-ticker.C {
		view = decode[costView](t, b.ok("hub", "cost", "-o", "json"))
	}
	w := view.Workers[0]
	if w.ID != "w1" || !w.Fresh || w.Since == nil || w.Requests == 0 || w.Requests != view.Total.Requests || view.Total.PerHour == 0 {
		t.Errorf("%+v", view)
	}
	if view.Sent == 0 || view.Received == 0 {
		t.Errorf("%d bytes sent, %d received", view.Sent, view.Received)
	}
}
