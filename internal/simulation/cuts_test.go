package simulation_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// cut makes a worker crash, or stand still, at one of its requests.
type cut struct {
	// at is the number of the request, from 1; after says that it still takes effect.
	at    int
	after bool
	// stall is for how long the worker stands still instead of crashing; another one starts then.
	stall time.Duration
	// slow is how long the request takes instead, while another worker of the same id works beside this one.
	slow time.Duration

	seen int
	what string
}

// judge decides what becomes of a request. It reports false if it has to wait, since its process stands still.
func (c *cut) judge(w *world, st *step) (verdict, bool) {
	if st.process.client {
		return proceed, true
	}
	c.seen++
	if c.seen != c.at {
		return proceed, true
	}
	c.what = strings.TrimSpace(fmt.Sprintln(st.call.Kind, st.call.Target, st.call.Key))
	switch {
	case c.slow > 0:
		w.note("%v has to wait for %s", st.process, c.what)
		st.notBefore = time.Now().Add(c.slow)
		return proceed, false
	case c.stall > 0:
		w.note("%v stands still", st.process)
		w.sched.freeze(st.process, time.Now().Add(c.stall))
		w.sched.at(0, func() { w.startWorker("worker-2") })
		return proceed, false
	case c.after:
		return finish, true
	default:
		return perish, true
	}
}

// flow is a small program with what its client does.
type flow struct {
	name  string
	in    input
	drive func(a *actor) // nil if the client only waits
	// window is for how long activities may be in the air, 0 for as long as usual; handOver says that the
	// worker is stopped while the first one is.
	window   time.Duration
	handOver bool
	// once says that one variant is enough, since there are many requests.
	once bool
}

// reach waits until the instance shows a status.
func (a *actor) reach(status history.Status) func(c *taskhub.Client) {
	return func(c *taskhub.Client) {
		a.patiently(func() bool {
			got, err := c.Get(a.ctx, a.id, taskhub.NoPayloads{})
			return err == nil && (got.Status == status || got.Status.Terminal())
		})
	}
}

func (a *actor) event(name string) func(c *taskhub.Client) {
	return func(c *taskhub.Client) { a.ensure(c, name) }
}

// aloft waits until an activity runs.
func (a *actor) aloft(*taskhub.Client) {
	for !a.world.inTheAir() && run.Sleep(a.ctx, 100*time.Millisecond) {
		continue
	}
}

// flows are the programs whose requests are cut off, with what their clients do.
func flows() []flow {
	call := func(key string) op { return op{Kind: opCall, Key: key} }
	long := op{Kind: opCall, Key: "long", For: 3 * time.Second}
	wait := func(n int) op { return op{Kind: opWait, Key: "e", N: n} }
	do := func(ops ...op) input { return input{Ops: ops} }
	events := func(n int) func(a *actor) {
		return func(a *actor) {
			for range n {
				a.do(a.event("e"))
			}
		}
	}
	return append([]flow{
		{name: "one activity", in: do(call("a"))},
		{name: "chain", in: do(call("a"), call("b"), call("c"))},
		{name: "fan-out of three", in: do(op{Kind: opFan, Key: "f", N: 3})},
		{name: "fan-out with a straggler", in: do(op{Kind: opFan, Key: "f", N: 3, For: 100 * time.Millisecond, Slow: true}, call("a"))},
		{name: "local activities", in: do(op{Kind: opLocals, Key: "l", N: 3, Local: true}, call("a"), op{Kind: opLocals, Key: "m", N: 2, Local: true})},
		{name: "timer", in: do(op{Kind: opSleep, Key: "t", For: 2500 * time.Millisecond})},
		{name: "short timer", in: do(op{Kind: opSleep, Key: "t", For: 50 * time.Millisecond}, call("a"))},
		{name: "event", in: do(wait(2)), drive: events(2)},
		{name: "event, then activities", in: do(wait(1), call("a"), call("b")), drive: events(1)},
		{name: "child", in: do(op{Kind: opChild, Key: "c", Ops: []op{call("a"), call("b")}}, call("c"))},
		{name: "continue-as-new with an event", in: input{Ops: []op{wait(1), call("a")}, Rounds: 1}, drive: events(2)},
		{name: "continue-as-new with activities", in: input{Ops: []op{call("a"), call("b")}, Rounds: 2}},
		{name: "large payload", in: input{Ops: []op{{Kind: opCall, Key: "a", N: 70 << 10}}, Ballast: strings.Repeat("b", 70<<10)}},
		{name: "retry", in: do(op{Kind: opRetry, Key: "r", N: 1, For: time.Second})},
		{name: "quick retry", in: do(op{Kind: opRetry, Key: "r", N: 2, For: 20 * time.Millisecond}, call("a"))},
		{name: "detached child with an event", in: do(op{
			Kind: opDetach, Key: "d", Ops: []op{{Kind: opRace, Key: signal, For: 20 * time.Second}},
		})},
		{name: "failure", in: do(op{Kind: opUncatch, Key: "u"})},
		{name: "large payloads of generations", in: input{Ops: []op{{Kind: opCall, Key: "a", N: 70 << 10}}, Rounds: 1}},
		{name: "nobody waits for an activity", in: input{Ops: []op{{Kind: opForget, Key: "f", For: 3 * time.Second}, wait(1)}, Rounds: 1}, window: 4 * time.Second, drive: func(a *actor) {
			a.do(a.aloft)
			events(2)(a)
		}},
		{name: "fan-out of sixty", in: do(op{Kind: opFan, Key: "f", N: 60}), once: true},
		{name: "handed over in the air", in: do(long, call("a")), window: 4 * time.Second, handOver: true},
		{name: "too long for the window", in: do(long, call("a"))},
		{name: "events beside an activity", in: do(op{Kind: opBeside, Key: "e", N: 2, For: 3 * time.Second}, call("a")), window: 4 * time.Second, drive: func(a *actor) {
			a.do(a.aloft)
			events(2)(a)
		}},
	}, flowsWithOrders()...)
}

// flowsWithOrders are those whose clients order something.
func flowsWithOrders() []flow {
	wait := func(n int) op { return op{Kind: opWait, Key: "e", N: n} }
	terminate := func(a *actor) { a.do(func(c *taskhub.Client) { a.terminate(c, a.attempts[0]) }) }
	suspend := func(a *actor) {
		a.do(func(c *taskhub.Client) { a.command(func() error { return c.Suspend(a.ctx, a.id, "wait") }) })
		a.do(a.reach(history.Suspended))
	}
	resume := func(a *actor) {
		a.do(func(c *taskhub.Client) { a.command(func() error { return c.Resume(a.ctx, a.id, "go on") }) })
	}
	return []flow{
		{name: "terminate", in: input{Ops: []op{wait(1)}}, drive: func(a *actor) {
			a.do(a.reach(history.Running))
			terminate(a)
		}},
		{name: "terminate in the air", in: input{Ops: []op{{Kind: opFan, Key: "f", N: 2, For: 3 * time.Second}, wait(1)}}, window: 4 * time.Second, drive: func(a *actor) {
			a.do(a.aloft)
			terminate(a)
		}},
		{name: "suspend and resume", in: input{Ops: []op{wait(2), {Kind: opCall, Key: "a"}}}, drive: func(a *actor) {
			a.do(a.reach(history.Running))
			suspend(a)
			a.do(a.event("e"))
			resume(a)
			a.do(a.event("e"))
		}},
		{name: "suspend in the air", in: input{Ops: []op{{Kind: opCall, Key: "a", For: 3 * time.Second}, {Kind: opCall, Key: "b"}}}, window: 4 * time.Second, drive: func(a *actor) {
			a.do(a.aloft)
			suspend(a)
			resume(a)
		}},
	}
}

// outcome is what a client sees of a flow.
type outcome struct {
	Status history.Status
	Output output
	Reason string
}

// runFlow runs a flow with a crash at one request, or without one. Afterwards may add to what its client does.
func runFlow(f *flow, v variant, c *cut, level traceLevel, afterwards ...func(a *actor)) (result, outcome) {
	w := newWorld(1, level)
	w.rates, w.cut, w.extras = rates{}, c, extras{}
	w.setup = setup{
		partitions: 1, workers: 1, clients: 1, instances: 1, poll: time.Second,
		noCache: v.noCache, inlining: v.inlining, window: f.window,
	}
	if c.stall > 0 {
		w.aftermath, w.setup.poll = stallAftermath, 5*time.Second
	}
	w.create()
	w.populate()
	if c.slow > 0 {
		w.rates = rates{twinWorker: 1}                      // by now
		w.sched.at(0, func() { w.startWorker("worker-1") }) // populate starts another one
	}
	a := &actor{world: w, id: "the-instance", name: "the-instance", dice: rand.New(rand.NewPCG(1, 1))}
	at := &attempt{input: f.in}
	at.input.Nonce = "the-instance/0"
	a.do(func(client *taskhub.Client) { a.start(client, at, nil) })
	if f.drive != nil {
		f.drive(a)
	}
	a.do(a.await)
	var out outcome
	a.do(func(*taskhub.Client) {
		if a.last != nil {
			out.Status, out.Reason = a.last.Status, a.last.Reason
			_ = json.Unmarshal(a.last.Output, &out.Output) // there is none unless it is completed
			slices.Sort(out.Output.Seen)
		}
	})
	for _, add := range afterwards {
		add(a)
	}
	w.actors = append(w.actors, a)
	w.play(a, w.clients[0])
	if f.handOver {
		w.handOver()
	}
	return w.live(), out
}

// TestCuts kills the worker at every single storage request of small flows, before and after it
// takes effect, and lets a fresh one go on. The outcome has to be that of the undisturbed run, and all
// that the simulation checks has to hold.
func TestCuts(t *testing.T) {
	t.Parallel()
	for _, f := range flows() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var wants sync.Map // what came of the undisturbed runs
			for _, v := range variants {
				t.Run(v.String(), func(t *testing.T) {
					if (testing.Short() || f.once) && v != variants[0] {
						t.Skip("the first variant is enough")
					}
					t.Parallel()
					whole := &cut{}
					var want outcome
					synctest.Test(t, func(*testing.T) {
						var r result
						if r, want = runFlow(&f, v, whole, noTrace); len(r.failures) > 0 {
							t.Errorf("undisturbed: %q", r.failures)
						}
					})
					if first, _ := wants.LoadOrStore("", fmt.Sprint(want)); first != fmt.Sprint(want) {
						t.Errorf("undisturbed: %+v, in another variant %v", want, first)
					}
					for at := 1; at <= whole.seen; at++ {
						for _, after := range []bool{false, true} {
							cutOnce(t, &f, v, cut{at: at, after: after}, want)
						}
					}
					t.Logf("%d requests, each cut off before and after it took effect", whole.seen)
				})
			}
		})
	}
}

// variant is a way of running a flow.
type variant struct {
	inlining inlining
	noCache  bool
}

// variants are the ways that differ.
var variants = []variant{{always, false}, {always, true}, {never, false}, {atFirst, false}}

func (v variant) String() string { return fmt.Sprintf("inline %s,cached=%t", v.inlining, !v.noCache) }

func cutOnce(t *testing.T, f *flow, v variant, c cut, want outcome) {
	t.Helper()
	var r result
	var got outcome
	again := c
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, v, &c, noTrace) })
	if len(r.failures) == 0 && fmt.Sprint(got) == fmt.Sprint(want) {
		return
	}
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, v, &again, requests) })
	t.Errorf("crash at request %d, after=%t: %s\n%s\n%+v, want %+v\n%s",
		c.at, c.after, c.what, strings.Join(r.failures, "\n"), got, want, r.trace)
}
