package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/durafleet/durafleet/internal/storage"
)

// cell is one kind and cause of requests.
type cell struct {
	kind  storage.Kind
	cause storage.Cause
}

// labels are the attributes of a cell, made once: requests are counted often.
type labels struct{ requests, sent, received []metric.AddOption }

// Requests returns what a storage.Meter has to Watch so that the requests of a hub are counted by
// provider: durafleet.storage.requests and durafleet.storage.bytes, by kind, cause and hub, the bytes
// by direction as well.
func Requests(
	provider metric.MeterProvider, hub string,
) (func(ctx context.Context, kind storage.Kind, cause storage.Cause, grown storage.Usage), error) {
	meter := provider.Meter(scope)
	requests, err := meter.Int64Counter("durafleet.storage.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Requests sent to the storage account."))
	if err != nil {
		return nil, fmt.Errorf("metric of storage requests: %w", err)
	}
	bytes, err := meter.Int64Counter("durafleet.storage.bytes", metric.WithUnit("By"),
		metric.WithDescription("Bytes of the bodies of storage requests and their answers."))
	if err != nil {
		return nil, fmt.Errorf("metric of storage bytes: %w", err)
	}
	all := labelsOf(hub)
	return func(ctx context.Context, kind storage.Kind, cause storage.Cause, grown storage.Usage) {
		of := all[cell{kind, cause}]
		add(ctx, requests, grown.Requests, of.requests)
		add(ctx, bytes, grown.Sent, of.sent)
		add(ctx, bytes, grown.Received, of.received)
	}, nil
}

func add(ctx context.Context, counter metric.Int64Counter, n int64, options []metric.AddOption) {
	if n != 0 {
		counter.Add(ctx, n, options...)
	}
}

func labelsOf(hub string) map[cell]labels {
	all := map[cell]labels{}
	for _, kind := range storage.Kinds() {
		for _, cause := range storage.Causes() {
			base := []attribute.KeyValue{
				attribute.String("kind", string(kind)), attribute.String("cause", cause.String()), attribute.String("hub", hub),
			}
			direction := func(name string) []metric.AddOption {
				return options(append(base[:len(base):len(base)], attribute.String("direction", name))...)
			}
			all[cell{kind, cause}] = labels{options(base...), direction("sent"), direction("received")}
		}
	}
	return all
}

func options(attributes ...attribute.KeyValue) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attributes...))}
}
