package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// tableTick is the resolution of stored times.
const tableTick = 100 * time.Nanosecond

// passResult says what a pass found, as far as the time of the next one depends on it.
type passResult struct {
	// err is set if the rows could not be read; nothing else is known then.
	err error
	// owned is the number of rows that name this worker as the owner after the pass.
	owned int
	// lost and failed count writes that met a changed row, and writes that failed.
	lost, failed int
	// handover is set while a partition is on its way from or to this worker.
	handover bool
	// expiry is how long it takes until the next lease of another worker runs out; zero if none.
	expiry time.Duration
	// calm says that nothing goes on, as Options.SkipReads defines it.
	calm bool
}

// settled reports whether this worker is known to own nothing.
func (r passResult) settled() bool {
	return r.err == nil && r.lost == 0 && r.failed == 0 && r.owned == 0
}

// reading ties the service's clock to the local monotonic one.
type reading struct {
	date           time.Time
	sent, received time.Time
}

// maxApart is how far the local clocks may drift apart while a reading is used again.
const maxApart = time.Second

// holds reports whether the reading is still good at a later time: the monotonic clock does not run
// while the machine is suspended, the wall clock does.
func (r reading) holds(local time.Time) bool {
	return (local.Sub(r.received) - local.Round(0).Sub(r.received.Round(0))).Abs() < maxApart
}

// now returns a lower bound of the service's time: what expires by it has expired.
func (r reading) now(local time.Time) time.Time {
	return r.date.Add(local.Sub(r.received))
}

// proven returns the local time from which on a lease counts that begins at now(local). The answer
// was given somewhere between sent and received; the earliest is assumed, so the time is never
// after the one at which the request that writes the lease is sent.
func (r reading) proven(local time.Time) time.Time {
	return local.Add(-r.received.Sub(r.sent))
}

// pass reads all rows once, ends what is lost, and writes what is to be written. Each request has
// its own deadline. Own rows come first and do not wait for the others.
func (m *Manager) pass(ctx context.Context, shuttingDown bool) passResult {
	if m.known != nil && !shuttingDown {
		if result, ok := m.blindPass(ctx, *m.known); ok {
			return result
		}
	}
	m.known = nil
	listing, clock, err := m.list(ctx)
	if err != nil {
		m.opts.Logger.Warn("reading the partitions", "error", err)
		return passResult{err: err}
	}
	m.opts.OnRead(listing.Leases)
	p := m.decide(listing.Leases, clock, shuttingDown, true)
	m.tellDrains(p.steps)
	result := m.apply(ctx, p)
	result.handover = shuttingDown
	m.survey(&result, p)
	result.calm = result.calm && len(listing.Unreadable) == 0
	if m.opts.SkipReads && result.calm && result.owned > 0 {
		m.known = &known{leases: p.written(), clock: clock}
	}
	return result
}

// known is what a pass has left behind for the next one, which then need not read.
type known struct {
	leases []Lease
	clock  reading
}

// blindPass renews what is owned by the versions that the pass before has left. It reports false,
// and has done nothing, if the rows have to be read.
func (m *Manager) blindPass(ctx context.Context, k known) (passResult, bool) {
	if !k.clock.holds(time.Now()) {
		return passResult{}, false
	}
	p := m.decide(k.leases, k.clock, false, false)
	if !p.calm() {
		return passResult{}, false
	}
	m.known = nil
	result := m.apply(ctx, p)
	m.survey(&result, p)
	return result, true
}

// passPlan is what a pass has found and is about to do.
type passPlan struct {
	now    time.Time
	worker string
	leases []Lease
	holds  map[string]Hold
	steps  []Step
	// deadline is the local time until which a lease counts that the steps write.
	deadline time.Time
	// versions are those of the rows that were written, by partition.
	versions map[string]string
}

func (m *Manager) decide(leases []Lease, clock reading, shuttingDown, fresh bool) *passPlan {
	local := time.Now()
	p := &passPlan{
		now: clock.now(local).Truncate(tableTick), worker: m.opts.WorkerID, leases: leases,
		deadline: clock.proven(local).Add(m.opts.LeaseDuration - m.opts.Margin), versions: map[string]string{},
	}
	if fresh {
		m.reconcile(leases, p.now)
	}
	p.holds = m.holds()
	p.steps = Decide(View{
		Now: p.now, Worker: m.opts.WorkerID, Leases: leases, Holds: p.holds,
		Stalled: m.stalls.ages(local), ShuttingDown: shuttingDown, Doorbell: m.opts.Doorbell, Duration: m.opts.LeaseDuration, RenewAfter: m.opts.AcquireInterval / 2,
	})
	return p
}

// written returns the rows as they are if all steps were written.
func (p *passPlan) written() []Lease {
	leases := slices.Clone(p.leases)
	for _, step := range p.steps {
		i := slices.IndexFunc(leases, func(l Lease) bool { return l.ID == step.Lease.ID })
		leases[i] = step.Lease
		leases[i].Version = p.versions[step.Lease.ID]
		leases[i].Written = time.Time{}
	}
	return leases
}

// calm reports whether nothing goes on, as Options.SkipReads defines it.
func (p *passPlan) calm() bool {
	for _, step := range p.steps {
		if step.Kind != Renew || p.holds[step.Lease.ID] != Serving {
			return false
		}
	}
	for _, lease := range p.leases {
		if lease.CurrentOwner == "" || lease.NextOwner != "" || lease.Draining || lease.Expired(p.now) {
			return false
		}
		if (lease.CurrentOwner == p.worker) != (p.holds[lease.ID] == Serving) {
			return false
		}
	}
	return true
}

// patience returns how long a request may take. After failures it is longer: an account that is slow must not
// look like one that is gone.
func (m *Manager) patience() time.Duration {
	if m.leaving {
		return m.opts.RequestTimeout // nobody waits for long at the end
	}
	return run.Backoff(m.pace.failures+1, m.opts.RequestTimeout, m.opts.LeaseDuration/3)
}

func (m *Manager) list(ctx context.Context) (Listing, reading, error) {
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	clock := reading{sent: time.Now()}
	listing, err := m.store.List(ctx)
	if err != nil {
		return Listing{}, reading{}, err
	}
	clock.date, clock.received = listing.Date, time.Now()
	if clock.date.IsZero() {
		return Listing{}, reading{}, errors.New("the answer has no date")
	}
	for _, problem := range listing.Unreadable {
		m.opts.Logger.Error("a partition's row cannot be read and is left alone", "error", problem)
	}
	return listing, clock, nil
}

// reconcile brings the tenures in line with the rows. It ends those whose rows name somebody else,
// are gone, or have run out on the service's clock although the local one did not notice (the
// machine was suspended).
func (m *Manager) reconcile(leases []Lease, now time.Time) {
	rows := make(map[string]Lease, len(leases))
	for _, lease := range leases {
		rows[lease.ID] = lease
	}
	for _, t := range m.all() {
		lease, exists := rows[t.id]
		switch {
		case !exists:
			t.lose("its row is gone")
		case lease.CurrentOwner != m.opts.WorkerID:
			t.lose("its row names the owner " + lease.CurrentOwner)
		case lease.Expired(now):
			t.lose("its lease has expired")
		default:
			t.settle(lease.ExpiresAt)
		}
	}
}

func (m *Manager) tellDrains(steps []Step) {
	for _, step := range steps {
		if step.Kind != StartDrain {
			continue
		}
		if t := m.tenure(step.Lease.ID); t != nil {
			t.log.Info("partition is handed over", "next", step.Lease.NextOwner)
			t.startDrain()
		}
	}
}

// apply writes the steps: own rows first and, as far as that works, together; then the others side
// by side.
func (m *Manager) apply(ctx context.Context, p *passPlan) passResult {
	var own, others []Step
	for _, step := range p.steps {
		switch step.Kind {
		case Renew, StartDrain, Release:
			own = append(own, step)
		case Claim, Steal, Withdraw:
			others = append(others, step)
		}
	}
	var result passResult
	if len(own) > 1 && !m.singly {
		own = m.applyTogether(ctx, p, own, &result)
	}
	m.applySingly(ctx, p, own, &result)
	m.applySingly(ctx, p, others, &result)
	if result.lost == 0 && result.failed == 0 {
		m.singly = false
	}
	return result
}

// applyTogether writes own rows in one transaction and returns what is left to be written one by
// one: all of them if one row has changed, and with it nothing was written. After that, or after a
// failure, rows are written one by one until a pass succeeds: whatever is the matter with one of
// them does not hold up the others.
func (m *Manager) applyTogether(ctx context.Context, p *passPlan, steps []Step, result *passResult) []Step {
	won, err := m.write(ctx, p, steps)
	switch {
	case err != nil:
		// Perhaps they were written. The next pass comes soon, and reads.
		m.singly = true
		result.failed += len(steps)
		return nil
	case !won:
		m.singly = true
		return steps
	}
	m.wrote(ctx, p, steps)
	return nil
}

// applySingly writes rows side by side, each by itself.
func (m *Manager) applySingly(ctx context.Context, p *passPlan, steps []Step, result *passResult) {
	won, errs := make([]bool, len(steps)), make([]error, len(steps))
	var writes run.Group
	for i := range steps {
		writes.Go(ctx, "partition write", func(ctx context.Context) {
			if won[i], errs[i] = m.write(ctx, p, steps[i:i+1]); won[i] {
				m.wrote(ctx, p, steps[i:i+1])
			}
		})
	}
	writes.Wait()
	for i := range steps {
		switch {
		case errs[i] != nil:
			result.failed++
		case !won[i]:
			result.lost++
		}
	}
}

// wrote begins to serve what is now owned and was not before.
func (m *Manager) wrote(ctx context.Context, p *passPlan, steps []Step) {
	for _, step := range steps {
		if p.holds[step.Lease.ID] == None && (step.Kind == Claim || step.Kind == Renew) {
			m.begin(ctx, step.Lease.ID, p.deadline)
		}
	}
}

// write writes rows in one request. A renewal extends the tenure it was decided for, even if that is
// over by now; it never starts one, or a reader that was just drained would be started again.
func (m *Manager) write(ctx context.Context, p *passPlan, steps []Step) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	leases := make([]Lease, len(steps))
	tenures := make([]*tenure, len(steps))
	for i, step := range steps {
		leases[i], tenures[i] = step.Lease, m.tenure(step.Lease.ID)
		if tenures[i] != nil {
			tenures[i].sending(step.Lease.ExpiresAt, p.deadline)
		}
	}
	versions, err := m.store.Replace(ctx, leases...)
	if err == nil && versions != nil && len(versions) != len(leases) {
		err = fmt.Errorf("%d versions of %d rows", len(versions), len(leases))
	}
	for i, step := range steps {
		log := m.opts.Logger.With("step", step.Kind, "partition", step.Lease.ID)
		switch {
		case err != nil:
			log.Warn("writing a partition's row", "error", err)
		case versions == nil && len(steps) > 1:
			log.Debug("partition's row was not written together with others")
		case versions == nil:
			log.Debug("partition's row was changed by another worker")
		default:
			log.Debug("partition's row was written", "owner", step.Lease.CurrentOwner, "next", step.Lease.NextOwner)
			m.note(p, step.Lease.ID, versions[i])
			if step.Kind != Renew {
				m.opts.OnWrite(step)
			}
			if tenures[i] != nil {
				tenures[i].extend(p.deadline)
			}
		}
	}
	return versions != nil, err
}

func (m *Manager) note(p *passPlan, id, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.versions[id] = version
}

// survey adds to the result what the rows look like if the steps were written.
func (m *Manager) survey(result *passResult, p *passPlan) {
	result.calm = p.calm() && result.lost == 0 && result.failed == 0
	for _, lease := range p.written() {
		if lease.CurrentOwner == m.opts.WorkerID {
			result.owned++
			continue
		}
		if lease.NextOwner == m.opts.WorkerID {
			result.handover = true
		}
		if left := lease.expiry().Sub(p.now); !lease.expiry().IsZero() && left > 0 {
			if result.expiry == 0 || left < result.expiry {
				result.expiry = left
			}
		}
	}
	for _, hold := range m.holds() {
		if hold == Draining || hold == Ending {
			result.handover = true
		}
	}
}
