package simulation_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/taskhub"
)

// process is one program of the simulated fleet: a worker or a client.
type process struct {
	world *world
	// number orders processes, id is the name of a worker in the hub.
	number int
	id     string
	client bool
	skew   time.Duration
	// bell says that the process has to do with doorbells.
	bell   bool
	weight int
	// ahead is how a worker carries out what it decides.
	ahead ahead

	ctx  context.Context //nolint:containedctx // its end is the process's
	stop context.CancelFunc
	dead atomic.Bool
	// frozenUntil is when a frozen process thaws. It is changed by the scheduler when all is blocked.
	frozenUntil time.Time
	group       run.Group
	// running says that the main goroutine has not returned.
	running atomic.Bool

	mu         sync.Mutex
	counts     map[string]uint64
	goroutines int
}

var errDead = errors.New("simulation: the process is dead")

func (w *world) newProcess(id string, client bool) *process {
	w.processes++
	p := &process{
		world: w, number: w.processes, id: id, client: client, weight: 1 + w.dice.IntN(8), counts: map[string]uint64{},
	}
	if w.rates[clockFault] > 0 {
		p.skew = time.Duration((2*w.dice.Float64() - 1) * float64(time.Minute)).Round(time.Millisecond)
	}
	ctx := run.WithGate(context.Background(), p.gate)
	p.ctx, p.stop = context.WithCancel(ctx)
	p.bell = p.random("bell") < w.bells.share
	return p
}

// String names the process in traces.
func (p *process) String() string { return fmt.Sprintf("%s#%d", p.id, p.number) }

// hub opens the hub as the process sees it; who tells its users apart if there are several.
func (p *process) hub(who string) (*taskhub.Hub, error) {
	ports := storage.WithHook(p.world.raw, func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		return p.request(ctx, who, call, next)
	})
	environment := store.Environment{
		NewID: p.newID, Random: p.random, Now: func() time.Time { return time.Now().Add(p.skew) },
		NewSecret: p.secret, Network: wires{p.world.bells.network, p},
	}
	return taskhub.Open(p.ctx, taskhub.PortsIn(ports, environment), hubName, &taskhub.Options{Doorbell: p.bell})
}

// draw returns bytes that depend on the seed, the process, what they are for, and how often
// something was drawn for that.
func (p *process) draw(about string) [32]byte {
	p.mu.Lock()
	p.counts[about]++
	n := p.counts[about]
	p.mu.Unlock()
	return sha256.Sum256(fmt.Append(nil, p.world.seed, " ", p.number, " ", n, " ", about))
}

func (p *process) newID(about string) uuid.UUID {
	drawn := p.draw(about)
	return uuid.UUID(drawn[:16])
}

func (p *process) random(about string) float64 {
	drawn := p.draw("random " + about)
	return float64(binary.BigEndian.Uint64(drawn[:])>>11) / (1 << 53)
}

// gate lets the goroutines of the process begin, and go on after they have waited, one at a time.
func (p *process) gate(name string) func() {
	if p.dead.Load() {
		return func() {}
	}
	p.mu.Lock()
	p.goroutines++
	resume := fmt.Sprintf("resume %s %d", name, p.goroutines)
	p.mu.Unlock()
	st := &step{process: p, name: "go " + name}
	p.world.sched.park(st)
	return func() {
		if begun := st; begun != nil {
			st = nil
			<-begun.answer
			return
		}
		p.pass(resume)
	}
}

// pass waits until the process is let go on.
func (p *process) pass(name string) {
	if p.dead.Load() {
		return
	}
	st := &step{process: p, name: name}
	p.world.sched.park(st)
	<-st.answer
}

// die waits until the process is killed.
func (p *process) die(name string) {
	st := &step{process: p, name: name, fatal: true}
	p.world.sched.park(st)
	<-st.answer
}

// request is the hook of the process's ports.
func (p *process) request(ctx context.Context, who string, call *storage.Call, next func(context.Context) error) error {
	if p.dead.Load() {
		return errDead
	}
	st := &step{process: p, name: who, call: call, next: next}
	if ctx.Err() == nil { // else it is not sent
		p.world.check.parked(p, call)
	}
	p.world.sched.park(st)
	var v verdict
	select {
	case v = <-st.answer:
	case <-ctx.Done():
		p.pass(fmt.Sprint("give up ", who, call.Kind, call.Target, call.Key, bodyOf(call))) // not beside others that wake at the same moment
		if p.world.sched.abandon(st) {
			return ambiguous(call, ctx.Err())
		}
		v = <-st.answer
	}
	switch v {
	case perish, finish:
		return errDead
	case refuse:
		return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable, Code: "ServerBusy"}
	case vanish:
		return ambiguous(call, storage.ErrUnavailable)
	case lose:
		_ = p.carryOut(ctx, st, v) // nobody learns what came of it
		return ambiguous(call, storage.ErrUnavailable)
	case repeat:
		_ = p.carryOut(ctx, st, v)
		err := p.carryOut(ctx, st, v)
		var failure *storage.Error
		if errors.As(err, &failure) && changes(call) {
			failure.Ambiguous = true
		}
		return err
	case proceed:
	}
	return p.carryOut(ctx, st, v)
}

// carryOut lets a request take effect. Its caller may have given up meanwhile.
func (p *process) carryOut(ctx context.Context, st *step, v verdict) error {
	err := st.next(context.WithoutCancel(ctx))
	p.world.check.done(st, v, err)
	return err
}

func ambiguous(call *storage.Call, cause error) error {
	return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: cause, Ambiguous: changes(call)}
}

// changes reports whether a request may change something.
func changes(call *storage.Call) bool {
	switch call.Kind {
	case storage.QueuePeek, storage.QueueCount, storage.TableRead, storage.TableQuery, storage.BlobGet, storage.BlobList:
		return false
	default:
		return true
	}
}

// kill ends the process as SIGKILL does. The scheduler calls it when all is blocked. Requests under
// way may still reach the store.
func (p *process) kill() {
	p.dead.Store(true)
	p.stop()
	for _, st := range p.world.sched.of(p) {
		if st.call != nil && changes(st.call) && p.world.chance(0.3) {
			orphan := *st
			orphan.orphaned, orphan.notBefore = true, time.Now().Add(p.world.between(0, 3*time.Second))
			p.world.sched.back(&orphan)
			st.next = nil
		}
		st.answer <- perish
	}
}

// bodyOf tells requests to one target apart, without what differs from run to run, such as the stack of a panic.
func bodyOf(call *storage.Call) string {
	if _, blob := call.Content.([]byte); blob {
		return ""
	}
	return content(call.Content)
}
