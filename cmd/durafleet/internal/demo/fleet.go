package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

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
	members []*member
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

const startTimeout = 30 * time.Second

// startAll starts n workers and waits until all of them work.
func (f *fleet) startAll(ctx context.Context, n int) error {
	started := make([]*member, n)
	for i := range started {
		m, err := f.start(ctx)
		if err != nil {
			return err
		}
		started[i] = m
	}
	for _, m := range started {
		if err := m.awaitStart(ctx); err != nil {
			return err
		}
		f.show.say("Worker %s is process %d", m.id, m.pid())
	}
	return nil
}

// start starts the next worker.
func (f *fleet) start(ctx context.Context) (*member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errOver
	}
	executable := f.executable
	if executable == "" {
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		executable = own
	}
	m := newMember(fmt.Sprintf("worker-%d", len(f.members)+1), executable, f.connection, f.tally.take)
	if err := m.start(ctx, &f.group); err != nil {
		return nil, err
	}
	f.members = append(f.members, m)
	f.group.Go(ctx, "demo: watch "+m.id, func(ctx context.Context) {
		select {
		case <-m.done:
			if !m.unwanted.Load() && ctx.Err() == nil {
				f.fail(fmt.Errorf("worker %s ended by itself: %s", m.id, m.epitaph()))
			}
		case <-ctx.Done():
		}
	})
	return m, nil
}

// killOneAt kills a worker with SIGKILL when so many activities have been run, the one that has
// reported the last of them: its result is not stored yet. Another one is started in its place.
func (f *fleet) killOneAt(ctx context.Context, runs int) {
	killed := make(chan *member, 1)
	f.tally.when(runs, func(id string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, m := range f.members {
			if m.id == id {
				m.kill()
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

func (f *fleet) replace(ctx context.Context, dead *member, runs int) {
	f.show.say("Killed worker %s (SIGKILL) after %d activities; its partitions are free after %v, its messages after %v",
		dead.id, runs, leaseDuration, visibility)
	m, err := f.start(ctx)
	if err == nil {
		err = m.awaitStart(ctx)
	}
	if err != nil {
		f.fail(fmt.Errorf("replace worker %s: %w", dead.id, err))
		return
	}
	f.show.say("Worker %s is process %d, in place of %s", m.id, m.pid(), dead.id)
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
		m.stop()
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, m := range members {
		select {
		case <-m.done:
		case <-ctx.Done():
			m.kill()
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
		m.kill()
	}
	f.mu.Unlock()
	f.group.Wait()
}
