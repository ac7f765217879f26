package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
)

// match selects storage requests by kind and by what the name of their target ends with.
type match struct {
	kind   storage.Kind
	target string
}

func (m match) is(call *storage.Call) bool {
	return call.Kind == m.kind && strings.HasSuffix(call.Target, m.target)
}

// Requests that tests interfere with.
var (
	historyWrite = match{storage.TableTransact, "History"}
	rowMerge     = match{storage.TableMerge, "Instances"}
	rowInsert    = match{storage.TableInsert, "Instances"}
	workItemPut  = match{storage.QueuePut, "-workitems"}
)

// trap does something at one request of a worker: the first that matches after it was set.
type trap struct {
	matches []match

	mu  sync.Mutex
	set bool
	// sprung is closed when the request has come.
	sprung chan struct{}
	// act carries the request out, or not, in its own way.
	act func(ctx context.Context, next func(context.Context) error) error
}

// newTrap returns a trap that is set. Call it in the bubble of the test.
func newTrap(act func(ctx context.Context, next func(context.Context) error) error, matches ...match) *trap {
	return &trap{matches: matches, set: true, sprung: make(chan struct{}), act: act}
}

// wait keeps a trap from acting until it is set with arm.
func (p *trap) disarmed() *trap { p.set = false; return p }

func (p *trap) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = true
}

func (p *trap) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	if !p.springs(call) {
		return next(ctx)
	}
	defer close(p.sprung)
	return p.act(ctx, next)
}

func (p *trap) springs(call *storage.Call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.matches {
		if p.set && m.is(call) {
			p.set = false
			return true
		}
	}
	return false
}

// killAt returns a trap that kills a worker at a request, before or after it takes effect.
func killAt(victim **fleettest.Member, after bool, matches ...match) *trap {
	return newTrap(func(ctx context.Context, next func(context.Context) error) error {
		if !after {
			(*victim).Kill()
		}
		err := next(ctx)
		(*victim).Kill()
		return err
	}, matches...)
}

// freezer stops a whole worker at one request, as a paused machine does, until it thaws. That
// request then takes place although nobody waits for it any more.
type freezer struct {
	at     match
	mu     sync.Mutex
	armed  bool
	frozen chan struct{}
	thaw   chan struct{}
	once   sync.Once
}

func newFreezer(at match) *freezer {
	return &freezer{at: at, frozen: make(chan struct{}), thaw: make(chan struct{})}
}

func (f *freezer) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = true
}

func (f *freezer) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	f.mu.Lock()
	trigger := f.armed && f.at.is(call)
	f.mu.Unlock()
	if trigger {
		f.once.Do(func() { close(f.frozen); ctx = context.WithoutCancel(ctx) })
	}
	select {
	case <-f.frozen:
		<-f.thaw
	default:
	}
	return next(ctx)
}

// recorder notes the requests of a worker that matter, in order.
type recorder struct{ calls noted[string] }

func (r *recorder) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	err := next(ctx)
	if err == nil {
		r.calls.add(fmt.Sprintf("%s %s", call.Kind, call.Target))
	}
	return err
}

// count returns how many recorded requests match.
func (r *recorder) count(m match) int { return len(r.places(m)) }

// places returns where the requests that match stand in the order of all.
func (r *recorder) places(m match) []int {
	var places []int
	for i, call := range r.calls.all() {
		kind, target, _ := strings.Cut(call, " ")
		if m.is(&storage.Call{Kind: storage.Kind(kind), Target: target}) {
			places = append(places, i)
		}
	}
	return places
}

// hooks chains hooks; the first sees a request first.
func hooks(all ...storage.Hook) storage.Hook {
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		carry := next
		for i := len(all) - 1; i >= 0; i-- {
			hook, inner := all[i], carry
			carry = func(ctx context.Context) error { return hook(ctx, call, inner) }
		}
		return carry(ctx)
	}
}

// lostReply is what the storage client reports when it does not know what became of a request.
func lostReply() error {
	return &storage.Error{Op: "test", Target: "test", Sentinel: storage.ErrUnavailable, Ambiguous: true}
}

// pass lets virtual time pass.
func pass(t *testing.T, w *fleettest.World, d time.Duration) {
	t.Helper()
	if !w.Virtual {
		t.Fatal("only virtual time passes just so")
	}
	run.Sleep(w.Context(), d)
}
