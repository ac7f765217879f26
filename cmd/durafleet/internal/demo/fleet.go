package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
	"github.com/durafleet/durafleet/internal/run"
)

// fleet is the worker processes of the demo.
type fleet struct {
	executable string
	connection string
	tally      *tally
	show       *screen
	// fail ends the demo with an error that comes from a child.
	fail context.CancelCauseFunc

	group run.Group

	mu      sync.Mutex
	members []*child.Process
	killed  string
	closed  bool // nothing may be started any more
}

// watch fails the demo if something ends while it still runs.
func (f *fleet) watch(ctx context.Context, ended <-chan struct{}, err error) {
	f.group.Go(ctx, "demo: watch", func(ctx context.Context) {
		select {
		case <-ended:
			f.fail(err)
		case <-ctx.Done():
		}
	})
}

// startAll starts n workers and waits until all of them work.
func (f *fleet) startAll(ctx context.Context, n int) error {
	started := make([]*child.Process, n)
	for i := range started {
		m, err := f.start(ctx)
		if err != nil {
			return err
		}
		started[i] = m
	}
	for _, m := range started {
		if err := m.AwaitStart(ctx); err != nil {
			return err
		}
		f.show.say("Worker %s is process %d", m.ID(), m.PID())
	}
	return nil
}

// start starts the next worker.
func (f *fleet) start(ctx context.Context) (*child.Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errOver
	}
	id := fmt.Sprintf("worker-%d", len(f.members)+1)
	m, err := child.Start(ctx, &f.group, &child.Spec{
		ID: id, Executable: f.executable, Connection: f.connection, Fail: f.fail,
		Args: []string{
			"worker", "--report", "--hub", hubName, "--worker-id", id,
			"--lease", leaseDuration.String(), "--acquire-interval", acquireInterval.String(),
			"--visibility", visibility.String(), "--max-poll-interval", maxPollInterval.String(),
			"--drain-timeout", "5s", "--doorbell=127.0.0.1:0",
		},
		Take: func(text []byte) error {
			line, err := report.Parse(text)
			if err == nil {
				f.tally.take(line)
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	f.members = append(f.members, m)
	return m, nil
}

// killOneAt kills a worker with SIGKILL when so many activities have been run, the one that has
// reported the last of them: its result is not stored yet. Another one is started in its place.
func (f *fleet) killOneAt(ctx context.Context, runs int) {
	killed := make(chan *child.Process, 1)
	f.tally.when(runs, func(id string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, m := range f.members {
			if m.ID() == id {
				m.Kill()
				f.killed = id
				killed <- m
			}
		}
	})
	f.group.Go(ctx, "demo: replace the killed worker", func(ctx context.Context) {
		select {
		case m := <-killed:
			f.replace(ctx, m, runs)
		case <-ctx.Done():
		}
	})
}

func (f *fleet) replace(ctx context.Context, dead *child.Process, runs int) {
	f.show.say("Killed worker %s (SIGKILL) after %d activities; its partitions are free after %v, its messages after %v",
		dead.ID(), runs, leaseDuration, visibility)
	m, err := f.start(ctx)
	if err == nil {
		err = m.AwaitStart(ctx)
	}
	if err != nil {
		f.fail(fmt.Errorf("replace worker %s: %w", dead.ID(), err))
		return
	}
	f.show.say("Worker %s is process %d, in place of %s", m.ID(), m.PID(), dead.ID())
}

func (f *fleet) killedID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.killed
}

const stopTimeout = 10 * time.Second

// stopAll asks all workers to stop and waits for them, so that they can report the last of their
// requests; those that take too long are killed.
func (f *fleet) stopAll(ctx context.Context) {
	f.mu.Lock()
	members := f.members
	f.mu.Unlock()
	for _, m := range members {
		m.Release()
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, m := range members {
		select {
		case <-m.Done():
		case <-ctx.Done():
			m.Kill()
		}
	}
}

// errOver is why nothing is started any more.
var errOver = errors.New("the demo is over")

// killAll kills what still runs and waits until it has ended.
func (f *fleet) killAll() {
	f.fail(errOver)
	f.mu.Lock()
	f.closed = true
	for _, m := range f.members {
		m.Kill()
	}
	f.mu.Unlock()
	f.group.Wait()
}
