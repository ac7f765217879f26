package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

// opKind is what an op does.
type opKind string

const (
	opCall    opKind = "call"    // an activity
	opRetry   opKind = "retry"   // an activity that fails N times before it succeeds
	opFail    opKind = "fail"    // an activity that fails; the failure is noted
	opFan     opKind = "fan"     // N activities at once, the last of which takes ten times as long if Slow
	opSplit   opKind = "split"   // N branches of two activities each
	opLocals  opKind = "locals"  // N local activities in sequence
	opBeside  opKind = "beside"  // an activity, and N events of the name Key meanwhile
	opForget  opKind = "forget"  // an activity that nobody waits for
	opSleep   opKind = "sleep"   // a timer
	opWait    opKind = "wait"    // N events of the name Key
	opRace    opKind = "race"    // an event of the name Key, which begins with r, against a timer
	opChild   opKind = "child"   // Ops as a child
	opBranch  opKind = "branch"  // Ops as two children at once, with an activity beside them
	opDetach  opKind = "detach"  // Ops as a detached child, which is sent an event
	opStatus  opKind = "status"  // a custom status
	opPanic   opKind = "panic"   // the orchestrator panics
	opRival   opKind = "rival"   // Ops as a child under an id that others use, too, so that it may be refused
	opDeadly  opKind = "deadly"  // an activity of which workers die
	opUncatch opKind = "uncatch" // an activity fails, and its failure ends the orchestrator
)

// op is one thing that a program does.
type op struct {
	Kind opKind        `json:"k"`
	Key  string        `json:"key,omitempty"`
	N    int           `json:"n,omitempty"`
	For  time.Duration `json:"d,omitempty"`
	// Local lets the activities run before what they rest on is stored.
	Local bool `json:"local,omitempty"`
	Slow  bool `json:"slow,omitempty"`
	Ops   []op `json:"ops,omitempty"`
}

// input is what a program is started with: what to do, how many times over, continuing as new in
// between, and what has happened so far.
type input struct {
	// Nonce tells the starts of one id apart.
	Nonce  string   `json:"nonce"`
	Ops    []op     `json:"ops"`
	Rounds int      `json:"rounds,omitempty"`
	Log    []string `json:"log,omitempty"`
	Seen   []string `json:"seen,omitempty"`
	// Ballast makes inputs that need a payload blob.
	Ballast string `json:"ballast,omitempty"`
	// Rests is as with a task: of the parent.
	Rests int `json:"rests,omitempty"`
}

// output is what a program returns: what it did, and which events it got.
type output struct {
	Log  []string `json:"log"`
	Seen []string `json:"seen,omitempty"`
}

// task is what an activity is to do.
type task struct {
	Key   string        `json:"key"`
	Fail  int           `json:"fail,omitempty"` // attempts that fail, -1 for all
	For   time.Duration `json:"d,omitempty"`
	Large int           `json:"large,omitempty"` // bytes to return in addition
	// Rests is how many answers the orchestrator had taken in when it made the call; Local says that they
	// need not be stored before the activity begins.
	Rests int  `json:"rests,omitempty"`
	Local bool `json:"local,omitempty"`
	// Deadly says that the worker dies.
	Deadly bool `json:"deadly,omitempty"`
}

var (
	perform = activity.Declare[task, string]("Perform")
	program = orchestration.Declare[input, output]("Program")
)

const signal = "signal"

// bindings are the code of a worker process.
func (w *world) bindings(p *process) []worker.Binding {
	return []worker.Binding{
		perform.With(func(ctx context.Context, t task) (string, error) { return w.runTask(ctx, p, t) }),
		program.With(runProgram),
	}
}

var errAsked = errors.New("failed as it was asked to")

func (w *world) runTask(ctx context.Context, p *process, t task) (string, error) {
	info, _ := activity.FromContext(ctx)
	n := w.ledger.begin(p, info)
	defer w.ledger.end(p, info)
	if !t.Local && !p.dead.Load() {
		w.check.begun(p, info, t)
	}
	if t.Deadly && !p.dead.Load() {
		p.die(fmt.Sprintf("die %s %d", info.InstanceID, info.TaskID))
		return "", errDead
	}
	slept := run.Sleep(ctx, t.For)
	p.pass(fmt.Sprintf("end %s %d %d", info.InstanceID, info.TaskID, n))
	if !slept {
		return "", context.Cause(ctx)
	}
	if t.Fail < 0 || info.Attempt <= t.Fail {
		return "", errAsked
	}
	return t.Key + strings.Repeat("+", t.Large), nil
}

// player runs a program.
type player struct {
	ctx *orchestration.Context
	in  input
	out output
	// answers is how many answers the program has taken in, at least.
	answers int
}

func runProgram(ctx *orchestration.Context, in input) (output, error) {
	p := &player{ctx: ctx, in: in, out: output{Log: in.Log, Seen: in.Seen}}
	for _, o := range in.Ops {
		if err := p.play(o); err != nil {
			return output{}, err
		}
	}
	if in.Rounds > 0 {
		next := in
		next.Rounds, next.Log, next.Seen = in.Rounds-1, p.out.Log, p.out.Seen
		orchestration.ContinueAsNew(ctx, program, next)
	}
	return p.out, nil
}

func (p *player) log(format string, args ...any) {
	p.out.Log = append(p.out.Log, fmt.Sprintf(format, args...))
}

func (p *player) play(o op) error {
	ctx := p.ctx
	switch o.Kind {
	case opCall:
		text, err := p.call(o, task{Key: o.Key, For: o.For, Large: o.N}).Await()
		p.answers++
		p.log("%.40s", text)
		return err
	case opRetry:
		policy := orchestration.Retry{MaxAttempts: o.N + 1, FirstInterval: o.For, Coefficient: 2}
		began := ctx.Now()
		text, err := p.call(o, task{Key: o.Key, Fail: o.N}, policy).Await()
		p.answers += 1 + 2*o.N
		if pauses := o.For * time.Duration(1<<o.N-1); ctx.Now().Sub(began) < pauses {
			text += " too early"
		}
		p.log("%s", text)
		return err
	case opFail:
		_, err := p.call(o, task{Key: o.Key, Fail: -1}).Await()
		p.answers++
		p.log("%s %t", o.Key, err != nil && strings.Contains(err.Error(), errAsked.Error()))
	case opDeadly:
		_, err := p.call(o, task{Key: o.Key, Deadly: true}).Await()
		p.answers++
		var failed *orchestration.TaskError
		p.log("%s %t", o.Key, errors.As(err, &failed) && failed.Details.Type == worker.PoisonType)
	case opUncatch:
		_, err := p.call(o, task{Key: o.Key, Fail: -1}).Await()
		return err
	case opFan:
		return p.fan(o)
	case opSplit:
		return p.split(o)
	case opLocals:
		return p.locals(o)
	case opBeside:
		return p.beside(o)
	case opForget:
		p.call(o, task{Key: o.Key, For: o.For})
	case opSleep:
		began := ctx.Now()
		_, err := ctx.Timer(o.For).Await()
		p.answers++
		p.log("%s %t", o.Key, ctx.Now().Sub(began) >= o.For)
		return err
	case opWait:
		for range o.N {
			if err := p.wait(o.Key); err != nil {
				return err
			}
		}
		p.log("%s %d", o.Key, o.N)
	case opRace:
		return p.race(o)
	case opChild, opBranch, opDetach:
		return p.family(o)
	case opRival:
		child := input{Nonce: o.Key, Ops: o.Ops, Rests: p.answers}
		_, err := orchestration.CallSubOrchestration(ctx, program, child, orchestration.InstanceID(fmt.Sprint("rival-", o.N))).Await()
		p.answers++
		var failed *orchestration.TaskError
		p.log("%s %t", o.Key, err == nil || errors.As(err, &failed))
	case opStatus:
		ctx.SetCustomStatus(o.Key)
	case opPanic:
		panic("panic " + o.Key)
	}
	return nil
}

// call calls the activity of an op.
func (p *player) call(o op, t task, options ...orchestration.ActivityOption) orchestration.Task[string] {
	t.Rests, t.Local = p.answers, o.Local
	if o.Local {
		options = append(options, orchestration.Local{})
	}
	return orchestration.CallActivity(p.ctx, perform, t, options...)
}

func (p *player) fan(o op) error {
	tasks := make([]orchestration.Task[string], o.N)
	for i := range tasks {
		t := task{Key: fmt.Sprintf("%s.%d", o.Key, i), For: o.For}
		if o.Slow && i == len(tasks)-1 {
			t.For *= 10
		}
		tasks[i] = p.call(o, t)
	}
	texts, err := orchestration.All(tasks...).Await()
	p.answers += o.N
	p.log("%s", strings.Join(texts, ","))
	return err
}

func (p *player) split(o op) error {
	before := p.answers
	branches := make([]orchestration.Task[string], o.N)
	for i := range branches {
		branches[i] = orchestration.Go(p.ctx, func(*orchestration.Context) (string, error) {
			text := ""
			for k := range 2 {
				t := task{Key: fmt.Sprintf("%s.%d.%d", o.Key, i, k), For: o.For, Rests: before + k}
				done, err := orchestration.CallActivity(p.ctx, perform, t).Await()
				if err != nil {
					return "", err
				}
				text += done
			}
			return text, nil
		})
	}
	texts, err := orchestration.All(branches...).Await()
	p.answers += 2 * o.N
	p.log("%s", strings.Join(texts, ","))
	return err
}

func (p *player) locals(o op) error {
	var texts []string
	for i := range o.N {
		text, err := p.call(o, task{Key: fmt.Sprintf("%s.%d", o.Key, i), For: o.For}).Await()
		if err != nil {
			return err
		}
		p.answers++
		texts = append(texts, text)
	}
	p.log("%s", strings.Join(texts, ","))
	return nil
}

func (p *player) beside(o op) error {
	call := p.call(o, task{Key: o.Key, For: o.For})
	for range o.N {
		if err := p.wait(o.Key); err != nil {
			return err
		}
	}
	text, err := call.Await()
	p.answers++
	p.log("%s", text)
	return err
}

func (p *player) wait(name string) error {
	payload, err := orchestration.WaitForEvent(p.ctx, orchestration.DeclareEvent[string](name)).Await()
	p.out.Seen = append(p.out.Seen, payload)
	return err
}

func (p *player) race(o op) error {
	event := orchestration.WaitForEvent(p.ctx, orchestration.DeclareEvent[string](o.Key))
	timer := p.ctx.Timer(o.For)
	first, err := orchestration.FirstOf(event, timer).Await()
	if err == nil && first == 0 {
		var payload string
		payload, err = event.Await()
		p.out.Seen = append(p.out.Seen, payload)
	}
	if first == 1 {
		p.answers++
	}
	p.log("%s race", o.Key)
	return err
}

func (p *player) family(o op) error {
	child := input{Nonce: o.Key, Ops: o.Ops, Rounds: o.N, Rests: p.answers}
	if o.Kind == opDetach {
		child.Nonce = detachedNonce(p.in.Nonce, o)
		id, err := orchestration.StartDetached(p.ctx, program, child)
		if err != nil {
			return err
		}
		p.log("%s detached", o.Key)
		return orchestration.SendEvent(p.ctx, id, orchestration.DeclareEvent[string](signal), o.Key)
	}
	children := []orchestration.Task[output]{orchestration.CallSubOrchestration(p.ctx, program, child)}
	var beside orchestration.Task[string]
	if o.Kind == opBranch {
		children = append(children, orchestration.CallSubOrchestration(p.ctx, program, child))
		beside = p.call(o, task{Key: o.Key})
	}
	for i, c := range children {
		out, err := c.Await()
		p.answers++
		if err != nil {
			p.log("%s.%d failed", o.Key, i)
			continue
		}
		p.log("%s.%d(%s)", o.Key, i, strings.Join(out.Log, ";"))
	}
	if o.Kind == opBranch {
		text, err := beside.Await()
		p.answers++
		p.log("%s", text)
		return err
	}
	return nil
}

// detachedNonce is the nonce of the detached child that an op of a program starts.
func detachedNonce(parent string, o op) string { return parent + "/" + o.Key }

// expectation is what a program must come to.
type expectation struct {
	log    []string
	failed bool
	// events are how many events the program waits for, by name; races are names that it may get one
	// event of in each round.
	events map[string]int
	races  []string
}

// expect tells what a program comes to.
func expect(in input) expectation {
	e := expectation{events: map[string]int{}}
	for range in.Rounds + 1 {
		for _, o := range in.Ops {
			if e.add(o); e.failed {
				return e
			}
		}
	}
	return e
}

func (e *expectation) note(format string, args ...any) {
	e.log = append(e.log, fmt.Sprintf(format, args...))
}

func (e *expectation) add(o op) {
	switch o.Kind {
	case opCall:
		e.note("%.40s", o.Key+strings.Repeat("+", o.N))
	case opBeside:
		e.events[o.Key] += o.N
		e.note("%s", o.Key)
	case opRetry:
		e.note("%s", o.Key)
	case opFail, opSleep, opRival, opDeadly:
		e.note("%s true", o.Key)
	case opUncatch, opPanic:
		e.failed = true
	case opSplit:
		var texts []string
		for i := range o.N {
			texts = append(texts, fmt.Sprintf("%s.%d.0%s.%d.1", o.Key, i, o.Key, i))
		}
		e.note("%s", strings.Join(texts, ","))
	case opFan, opLocals:
		var texts []string
		for i := range o.N {
			texts = append(texts, fmt.Sprintf("%s.%d", o.Key, i))
		}
		e.note("%s", strings.Join(texts, ","))
	case opWait:
		e.events[o.Key] += o.N
		e.note("%s %d", o.Key, o.N)
	case opRace:
		e.races = append(e.races, o.Key)
		e.note("%s race", o.Key)
	case opChild, opBranch:
		children := 1
		if o.Kind == opBranch {
			children = 2
		}
		child := expect(input{Ops: o.Ops, Rounds: o.N})
		for i := range children {
			if child.failed {
				e.note("%s.%d failed", o.Key, i)
			} else {
				e.note("%s.%d(%s)", o.Key, i, strings.Join(child.log, ";"))
			}
		}
		if o.Kind == opBranch {
			e.note("%s", o.Key)
		}
	case opDetach:
		e.note("%s detached", o.Key)
	case opStatus, opForget:
	}
}

// generate makes a program up. Names of ops are unique within it.
func generate(dice *rand.Rand, nonce string, e extras) input {
	g := &generator{dice: dice, more: e.kinds(), wide: e.wide}
	in := input{Nonce: nonce, Ops: g.ops(1+dice.IntN(4), 0)}
	if dice.IntN(5) == 0 && !slices.ContainsFunc(in.Ops, func(o op) bool { return o.Kind == opDeadly }) {
		in.Rounds = 1 + dice.IntN(3)
	}
	if dice.IntN(20) == 0 {
		in.Ballast = strings.Repeat("b", 70<<10)
	}
	return in
}

type generator struct {
	dice *rand.Rand
	n    int
	// more are the ops that only this fleet has.
	more []opKind
	// wide says that there are fan-outs that take several transactions.
	wide bool
}

func (g *generator) ops(n, depth int) []op {
	ops := make([]op, n)
	for i := range ops {
		ops[i] = g.op(depth)
	}
	return ops
}

// op makes one op up. Children do not wait for events from outside: nobody knows their ids.
func (g *generator) op(depth int) op {
	g.n++
	o := op{Key: fmt.Sprintf("o%d", g.n)}
	kinds := []opKind{
		opCall, opCall, opCall, opFan, opFan, opLocals, opSleep, opSleep, opRetry, opFail, opStatus, opWait, opWait, opBeside, opRace,
		opRace, opChild, opBranch, opDetach, opForget, opPanic, opUncatch,
	}
	kinds = append(kinds, g.more...)
	for o.Kind = ""; o.Kind == ""; {
		o.Kind = kinds[g.dice.IntN(len(kinds))]
		family := slices.Contains([]opKind{opChild, opBranch, opDetach, opRival}, o.Kind)
		outside := slices.Contains([]opKind{opWait, opBeside, opRace}, o.Kind)
		if depth > 0 && (outside || o.Kind == opDeadly) || depth > 1 && family {
			o.Kind = ""
		}
	}
	if o.Kind == opDeadly { // one is enough
		g.more = slices.DeleteFunc(slices.Clone(g.more), func(k opKind) bool { return k == opDeadly })
	}
	if o.Kind == opRace {
		o.Key = "r" + o.Key
	}
	switch o.Kind {
	case opForget:
		o.For, o.Local = g.pause(time.Minute), g.dice.IntN(6) == 0
	case opCall:
		o.For, o.Local = g.pause(3*time.Minute), g.dice.IntN(6) == 0
		if g.dice.IntN(12) == 0 {
			o.N = 70 << 10
		}
	case opFan:
		o.N, o.For, o.Local = 2+g.dice.IntN(5), g.pause(30*time.Second), g.dice.IntN(6) == 0
		o.Slow = g.dice.IntN(3) == 0
		if g.dice.IntN(60) == 0 { // more than a transaction holds
			o.N, o.For = 50, 0
		}
		if g.wide && depth == 0 && g.dice.IntN(4) == 0 {
			o.N, o.For = 50+g.dice.IntN(70), 0
		}
	case opSplit:
		o.N, o.For = 2+g.dice.IntN(3), g.pause(10*time.Second)
		if g.wide && depth == 0 {
			o.N, o.For = 50+g.dice.IntN(30), 0
		}
	case opLocals:
		o.N, o.For, o.Local = 2+g.dice.IntN(5), g.pause(2*time.Second), true
	case opSleep:
		o.For = time.Millisecond + g.pause(4*time.Minute)
	case opRace:
		o.For = time.Second + g.pause(4*time.Minute)
	case opRetry:
		o.N, o.For, o.Local = 1+g.dice.IntN(2), 50*time.Millisecond+g.pause(10*time.Second), g.dice.IntN(6) == 0
	case opWait:
		o.N = 1 + g.dice.IntN(3)
	case opBeside:
		o.N, o.For, o.Local = 1+g.dice.IntN(2), g.pause(30*time.Second), g.dice.IntN(6) == 0
	case opChild, opBranch:
		o.Ops = g.ops(1+g.dice.IntN(2), depth+1)
		o.N = g.dice.IntN(2) * g.dice.IntN(2)
	case opDetach:
		o.Ops = append(g.ops(1, depth+1), op{Kind: opRace, Key: signal, For: time.Minute})
	case opRival:
		o.Ops, o.N = g.ops(1+g.dice.IntN(2), depth+1), g.dice.IntN(2)
	case opFail, opStatus, opPanic, opUncatch, opDeadly:
	}
	return o
}

// pause returns a time up to d, most often a short one or none.
func (g *generator) pause(d time.Duration) time.Duration {
	x := g.dice.Float64()
	switch {
	case x < 0.3:
		return 0
	case x < 0.5: // about as long as the shortest windows
		return time.Duration(g.dice.IntN(400)) * time.Millisecond
	}
	return time.Duration(x * x * x * float64(d)).Round(time.Millisecond)
}

// ledger counts how often the calls of activities were run.
type ledger struct {
	mu    sync.Mutex
	runs  map[string]int
	begun int
	// now counts the runs that have not ended, by process, too.
	now map[string]int
}

func newLedger() *ledger { return &ledger{runs: map[string]int{}, now: map[string]int{}} }

// begin notes a run and returns its number.
func (l *ledger) begin(p *process, info activity.Info) int {
	if p.dead.Load() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
	call := fmt.Sprintf("%s/%s/%d", info.InstanceID, info.ExecutionID, info.TaskID)
	l.runs[call]++
	l.now[fmt.Sprint(p, " ", call)]++
	if l.now[fmt.Sprint(p, " ", call)] > 1 && p.world.orderly() && p.world.setup.workers == 1 {
		p.world.fail("%v runs activity %s twice at the same time", p, call)
	}
	return l.begun
}

// end notes that a run has ended.
func (l *ledger) end(p *process, info activity.Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now[fmt.Sprintf("%v %s/%s/%d", p, info.InstanceID, info.ExecutionID, info.TaskID)]--
}
