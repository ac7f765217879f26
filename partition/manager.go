package partition

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Manager takes part in the balancing of a hub's partitions, and serves those it owns.
type Manager struct {
	store   Store
	opts    Options
	started atomic.Bool
	group   run.Group
	// wake has room for one call for an early pass.
	wake chan struct{}

	mu      sync.Mutex
	tenures map[string]*tenure
	stalls  stalls
	reach   reach

	// What follows is used by the loop of Run only.

	pace pace
	// leaving says that the shutdown has begun.
	leaving bool
	// known is set if the next pass may do without reading.
	known *known
	// singly is set while own rows are not written together.
	singly bool
}

// New returns a Manager that has started nothing.
func New(store Store, opts *Options) (*Manager, error) {
	if store == nil {
		return nil, errors.New("partition: store is nil")
	}
	full, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Manager{
		store: store, opts: full, wake: make(chan struct{}, 1), tenures: map[string]*tenure{},
		pace: pace{interval: full.AcquireInterval, random: full.Random, steady: full.SkipReads},
	}, nil
}

// Run claims, renews, balances and serves partitions until ctx ends. Then all owned partitions are
// drained in parallel, each lease is renewed until its Serve has returned and is then released.
//
// Run returns nil when nothing is owned any more, at the latest DrainTimeout and ReturnGrace after
// ctx has ended; what could not be released then is logged and expires by itself. Only a Serve that
// ignores the end of its context outlives Run. A second call returns ErrRun: a Manager serves once.
func (m *Manager) Run(ctx context.Context) error {
	if !m.started.CompareAndSwap(false, true) {
		return ErrRun
	}
	// Requests are not aborted by the stop: an aborted write has an unknown outcome.
	work := context.WithoutCancel(ctx)
	run.Loop(ctx, m.opts.Logger, "partition passes", func(ctx context.Context) error {
		result := m.pass(work, false)
		m.reach.note(result.err != nil || result.failed > 0, time.Now())
		m.opts.OnChange()
		if run.SleepOr(ctx, m.pace.next(result), m.wake, nil) {
			m.known = nil // something has happened
		}
		return nil
	})
	m.shutDown(work)
	return nil
}

// shutDown gives everything up. The order: readers are told to drain by the first pass, its rows
// show it and stay renewed; each row is released when its reader has returned; whoever does not
// return is cut off by its tenure.
func (m *Manager) shutDown(work context.Context) {
	patience := m.opts.DrainTimeout + m.opts.ReturnGrace
	ctx, done := context.WithTimeout(work, patience)
	defer done()
	m.leaving = true
	m.drainAll()
	run.Loop(ctx, m.opts.Logger, "partition release", func(ctx context.Context) error {
		result := m.pass(work, true)
		m.opts.OnChange()
		if result.settled() && len(m.holds()) == 0 {
			done()
			return nil
		}
		run.SleepOr(ctx, m.pace.next(result), m.wake, nil)
		return nil
	})
	if left := m.loseAll(); len(left) > 0 {
		m.opts.Logger.Error("stopped while readers have not returned", "partitions", left, "after", patience)
		return
	}
	m.group.Wait()
}

// Owned returns the partitions this worker may read now, in key order.
func (m *Manager) Owned() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var owned []Status
	for _, t := range m.tenures {
		if hold := t.hold(); hold == Serving || hold == Draining {
			owned = append(owned, Status{
				ID: t.id, Since: t.since, LastBeat: t.beat.Last(), LastRenewal: t.renewed(), Draining: hold == Draining,
			})
		}
	}
	slices.SortFunc(owned, func(a, b Status) int { return strings.Compare(a.ID, b.ID) })
	return owned
}

// Stalls returns how often the reader of each partition was found to hang since this Manager was
// made: its queue did not answer for Options.StallAfter, or it did not return after its context had ended. A
// hang is counted once. Partitions whose readers never hung are left out; the map is the caller's.
func (m *Manager) Stalls() map[string]int64 { return m.stalls.copy() }

// begin starts to serve a partition that was claimed or found to be ours.
func (m *Manager) begin(ctx context.Context, id string, deadline time.Time) {
	t := newTenure(ctx, &m.opts, id, deadline)
	t.stalls, t.reach, t.wake = &m.stalls, &m.reach, m.Wake
	m.mu.Lock()
	m.tenures[id] = t
	m.mu.Unlock()
	t.log.Info("partition taken")
	m.group.Go(ctx, "partition watch "+id, func(ctx context.Context) {
		t.run(ctx, &m.group)
		m.mu.Lock()
		delete(m.tenures, id)
		m.mu.Unlock()
		m.opts.OnChange()
		// What Serve has left behind can be released, or claimed again, at once.
		m.Wake()
	})
}

// Wake makes the next pass begin at once, and read the rows: somebody else has changed them. It may
// be called at any time, by anyone; several calls before the pass count once.
func (m *Manager) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Manager) tenure(id string) *tenure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tenures[id]
}

// all returns the tenures in the order of their partitions.
func (m *Manager) all() []*tenure {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*tenure, 0, len(m.tenures))
	for _, id := range slices.Sorted(maps.Keys(m.tenures)) {
		all = append(all, m.tenures[id])
	}
	return all
}

func (m *Manager) holds() map[string]Hold {
	holds := map[string]Hold{}
	for _, t := range m.all() {
		holds[t.id] = t.hold()
	}
	return holds
}

func (m *Manager) drainAll() {
	for _, t := range m.all() {
		t.startDrain()
	}
}

// loseAll ends what is left at the end of the shutdown and returns its partitions.
func (m *Manager) loseAll() []string {
	var left []string
	for _, t := range m.all() {
		t.lose("the worker has stopped")
		left = append(left, t.id)
	}
	slices.Sort(left)
	return left
}
