package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/worker"
)

const (
	// stopTimeout bounds an orderly stop of a worker, figuresTimeout the answer to an order.
	stopTimeout    = 40 * time.Second
	figuresTimeout = 20 * time.Second
)

// member is a worker of the fleet.
type member interface {
	// figures returns what has come together so far, after a collection of garbage if asked for. The
	// figures of a member in this process are without those of the process.
	figures(ctx context.Context, collect bool) (figures, error)
	// stop ends the worker in order, kill at once. The number is that of all requests that a worker of
	// another process has sent.
	stop(ctx context.Context) (sent int64, err error)
	kill()
}

// fleet is the workers of a run.
type fleet struct {
	group   run.Group
	members []member
	// processes says that they are processes of their own.
	processes bool
}

// startFleet starts the workers. fail ends the run with an error that comes from a worker.
func startFleet(ctx context.Context, place *ground, opts *Options, fail context.CancelCauseFunc) (*fleet, error) {
	f := &fleet{processes: !opts.InProcess}
	for i := range opts.Workers {
		id := fmt.Sprintf("worker-%d", i+1)
		var m member
		var err error
		if f.processes {
			m, err = f.spawn(ctx, place, opts, id, fail)
		} else {
			m, err = f.host(ctx, place, opts, id, fail)
		}
		if err != nil {
			f.killAll()
			return nil, err
		}
		f.members = append(f.members, m)
	}
	return f, nil
}

// figures returns the sum of what the members have come to.
func (f *fleet) figures(ctx context.Context, collect bool) (figures, error) {
	each := make([]figures, len(f.members))
	failures := make([]error, len(f.members))
	run.Each(ctx, "bench: figures", len(f.members), len(f.members), func(ctx context.Context, i int) {
		each[i], failures[i] = f.members[i].figures(ctx, collect)
	})
	var total figures
	for _, one := range each {
		total = total.and(one)
	}
	if !f.processes {
		total = total.ofProcess()
	}
	return total, errors.Join(failures...)
}

// stopAll asks all workers to stop, waits for them, and returns how many requests other processes have
// sent in all.
func (f *fleet) stopAll(ctx context.Context) (sent int64, err error) {
	each := make([]int64, len(f.members))
	failures := make([]error, len(f.members))
	run.Each(ctx, "bench: stop", len(f.members), len(f.members), func(ctx context.Context, i int) {
		each[i], failures[i] = f.members[i].stop(ctx)
	})
	for _, n := range each {
		sent += n
	}
	return sent, errors.Join(failures...)
}

// killAll ends what still runs and waits until it has ended.
func (f *fleet) killAll() {
	for _, m := range f.members {
		m.kill()
	}
	f.group.Wait()
}

// process is a member that is a process of its own.
type process struct {
	*child.Process
	told chan figures
	last figures // once the process has ended
}

// spawn starts a worker process and waits until it works.
func (f *fleet) spawn(ctx context.Context, place *ground, opts *Options, id string, fail context.CancelCauseFunc) (member, error) {
	p := &process{told: make(chan figures, 1)}
	started, err := child.Start(ctx, &f.group, &child.Spec{
		ID: id, Connection: place.connection, Fail: fail,
		Args: []string{
			WorkerCommand, "--hub", opts.Hub, "--worker-id", id, "--latency", place.latency.String(),
			"--max-activities", strconv.Itoa(opts.Settings.MaxActivities),
			"--no-session-cache=" + strconv.FormatBool(opts.Settings.NoSessionCache),
			"--no-inline=" + strconv.FormatBool(opts.Settings.NoInline),
			"--no-doorbell=" + strconv.FormatBool(opts.Settings.NoDoorbell),
		},
		Take: func(text []byte) error {
			l, err := parseLine(text)
			switch {
			case err != nil:
				return err
			case l.Last:
				p.last = *l.Figures
			case l.Figures != nil:
				p.told <- *l.Figures
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	p.Process = started
	if err := p.AwaitStart(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

func (p *process) figures(ctx context.Context, collect bool) (figures, error) {
	order := orderFigures
	if collect {
		order = orderCollect
	}
	if err := p.Tell(order); err != nil {
		return figures{}, err
	}
	timer := time.NewTimer(figuresTimeout)
	defer timer.Stop()
	select {
	case now := <-p.told:
		return now, nil
	case <-p.Done():
		return figures{}, fmt.Errorf("worker %s has ended", p.ID())
	case <-timer.C:
		return figures{}, fmt.Errorf("worker %s has not told its figures for %v", p.ID(), figuresTimeout)
	case <-ctx.Done():
		return figures{}, context.Cause(ctx)
	}
}

func (p *process) stop(ctx context.Context) (int64, error) {
	if err := p.Stop(ctx, stopTimeout); err != nil {
		return 0, err
	}
	return p.last.Sent, nil
}

func (p *process) kill() { p.Kill() }

// guest is a member in this process.
type guest struct {
	id     string
	counts *traffic
	end    context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
}

// host starts a worker in this process.
func (f *fleet) host(ctx context.Context, place *ground, opts *Options, id string, fail context.CancelCauseFunc) (member, error) {
	hub, counts, err := place.openHub(ctx, opts.Hub, nil)
	if err != nil {
		return nil, err
	}
	w, err := worker.New(hub, opts.Settings.options(id, slog.New(slog.DiscardHandler)), bindings()...)
	if err != nil {
		return nil, err
	}
	working, end := context.WithCancel(ctx)
	g := &guest{id: id, counts: counts, end: end, done: make(chan struct{})}
	f.group.Go(working, "bench: "+id, func(ctx context.Context) {
		defer close(g.done)
		if g.err = w.Run(ctx); g.err != nil {
			fail(fmt.Errorf("worker %s: %w", id, g.err))
		}
	})
	return g, nil
}

func (g *guest) figures(ctx context.Context, collect bool) (figures, error) {
	if collect {
		debug.FreeOSMemory()
	}
	return g.counts.figures(ctx), nil
}

func (g *guest) stop(ctx context.Context) (int64, error) {
	g.end()
	select {
	case <-g.done:
		return 0, g.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (g *guest) kill() { g.end() }
