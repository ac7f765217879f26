package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

// The programs. All that they return follows from their input and events, however often a part of
// them runs.
var (
	// square takes up to 750 ms, so that there is always something to interrupt.
	square = activity.Declare[int, int]("ChaosSquare")
	// flaky fails in its first attempts, as many as its input says.
	flaky = activity.Declare[int, int]("ChaosFlaky")
	// shout returns its text in upper case.
	shout = activity.Declare[string, string]("ChaosShout")

	// chain squares 1 to n one after the other and adds up.
	chain = orchestration.Declare[int, int]("ChaosChain")
	// fanOut does it at once.
	fanOut = orchestration.Declare[int, int]("ChaosFanOut")
	// naps sleeps before each step.
	naps = orchestration.Declare[int, int]("ChaosNaps")
	// collect waits for the numbers 0 to n−1 as events, and a second longer for what comes twice.
	collect = orchestration.Declare[int, string]("ChaosCollect")
	// family has n children that are chains.
	family = orchestration.Declare[int, int]("ChaosFamily")
	// generations continues as new until its age is its end.
	generations = orchestration.Declare[life, int]("ChaosGenerations")
	// stubborn calls an activity that fails n times.
	stubborn = orchestration.Declare[int, int]("ChaosStubborn")
	// bulky passes a text through an activity that is too large for a message.
	bulky = orchestration.Declare[string, string]("ChaosBulky")
	// gate is a chain that begins with an event.
	gate = orchestration.Declare[int, int]("ChaosGate")
	// endless waits for an event that never comes.
	endless = orchestration.Declare[int, int]("ChaosEndless")

	item = orchestration.DeclareEvent[int]("item")
	open = orchestration.DeclareEvent[int]("open")
)

// life is the input of a generation.
type life struct{ Age, End, Sum int }

const (
	squareUnit = 250 * time.Millisecond
	napTime    = 500 * time.Millisecond
	retryPause = 200 * time.Millisecond
	// collectAfter is how long collect waits for events that come twice.
	collectAfter = time.Second
)

// programs are the programs, telling a narrator what they do.
type programs struct{ tell *narrator }

// bindings returns everything that a worker of the fleet runs.
func (p programs) bindings() []worker.Binding {
	return []worker.Binding{
		square.With(told(p.tell, runSquare)),
		flaky.With(told(p.tell, runFlaky)),
		shout.With(told(p.tell, func(_ context.Context, text string) (string, error) { return strings.ToUpper(text), nil })),
		chain.With(stepping(p.tell, runChain)),
		fanOut.With(stepping(p.tell, runFanOut)),
		naps.With(stepping(p.tell, runNaps)),
		collect.With(stepping(p.tell, runCollect)),
		family.With(stepping(p.tell, runFamily)),
		generations.With(stepping(p.tell, runGenerations)),
		stubborn.With(stepping(p.tell, runStubborn)),
		bulky.With(stepping(p.tell, runBulky)),
		gate.With(stepping(p.tell, runGate)),
		endless.With(stepping(p.tell, runEndless)),
	}
}

// told makes an activity tell when it begins and ends.
func told[In, Out any](tell *narrator, f func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		info, _ := activity.FromContext(ctx) // there is always one in a worker
		call := fmt.Sprintf("%s attempt %d", info.CallID, info.Attempt)
		tell.say(line{Kind: lineBegun, Instance: info.InstanceID, Call: call})
		out, err := f(ctx, in)
		// A run that was cut off did not fail: it is going to be run again.
		failed := err != nil && ctx.Err() != nil
		tell.say(line{Kind: lineRan, Instance: info.InstanceID, Call: call, Failed: failed})
		return out, err
	}
}

// step is called by orchestrators wherever they have got further.
type step func()

// stepping makes an orchestrator tell of its steps, without telling those of a replay again.
func stepping[In, Out any](
	tell *narrator, f func(*orchestration.Context, step, In) (Out, error),
) func(*orchestration.Context, In) (Out, error) {
	return func(ctx *orchestration.Context, in In) (Out, error) {
		step := func() {
			if !ctx.IsReplaying() {
				tell.say(line{Kind: lineStep, Instance: ctx.InstanceID()})
			}
		}
		step()
		return f(ctx, step, in)
	}
}

func runSquare(ctx context.Context, n int) (int, error) {
	if !run.Sleep(ctx, time.Duration(n%4)*squareUnit) {
		return 0, context.Cause(ctx)
	}
	return n * n, nil
}

var errFlaky = errors.New("not yet")

func runFlaky(ctx context.Context, failures int) (int, error) {
	info, _ := activity.FromContext(ctx) // as in told
	if info.Attempt <= failures {
		return 0, errFlaky
	}
	return info.Attempt, nil
}

func runChain(ctx *orchestration.Context, step step, n int) (int, error) {
	sum := 0
	for i := 1; i <= n; i++ {
		squared, err := orchestration.CallActivity(ctx, square, i).Await()
		step()
		if err != nil {
			return 0, err
		}
		sum += squared
	}
	return sum, nil
}

func runFanOut(ctx *orchestration.Context, step step, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallActivity(ctx, square, i+1)
	}
	return sumOf(tasks, step)
}

// sumOf awaits one task after the other, so that every answer can be a step.
func sumOf(tasks []orchestration.Task[int], step step) (int, error) {
	sum := 0
	for _, task := range tasks {
		result, err := task.Await()
		step()
		if err != nil {
			return 0, err
		}
		sum += result
	}
	return sum, nil
}

func runNaps(ctx *orchestration.Context, step step, n int) (int, error) {
	sum := 0
	for i := 1; i <= n; i++ {
		if _, err := ctx.Timer(napTime).Await(); err != nil {
			return 0, err
		}
		step()
		squared, err := orchestration.CallActivity(ctx, square, i).Await()
		step()
		if err != nil {
			return 0, err
		}
		sum += squared
	}
	return sum, nil
}

// runCollect returns all numbers that it has seen, sorted.
func runCollect(ctx *orchestration.Context, step step, n int) (string, error) {
	var seen []int
	for missing := n; missing > 0; {
		number, err := orchestration.WaitForEvent(ctx, item).Await()
		step()
		if err != nil {
			return "", err
		}
		if !slices.Contains(seen, number) {
			missing--
		}
		seen = append(seen, number)
	}
	for {
		number, err := orchestration.WaitForEventFor(ctx, item, collectAfter).Await()
		step()
		if errors.Is(err, orchestration.ErrTimeout) {
			slices.Sort(seen)
			return joined(seen), nil
		}
		if err != nil {
			return "", err
		}
		seen = append(seen, number)
	}
}

func joined(numbers []int) string {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		texts[i] = strconv.Itoa(number)
	}
	return strings.Join(texts, ",")
}

func runFamily(ctx *orchestration.Context, step step, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		id := orchestration.InstanceID(childID(ctx.InstanceID(), i))
		tasks[i] = orchestration.CallSubOrchestration(ctx, chain, 2, id)
	}
	return sumOf(tasks, step)
}

// childID returns the id of the i-th child of a family.
func childID(parent string, i int) string { return fmt.Sprintf("%s-child-%d", parent, i) }

func runGenerations(ctx *orchestration.Context, step step, l life) (int, error) {
	if l.Age == l.End {
		return l.Sum, nil
	}
	squared, err := orchestration.CallActivity(ctx, square, l.Age+1).Await()
	step()
	if err != nil {
		return 0, err
	}
	orchestration.ContinueAsNew(ctx, generations, life{Age: l.Age + 1, End: l.End, Sum: l.Sum + squared})
	return 0, nil
}

func runStubborn(ctx *orchestration.Context, step step, failures int) (int, error) {
	retry := orchestration.Retry{MaxAttempts: failures + 1, FirstInterval: retryPause, Coefficient: 2}
	attempts, err := orchestration.CallActivity(ctx, flaky, failures, retry).Await()
	step()
	return attempts, err
}

func runBulky(ctx *orchestration.Context, step step, text string) (string, error) {
	loud, err := orchestration.CallActivity(ctx, shout, text).Await()
	step()
	return loud, err
}

func runGate(ctx *orchestration.Context, step step, n int) (int, error) {
	if _, err := orchestration.WaitForEvent(ctx, open).Await(); err != nil {
		return 0, err
	}
	step()
	return runChain(ctx, step, n)
}

func runEndless(ctx *orchestration.Context, step step, n int) (int, error) {
	if _, err := orchestration.CallActivity(ctx, square, n).Await(); err != nil {
		return 0, err
	}
	step()
	return orchestration.WaitForEvent(ctx, open).Await()
}
