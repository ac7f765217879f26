package bench

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// measurement is the part of a run that is measured.
type measurement struct {
	bench   *bench
	fleet   *fleet
	watcher *watcher
	driver  *driver
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
	b.out.say("The partitions are shared out; warming up")
	if err := m.warm(ctx); err != nil {
		return nil, err
	}
	if b.scenario.rests {
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
	begun := time.Now()
	instances, err := b.scenario.drive(ctx, m.driver, b.opts.Count)
	if err == nil {
		err = m.watcher.awaitDrained(ctx)
	}
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(begun)
	after, err := m.mark(ctx)
	if err != nil {
		return nil, err
	}
	return m.report(instances, elapsed, after.since(before)), nil
}

// warm does a little of the scenario, which does not count.
func (m *measurement) warm(ctx context.Context) error {
	d := &driver{opts: m.driver.opts, client: m.driver.client, watch: m.watcher, fleet: m.fleet}
	if _, err := m.bench.scenario.drive(ctx, d, min(m.bench.opts.Count, warmUp)); err != nil {
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

func (m *measurement) report(instances int, elapsed time.Duration, grown marks) *Report {
	d := m.driver
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
	if r.More == nil {
		r.More = map[string]float64{}
	}
	r.Latency, _ = d.latencies.latency()
	if m.fleet.processes {
		r.More["client_cpu_s"] = rounded(grown.client.CPU.Seconds(), 3)
	}
	r.More["history_rows_read"] = float64(both.HistoryRows)
	return r
}
