package orchestration

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"runtime/debug"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
	"github.com/durafleet/durafleet/internal/run"
)

// coroutine is one strand of user code: the orchestrator function or a branch of it.
type coroutine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	over  bool
}

// unwinding is the panic value by which a stopped strand leaves user code. It runs the deferred
// calls of the user and is recovered at the top of the strand.
type unwinding struct{}

// maxCallsAfterStop is how many API calls user code may make in a stopped strand, each of which
// unwinds it again, before its goroutine is ended by force.
const maxCallsAfterStop = 100

// spawn creates a strand that will run body when it is first resumed. finish gets what ended it:
// nil or the description of a panic.
func (x *Execution) spawn(body func(), finish func(*history.FailureDetails)) {
	co := &coroutine{}
	co.next, co.stop = iter.Pull(func(yield func(struct{}) bool) {
		co.yield = yield
		defer func() {
			co.over = true
			if x.stopped.Load() {
				_ = recover() // whatever ends a stopped strand is of no interest any more
				return
			}
			if p := recover(); p != nil {
				finish(failure.FromPanic(p, debug.Stack()))
				return
			}
			finish(nil)
		}()
		body()
	})
	x.strands = append(x.strands, co)
	x.ready = append(x.ready, co)
}

// resume runs every strand that can go on, in the order in which they became ready, until all
// wait or the execution has ended.
func (x *Execution) resume() {
	for len(x.ready) > 0 && x.outcome == nil {
		co := x.ready[0]
		x.ready = x.ready[1:]
		if co.over {
			continue
		}
		x.current = co
		x.running.Store(true)
		co.next()
		x.running.Store(false)
		x.current = nil
	}
}

// await suspends the calling strand until f is settled.
func (x *Execution) await(f *future) {
	x.enter()
	if x.current == nil {
		panic("orchestration: a function of a retry policy must not await")
	}
	for !f.settled {
		co := x.current
		f.waiting = append(f.waiting, co)
		if !co.yield(struct{}{}) {
			panic(unwinding{})
		}
	}
}

// park suspends the calling strand for good, since its execution has ended. It leaves user code
// when the execution is closed, and not by a panic now, which user code could recover from and go
// on calling.
func (x *Execution) park() {
	co := x.current
	for co.yield(struct{}{}) {
	}
	panic(unwinding{})
}

// enter stands at the beginning of every call that user code makes into the execution. It keeps
// out goroutines that are not the orchestrator's and strands that have been stopped.
func (x *Execution) enter() {
	if !x.running.Load() {
		x.foreign.Store(true)
		runtime.Goexit()
	}
	if x.stopped.Load() {
		x.lateCalls++
		if x.lateCalls >= maxCallsAfterStop {
			runtime.Goexit()
		}
		panic(unwinding{})
	}
	if x.outcome != nil {
		x.park()
	}
}

// errForeign is the failure of an orchestrator whose Context was used by another goroutine.
var errForeign = errors.New("the orchestrator's context was used from a goroutine of its own: " +
	"an orchestrator must start branches with orchestration.Go and do real work in activities")

// Close ends the execution and releases its coroutines. Deferred calls of the orchestrator run;
// what they do has no effect. It may be called more than once.
func (x *Execution) Close() {
	if x.stopped.Swap(true) {
		return
	}
	x.running.Store(true) // the strands are running their deferred calls
	defer x.running.Store(false)
	for _, co := range x.strands {
		if co.over {
			continue
		}
		// Goexit inside of a coroutine ends the goroutine that stops it as well, so each stop gets
		// a goroutine of its own.
		var group run.Group
		group.Go(context.Background(), "orchestration: unwind", func(context.Context) { co.stop() })
		group.Wait()
	}
	x.strands, x.ready = nil, nil
}
