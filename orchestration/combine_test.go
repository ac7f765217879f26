package orchestration_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/orchestration"
)

// All of nothing is done at once, by itself and inside of other combinations.
func TestAll_OfNothing(t *testing.T) {
	t.Parallel()
	nothing := orchestration.All[int]
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		empty := nothing()
		empty.Cancel()
		list, err := empty.Await()
		if err != nil || list == nil || len(list) > 0 || !empty.Done() {
			return "", fmt.Errorf("empty: %v, %w", list, err)
		}
		nested, err := orchestration.All(nothing(), nothing()).Await()
		if err != nil || len(nested) != 2 {
			return "", fmt.Errorf("nested: %v, %w", nested, err)
		}
		first, err := orchestration.FirstOf(call(ctx, "a"), nothing()).Await()
		if err != nil || first != 1 {
			return "", fmt.Errorf("first: %d, %w", first, err)
		}
		first, err = orchestration.FirstOf(nothing(), call(ctx, "b")).Await()
		if err != nil || first != 0 {
			return "", fmt.Errorf("first: %d, %w", first, err)
		}
		mixed := orchestration.All(nothing(), orchestration.All(orchestration.WaitForEvent(ctx, tick)))
		lists, err := mixed.Await()
		return fmt.Sprint(lists), err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`, `1 activity Work ["b"]`}, started("Job", `""`))
	d.expect([]string{`2 Completed "[[] [7]]"`}, raised("Tick", "7"))
}

// A11: combinations of combinations; a failure inside reaches the outside.
func TestCombine_Nested_A11(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		pair := func(a, b string) orchestration.Task[string] { return orchestration.Any(call(ctx, a), call(ctx, b)) }
		first := orchestration.FirstOf(call(ctx, "slow"), ctx.Timer(sec))
		all := orchestration.All(orchestration.All(pair("a", "b"), pair("c", "d")), orchestration.All(call(ctx, "e")))
		index, err := first.Await()
		if err != nil {
			return "", err
		}
		lists, err := all.Await()
		return fmt.Sprint(index, lists), err
	})
	turn := []string{
		`0 activity Work ["slow"]`, "1 timer +1s", `2 activity Work ["a"]`, `3 activity Work ["b"]`,
		`4 activity Work ["c"]`, `5 activity Work ["d"]`, `6 activity Work ["e"]`,
	}
	d := drive(t, binding, orchestration.Options{})
	d.expect(turn, started("Job", `""`))
	d.expect(nil, done(3, `"b"`), done(2, `"a"`), done(6, `"e"`))
	d.expect(nil, fired(1))
	d.expect([]string{`7 Completed "1 [[b c] [e]]"`}, done(4, `"c"`))

	d = drive(t, binding, orchestration.Options{})
	d.expect(turn, started("Job", `""`))
	d.expect(nil, fired(1), failed(5, "no"), done(3, `"b"`))
	d.expect([]string{`7 Failed activity "Work" (#5) failed: no`}, done(6, `"e"`))
}

// FirstOf and Any with tasks that are done, and with none.
func TestFirstOf_Edges(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		a, b := call(ctx, "a"), call(ctx, "b")
		if _, err := orchestration.All(a, b).Await(); err != nil {
			return "", err
		}
		first, err := orchestration.FirstOf(b, a).Await()
		return fmt.Sprint(first), err
	}), orchestration.Options{})
	d.turn(started("Job", `""`))
	d.expect([]string{`2 Completed "0"`}, done(0, `"a"`), done(1, `"b"`))

	d = drive(t, jobOf(func(*orchestration.Context) (string, error) {
		return orchestration.Any[string]().Await()
	}), orchestration.Options{})
	d.expect([]string{"0 Failed orchestration: FirstOf needs at least one task"}, started("Job", `""`))
}

// Branches run side by side, each in its own order; ids are given in the order in which they go on.
func TestGo_Branches(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		branch := func(name string) orchestration.Task[string] {
			return orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) {
				first, err := call(ctx, name+"1").Await()
				if err != nil {
					return "", err
				}
				second, err := call(ctx, name+"2").Await()
				return first + second, err
			})
		}
		texts, err := orchestration.All(branch("x"), branch("y")).Await()
		return strings.Join(texts, "|"), err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["x1"]`, `1 activity Work ["y1"]`}, started("Job", `""`))
	d.expect([]string{`2 activity Work ["y2"]`}, done(1, `"y1"`))
	d.expect([]string{`3 activity Work ["x2"]`}, done(0, `"x1"`))
	d.expect([]string{`4 Completed "x1x2|y1y2"`}, done(3, `"x2"`), done(2, `"y2"`))
}

// A panic in a branch fails its task, an error likewise; nested branches are awaited like others.
func TestGo_Failures(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		crashing := orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) {
			return orchestration.Go(ctx, func(*orchestration.Context) (string, error) { panic("deep") }).Await()
		})
		failing := orchestration.Go(ctx, func(*orchestration.Context) (int, error) { return 1, errors.New("wrong") })
		_, crash := crashing.Await()
		_, fault := failing.Await()
		var panicked *orchestration.PanicError
		if !errors.As(crash, &panicked) || !strings.Contains(panicked.Details.Stack, "combine_test.go") {
			return "", fmt.Errorf("unexpected: %w", crash)
		}
		return fmt.Sprint(crash, "; ", fault), nil
	}), orchestration.Options{})
	d.expect([]string{`0 Completed "panic: deep; wrong"`}, started("Job", `""`))

	d = drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return orchestration.Go(ctx, func(*orchestration.Context) (string, error) { panic("deep") }).Await()
	}), orchestration.Options{})
	if end := d.turn(started("Job", `""`)).Complete(); *end.Result != "panic: deep" || end.Failure.Type != "panic" {
		t.Errorf("the end is %s, %+v", *end.Result, end.Failure)
	}
}

// A branch that is still waiting when the orchestrator returns does not hold up the end.
func TestGo_Abandoned(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) { return call(ctx, "a").Await() })
		_, err := call(ctx, "b").Await()
		return "done", err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["b"]`, `1 activity Work ["a"]`}, started("Job", `""`))
	d.expect([]string{`2 Completed "done"`}, done(0, `""`))
	d.expect(nil, done(1, `""`))
}

// Every kind of task can be cancelled. It ends with ErrCanceled, whatever comes later, and again.
func TestCancel_EveryKind(t *testing.T) {
	t.Parallel()
	type canceller interface{ Cancel() }
	retry := orchestration.Retry{MaxAttempts: 3, FirstInterval: sec}
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		plain, retried, pausing := call(ctx, "plain"), call(ctx, "retried", retry), call(ctx, "pausing", retry)
		child := orchestration.CallSubOrchestration(ctx, job, "x")
		all := orchestration.All(call(ctx, "in all"))
		anyOf := orchestration.Any(call(ctx, "in any"))
		first := orchestration.FirstOf(call(ctx, "in first"))
		branch := orchestration.Go(ctx, func(ctx *orchestration.Context) (string, error) { return call(ctx, "in branch").Await() })
		event, timer := orchestration.WaitForEvent(ctx, tick), ctx.Timer(sec)
		if _, err := gather(ctx, 0); err != nil {
			return "", err
		}
		if _, err := orchestration.WaitForEvent(ctx, note).Await(); err != nil {
			return "", err
		}
		for _, task := range []canceller{plain, retried, pausing, child, all, anyOf, first, branch, event, timer} {
			task.Cancel()
			task.Cancel()
		}
		results := func() (n int) {
			_, e1 := plain.Await()
			_, e2 := retried.Await()
			_, e3 := pausing.Await()
			_, e4 := child.Await()
			_, e5 := all.Await()
			_, e6 := anyOf.Await()
			_, e7 := first.Await()
			text, e8 := branch.Await()
			_, e9 := event.Await()
			_, e10 := timer.Await()
			for _, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, e9, e10} {
				if errors.Is(err, orchestration.ErrCanceled) && text == "" {
					n++
				}
			}
			return n
		}
		before := results()
		if _, err := orchestration.WaitForEvent(ctx, note).Await(); err != nil {
			return "", err
		}
		return fmt.Sprint(before, results()), nil
	}), orchestration.Options{})
	d.expect([]string{
		`0 activity Work ["plain"]`, `1 activity Work ["retried"]`, `2 activity Work ["pausing"]`, `3 child Job as exec:3 "x"`,
		`4 activity Work ["in all"]`, `5 activity Work ["in any"]`, `6 activity Work ["in first"]`, "7 timer +1s",
		`8 activity Work ["in branch"]`,
	}, started("Job", `""`))
	d.expect([]string{"9 timer +1s"}, failed(2, "no"))
	d.expect(nil, raised("Note"))
	d.expect(nil, done(0, `"a"`), failed(1, "no"), fired(9), childDone(3, `"c"`), done(4, `""`), done(5, `""`), done(6, `""`), fired(7), done(8, `"b"`))
	d.expect([]string{`10 Completed "10 10"`}, raised("Note"))
}
