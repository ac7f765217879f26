package partition

import (
	"context"
	"errors"
	"sync/atomic"
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

// pass reads all rows once, ends what is lost, and writes what is to be written. Each write has its
// own deadline and fails by itself. Own rows come first and do not wait for the others.
func (m *Manager) pass(ctx context.Context, shuttingDown bool) passResult {
	listing, clock, err := m.list(ctx)
	if err != nil {
		m.opts.Logger.Warn("reading the partitions", "error", err)
		return passResult{err: err}
	}
	local := time.Now()
	now := clock.now(local).Truncate(tableTick)
	m.reconcile(listing.Leases, now)
	holds := m.holds()
	steps := Decide(View{
		Now: now, Worker: m.opts.WorkerID, Leases: listing.Leases, Holds: holds,
		ShuttingDown: shuttingDown, Duration: m.opts.LeaseDuration, RenewAfter: m.opts.AcquireInterval / 2,
	})
	m.tellDrains(steps)
	deadline := clock.proven(local).Add(m.opts.LeaseDuration - m.opts.Margin)
	result := m.apply(ctx, steps, holds, deadline)
	result.handover = shuttingDown
	m.survey(&result, listing.Leases, steps, now)
	return result
}

func (m *Manager) list(ctx context.Context) (Listing, reading, error) {
	ctx, cancel := context.WithTimeout(ctx, m.opts.RequestTimeout)
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

// apply writes the steps, own rows first, each group in parallel.
func (m *Manager) apply(ctx context.Context, steps []Step, holds map[string]Hold, deadline time.Time) passResult {
	var own, others []Step
	for _, step := range steps {
		switch step.Kind {
		case Renew, StartDrain, Release:
			own = append(own, step)
		case Claim, Steal, Withdraw:
			others = append(others, step)
		}
	}
	var lost, failed atomic.Int64
	for _, steps := range [][]Step{own, others} {
		var writes run.Group
		for _, step := range steps {
			writes.Go(ctx, "partition write", func(ctx context.Context) {
				won, err := m.write(ctx, step, deadline)
				switch {
				case err != nil:
					failed.Add(1)
				case !won:
					lost.Add(1)
				case holds[step.Lease.ID] == None && (step.Kind == Claim || step.Kind == Renew):
					m.begin(ctx, step.Lease.ID, deadline)
				}
			})
		}
		writes.Wait()
	}
	return passResult{lost: int(lost.Load()), failed: int(failed.Load())}
}

// write writes one row. A renewal extends the tenure it was decided for, even if that is over by
// now; it never starts one, or a reader that was just drained would be started again.
func (m *Manager) write(ctx context.Context, step Step, deadline time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, m.opts.RequestTimeout)
	defer cancel()
	t := m.tenure(step.Lease.ID)
	if t != nil {
		t.sending(step.Lease.ExpiresAt, deadline)
	}
	won, err := m.store.Replace(ctx, step.Lease)
	log := m.opts.Logger.With("step", step.Kind, "partition", step.Lease.ID)
	switch {
	case err != nil:
		log.Warn("writing a partition's row", "error", err)
		return false, err
	case !won:
		log.Debug("partition's row was changed by another worker")
		return false, nil
	}
	log.Debug("partition's row was written", "owner", step.Lease.CurrentOwner, "next", step.Lease.NextOwner)
	if t != nil {
		t.extend(deadline)
	}
	return true, nil
}

// survey adds to the result what the rows look like if the steps were written.
func (m *Manager) survey(result *passResult, leases []Lease, steps []Step, now time.Time) {
	written := make(map[string]Lease, len(steps))
	for _, step := range steps {
		written[step.Lease.ID] = step.Lease
	}
	for _, lease := range leases {
		if after, ok := written[lease.ID]; ok {
			lease = after
		}
		if lease.CurrentOwner == m.opts.WorkerID {
			result.owned++
			continue
		}
		if lease.NextOwner == m.opts.WorkerID {
			result.handover = true
		}
		if left := lease.expiry().Sub(now); !lease.expiry().IsZero() && left > 0 {
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
