package partition

import "time"

// Lease is the ownership of one partition as stored: one row of the partitions table. Empty names
// and zero times stand for absent columns.
type Lease struct {
	// ID is the partition's name, which is the name of its control queue.
	ID string
	// CurrentOwner is the worker that may read the queue.
	CurrentOwner string
	// NextOwner is the worker that has reserved the next turn.
	NextOwner string
	// OwnedSince, LastRenewal and ExpiresAt were written by the owner, by its idea of the time.
	OwnedSince  time.Time
	LastRenewal time.Time
	ExpiresAt   time.Time
	// Draining says that the owner is emptying its memory before it releases the row.
	Draining bool
	// Doorbell says how others can wake the owner, for those who know how to read it; empty if they cannot.
	// No decision depends on it.
	Doorbell string
	// Written is when the storage service last wrote the row, by its own clock. It is read only.
	Written time.Time
	// Version identifies what was read; a write is refused when the row has changed since.
	Version string
}

// maxLag bounds the clock difference between a peer and the service that Expired makes up for.
// Beyond it the columns are old for another reason: the rows were copied, or restored.
const maxLag = 5 * time.Minute

// Expired reports whether anybody may claim the lease at the given service time. A lease without
// ExpiresAt never expires.
//
// Where the last write was the owner's renewal, the owner's clock can be compared with the
// service's: if it is behind, the expiry is moved by the difference, or a healthy peer would lose
// its partition at every pass. It is never moved forward: no peer is robbed early.
func (l Lease) Expired(now time.Time) bool {
	expiry := l.expiry()
	return !expiry.IsZero() && !now.Before(expiry)
}

// expiry returns the service time at which the lease runs out, or zero for never.
func (l Lease) expiry() time.Time {
	if l.ExpiresAt.IsZero() || l.Written.IsZero() || l.LastRenewal.IsZero() {
		return l.ExpiresAt
	}
	// A row with a NextOwner may have been written last by that one, and a row without a
	// CurrentOwner was not renewed by the last write: there the difference says nothing.
	if l.CurrentOwner == "" || l.NextOwner != "" {
		return l.ExpiresAt
	}
	if lag := l.Written.Sub(l.LastRenewal); lag > 0 && lag <= maxLag {
		return l.ExpiresAt.Add(lag)
	}
	return l.ExpiresAt
}

// effectiveOwner is the worker the lease counts for in balancing: the one that has it next.
func (l Lease) effectiveOwner() string {
	if l.NextOwner != "" {
		return l.NextOwner
	}
	return l.CurrentOwner
}

// claimed is the lease as claimed by the worker at the given time.
func (l Lease) claimed(worker string, now time.Time, duration time.Duration) Lease {
	l.CurrentOwner = worker
	l.NextOwner = ""
	l.OwnedSince = now
	l.Draining = false
	return l.renewed(now, duration)
}

// renewed is the lease extended at the given time.
func (l Lease) renewed(now time.Time, duration time.Duration) Lease {
	l.LastRenewal = now
	l.ExpiresAt = now.Add(duration)
	return l
}

// released is the lease given up. NextOwner stays, as a reservation.
func (l Lease) released() Lease {
	l.CurrentOwner = ""
	l.Doorbell = ""
	l.Draining = false
	return l
}
