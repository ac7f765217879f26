package simulation_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

const hubName = "Simulated"

// stormRequests and stormTime bound the part of a run in which faults happen.
const (
	stormRequests = 1200
	stormTime     = 20 * time.Minute
	// settleTime is how long the fleet may take to finish everything afterwards. The longest that a
	// message may rest is 10 minutes, and a start without a row is given up after some 17.
	settleTime = 90 * time.Minute
	// takeOverTime is how long after the faults every partition must be read again: a lease has to run
	// out, and a worker to look.
	takeOverTime = 3 * time.Minute
	// balanceTime is how long workers may take to share the partitions evenly.
	balanceTime = 2 * time.Minute
	// idleTime is how long they are watched then.
	idleTime = time.Minute
)

// world is one simulated fleet.
type world struct {
	seed  uint64
	dice  *rand.Rand
	store *memory.Store
	// raw is the account past the scheduler.
	raw        storage.Account
	names      wire.Names
	queues     []string        // the work-item queue first
	background context.Context //nolint:containedctx // of what the world itself does
	rates      rates
	setup      setup
	sched      *scheduler
	check      *checker
	ledger     *ledger
	bells      *bells
	actors     []*actor
	extras     extras

	processes int
	requests  int
	workers   []*process
	clients   []*process
	// cut is where a worker is to crash, nil for nowhere in particular.
	cut *cut
	// aftermath is how long at least the fleet is watched when the faults are over.
	aftermath time.Duration
	// stormy is set while faults happen.
	stormy                 bool
	outageUntil, busyUntil time.Time
	began                  time.Time

	level traceLevel
	hash  uint64

	mu       sync.Mutex
	trace    strings.Builder
	failures []string
}

// setup is the size of a fleet.
type setup struct {
	partitions, workers, clients, instances int
	poll                                    time.Duration
	noCache                                 bool
	inlining                                inlining
	// window is that of all workers, 0 if each has its own.
	window time.Duration
}

func chooseSetup(dice *rand.Rand) setup {
	return setup{
		partitions: 1 + dice.IntN(4), workers: 1 + dice.IntN(4), clients: 1 + dice.IntN(2), instances: 2 + dice.IntN(7),
		poll:    []time.Duration{3 * time.Second, 8 * time.Second, 20 * time.Second}[dice.IntN(3)],
		noCache: dice.IntN(4) == 0, inlining: []inlining{always, always, sometimes, sometimes, never}[dice.IntN(5)],
	}
}

// result is what came of a seed.
type result struct {
	seed     uint64
	hash     uint64
	steps    int
	requests int
	rings    int
	span     time.Duration
	failures []string
	trace    string
}

// traceLevel says how much of a run is told.
type traceLevel int

const (
	noTrace traceLevel = iota
	requests
	// everyStep tells all, with the hash after each step, which includes what is written to tables.
	everyStep
)

// simulate runs one seed. It has to be called in a bubble of its own.
func simulate(seed uint64, forced rates, level traceLevel) result {
	w := newWorld(seed, level)
	if forced != nil {
		w.rates = forced
	}
	w.create()
	w.populate()
	for i := range w.setup.instances {
		w.addActor(i)
	}
	if w.extras.nosy {
		w.addRivals()
	}
	return w.live()
}

// live lets the fleet work until everything is over, and judges what came of it.
func (w *world) live() result {
	w.stormy = true
	w.sched.run(func() bool {
		return w.failed() || w.requests >= stormRequests || time.Since(w.began) > stormTime || w.settled()
	})
	w.calmDown()
	calm := time.Now()
	w.sched.at(takeOverTime, w.lookForNeglect)
	w.sched.run(func() bool {
		took := time.Since(calm)
		return w.failed() || took >= w.aftermath && w.settled() || took > settleTime
	})
	w.conclude()
	w.end()
	return result{
		seed: w.seed, hash: w.hash, steps: w.sched.steps, requests: w.requests, rings: w.bells.rung, span: time.Since(w.began), failures: w.failures, trace: w.trace.String(),
	}
}

func newWorld(seed uint64, level traceLevel) *world {
	dice := rand.New(rand.NewPCG(seed, 0xd0afee7))
	w := &world{
		seed: seed, level: level, dice: dice, store: memory.New(), background: context.Background(), began: time.Now(),
		rates: chooseRates(dice), setup: chooseSetup(dice), sched: newScheduler(dice), ledger: newLedger(), bells: chooseBells(seed), extras: chooseExtras(seed),
	}
	w.raw = w.store.Account()
	w.check = newChecker(w)
	w.sched.release = w.release
	w.sched.weight = func(p *process) int { return p.weight }
	w.names, _ = wire.NewNames(hubName) // a good name
	return w
}

func (w *world) create() {
	w.queues = []string{w.names.WorkItemQueue()}
	for i := range w.setup.partitions {
		w.queues = append(w.queues, w.names.ControlQueue(i))
	}
	_, err := taskhub.Create(w.background, taskhub.Ports(w.raw), hubName, &taskhub.Options{Partitions: w.setup.partitions})
	if err != nil {
		w.fail("create the hub: %v", err)
	}
}

// populate starts the workers and the clients.
func (w *world) populate() {
	w.note("seed %d: %+v, %+v, faults %v", w.seed, w.setup, w.extras, w.rates)
	for i := range w.setup.workers {
		name := fmt.Sprintf("worker-%d", i+1)
		w.sched.at(w.between(0, 20*time.Second), func() { w.startWorker(name) })
		if w.rates[twinWorker] > 0 && w.chance(w.rates[twinWorker]) {
			w.sched.at(w.between(0, time.Minute), func() { w.startWorker(name) })
		}
	}
	for i := range w.setup.clients {
		w.clients = append(w.clients, w.newProcess(fmt.Sprintf("client-%d", i+1), true))
	}
}

// startWorker starts a worker process.
func (w *world) startWorker(id string) *process {
	p := w.newProcess(id, false)
	p.ahead = w.chooseAhead(len(w.workers) < w.setup.workers)
	w.workers = append(w.workers, p)
	w.note("%v starts, its clock %+v off, %+v", p, p.skew, p.ahead)
	p.running.Store(true)
	p.group.Go(p.ctx, "main", func(ctx context.Context) {
		defer p.running.Store(false)
		hub, err := p.hub("")
		for err != nil && run.Sleep(ctx, 5*time.Second) {
			hub, err = p.hub("")
		}
		if err != nil {
			return
		}
		member, err := worker.New(hub, w.workerOptions(p), w.bindings(p)...)
		if err != nil {
			w.fail("worker.New: %v", err)
			return
		}
		_ = member.Run(ctx) // what it could not do shows in the store
	})
	return p
}

func (w *world) workerOptions(p *process) *worker.Options {
	code := w.codeOptions()
	opts := &worker.Options{
		WorkerID: p.id, MaxPollInterval: w.setup.poll, NoSessionCache: w.setup.noCache,
		MaxActivities: p.ahead.activities, NoInline: p.ahead.never, InlineWindow: p.ahead.window,
		TimerLimit: code.TimerLimit, TimerHop: code.TimerHop, BufferThreshold: w.extras.buffer,
	}
	if w.extras.deadly {
		opts.MaxDeliveries = deadlyDeliveries
	}
	p.addBell(opts)
	return opts
}

// liveWorkers returns the workers that are up.
func (w *world) liveWorkers() []*process {
	var live []*process
	for _, p := range w.workers {
		if !p.dead.Load() && p.ctx.Err() == nil && p.running.Load() {
			live = append(live, p)
		}
	}
	return live
}

// alive returns the processes that are up.
func (w *world) alive() []*process { return append(w.liveWorkers(), w.clients...) }

// replace stops a worker in order, and starts another one.
func (w *world) replace(p *process) {
	w.note("%v is asked to stop", p)
	p.stop()
	w.sched.at(w.between(0, 30*time.Second), func() { w.startWorker(w.newID(p)) })
}

// newID returns the id under which a worker that is gone comes back.
func (w *world) newID(p *process) string {
	if w.rates[sameID] > 0 && w.chance(w.rates[sameID]) {
		return p.id
	}
	base, n, _ := strings.Cut(p.id, ".")
	count := 1
	_, _ = fmt.Sscan(n, &count) // the first has none
	return fmt.Sprintf("%s.%d", base, count+1)
}

// crash kills a process and sees to it that another takes its place, unless one is about to.
func (w *world) crash(p *process) {
	w.note("%v crashes", p)
	replaced := p.ctx.Err() != nil
	p.kill()
	if replaced {
		return
	}
	w.sched.at(w.between(100*time.Millisecond, time.Minute), func() {
		if p.client {
			w.reviveClient(p)
		} else {
			w.startWorker(w.newID(p))
		}
	})
}

// release decides what becomes of a step and lets it go on.
func (w *world) release(st *step) {
	if st.call == nil {
		w.record(st, proceed)
		if st.fatal {
			w.crash(st.process)
		}
		st.answer <- proceed
		return
	}
	w.requests++
	if st.orphaned {
		w.record(st, lose)
		err := st.next(w.background)
		w.check.done(st, lose, err)
		return
	}
	if w.stormy {
		w.disturb()
		synctest.Wait() // for those who were told to stop
	}
	v, now := w.judge(st)
	if !now {
		if w.level == everyStep {
			w.note("%v has to wait with %s %s until %s", st.process, st.call.Kind, st.call.Target, clock(st.notBefore))
		}
		w.sched.back(st)
		return
	}
	if w.chance(0.25) {
		// Requests take some time, during which others may come.
		run.Sleep(w.background, w.between(0, 20*time.Millisecond))
		synctest.Wait()
	}
	w.record(st, v)
	switch v {
	case perish, finish:
		if v == finish {
			err := st.next(w.background)
			w.check.done(st, v, err)
		}
		w.crash(st.process)
		st.answer <- perish
	default:
		if st.call.Kind == storage.QueueGet && w.strikes(disorder) {
			w.shuffle(st.call.Target)
		}
		st.answer <- v
	}
}

// shuffle brings the visible messages of a queue into any order.
func (w *world) shuffle(queue string) {
	now := time.Now()
	for _, m := range w.store.Messages(queue) {
		if !m.Visible.After(now) {
			w.store.SetVisible(queue, m.ID, now.Add(-time.Duration(w.dice.IntN(1000))))
		}
	}
}

// lateEffect decides whether a request that was given up reaches the store nevertheless. It is asked
// by the process, so the process's own dice decide.
func (w *world) lateEffect(st *step) bool {
	return st.call != nil && changes(st.call) &&
		st.process.random(fmt.Sprint("late ", st.call.Kind, st.call.Target, st.call.Key)) < 0.5
}

// calmDown ends the faults and puts the fleet into order.
func (w *world) calmDown() {
	w.note("the storm is over")
	w.stormy = false
	names := map[string]bool{}
	for _, p := range w.liveWorkers() {
		if names[p.id] {
			p.kill()
		}
		names[p.id] = true
	}
	for _, p := range w.workers {
		w.sched.freeze(p, time.Time{})
	}
	for _, p := range w.clients {
		w.sched.freeze(p, time.Time{})
	}
	for i := len(w.liveWorkers()); i < w.setup.workers; i++ {
		w.startWorker(fmt.Sprintf("late-%d", i))
	}
}

// lookForNeglect looks from time to time whether all that can be worked on is.
func (w *world) lookForNeglect() {
	if text := w.check.neglected(); text != "" {
		w.fail("%s", text)
	}
	w.sched.at(time.Minute, w.lookForNeglect)
}

// settled reports whether there is nothing left to do.
func (w *world) settled() bool {
	for _, a := range w.actors {
		if !a.done.Load() {
			return false
		}
	}
	return w.check.quiet()
}

func (w *world) conclude() {
	if w.failed() {
		return
	}
	if !w.settled() {
		w.check.explainUnsettled()
		return
	}
	begin := time.Now()
	w.sched.run(func() bool { // what is left to do after the last message needs a moment
		took := time.Since(begin)
		return w.failed() || took > balanceTime || took > 10*time.Second && w.check.balanced() == ""
	})
	if problem := w.check.balanced(); problem != "" {
		w.fail("%s", problem)
	}
	if len(w.rates) == 0 && w.cut == nil {
		w.idle()
	}
	w.check.final()
}

// idle looks whether partitions that are shared evenly stay where they are.
func (w *world) idle() {
	begin, before := time.Now(), w.check.reservations
	w.sched.run(func() bool { return w.failed() || time.Since(begin) > idleTime })
	if n := w.check.reservations - before; n > 0 {
		w.fail("partitions were asked for %d times although they are shared evenly", n)
	}
}

// end stops all processes. What is left of them ends by itself, with requests that fail.
func (w *world) end() {
	for _, p := range w.workers {
		if !p.dead.Load() {
			p.kill()
		}
	}
	for _, p := range w.clients {
		p.kill()
	}
	for _, p := range append(slices.Clone(w.workers), w.clients...) {
		p.group.Wait()
	}
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.failures) > 0
}

// fail notes that something is wrong. Only goroutines that the scheduler has let go on may call it.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.mu.Lock()
	w.failures = append(w.failures, text)
	w.mu.Unlock()
	w.note("WRONG: %s", text)
}

// note adds a line to the trace.
func (w *world) note(format string, args ...any) {
	if w.level >= requests {
		w.mu.Lock()
		defer w.mu.Unlock()
		fmt.Fprintf(&w.trace, "%s %s\n", clock(time.Now()), fmt.Sprintf(format, args...))
	}
}

// record adds a step to the trace's hash.
func (w *world) record(st *step, v verdict) {
	h := fnv.New64a()
	var numbers [4 * 8]byte
	late := 0
	if st.orphaned {
		late = 1
	}
	for i, n := range []uint64{w.hash, uint64(time.Since(w.began)), uint64(st.process.number), uint64(v)<<1 | uint64(late)} { //nolint:gosec // bits count
		binary.LittleEndian.PutUint64(numbers[8*i:], n)
	}
	_, _ = h.Write(numbers[:])
	_, _ = io.WriteString(h, st.name)
	if st.call != nil {
		for _, part := range []string{string(st.call.Kind), st.call.Target, st.call.Key} {
			_, _ = io.WriteString(h, part)
		}
		switch c := st.call.Content.(type) {
		case storage.Posted:
			_, _ = io.WriteString(h, withoutStack(c.Text))
		case []storage.Operation:
			if w.level != everyStep {
				break
			}
			for _, operation := range c {
				_, _ = io.WriteString(h, withoutStack(fmt.Sprint(operation))) // maps in the order of their keys
			}
		}
	}
	w.hash = h.Sum64()
	if w.level == everyStep {
		text := st.name
		if st.call != nil {
			text = fmt.Sprint(st.call.Kind, " ", st.call.Target, " ", st.call.Key)
		}
		w.note("%v goes on with %s, verdict %d, hash %x", st.process, text, v, w.hash)
	}
}

// withoutStack cuts the stack of a panic off, whose addresses are another machine's each time.
func withoutStack(text string) string {
	text, _, _ = strings.Cut(text, "goroutine ")
	return text
}

// clock tells a time of the run, from its beginning.
func clock(t time.Time) string {
	return t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Round(time.Millisecond).String()
}

// short is enough of an id to tell it from others.
func short(id string) string {
	if i := strings.LastIndexByte(id, '-'); i >= 0 && len(id) > i+6 {
		return id[len(id)-6:]
	}
	return id
}
