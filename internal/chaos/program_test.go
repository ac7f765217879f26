//go:build unix

package chaos_test

import (
	"context"
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

// The programs. All that they return follows from their input, however often a part of them runs.
var (
	// square takes up to 150 ms.
	square = activity.Declare[int, int]("Square")

	// chain squares 1 to n one after the other and adds up.
	chain = orchestration.Declare[int, int]("Chain")
	// fanOut does it at once.
	fanOut = orchestration.Declare[int, int]("FanOut")
	// naps sleeps for a second, n times, with a step in between.
	naps = orchestration.Declare[int, int]("Naps")
	// collect takes n events and returns what they brought, sorted: an event that is lost holds it
	// up, one that counts twice takes the place of another.
	collect = orchestration.Declare[int, string]("Collect")
	// family has n children that are chains.
	family = orchestration.Declare[int, int]("Family")
	// generations continues as new until its input is n.
	generations = orchestration.Declare[life, int]("Generations")

	item = orchestration.DeclareEvent[int]("item")
)

// life is the input of a generation.
type life struct{ Age, End, Sum int }

// runSquare is slow in a way that depends on the input only.
func runSquare(ctx context.Context, n int) (int, error) {
	if !run.Sleep(ctx, time.Duration(n%4)*50*time.Millisecond) {
		return 0, context.Cause(ctx)
	}
	return n * n, nil
}

// lingerOver is a square that is never done.
func lingerOver(ctx context.Context, _ int) (int, error) {
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

// told makes an activity print for which instance it begins.
func told(f func(context.Context, int) (int, error)) func(context.Context, int) (int, error) {
	return func(ctx context.Context, n int) (int, error) {
		info, _ := activity.FromContext(ctx)
		fmt.Println(begins(info.InstanceID))
		return f(ctx, n)
	}
}

func begins(instance string) string { return "begins for " + instance + ";" }

func runChain(ctx *orchestration.Context, n int) (int, error) {
	sum := 0
	for i := 1; i <= n; i++ {
		squared, err := orchestration.CallActivity(ctx, square, i).Await()
		if err != nil {
			return 0, err
		}
		sum += squared
	}
	return sum, nil
}

func runFanOut(ctx *orchestration.Context, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallActivity(ctx, square, i+1)
	}
	return sumOf(tasks)
}

func sumOf(tasks []orchestration.Task[int]) (int, error) {
	results, err := orchestration.All(tasks...).Await()
	sum := 0
	for _, result := range results {
		sum += result
	}
	return sum, err
}

func runNaps(ctx *orchestration.Context, n int) (int, error) {
	sum := 0
	for i := 1; i <= n; i++ {
		if _, err := ctx.Timer(time.Second).Await(); err != nil {
			return 0, err
		}
		squared, err := orchestration.CallActivity(ctx, square, i).Await()
		if err != nil {
			return 0, err
		}
		sum += squared
	}
	return sum, nil
}

func runCollect(ctx *orchestration.Context, n int) (string, error) {
	var got []string
	for range n {
		number, err := orchestration.WaitForEvent(ctx, item).Await()
		if err != nil {
			return "", err
		}
		got = append(got, strconv.Itoa(number))
	}
	slices.Sort(got)
	return strings.Join(got, ","), nil
}

func runFamily(ctx *orchestration.Context, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallSubOrchestration(ctx, chain, 2)
	}
	return sumOf(tasks)
}

func runGenerations(ctx *orchestration.Context, l life) (int, error) {
	if l.Age == l.End {
		return l.Sum, nil
	}
	squared, err := orchestration.CallActivity(ctx, square, l.Age+1).Await()
	if err != nil {
		return 0, err
	}
	orchestration.ContinueAsNew(ctx, generations, life{Age: l.Age + 1, End: l.End, Sum: l.Sum + squared})
	return 0, nil
}

func orchestrations() []orchestration.Binding {
	return []orchestration.Binding{
		chain.With(runChain), fanOut.With(runFanOut), naps.With(runNaps),
		collect.With(runCollect), family.With(runFamily), generations.With(runGenerations),
	}
}

func bindings(linger bool) []worker.Binding {
	run := runSquare
	if linger {
		run = lingerOver
	}
	all := []worker.Binding{square.With(told(run))}
	for _, b := range orchestrations() {
		all = append(all, b)
	}
	return all
}

// squares is the sum of the squares of 1 to n.
func squares(n int) int { return n * (n + 1) * (2*n + 1) / 6 }

// job is an instance to start, and what it has to return.
type job struct {
	id, name string
	input    any
	events   int
	want     string
}

// jobOf makes the i-th job; the kinds take turns.
func jobOf(i int) job {
	n := 2 + i%4
	j := job{id: fmt.Sprintf("job-%03d", i), want: strconv.Itoa(squares(n)), input: n}
	switch i % 6 {
	case 0:
		j.name = chain.Name()
	case 1:
		j.name, j.input, j.want = fanOut.Name(), 4*n, strconv.Itoa(squares(4*n))
	case 2:
		j.name, j.input, j.want = naps.Name(), 2, strconv.Itoa(squares(2))
	case 3:
		j.name, j.events = collect.Name(), n
		var all []string
		for k := range n {
			all = append(all, strconv.Itoa(k))
		}
		j.want = strconv.Quote(strings.Join(all, ","))
	case 4:
		j.name, j.want = family.Name(), strconv.Itoa(n*squares(2))
	case 5:
		j.name, j.input = generations.Name(), life{End: n}
	}
	return j
}
