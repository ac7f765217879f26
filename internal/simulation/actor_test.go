package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// certainty is what a client knows about something it has asked for.
type certainty int

const (
	refused  certainty = iota // it has not happened
	unclear                   // it may have happened
	accepted                  // it has happened
)

// attempt is one start of an instance.
type attempt struct {
	input input
	known certainty
	// terminated says that somebody has tried to terminate the instance since.
	terminated certainty
	// begun is when the first try was made.
	begun  time.Time
	purged certainty
}

// raised is an event that was raised.
type raised struct {
	name, payload string
	known         certainty
}

// actor is a client's program for one instance id: it starts the instance, raises its events,
// pauses, ends, purges and restarts it, and knows what may have come of all that.
type actor struct {
	world *world
	id    string
	// name tells the program from others.
	name string
	dice *rand.Rand
	// step says where the program stands; it survives the client's crash.
	script []func(c *taskhub.Client)
	client int
	done   atomic.Bool

	attempts []*attempt
	// last is the status in which the instance was last seen when it had ended.
	last *taskhub.Status
	// terminatedAt is when the instance was last told to end.
	terminatedAt time.Time
	events       []*raised
	// contested says that others start the same instance.
	contested bool
	ctx       context.Context //nolint:containedctx // of the process that plays the script
}

// addActor makes up what happens to an instance.
func (w *world) addActor(i int) {
	dice := rand.New(rand.NewPCG(w.seed, uint64(i)+1)) //nolint:gosec // a small number
	a := &actor{world: w, id: fmt.Sprintf("instance-%d", i), dice: dice, client: dice.IntN(w.setup.clients)}
	a.name = a.id
	a.pause(time.Minute)
	if dice.IntN(8) == 0 {
		a.do(func(c *taskhub.Client) { a.raise(c, "early", taskhub.Unchecked{}) })
	}
	lives := 1
	if dice.IntN(3) == 0 {
		lives = 2
	}
	for life := range lives {
		a.addLife(life)
	}
	w.actors = append(w.actors, a)
	w.play(a, w.clients[a.client])
}

// addRivals makes up two clients' programs that start one instance again and again, each whenever it has ended.
func (w *world) addRivals() {
	for i := range 2 {
		a := &actor{
			world: w, id: "contested", name: fmt.Sprintf("contested, %d", i), dice: rand.New(rand.NewPCG(w.seed, uint64(i)+1000)), //nolint:gosec // as above
			client: i % w.setup.clients, contested: true,
		}
		for life := range 3 {
			at := &attempt{input: input{Nonce: fmt.Sprintf("%s/%d/%d", a.id, i, life), Ops: []op{{Kind: opCall, Key: "a"}}}}
			a.pause(2 * time.Second)
			a.do(func(c *taskhub.Client) { a.start(c, at, nil) })
			a.do(a.await)
		}
		w.actors = append(w.actors, a)
		w.play(a, w.clients[a.client])
	}
}

// addLife makes up one start of the instance and what follows.
func (a *actor) addLife(life int) {
	attempt := &attempt{input: generate(a.dice, fmt.Sprintf("%s/%d", a.id, life), a.world.extras)}
	expected := expect(attempt.input)
	var options []taskhub.StartOption
	if a.dice.IntN(8) == 0 {
		options = append(options, delayed(time.Duration(a.dice.IntN(60))*time.Second))
	}
	a.do(func(c *taskhub.Client) { a.start(c, attempt, options) })
	if a.world.extras.nosy && a.dice.IntN(5) == 0 { // most often before it has begun
		a.do(func(c *taskhub.Client) { a.terminate(c, attempt) })
	}
	var actions []func(c *taskhub.Client)
	add := func(f func(c *taskhub.Client)) { actions = append(actions, f) }
	for _, name := range sortedKeys(expected.events) {
		for range expected.events[name] {
			add(func(c *taskhub.Client) { a.ensure(c, name) })
		}
	}
	for _, name := range expected.races {
		if a.dice.IntN(2) == 0 {
			add(func(c *taskhub.Client) { a.raise(c, name) })
		}
	}
	if a.dice.IntN(4) == 0 {
		add(func(c *taskhub.Client) { a.suspend(c) })
	}
	if a.dice.IntN(6) == 0 {
		add(func(c *taskhub.Client) { a.terminate(c, attempt) })
	}
	if a.dice.IntN(4) == 0 {
		add(func(c *taskhub.Client) { a.startAgain(c) })
	}
	if a.world.extras.nosy {
		add(func(c *taskhub.Client) { a.purge(c, attempt) })
	}
	a.dice.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
	for _, action := range actions {
		a.pause(30 * time.Second)
		a.do(action)
	}
	a.do(a.await)
	if a.world.extras.nosy {
		a.do(a.tooLate)
	}
	if a.dice.IntN(3) == 0 {
		a.pause(2 * time.Minute)
		a.do(func(c *taskhub.Client) { a.purge(c, attempt) })
	}
}

// delayed is a StartAt relative to the moment of the start.
type delayedStart struct {
	taskhub.StartOption
	after time.Duration
}

func delayed(d time.Duration) delayedStart { return delayedStart{after: d} }

func (a *actor) do(f func(c *taskhub.Client)) { a.script = append(a.script, f) }

// pause lets up to d pass, most often much less.
func (a *actor) pause(d time.Duration) {
	x := a.dice.Float64()
	d = time.Duration(x * x * float64(d))
	a.do(func(*taskhub.Client) { run.Sleep(a.ctx, d) })
}

// play runs the rest of an actor's script in a process.
func (w *world) play(a *actor, p *process) {
	p.group.Go(p.ctx, "actor "+a.name, func(ctx context.Context) {
		hub, err := p.hub(a.name)
		for err != nil && run.Sleep(ctx, 5*time.Second) {
			hub, err = p.hub(a.name)
		}
		if err != nil {
			return
		}
		a.ctx = ctx
		client := taskhub.NewClient(hub)
		for len(a.script) > 0 {
			next := a.script[0]
			next(client)
			if p.dead.Load() {
				return // it is done again by the client's successor
			}
			a.script = a.script[1:]
		}
		a.done.Store(true)
	})
}

// reviveClient starts a successor of a client that crashed; it repeats what was under way.
func (w *world) reviveClient(p *process) {
	i := slices.Index(w.clients, p)
	p.group.Wait()
	w.clients[i] = w.newProcess(p.id, true)
	for _, a := range w.actors {
		if a.client == i && !a.done.Load() {
			w.play(a, w.clients[i])
		}
	}
}

// patiently repeats something until it is settled.
func (a *actor) patiently(try func() bool) {
	for !try() && run.Sleep(a.ctx, time.Duration(1+a.dice.IntN(10))*time.Second) {
		continue
	}
}

// start starts the instance. Where it stays unclear whether that has worked, it looks.
func (a *actor) start(c *taskhub.Client, at *attempt, options []taskhub.StartOption) {
	if !slices.Contains(a.attempts, at) {
		a.attempts = append(a.attempts, at)
		at.begun = time.Now()
	}
	a.patiently(func() bool {
		all := []taskhub.StartOption{taskhub.InstanceID(a.id)}
		for _, o := range options {
			if d, ok := o.(delayedStart); ok {
				o = taskhub.StartAt(c.Hub().Store().Now().Add(d.after))
			}
			all = append(all, o)
		}
		started, err := c.StartByName(a.ctx, program.Name(), at.input, all...)
		if err == nil {
			a.world.check.start(a.id, started.ExecutionID())
			at.known = accepted
			return true
		}
		if !errors.Is(err, taskhub.ErrExists) {
			at.known = max(at.known, unclear)
			return false
		}
		// One of the tries before, whose outcome was unclear, or a former life that has not ended.
		if status, err := c.Get(a.ctx, a.id); err == nil && nonceOf(status) == at.input.Nonce {
			at.known = accepted
			return true
		}
		return false
	})
}

// nonceOf returns the nonce of the start that a status is about, "" if it cannot be told.
func nonceOf(s *taskhub.Status) string {
	var in input
	if json.Unmarshal(s.Input, &in) != nil {
		return ""
	}
	return in.Nonce
}

// startAgain makes a start that has to find the instance.
func (a *actor) startAgain(c *taskhub.Client) {
	if n := len(a.attempts); n > 0 && a.attempts[n-1].purged != refused {
		return // it would start
	}
	_, err := c.StartByName(a.ctx, program.Name(), input{Nonce: a.id + "/never"}, taskhub.InstanceID(a.id), taskhub.UseExisting)
	if err == nil {
		return
	}
	if errors.Is(err, taskhub.ErrNotFound) {
		a.world.fail("%s: a start that uses what exists: %v", a.id, err)
	}
}

// ensure raises events of a name until one is accepted. Those that may have arrived stay in the
// books.
func (a *actor) ensure(c *taskhub.Client, name string) {
	a.patiently(func() bool { return a.raise(c, name) != unclear })
}

func (a *actor) raise(c *taskhub.Client, name string, options ...taskhub.CommandOption) certainty {
	e := &raised{name: name, payload: fmt.Sprintf("%s/%s/%d", a.id, name, len(a.events)), known: unclear}
	a.events = append(a.events, e)
	err := c.RaiseEventByName(a.ctx, a.id, name, e.payload, options...)
	switch {
	case err == nil:
		e.known = accepted
	case errors.Is(err, taskhub.ErrNotFound), errors.Is(err, taskhub.ErrNotLive):
		e.known = refused
	}
	return e.known
}

// command repeats a command until it is accepted or the instance has ended, and returns what is
// known then.
func (a *actor) command(send func() error) (known certainty) {
	a.patiently(func() bool {
		err := send()
		switch {
		case err == nil:
			known = accepted
			return true
		case errors.Is(err, taskhub.ErrNotFound), errors.Is(err, taskhub.ErrNotLive):
			return true
		default:
			known = unclear
			return false
		}
	})
	return known
}

func (a *actor) suspend(c *taskhub.Client) {
	a.command(func() error { return c.Suspend(a.ctx, a.id, "to see") })
	run.Sleep(a.ctx, time.Duration(a.dice.IntN(60))*time.Second)
	a.command(func() error { return c.Resume(a.ctx, a.id, "seen") })
}

func (a *actor) terminate(c *taskhub.Client, at *attempt) {
	at.terminated = max(at.terminated, unclear)
	at.terminated = max(at.terminated, a.command(func() error {
		defer func() { a.terminatedAt = time.Now() }()
		return c.Terminate(a.ctx, a.id, "enough")
	}))
}

// tooLate tries what has to be refused, since the instance was seen to have ended.
func (a *actor) tooLate(c *taskhub.Client) {
	if a.last == nil {
		return
	}
	if err := c.RaiseEventByName(a.ctx, a.id, "late", "late"); err == nil {
		a.world.fail("%s took an event after it had ended as %s", a.id, a.last.Status)
	}
	if err := c.Suspend(a.ctx, a.id, "late"); err == nil {
		a.world.fail("%s took a suspend after it had ended as %s", a.id, a.last.Status)
	}
}

// await waits until the instance has ended. A resume that was put into the queue before a suspend
// may overtake it, so one is sent from time to time.
func (a *actor) await(c *taskhub.Client) {
	a.last = nil
	looks := 0
	a.patiently(func() bool {
		looks++
		status, err := c.Get(a.ctx, a.id)
		if err == nil && status.Status.Terminal() {
			a.last = status
		}
		if err == nil && status.Status == "Suspended" && looks%10 == 0 {
			_ = c.Resume(a.ctx, a.id, "once more") // it is tried again
		}
		return errors.Is(err, taskhub.ErrNotFound) || err == nil && status.Status.Terminal()
	})
}

func (a *actor) purge(c *taskhub.Client, at *attempt) {
	before := at.purged
	a.patiently(func() bool {
		at.purged = unclear
		err := c.Purge(a.ctx, a.id)
		switch {
		case err == nil, errors.Is(err, taskhub.ErrNotFound):
			at.purged = accepted
			return true
		case errors.Is(err, taskhub.ErrLive):
			at.purged = before
			return true
		default:
			return false
		}
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
