package telemetry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/telemetry"
)

// point is one figure with its labels.
type point struct{ Name, Unit, Kind, Cause, Hub, Direction, Activity, Outcome string }

func collect(t *testing.T, reader sdk.Reader) map[point]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := map[point]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || !sum.IsMonotonic {
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
			for _, data := range sum.DataPoints {
				value := func(name string) string {
					for _, attribute := range data.Attributes.ToSlice() {
						if string(attribute.Key) == name {
							return attribute.Value.AsString()
						}
					}
					return ""
				}
				points[point{
					m.Name, m.Unit, value("kind"), value("cause"), value("hub"), value("direction"), value("activity"), value("outcome"),
				}] += data.Value
			}
		}
	}
	return points
}

func TestRequests(t *testing.T) {
	t.Parallel()
	reader := sdk.NewManualReader()
	watch, err := telemetry.Requests(sdk.NewMeterProvider(sdk.WithReader(reader)), "Orders")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	watch(ctx, storage.QueuePut, storage.CauseStart, storage.Usage{Requests: 2})
	watch(ctx, storage.QueuePut, storage.CauseStart, storage.Usage{Requests: 1, Sent: 30})
	watch(ctx, storage.Retry, storage.CauseTurn, storage.Usage{Requests: 1})
	watch(ctx, storage.BlobGet, storage.CauseReceive, storage.Usage{Received: 400})
	const requests, bytes = "durafleet.storage.requests", "durafleet.storage.bytes"
	want := map[point]int64{
		{Name: requests, Unit: "{request}", Kind: "queue.put", Cause: "start", Hub: "Orders"}:               3,
		{Name: requests, Unit: "{request}", Kind: "retry", Cause: "turn", Hub: "Orders"}:                    1,
		{Name: bytes, Unit: "By", Kind: "queue.put", Cause: "start", Hub: "Orders", Direction: "sent"}:      30,
		{Name: bytes, Unit: "By", Kind: "blob.get", Cause: "receive", Hub: "Orders", Direction: "received"}: 400,
	}
	if diff := cmp.Diff(want, collect(t, reader)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWorker(t *testing.T) {
	t.Parallel()
	reader := sdk.NewManualReader()
	w, err := telemetry.NewWorker(sdk.NewMeterProvider(sdk.WithReader(reader)), "Orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []*telemetry.Worker{w, nil} {
		of.Turn(t.Context())
		of.Conflict(t.Context())
		of.Activity(t.Context(), "Charge", false)
		of.Activity(t.Context(), "Charge", true)
	}
	want := map[point]int64{
		{Name: "durafleet.turns", Unit: "{turn}", Hub: "Orders"}:                                               1,
		{Name: "durafleet.conflicts", Unit: "{turn}", Hub: "Orders"}:                                           1,
		{Name: "durafleet.activities", Unit: "{run}", Hub: "Orders", Activity: "Charge", Outcome: "completed"}: 1,
		{Name: "durafleet.activities", Unit: "{run}", Hub: "Orders", Activity: "Charge", Outcome: "failed"}:    1,
	}
	if diff := cmp.Diff(want, collect(t, reader)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none, err := telemetry.NewWorker(nil, "Orders"); none != nil || err != nil {
		t.Errorf("without a provider: %v, %v", none, err)
	}
}
