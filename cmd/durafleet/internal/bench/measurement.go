package bench

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// measurement is the part of a run that is measured.
type measurement struct {
	bench   *bench
	fleet   *fleet
	watcher *watcher
	hub     *taskhub.Client
	// client and waits are what has gone through the connections of the client and of who waits.
	client, waits *traffic
}

// warmUp is how much of a scenario is done before the measurement.
const warmUp = 8

// run warms up, measures, and reports.
func (m *measurement) run(ctx context.Context) (*Report, error) {
	b := m.bench
	if err := m.watcher.awaitShared(ctx, b.opts.Workers); err != nil {
		return nil, err
	}
	b.out.say("The partitions are shared out")
	if err := m.warm(ctx); err != nil {
		return nil, err
	}
	if b.scenario.rest > 0 {
		b.out.say("Leaving the hub alone for %v", b.opts.Idle)
		if !run.Sleep(ctx, b.opts.Idle) {
			return nil, context.Cause(ctx)
		}
	}
	b.out.say("Measuring")
	before, err := m.mark(ctx)
	if err != nil {
		return nil, err
	}
	d := newDriver(b.opts, m.hub, m.watcher, m.fleet, false)
	instances, err := b.scenario.drive(d, ctx, b.opts.Count)
	if err == nil {
		err = m.watcher.awaitDrained(ctx)
	}
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(d.begun)
	after, err := m.mark(ctx)
	if err != nil {
		return nil, err
	}
	return m.report(d, instances, elapsed, after.since(before)), nil
}

// warm does a little of the scenario, which does not count.
func (m *measurement) warm(ctx context.Context) error {
	if m.bench.opts.NoWarmUp {
		return nil
	}
	m.bench.out.say("Warming up")
	d := newDriver(m.bench.opts, m.hub, m.watcher, m.fleet, true)
	if _, err := m.bench.scenario.drive(d, ctx, min(m.bench.opts.Count, warmUp)); err != nil {
		return err
	}
	return m.watcher.awaitDrained(ctx)
}

// marks are the figures of all at a moment.
type marks struct{ workers, client, waits figures }

func (m marks) since(earlier marks) marks {
	return marks{m.workers.since(earlier.workers), m.client.since(earlier.client), m.waits.since(earlier.waits)}
}

func (m *measurement) mark(ctx context.Context) (marks, error) {
	workers, err := m.fleet.figures(ctx, false)
	return marks{workers, m.client.figures(ctx).ofProcess(), m.waits.figures(ctx)}, errors.Join(err, context.Cause(ctx))
}

func (m *measurement) report(d *driver, instances int, elapsed time.Duration, grown marks) *Report {
	both := grown.workers.and(grown.client)
	r := &Report{
		Scenario: m.bench.scenario.name, Instances: instances, unit: m.bench.scenario.unit,
		Elapsed:   rounded(elapsed.Seconds(), 4),
		PerSecond: ratio(float64(m.bench.opts.Count), elapsed.Seconds(), 2),
		Requests:  byName(both.Requests), RequestsIdle: both.Idle.Total(),
		RequestsPerInstance: ratio(float64(both.Requests.Total()), float64(instances), 3),
		RequestsWait:        grown.waits.Requests.Total() + grown.waits.Idle.Total(),
		Bytes:               both.Bytes,
		CPU:                 rounded(grown.workers.CPU.Seconds(), 3),
		Resident:            rounded(float64(cmp.Or(d.resident, grown.workers.Resident))/(1<<20), 1),
		More:                d.more,
	}
	r.Latency, _ = d.latencies.latency()
	if m.fleet.processes {
		r.More["client_cpu_s"] = rounded(grown.client.CPU.Seconds(), 3)
	}
	switch m.bench.scenario.unit {
	case "events":
		r.More["requests_per_event"] = ratio(float64(both.Requests.Total()), float64(m.bench.opts.Count), 3)
	case "minutes":
		r.More["requests_per_minute"] = ratio(float64(both.Requests.Total()+both.Idle.Total()), elapsed.Minutes(), 1)
	}
	r.More["history_rows_read"] = float64(both.HistoryRows)
	return r
}
