package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Worker counts what a worker does. The nil Worker counts nothing.
type Worker struct {
	hub                          string
	turns, conflicts, activities metric.Int64Counter
	here                         []metric.AddOption
}

// NewWorker returns a Worker for a hub: durafleet.turns and durafleet.conflicts by hub,
// durafleet.activities by hub, activity and outcome, which is completed or failed. It is nil if
// provider is.
func NewWorker(provider metric.MeterProvider, hub string) (*Worker, error) {
	if provider == nil {
		return nil, nil //nolint:nilnil // to count nothing is an answer
	}
	meter := provider.Meter(scope)
	w := &Worker{hub: hub, here: options(attribute.String("hub", hub))}
	for _, counter := range []struct {
		to                      *metric.Int64Counter
		name, unit, description string
	}{
		{&w.turns, "durafleet.turns", "{turn}", "Turns of orchestrations that were stored."},
		{&w.conflicts, "durafleet.conflicts", "{turn}", "Turns that were not stored because another worker was quicker."},
		{&w.activities, "durafleet.activities", "{run}", "Runs of activities that have ended."},
	} {
		made, err := meter.Int64Counter(counter.name, metric.WithUnit(counter.unit), metric.WithDescription(counter.description))
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", counter.name, err)
		}
		*counter.to = made
	}
	return w, nil
}

// Turn counts a turn that was stored.
func (w *Worker) Turn(ctx context.Context) {
	if w != nil {
		w.turns.Add(ctx, 1, w.here...)
	}
}

// Conflict counts a turn that another worker was quicker with.
func (w *Worker) Conflict(ctx context.Context) {
	if w != nil {
		w.conflicts.Add(ctx, 1, w.here...)
	}
}

// Activity counts a run of an activity that has ended.
func (w *Worker) Activity(ctx context.Context, name string, failed bool) {
	if w == nil {
		return
	}
	outcome := "completed"
	if failed {
		outcome = "failed"
	}
	w.activities.Add(ctx, 1, options(
		attribute.String("hub", w.hub), attribute.String("activity", name), attribute.String("outcome", outcome))...)
}
