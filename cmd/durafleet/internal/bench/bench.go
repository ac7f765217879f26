package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// Run measures. An *option.Error says which option breaks a rule, a *ScenarioError that there is no such
// scenario, and a *WrongError which instance did not end as it had to. It leaves no process behind, and
// nothing in the account unless Options.Hub says where.
func Run(ctx context.Context, opts *Options) (*Report, error) {
	full, scenario, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &bench{opts: &full, scenario: scenario, out: &screen{out: full.Out, begun: time.Now()}}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	report, err := b.engine(ctx, fail)
	if err == nil && scenario.mix != nil && !full.NoFloor {
		err = b.floor(ctx, report)
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause // what ended the run matters, not what came of it
	}
	if err != nil {
		return nil, err
	}
	if b.sent > 0 {
		report.More["requests_sent"] = float64(b.sent)
	}
	return report, nil
}

// bench is a run.
type bench struct {
	opts     *Options
	scenario *scenario
	out      *screen
	// sent is how many requests have gone out in all, preparations and the floor included.
	sent int64
}

// ground returns the account for a part of the run.
func (b *bench) ground(ctx context.Context) (*ground, error) {
	switch {
	case b.opts.ports != nil:
		return &ground{ports: b.opts.ports}, nil
	case b.opts.Connection != "":
		return &ground{connection: b.opts.Connection, latency: b.opts.Latency}, nil
	default:
		return launchGround(ctx, b.opts.Latency, func(text string) { b.out.say("%s", text) })
	}
}

// engine lets a fleet do the work and measures it.
func (b *bench) engine(ctx context.Context, fail context.CancelCauseFunc) (report *Report, err error) {
	place, err := b.ground(ctx)
	if err != nil {
		return nil, err
	}
	defer place.close()
	var watching run.Group
	defer watching.Wait()
	ctx, over := context.WithCancel(ctx)
	defer over()
	if place.server != nil {
		watching.Go(ctx, "bench: watch azurite", func(ctx context.Context) { watchServer(ctx, place.server, fail) })
	}
	hub, remove, err := b.createHub(ctx, place)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, remove(context.WithoutCancel(ctx)))
		b.sent += place.sent()
	}()

	// The client and the waits have connections of their own.
	client, clientCounts, err := place.openHub(ctx, hub, &taskhub.Options{Doorbell: !b.opts.Settings.NoDoorbell})
	if err != nil {
		return nil, err
	}
	waitPlace := place
	if b.opts.WaitConnection != "" {
		waitPlace = &ground{connection: b.opts.WaitConnection, latency: place.latency}
	}
	waits, waitCounts, err := waitPlace.openHub(ctx, hub, nil)
	if err != nil {
		return nil, err
	}
	watcher := newWatcher(waits.Store(), cmp.Or(b.scenario.pause, shortPause), place.latency, b.opts.Timeout)
	watching.Go(ctx, "bench: watch", func(ctx context.Context) { watcher.run(ctx, fail) })

	workers := *b.opts
	workers.Hub = hub
	fleet, err := startFleet(ctx, place, &workers, func(err error) {
		if ctx.Err() == nil {
			fail(err)
		}
	})
	if err != nil {
		return nil, err
	}
	defer fleet.killAll()
	defer over() // before that: nobody is to be told of the end of the workers
	m := &measurement{
		bench: b, fleet: fleet, watcher: watcher, hub: taskhub.NewClient(client), client: clientCounts, waits: waitCounts,
	}
	report, err = m.run(ctx)
	if err != nil {
		return nil, err
	}
	sent, err := fleet.stopAll(ctx)
	b.sent += sent
	return report, err
}

func watchServer(ctx context.Context, server *azurite.Server, fail context.CancelCauseFunc) {
	select {
	case <-server.Done():
		fail(errors.New("azurite ended by itself" + server.LastOutput()))
	case <-ctx.Done():
	}
}

// createHub makes sure that there is a hub and returns its name and what removes it, if it is to be removed.
func (b *bench) createHub(ctx context.Context, place *ground) (name string, remove func(context.Context) error, err error) {
	name, keep := b.opts.Hub, true
	if name == "" {
		name, keep = defaultHub+compactID()[:8], place.server != nil
	}
	ports, _, err := place.open(name)
	if err != nil {
		return "", nil, fmt.Errorf("task hub %s: %w", name, err)
	}
	hub, err := taskhub.Create(ctx, taskhub.Ports(ports), name, &taskhub.Options{Partitions: b.opts.Partitions})
	if err != nil {
		return "", nil, err
	}
	b.out.say("Task hub %s with %d partitions; %s", hub.Name(), hub.Partitions(), b.settings())
	if keep {
		return name, func(context.Context) error { return nil }, nil
	}
	return name, hub.Delete, nil
}

// settings describes the run.
func (b *bench) settings() string {
	where := "as processes"
	if b.opts.InProcess {
		where = "in this process"
	}
	workers := "1 worker"
	if b.opts.Workers > 1 {
		workers = fmt.Sprintf("%d workers", b.opts.Workers)
	}
	return fmt.Sprintf("%s, %d %s, %d at once, %s %s", b.scenario.name, b.opts.Count, b.scenario.unit, b.opts.Parallel, workers, where)
}

// floor measures what raw requests do and adds it to the report.
func (b *bench) floor(ctx context.Context, report *Report) error {
	place, err := b.ground(ctx)
	if err != nil {
		return err
	}
	defer place.close()
	defer func() { b.sent += place.sent() }()
	name := defaultHub + compactID()[:8]
	ports, _, err := place.open(name)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	f, err := newFloor(ctx, ports, name)
	if err != nil {
		return err
	}
	work, parallel := b.scenario.mix(b.opts.Count), b.opts.Parallel
	if !b.opts.NoWarmUp {
		if _, err := f.run(ctx, mix{min(work.chains, warmUp), work.steps}, parallel); err != nil {
			return err
		}
	}
	b.out.say("Measuring the floor")
	took, err := f.run(ctx, work, parallel)
	if err != nil {
		return err
	}
	report.FloorPerSecond = ratio(float64(b.opts.Count), took.Seconds(), 2)
	report.FloorRatio = ratio(report.PerSecond, report.FloorPerSecond, 4)
	report.floor = work.text()
	if place.server == nil {
		return f.close(ctx)
	}
	return nil
}

// screen prints lines with the time. It may be used concurrently.
type screen struct {
	begun time.Time

	mu  sync.Mutex
	out io.Writer
}

func (s *screen) say(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, arguments...))
}
