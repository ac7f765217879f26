package partition

import (
	"slices"
	"time"
)

// View is everything a decision depends on.
type View struct {
	// Now is the service's time.
	Now time.Time
	// Worker is who decides.
	Worker string
	// Leases are all rows of the hub, in key order.
	Leases []Lease
	// Holds says what this worker is doing locally with a partition; absent means None.
	Holds map[string]Hold
	// ShuttingDown is set while the worker gives up everything.
	ShuttingDown bool
	// Duration is how long a claim or renewal lasts.
	Duration time.Duration
	// Doorbell is published in the rows that the worker owns.
	Doorbell string
	// RenewAfter is the age from which a lease is renewed. Zero renews in each pass.
	RenewAfter time.Duration
	// Stalled says how long ago this worker has dropped a partition because it could not read its queue.
	// Perhaps others can: they come first.
	Stalled map[string]time.Duration
}

// Hold is what a worker is doing locally with a partition.
type Hold int

// The holds.
const (
	// None: nothing of this worker reads the queue, and nothing is left in memory.
	None Hold = iota
	// Serving: the queue is read.
	Serving
	// Draining: the reader was told to finish, and has not returned.
	Draining
	// Ending: the reader's context has ended, and it has not returned yet.
	Ending
	// Stuck: the reader's context ended long ago and it has not returned. Whoever holds the
	// partition this way must lose it.
	Stuck
)

// StepKind is the kind of a Step.
type StepKind string

// The kinds of steps.
const (
	// Claim makes the worker the owner: after it, and only then, the queue may be read.
	Claim StepKind = "claim"
	// Renew extends the worker's lease.
	Renew StepKind = "renew"
	// StartDrain marks the worker's row as draining and extends it. The reader has to be told.
	StartDrain StepKind = "drain"
	// Release gives the row up.
	Release StepKind = "release"
	// Steal reserves another worker's row. It does not allow to read.
	Steal StepKind = "steal"
	// Withdraw gives a reservation up.
	Withdraw StepKind = "withdraw"
)

// Step is one row to write.
type Step struct {
	Kind StepKind
	// Lease is the full row to write, under the condition that its Version is still the stored one.
	Lease Lease
}

// Decide returns the rows the worker should write now: those it owns first, then claims and
// reservations, then what balances the load. Each step is valid by itself; whether another one
// succeeds does not matter to it.
func Decide(view View) []Step {
	var own, others []Step
	after := make([]Lease, len(view.Leases))
	for i, lease := range view.Leases {
		after[i] = lease
		step, ok := view.step(lease)
		if !ok {
			continue
		}
		after[i] = step.Lease
		if lease.CurrentOwner == view.Worker {
			own = append(own, step)
		} else {
			others = append(others, step)
		}
	}
	steps := slices.Concat(own, others)
	if view.ShuttingDown {
		return steps
	}
	return append(steps, view.balance(after)...)
}

func (v View) step(lease Lease) (Step, bool) {
	switch {
	case lease.CurrentOwner == v.Worker:
		return v.ownStep(lease)
	case v.ShuttingDown:
		return v.withdraw(lease)
	default:
		return v.foreignStep(lease)
	}
}

// ownStep decides about a row of which this worker is the owner.
func (v View) ownStep(lease Lease) (Step, bool) {
	hold := v.Holds[lease.ID]
	leave := v.ShuttingDown || (lease.NextOwner != "" && lease.NextOwner != v.Worker) || hold != Serving && v.avoids(lease.ID)
	switch {
	case hold == Stuck:
		return Step{}, false
	case hold == None && leave:
		return Step{Release, lease.released()}, true
	case hold != None && lease.Expired(v.Now):
		// Somebody may be claiming it this moment, and what runs here has to end first.
		return Step{}, false
	case lease.Expired(v.Now):
		return Step{Claim, v.claim(lease)}, true
	}
	if lease.NextOwner == v.Worker {
		lease.NextOwner = ""
		return Step{Renew, v.renewal(lease, leave)}, true
	}
	if leave && (hold == Serving || !lease.Draining) {
		return Step{StartDrain, v.renewal(lease, true)}, true
	}
	if hold == None || lease.Draining != leave || v.due(lease) {
		return Step{Renew, v.renewal(lease, leave)}, true
	}
	return Step{}, false
}

func (v View) renewal(lease Lease, draining bool) Lease {
	lease.Draining = draining
	lease.Doorbell = v.Doorbell
	return lease.renewed(v.Now, v.Duration)
}

func (v View) claim(lease Lease) Lease {
	lease.Doorbell = v.Doorbell
	return lease.claimed(v.Worker, v.Now, v.Duration)
}

// due reports whether it is time to renew. A renewal from the future was written under another
// clock and proves nothing.
func (v View) due(lease Lease) bool {
	age := v.Now.Sub(lease.LastRenewal)
	return age < 0 || age >= v.RenewAfter
}

// foreignStep decides about a row of which this worker is not the owner.
func (v View) foreignStep(lease Lease) (Step, bool) {
	free := lease.CurrentOwner == "" && (lease.NextOwner == "" || lease.NextOwner == v.Worker)
	switch {
	case v.Holds[lease.ID] != None, v.avoids(lease.ID):
		return Step{}, false
	case free || lease.Expired(v.Now):
		return Step{Claim, v.claim(lease)}, true
	case lease.NextOwner == "" && lease.Draining:
		// Its owner is stopping: whoever comes first takes the next turn.
		return v.steal(lease), true
	}
	return Step{}, false
}

// stallMemory is how long a worker does not draw a partition to itself, only to have as many as others, that
// it could not read.
const stallMemory = 5 * time.Minute

// avoids reports whether a partition is left to others because this worker could not read it: for as long as
// they may need to notice that it is free, and for less if no others are known. Workers that own nothing are
// not, so it is not nothing.
func (v View) avoids(id string) bool {
	age, stalled := v.Stalled[id]
	if !stalled {
		return false
	}
	if v.others() {
		return age < v.Duration
	}
	return age < v.Duration/3
}

// others reports whether there seem to be other workers.
func (v View) others() bool {
	return slices.ContainsFunc(v.Leases, func(l Lease) bool {
		owner := l.effectiveOwner()
		return owner != "" && owner != v.Worker && !l.Expired(v.Now)
	})
}

// shuns reports whether a partition is not reserved for the sake of balance.
func (v View) shuns(id string) bool {
	age, stalled := v.Stalled[id]
	return stalled && age < stallMemory
}

func (v View) steal(lease Lease) Step {
	lease.NextOwner = v.Worker
	return Step{Steal, lease}
}

// withdraw gives up a reservation, unless its owner is already draining for it: that owner would
// have to start over.
func (v View) withdraw(lease Lease) (Step, bool) {
	if lease.NextOwner != v.Worker || lease.Draining {
		return Step{}, false
	}
	lease.NextOwner = ""
	return Step{Withdraw, lease}, true
}
