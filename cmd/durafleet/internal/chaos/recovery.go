package chaos

import (
	"slices"
	"sync"
	"time"
)

// recovery measures how long it takes until work that a fault hit goes on.
//
// A fault of a worker hits the instances under way in the partitions that it owned, and, if it
// gives no chance to finish, the activities that ran in it. Time counts from the signal. An outage
// of storage hits all instances under way; there time counts from the end of the outage, before
// which nothing can go on.
//
// An instance goes on when its orchestrator takes a step that it never took before, in another
// worker than the one that was hit, or when its end is stored. An activity goes on when it begins
// again in another worker. Looked at are only instances that need nobody but the fleet to go on,
// not those that wait for an event or are suspended. Work that another fault met before it had gone
// on is counted, but its time tells nothing about either fault.
//
// It may be used concurrently.
type recovery struct {
	mu       sync.Mutex
	underWay map[string]bool            // instances
	running  map[string]map[string]bool // calls, by worker
	hits     map[string][]hit           // by instance or call, not gone on yet
	times    map[Fault][]time.Duration  // how long work stood still
	spoilt   map[Fault]int              // pieces of work that were disturbed
}

// hit is a piece of work that a fault hit.
type hit struct {
	fault  Fault
	worker string // whose doing does not count; "" if everybody's does
	since  time.Time
	// disturbed says that another fault happened before it went on.
	disturbed bool
}

func newRecovery() *recovery {
	return &recovery{
		underWay: map[string]bool{}, running: map[string]map[string]bool{},
		hits: map[string][]hit{}, times: map[Fault][]time.Duration{}, spoilt: map[Fault]int{},
	}
}

// begin says that an instance is under way.
func (r *recovery) begin(instance string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay[instance] = true
}

// end says when the end of an instance was stored.
func (r *recovery) end(instance string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.underWay, instance)
	for _, h := range r.hits[instance] {
		if at.After(h.since) {
			r.note(h, at)
		}
	}
	delete(r.hits, instance) // one that ended before the fault was not hit
}

// take takes in what a worker tells.
func (r *recovery) take(worker string, l line, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch l.Kind {
	case lineStep:
		r.goneOn(l.Instance, worker, now)
	case lineBegun:
		r.goneOn(l.Call, worker, now)
		if r.running[worker] == nil {
			r.running[worker] = map[string]bool{}
		}
		r.running[worker][l.Call] = true
	case lineRan:
		delete(r.running[worker], l.Call)
		// It had run when the fault happened, so nothing of it was lost.
		r.drop(l.Call, func(h hit) bool { return h.worker == worker })
	case lineStarted, lineRequests, lineFigures:
	}
}

// goneOn notes that a piece of work goes on in a worker.
func (r *recovery) goneOn(work, worker string, now time.Time) {
	r.drop(work, func(h hit) bool {
		if h.worker == worker {
			return false
		}
		r.note(h, now)
		return true
	})
}

// drop forgets hits of a piece of work.
func (r *recovery) drop(work string, which func(hit) bool) {
	if r.hits[work] = slices.DeleteFunc(r.hits[work], which); len(r.hits[work]) == 0 {
		delete(r.hits, work)
	}
}

func (r *recovery) note(h hit, now time.Time) {
	if h.disturbed {
		r.spoilt[h.fault]++
		return
	}
	r.times[h.fault] = append(r.times[h.fault], now.Sub(h.since))
}

// pending returns how many pieces of work that were hit have not gone on.
func (r *recovery) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.hits)
}

// disturb says that another fault happens now.
func (r *recovery) disturb() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, hits := range r.hits {
		for i := range hits {
			hits[i].disturbed = true
		}
	}
}

// hitWorker notes a fault that hits a worker now. owned tells which instances are in its
// partitions. abrupt says that what runs in it is lost.
func (r *recovery) hitWorker(fault Fault, worker string, now time.Time, owned func(instance string) bool, abrupt bool) (hits int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for instance := range r.underWay {
		if owned(instance) {
			r.hits[instance] = append(r.hits[instance], hit{fault: fault, worker: worker, since: now})
			hits++
		}
	}
	if !abrupt {
		return hits
	}
	for call := range r.running[worker] {
		r.hits[call] = append(r.hits[call], hit{fault: fault, worker: worker, since: now})
		hits++
	}
	return hits
}

// hitAll notes an outage that has ended now.
func (r *recovery) hitAll(fault Fault, now time.Time) (hits int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for instance := range r.underWay {
		r.hits[instance] = append(r.hits[instance], hit{fault: fault, since: now})
	}
	return len(r.underWay)
}

// RecoveryTimes says how long work stood still that a kind of fault hit, in seconds.
type RecoveryTimes struct {
	Fault Fault `json:"fault"`
	// Count is how often the fault happened.
	Count int `json:"count"`
	// Hit is how many instances and activities it hit. P50, P95 and Max are over these, without
	// those that another fault met before they had gone on, which are Disturbed.
	Hit       int     `json:"hit"`
	Disturbed int     `json:"disturbed"`
	P50       float64 `json:"p50Seconds"`
	P95       float64 `json:"p95Seconds"`
	Max       float64 `json:"maxSeconds"`
}

// summary returns the times for each of the faults.
func (r *recovery) summary(counts map[Fault]int) []RecoveryTimes {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []RecoveryTimes{}
	for _, fault := range Faults() {
		if counts[fault] == 0 {
			continue
		}
		times := slices.Sorted(slices.Values(r.times[fault]))
		all = append(all, RecoveryTimes{
			Fault: fault, Count: counts[fault], Hit: len(times) + r.spoilt[fault], Disturbed: r.spoilt[fault],
			P50: percentile(times, 50), P95: percentile(times, 95), Max: percentile(times, 100),
		})
	}
	return all
}

// percentile returns the p-th percentile of sorted times in seconds, 0 if there are none.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1].Seconds()
}
