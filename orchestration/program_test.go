package orchestration_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/orchestration"
)

// program is a node of the syntax tree of a random orchestrator. What n means depends on op.
type program struct {
	op   string
	n    int
	kids []program
}

// String shows the program as nested calls.
func (p program) String() string {
	if p.kids == nil {
		return fmt.Sprintf("%s(%d)", p.op, p.n)
	}
	kids := make([]string, len(p.kids))
	for i, kid := range p.kids {
		kids[i] = kid.String()
	}
	return p.op + "(" + strings.Join(kids, ", ") + ")"
}

// dense reports whether every id the program takes is that of an action: none is withdrawn.
func (p program) dense() bool {
	return !slices.Contains([]string{"waitFor", "cancel", "race"}, p.op) && !slices.ContainsFunc(p.kids, func(kid program) bool { return !kid.dense() })
}

var (
	leaves = []string{
		"activity", "activity", "retry", "handler", "timer", "wait", "waitFor", "send", "child", "detached", "status", "look",
		"cancel", "race", "again", "fail",
	}
	inner = []string{"seq", "seq", "all", "first", "fan"}
)

// programs generates programs of limited depth.
func programs(depth int) *rapid.Generator[program] {
	return rapid.Custom(func(t *rapid.T) program {
		ops := leaves
		if depth > 0 {
			ops = slices.Concat(leaves, inner, inner)
		}
		p := program{op: rapid.SampledFrom(ops).Draw(t, "op"), n: rapid.IntRange(0, 3).Draw(t, "n")}
		if slices.Contains(inner, p.op) {
			p.kids = rapid.SliceOfN(programs(depth-1), 1, 3).Draw(t, "kids")
		}
		return p
	})
}

// binding returns the orchestrator that interprets the program. Its result tells all it has seen.
func (p program) binding() orchestration.Binding {
	return jobOf(func(ctx *orchestration.Context) (string, error) {
		run := &interpreter{ctx: ctx}
		run.do(p)
		return strings.Join(run.seen, "; "), nil
	})
}

type interpreter struct {
	ctx  *orchestration.Context
	seen []string
}

func (r *interpreter) note(values ...any) { r.seen = append(r.seen, fmt.Sprint(values...)) }

func (r *interpreter) do(p program) {
	switch p.op {
	case "seq":
		for _, kid := range p.kids {
			r.do(kid)
		}
	case "all", "first":
		r.branch(p)
	case "fan":
		tasks := make([]orchestration.Task[string], len(p.kids))
		for i := range tasks {
			tasks[i] = call(r.ctx, fmt.Sprint("fan", i))
		}
		r.note(orchestration.All(tasks...).Await())
	case "wait", "waitFor", "cancel", "race":
		r.wait(p)
	case "status":
		r.ctx.SetCustomStatus([]any{nil, "", 0, "two"}[p.n])
	case "look":
		r.note(r.ctx.Now().Sub(epoch), r.ctx.NewUUID())
	case "again":
		orchestration.ContinueAsNewWith(r.ctx, p.n)
	case "fail":
		r.note(orchestration.CallActivityByName(r.ctx, "Work", make(chan int)).Await())
	default:
		r.act(p)
	}
}

func (r *interpreter) act(p program) {
	pause := time.Duration(p.n) * sec
	switch p.op {
	case "activity":
		r.note(call(r.ctx, fmt.Sprint(p.n)).Await())
	case "retry":
		r.note(call(r.ctx, "retry", orchestration.Retry{MaxAttempts: p.n + 1, FirstInterval: pause, Coefficient: 2}).Await())
	case "handler":
		r.note(orchestration.CallSubOrchestration(r.ctx, job, "h", orchestration.Retry{Handler: linear(p.n)}).Await())
	case "timer":
		r.note(r.ctx.Timer(2 * pause).Await())
	case "send":
		r.note(orchestration.SendEventByName(r.ctx, "other", fmt.Sprint("e", p.n), p.n))
	case "child":
		r.note(orchestration.CallSubOrchestration(r.ctx, job, "c").Await())
	case "detached":
		r.note(orchestration.StartDetached(r.ctx, job, "d"))
	}
}

func (r *interpreter) branch(p program) {
	branches := make([]orchestration.Task[string], len(p.kids))
	for i, kid := range p.kids {
		branches[i] = orchestration.Go(r.ctx, func(ctx *orchestration.Context) (string, error) {
			inside := &interpreter{ctx: ctx}
			inside.do(kid)
			return strings.Join(inside.seen, ", "), nil
		})
	}
	if p.op == "all" {
		r.note(orchestration.All(branches...).Await())
		return
	}
	r.note(orchestration.Any(branches...).Await())
	for _, branch := range branches {
		branch.Cancel()
		r.note(branch.Await())
	}
}

func (r *interpreter) wait(p program) {
	name := fmt.Sprint("e", p.n%2)
	event := orchestration.DeclareEvent[int](name)
	switch p.op {
	case "wait":
		r.note(orchestration.WaitForEvent(r.ctx, event).Await())
	case "waitFor":
		r.note(orchestration.WaitForEventFor(r.ctx, event, time.Duration(2*p.n)*sec).Await())
	case "cancel":
		timer, wait, limited := r.ctx.Timer(9*sec), orchestration.WaitForEvent(r.ctx, event), orchestration.WaitForEventFor(r.ctx, event, 4*sec)
		timer.Cancel()
		wait.Cancel()
		limited.Cancel()
		_, err := limited.Await()
		r.note(err)
	case "race":
		wait, timer, task := orchestration.WaitForEvent(r.ctx, event), r.ctx.Timer(5*sec), call(r.ctx, "race")
		r.note(orchestration.FirstOf(wait, timer, task).Await())
		wait.Cancel()
		timer.Cancel()
		task.Cancel()
	}
}
