package simulation_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

// cut makes a worker crash at one of its requests.
type cut struct {
	// at is the number of the request, from 1; after says that it still takes effect.
	at    int
	after bool

	seen int
	what string
}

func (c *cut) judge(st *step) verdict {
	if st.process.client {
		return proceed
	}
	c.seen++
	if c.seen != c.at {
		return proceed
	}
	c.what = strings.TrimSpace(fmt.Sprintln(st.call.Kind, st.call.Target, st.call.Key))
	if c.after {
		return finish
	}
	return perish
}

// flow is a small program with what its client does.
type flow struct {
	name  string
	in    input
	drive func(a *actor)
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

func flows() []flow {
	nothing := func(*actor) {}
	call := func(key string) op { return op{Kind: opCall, Key: key} }
	wait := func(n int) op { return op{Kind: opWait, Key: "e", N: n} }
	return []flow{
		{"one activity", input{Ops: []op{call("a")}}, nothing},
		{"chain", input{Ops: []op{call("a"), call("b"), call("c")}}, nothing},
		{"fan-out of three", input{Ops: []op{{Kind: opFan, Key: "f", N: 3}}}, nothing},
		{"timer", input{Ops: []op{{Kind: opSleep, Key: "t", For: 2500 * time.Millisecond}}}, nothing},
		{"event", input{Ops: []op{wait(2)}}, func(a *actor) { a.do(a.event("e")); a.do(a.event("e")) }},
		{"child", input{Ops: []op{{Kind: opChild, Key: "c", Ops: []op{call("a")}}}}, nothing},
		{"continue-as-new with an event", input{Ops: []op{wait(1), call("a")}, Rounds: 1}, func(a *actor) {
			a.do(a.event("e"))
			a.do(a.event("e"))
		}},
		{"terminate", input{Ops: []op{wait(1)}}, func(a *actor) {
			a.do(a.reach(history.Running))
			a.do(func(c *taskhub.Client) { a.terminate(c, a.attempts[0]) })
		}},
		{"suspend and resume", input{Ops: []op{wait(2), call("a")}}, func(a *actor) {
			a.do(a.reach(history.Running))
			a.do(func(c *taskhub.Client) { a.command(func() error { return c.Suspend(a.ctx, a.id, "wait") }) })
			a.do(a.reach(history.Suspended))
			a.do(a.event("e"))
			a.do(func(c *taskhub.Client) { a.command(func() error { return c.Resume(a.ctx, a.id, "go on") }) })
			a.do(a.event("e"))
		}},
		{"large payload", input{Ops: []op{{Kind: opCall, Key: "a", N: 70 << 10}}, Ballast: strings.Repeat("b", 70<<10)}, nothing},
		{"retry", input{Ops: []op{{Kind: opRetry, Key: "r", N: 1, For: time.Second}}}, nothing},
		{"detached child with an event", input{Ops: []op{{
			Kind: opDetach, Key: "d", Ops: []op{{Kind: opRace, Key: signal, For: 20 * time.Second}},
		}}}, nothing},
		{"failure", input{Ops: []op{{Kind: opUncatch, Key: "u"}}}, nothing},
	}
}

// outcome is what a client sees of a flow.
type outcome struct {
	Status history.Status
	Output output
	Reason string
}

// runFlow runs a flow with a crash at one request, or without one.
func runFlow(f *flow, noCache bool, c *cut, level traceLevel) (result, outcome) {
	w := newWorld(1, level)
	w.rates, w.cut = rates{}, c
	w.setup = setup{partitions: 1, workers: 1, clients: 1, instances: 1, poll: time.Second, noCache: noCache, inlining: always}
	w.create()
	w.populate()
	a := &actor{world: w, id: "the-instance", dice: rand.New(rand.NewPCG(1, 1))}
	at := &attempt{input: f.in}
	at.input.Nonce = "the-instance/0"
	a.do(func(client *taskhub.Client) { a.start(client, at, nil) })
	f.drive(a)
	a.do(a.await)
	w.actors = append(w.actors, a)
	w.play(a, w.clients[0])
	r := w.live()
	var out outcome
	if a.last != nil {
		out.Status, out.Reason = a.last.Status, a.last.Reason
		_ = json.Unmarshal(a.last.Output, &out.Output) // there is none unless it is completed
		slices.Sort(out.Output.Seen)
	}
	return r, out
}

// TestCuts kills the worker at every single storage request of small flows, before and after it
// takes effect, and lets a fresh one go on. The outcome has to be that of the undisturbed run, and all
// that the simulation checks has to hold.
func TestCuts(t *testing.T) {
	t.Parallel()
	for _, f := range flows() {
		for _, noCache := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/cached=%t", f.name, !noCache), func(t *testing.T) {
				if testing.Short() && noCache {
					t.Skip("the cached variant is enough; -short is set")
				}
				t.Parallel()
				whole := &cut{}
				var want outcome
				synctest.Test(t, func(*testing.T) {
					var r result
					if r, want = runFlow(&f, noCache, whole, noTrace); len(r.failures) > 0 {
						t.Errorf("undisturbed: %q", r.failures)
					}
				})
				for at := 1; at <= whole.seen; at++ {
					for _, after := range []bool{false, true} {
						cutOnce(t, &f, noCache, cut{at: at, after: after}, want)
					}
				}
				t.Logf("%d requests, each cut off before and after it took effect", whole.seen)
			})
		}
	}
}

func cutOnce(t *testing.T, f *flow, noCache bool, c cut, want outcome) {
	t.Helper()
	var r result
	var got outcome
	again := c
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, noCache, &c, noTrace) })
	if len(r.failures) == 0 && fmt.Sprint(got) == fmt.Sprint(want) {
		return
	}
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, noCache, &again, requests) })
	t.Errorf("crash at request %d, after=%t: %s\n%s\n%+v, want %+v\n%s",
		c.at, c.after, c.what, strings.Join(r.failures, "\n"), got, want, r.trace)
}
