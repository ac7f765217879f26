package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	childEcho   = orchestration.Declare[string, string]("ChildEcho")
	childParent = orchestration.Declare[string, string]("ChildParent")
	childMany   = orchestration.Declare[int, int]("ChildMany")
	childLeaf   = orchestration.Declare[int, int]("ChildLeaf")
	childTwice  = activity.Declare[int, int]("ChildTwice")
)

func callEcho(ctx *orchestration.Context, in string) (string, error) {
	return orchestration.CallSubOrchestration(ctx, childEcho, in).Await()
}

// S01: the parent gets its child's result, and the history links question and answer.
func TestChild_Result_S01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, childParent.With(callEcho), childEcho.With(func(_ *orchestration.Context, in string) (string, error) {
			return in, nil
		}))
		parent := launch(t, w, childParent, "over and out")
		if got := resultOf(t, w, parent); got != "over and out" {
			t.Errorf("the result is %q", got)
		}
		created, completed := int32(-1), int32(-2)
		for _, e := range eventsOf(t, w, parent.ID()) {
			switch e := e.(type) {
			case *history.SubOrchestrationCreated:
				created = e.EventID
			case *history.SubOrchestrationCompleted:
				completed = e.TaskID
			}
		}
		if created != completed {
			t.Errorf("created with id %d, completed with id %d", created, completed)
		}
	})
}

// S02: a child's failure fails the parent, unless the parent handles it.
func TestChild_Failure_S02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			childEcho.With(func(*orchestration.Context, string) (string, error) { return "", errors.New("kaboom") }),
			childParent.With(func(ctx *orchestration.Context, in string) (string, error) {
				_, err := callEcho(ctx, in)
				var failed *orchestration.TaskError
				if in == "handle" && errors.As(err, &failed) {
					return "handled " + failed.Details.Message, nil
				}
				return "", err
			}))
		handled, not := launch(t, w, childParent, "handle"), launch(t, w, childParent, "")
		if got := resultOf(t, w, handled); got != "handled kaboom" {
			t.Errorf("the result is %q", got)
		}
		if end := endOf(t, w, not.ID()); end.Status != history.Failed || !strings.Contains(end.Failure, "kaboom") {
			t.Errorf("the parent is %s with %q", end.Status, end.Failure)
		}
	})
}

// S03: many children at once are all joined, and each runs once.
func TestChild_FanOut_S03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		n := 100
		if !w.Virtual {
			n = 20
		}
		var runs atomic.Int64
		w.Start(nil,
			childTwice.With(func(_ context.Context, i int) (int, error) { runs.Add(1); return 2 * i, nil }),
			childLeaf.With(func(ctx *orchestration.Context, i int) (int, error) {
				return orchestration.CallActivity(ctx, childTwice, i).Await()
			}),
			childMany.With(func(ctx *orchestration.Context, n int) (int, error) {
				tasks := make([]orchestration.Task[int], n)
				for i := range tasks {
					tasks[i] = orchestration.CallSubOrchestration(ctx, childLeaf, i)
				}
				results, err := orchestration.All(tasks...).Await()
				sum := 0
				for _, r := range results {
					sum += r
				}
				return sum, err
			}))
		if got := resultOf(t, w, launch(t, w, childMany, n)); got != n*(n-1) {
			t.Errorf("the sum is %d, want %d", got, n*(n-1))
		}
		if got := runs.Load(); got != int64(n) {
			t.Errorf("%d activities ran, want %d", got, n)
		}
	})
}

// S07: the child of one generation is not that of the next, although both are call number 0.
func TestChild_DefaultIDsAcrossGenerations_S07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		type state struct {
			Generation int
			IDs        []string
		}
		rounds := orchestration.Declare[state, []string]("ChildRounds")
		self := orchestration.Declare[int, string]("ChildSelf")
		var runs atomic.Int64
		w.Start(nil,
			childTwice.With(func(_ context.Context, i int) (int, error) { runs.Add(1); return 2 * i, nil }),
			self.With(func(ctx *orchestration.Context, i int) (string, error) {
				_, err := orchestration.CallActivity(ctx, childTwice, i).Await()
				return ctx.InstanceID(), err
			}),
			rounds.With(func(ctx *orchestration.Context, in state) ([]string, error) {
				id, err := orchestration.CallSubOrchestration(ctx, self, in.Generation).Await()
				ids := slices.Concat(in.IDs, []string{id})
				if err != nil || in.Generation == 1 {
					return ids, err
				}
				orchestration.ContinueAsNew(ctx, rounds, state{in.Generation + 1, ids})
				return nil, nil
			}))
		ids := resultOf(t, w, launch(t, w, rounds, state{}))
		if len(ids) != 2 || ids[0] == ids[1] || runs.Load() != 2 {
			t.Errorf("the children are %q, %d activities ran", ids, runs.Load())
		}
	})
}

// S10: three levels, with a fan-out in the middle one, compute 10!.
func TestChild_Nested_S10(t *testing.T) {
	t.Parallel()
	type span struct{ From, To int }
	var (
		multiply   = activity.Declare[[]int, int]("ChildMultiply")
		sequential = orchestration.Declare[span, int]("ChildSequential")
		halves     = orchestration.Declare[span, int]("ChildHalves")
		top        = orchestration.Declare[int, int]("ChildTop")
	)
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			multiply.With(func(_ context.Context, f []int) (int, error) { return f[0] * f[1], nil }),
			sequential.With(func(ctx *orchestration.Context, in span) (product int, err error) {
				product = 1
				for i := in.From; i <= in.To && err == nil; i++ {
					product, err = orchestration.CallActivity(ctx, multiply, []int{product, i}).Await()
				}
				return product, err
			}),
			halves.With(func(ctx *orchestration.Context, in span) (int, error) {
				middle := (in.From + in.To) / 2
				both, err := orchestration.All(
					orchestration.CallSubOrchestration(ctx, sequential, span{in.From, middle}),
					orchestration.CallSubOrchestration(ctx, sequential, span{middle + 1, in.To}),
				).Await()
				if err != nil {
					return 0, err
				}
				return orchestration.CallActivity(ctx, multiply, both).Await()
			}),
			top.With(func(ctx *orchestration.Context, n int) (int, error) {
				return orchestration.CallSubOrchestration(ctx, halves, span{1, n}).Await()
			}))
		if got := resultOf(t, w, launch(t, w, top, 10)); got != 3628800 {
			t.Errorf("10! is %d", got)
		}
	})
}

// S11: a parent waits through all generations of its child and gets the last one's result.
func TestChild_ContinuesAsNew_S11(t *testing.T) {
	t.Parallel()
	generations := orchestration.Declare[int, string]("ChildGenerations")
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			childTwice.With(func(_ context.Context, i int) (int, error) { return 2 * i, nil }),
			generations.With(func(ctx *orchestration.Context, n int) (string, error) {
				if _, err := orchestration.CallActivity(ctx, childTwice, n).Await(); err != nil {
					return "", err
				}
				if n < 5 {
					orchestration.ContinueAsNew(ctx, generations, n+1)
					return "not the last", nil
				}
				return fmt.Sprintf("generation %d", n), nil
			}),
			childParent.With(func(ctx *orchestration.Context, _ string) (string, error) {
				return orchestration.CallSubOrchestration(ctx, generations, 0).Await()
			}))
		parent := launch(t, w, childParent, "")
		if got := resultOf(t, w, parent); got != "generation 5" {
			t.Errorf("the result is %q", got)
		}
		counts := kinds(eventsOf(t, w, parent.ID()))
		if counts[history.KindSubOrchestrationCompleted] != 1 || counts[history.KindSubOrchestrationCreated] != 1 {
			t.Errorf("the parent's history: %v", counts)
		}
	})
}
