package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// stallAftermath is how long a worker that goes on may take to find out what has become of its work, and the
// fleet to get rid of what it still did.
const stallAftermath = 4 * time.Minute

// stall is a way of standing still.
type stall struct {
	name string
	// lasts is for how long. Longer than all the rest takes, the worker goes on when that is over.
	lasts time.Duration
	// afterwards is what clients do until the worker goes on.
	afterwards func(a *actor)
	variants   []variant
}

// A worker loses its leases after 30 s, and what it has taken is delivered again after 45 s.
var stalls = []stall{
	{"until another one has begun", 40 * time.Second, func(*actor) {}, variants[:1]},
	{"until another one has what it had", time.Minute, func(*actor) {}, variants[:1]},
	{"until it is purged", time.Hour, (*actor).purgeIt, []variant{{always, false}, {never, false}}},
	{"until it is started anew", time.Hour, func(a *actor) {
		a.purgeIt()
		again := &attempt{input: input{Ops: []op{{Kind: opCall, Key: "again"}, {Kind: opSleep, Key: "t", For: time.Second}}, Nonce: a.id + "/1"}}
		a.do(func(c *taskhub.Client) { a.start(c, again, nil) })
		a.do(a.await)
	}, variants[:1]},
}

// lateFlows are those in which a worker may be late.
func lateFlows() []flow {
	return slices.DeleteFunc(append(flows(), longFlows()...), func(f flow) bool { return f.once || f.handOver })
}

// longFlows are those that are not over when the worker goes on.
func longFlows() []flow {
	wait := op{Kind: opWait, Key: "e", N: 1}
	const long = 40 * time.Second
	order := func(a *actor, send func(c *taskhub.Client) error) {
		a.do(func(c *taskhub.Client) { a.command(func() error { return send(c) }) })
	}
	return []flow{
		{name: "long timer", in: input{Ops: []op{{Kind: opCall, Key: "a"}, {Kind: opSleep, Key: "t", For: long}, {Kind: opCall, Key: "b"}}}},
		{name: "terminate at once", in: input{Ops: []op{wait}}, drive: func(a *actor) {
			a.do(func(c *taskhub.Client) { a.terminate(c, a.attempts[0]) })
		}},
		{name: "suspended for long", in: input{Ops: []op{wait, {Kind: opCall, Key: "a"}}}, drive: func(a *actor) {
			order(a, func(c *taskhub.Client) error { return c.Suspend(a.ctx, a.id, "wait") })
			a.do(func(*taskhub.Client) { run.Sleep(a.ctx, 2*long) })
			order(a, func(c *taskhub.Client) error { return c.Resume(a.ctx, a.id, "go on") })
			a.do(a.event("e"))
		}},
		{name: "events now and then", in: input{Ops: []op{{Kind: opWait, Key: "e", N: 4}}}, drive: func(a *actor) {
			for range 4 {
				a.do(a.event("e"))
				a.do(func(*taskhub.Client) { run.Sleep(a.ctx, long/2) })
			}
		}},
	}
}

func (a *actor) purgeIt() { a.do(func(c *taskhub.Client) { a.purge(c, a.attempts[0]) }) }

// TestStalls makes the worker stand still at every single storage request of small flows, while another one takes
// over, and lets it go on later: the request takes effect then, and the worker finds out what has become of its
// work. The outcome has to be that of the undisturbed run, and all that the simulation checks has to hold.
func TestStalls(t *testing.T) {
	t.Parallel()
	for _, f := range lateFlows() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range stalls {
				for _, v := range s.variants {
					t.Run(s.name+", "+v.String(), func(t *testing.T) {
						if testing.Short() && s.name != stalls[0].name {
							t.Skip("the first one is enough")
						}
						t.Parallel()
						s.everywhere(t, &f, v)
					})
				}
			}
		})
	}
}

func (s *stall) everywhere(t *testing.T, f *flow, v variant) {
	t.Helper()
	whole := &cut{}
	var want outcome
	synctest.Test(t, func(*testing.T) { _, want = runFlow(f, v, whole, noTrace) })
	for at := 1; at <= whole.seen; at++ {
		s.once(t, f, v, at, want)
	}
}

func (s *stall) once(t *testing.T, f *flow, v variant, at int, want outcome) {
	t.Helper()
	var r result
	var got outcome
	c := &cut{at: at, stall: s.lasts}
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, v, c, noTrace, s.afterwards) })
	if len(r.failures) == 0 && fmt.Sprint(got) == fmt.Sprint(want) {
		return
	}
	c = &cut{at: at, stall: s.lasts}
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, v, c, requests, s.afterwards) })
	t.Errorf("stands still at request %d, %s: %s\n%s\n%+v, want %+v\n%s",
		at, s.name, c.what, strings.Join(r.failures, "\n"), got, want, r.trace)
}

// twinSlow is how long a request takes while a twin goes on: less than the patience of storage clients.
const twinSlow = 20 * time.Second

// TestTwins lets two workers run under one id, which is a mistake, but the longest way for two to believe that they own
// a partition: they share its messages. Each request takes long in turn, while the other worker goes on. The
// outcome has to be that of one worker, and all that the simulation checks has to hold.
func TestTwins(t *testing.T) {
	t.Parallel()
	for _, f := range lateFlows() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			v := variants[0]
			alone, both := &cut{}, &cut{at: -1, slow: twinSlow}
			var want outcome
			synctest.Test(t, func(*testing.T) { _, want = runFlow(&f, v, alone, noTrace) })
			synctest.Test(t, func(*testing.T) { _, _ = runFlow(&f, v, both, noTrace) })
			limit := both.seen
			if testing.Short() {
				limit = min(limit, 20)
			}
			for at := 1; at <= limit; at++ {
				twinOnce(t, &f, v, at, want)
			}
		})
	}
}

func twinOnce(t *testing.T, f *flow, v variant, at int, want outcome) {
	t.Helper()
	var r result
	var got outcome
	c := &cut{at: at, slow: twinSlow}
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, v, c, noTrace) })
	if len(r.failures) == 0 && fmt.Sprint(got) == fmt.Sprint(want) {
		return
	}
	c = &cut{at: at, slow: twinSlow}
	synctest.Test(t, func(*testing.T) { r, got = runFlow(f, v, c, requests) })
	t.Errorf("twins, request %d is slow: %s\n%s\n%+v, want %+v\n%s", at, c.what, strings.Join(r.failures, "\n"), got, want, r.trace)
}
