package doorbell

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

const (
	// fresh is for how long addresses are used that were looked up for a ring.
	fresh = 30 * time.Second
	// lookupTimeout bounds a look-up: a ring that comes late is worth little.
	lookupTimeout = 2 * time.Second
)

// Ringer rings the bells of others. Its methods may be called concurrently. A ring that goes wrong is
// nobody's concern, so none of them returns an error.
type Ringer struct {
	network Network
	// self is the secret of the own Bell, which is not rung; zero if there is none.
	self   Secret
	lookup func(ctx context.Context) (map[string]string, error)
	rung   atomic.Int64

	mu     sync.Mutex
	owners map[string]Address // by queue
	asked  time.Time
	asking chan struct{} // closed when the look-up under way is over; nil if none is
}

// NewRinger returns a Ringer that does not ring the Bell of the secret self. lookup returns the published
// addresses by queue, see Prepare; it is nil for somebody who only calls Learn.
func NewRinger(network Network, self Secret, lookup func(ctx context.Context) (map[string]string, error)) *Ringer {
	return &Ringer{network: network, self: self, lookup: lookup}
}

// Rung returns how many rings were sent.
func (r *Ringer) Rung() int64 { return r.rung.Load() }

// Learn replaces all known addresses by what is published, by queue. What is no address is left out.
func (r *Ringer) Learn(published map[string]string) {
	owners := make(map[string]Address, len(published))
	for queue, text := range published {
		if address, err := ParseAddress(text); err == nil {
			owners[queue] = address
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners, r.asked = owners, time.Now()
}

// Prepare makes sure that the addresses are not older than 30 s, by one look-up for all who ask at the same
// time. It returns at once if they are not, and after 2 s at most.
func (r *Ringer) Prepare(ctx context.Context) {
	r.mu.Lock()
	asking := r.asking
	if r.lookup == nil || asking == nil && !r.stale() {
		r.mu.Unlock()
		return
	}
	if asking == nil {
		asking = make(chan struct{})
		r.asking = asking
		r.mu.Unlock()
		r.ask(ctx, asking)
		return
	}
	r.mu.Unlock()
	select {
	case <-asking:
	case <-ctx.Done():
	}
	run.Resume(ctx)
}

// Stale reports whether Prepare would have something to do.
func (r *Ringer) Stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookup != nil && (r.asking != nil || r.stale())
}

func (r *Ringer) stale() bool { return r.asked.IsZero() || time.Since(r.asked) >= fresh }

// ask looks the addresses up. If that fails, what is known is good for another while.
func (r *Ringer) ask(ctx context.Context, asking chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	published, err := r.lookup(ctx)
	if err == nil {
		r.Learn(published)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.asking = time.Now(), nil
	close(asking)
}

// Ring tells the owner of a control queue that there is news.
func (r *Ringer) Ring(queue string) {
	r.mu.Lock()
	owner, known := r.owners[queue]
	r.mu.Unlock()
	if known {
		r.send(owner, Ring{News, queue})
	}
}

// RingOwner tells the owner of a control queue something else.
func (r *Ringer) RingOwner(queue string, topic Topic) {
	r.mu.Lock()
	owner, known := r.owners[queue]
	r.mu.Unlock()
	if known {
		r.send(owner, Ring{Topic: topic})
	}
}

// RingAll tells everybody who has published an address something, but not oneself.
func (r *Ringer) RingAll(topic Topic) {
	for _, owner := range r.all() {
		r.send(owner, Ring{Topic: topic})
	}
}

// all returns each address once, in an order that does not depend on chance.
func (r *Ringer) all() []Address {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Address, 0, len(r.owners))
	for _, owner := range r.owners {
		all = append(all, owner)
	}
	slices.SortFunc(all, compareAddresses)
	return slices.Compact(all)
}

func compareAddresses(a, b Address) int {
	if order := a.At.Compare(b.At); order != 0 {
		return order
	}
	return slices.Compare(a.Secret[:], b.Secret[:])
}

func (r *Ringer) send(to Address, ring Ring) {
	if to.Secret.is(r.self) {
		return
	}
	if r.network.Send(to.At, encode(to.Secret, ring)) == nil {
		r.rung.Add(1)
	}
}
