package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

var (
	actNumber = activity.Declare[int, int]("ActNumber")
	actText   = activity.Declare[string, string]("ActText")
	actList   = activity.Declare[int, []int]("ActList")
	actVoid   = activity.Declare[int, struct{}]("ActVoid")
	actFlow   = orchestration.Declare[int, int]("ActFlow")
	actFlows  = orchestration.Declare[int, []int]("ActFlows")
	actStory  = orchestration.Declare[string, string]("ActStory")
)

func callNumber(ctx *orchestration.Context, n int) (int, error) {
	return orchestration.CallActivity(ctx, actNumber, n).Await()
}

// fanOut runs the numbers from 0 to n−1 through the activity and returns the results in order.
func fanOut(ctx *orchestration.Context, n int) ([]int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallActivity(ctx, actNumber, i)
	}
	return orchestration.All(tasks...).Await()
}

func sumOf(numbers []int) int {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return sum
}

// A01: an activity's result is the output; the history links question and answer.
func TestActivity_One_A01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, actNumber.With(plusOne), actFlow.With(callNumber))
		instance := launch(t, w, actFlow, 6)
		if got := resultOf(t, w, instance); got != 7 {
			t.Errorf("the result is %d", got)
		}
		events := eventsOf(t, w, instance.ID())
		counts := kinds(events)
		if counts[history.KindTaskScheduled] != 1 || counts[history.KindTaskCompleted] != 1 {
			t.Errorf("the history: %v", counts)
		}
		asked, answered := int32(-1), int32(-2)
		for _, e := range events {
			switch e := e.(type) {
			case *history.TaskScheduled:
				asked = e.EventID
			case *history.TaskCompleted:
				answered = e.TaskID
			}
		}
		if asked != answered {
			t.Errorf("scheduled is %d, answered %d", asked, answered)
		}
		w.Settled(soon, instance.ID())
	})
}

// A02: ten activities one after the other; their ids count up from 0.
func TestActivity_Chain_A02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, actNumber.With(plusOne), actFlows.With(func(ctx *orchestration.Context, n int) ([]int, error) {
			all := []int{n}
			for range 10 {
				next, err := callNumber(ctx, all[len(all)-1])
				if err != nil {
					return nil, err
				}
				all = append(all, next)
			}
			return all, nil
		}))
		zero, one := launch(t, w, actFlows, 0), launch(t, w, actFlows, 1)
		if got := resultOf(t, w, zero); len(got) != 11 || got[10] != 10 {
			t.Errorf("from 0: %v", got)
		}
		if got := fmt.Sprint(resultOf(t, w, one)); got != "[1 2 3 4 5 6 7 8 9 10 11]" {
			t.Errorf("from 1: %v", got)
		}
		if got := fmt.Sprint(scheduledIDs(eventsOf(t, w, one.ID()))); got != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Errorf("the task ids are %v", got)
		}
		w.Settled(soon, zero.ID(), one.ID())
	})
}

// scheduledIDs returns the ids of all requests of a history in order.
func scheduledIDs(events []history.Event) []int32 {
	ids := []int32{}
	for _, e := range events {
		if e.Head().EventID != history.NoEventID && e.Kind() != history.KindExecutionCompleted {
			ids = append(ids, e.Head().EventID)
		}
	}
	return ids
}

// A03: ten activities of a second run side by side; their results are in the order of the calls.
func TestActivity_FanOutIsParallel_A03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var busy atomic.Int64
		allBusy := make(chan struct{})
		w.Start(&worker.Options{MaxActivities: 10},
			actNumber.With(func(ctx context.Context, n int) (int, error) {
				if busy.Add(1) == 10 {
					close(allBusy)
				}
				select {
				case <-allBusy: // no activity ends before all run
				case <-ctx.Done():
					return 0, ctx.Err()
				}
				run.Sleep(ctx, time.Second)
				return 2 * n, nil
			}),
			actFlows.With(fanOut))
		instance := launch(t, w, actFlows, 10)
		if got := fmt.Sprint(resultOf(t, w, instance)); got != "[0 2 4 6 8 10 12 14 16 18]" {
			t.Errorf("the results are %v", got)
		}
		// The bound of three seconds holds where time is not shared with other tests.
		status := statusOf(t, w, instance.ID())
		if took := status.LastUpdated.Sub(status.Created); w.Virtual && took >= 3*time.Second || took < time.Second {
			t.Errorf("it took %v", took)
		}
		w.Settled(soon, instance.ID())
	})
}

// A04: a thousand activities in one orchestrator, within five minutes; no row is lost. On Azurite
// only with the session cache on, because of the time it takes.
func TestActivity_FanOutThousand_A04(t *testing.T) {
	t.Parallel()
	thousand := func(t *testing.T, w *fleettest.World) {
		t.Helper()
		const n = 1000
		member := w.Start(&worker.Options{MaxActivities: 32}, actNumber.With(plusOne), actFlows.With(fanOut))
		instance := launch(t, w, actFlows, n)
		got, err := instance.Wait(w.Timeout(5 * time.Minute))
		check(t, err)
		if len(got) != n || sumOf(got) != n*(n+1)/2 || !slices.IsSorted(got) {
			t.Errorf("%d results, their sum is %d", len(got), sumOf(got))
		}
		counts := kinds(eventsOf(t, w, instance.ID()))
		if counts[history.KindTaskScheduled] != n || counts[history.KindTaskCompleted] != n {
			t.Errorf("the history: %v", counts)
		}
		status := statusOf(t, w, instance.ID())
		t.Logf("%d activities took %v", n, status.LastUpdated.Sub(status.Created))
		w.Settled(soon, instance.ID())
		t.Logf("the worker's requests: %v", member.Hub.Requests())
	}
	fleettest.EachVirtual(t, thousand)
	t.Run("azurite", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs real time; -short is set")
		}
		fleettest.RealAlone(t, false, thousand)
	})
}

// A05: in a quiet system each of a hundred activities has its effect exactly once.
func TestActivity_EffectsOnce_A05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var rows noted[int]
		count := activity.Declare[struct{}, int]("ActCount")
		w.Start(&worker.Options{MaxActivities: 20},
			actNumber.With(func(_ context.Context, n int) (int, error) { rows.add(n); return n, nil }),
			count.With(func(context.Context, struct{}) (int, error) { return len(rows.all()), nil }),
			actFlow.With(func(ctx *orchestration.Context, n int) (int, error) {
				if _, err := fanOut(ctx, n); err != nil {
					return 0, err
				}
				return orchestration.CallActivity(ctx, count, struct{}{}).Await()
			}))
		instance := launch(t, w, actFlow, 100)
		if got := resultOf(t, w, instance); got != 100 {
			t.Errorf("%d effects", got)
		}
		w.Settled(soon, instance.ID())
		written := rows.all()
		slices.Sort(written)
		if len(slices.Compact(written)) != 100 || len(rows.all()) != 100 {
			t.Errorf("the effects are %v", written)
		}
	})
}

// A06: a second fan-out after the first.
func TestActivity_TwoFanOuts_A06(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, actNumber.With(plusOne), actFlows.With(func(ctx *orchestration.Context, n int) ([]int, error) {
			first, err := fanOut(ctx, n)
			if err != nil {
				return nil, err
			}
			second, err := fanOut(ctx, n)
			return append(first, second...), err
		}))
		instance := launch(t, w, actFlows, 4)
		if got := fmt.Sprint(resultOf(t, w, instance)); got != "[1 2 3 4 1 2 3 4]" {
			t.Errorf("the results are %v", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// A07: an activity says how many there are.
func TestActivity_DynamicFanOut_A07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			actList.With(func(_ context.Context, n int) ([]int, error) {
				list := make([]int, n)
				for i := range list {
					list[i] = 10 * i
				}
				return list, nil
			}),
			actNumber.With(plusOne),
			actFlow.With(func(ctx *orchestration.Context, n int) (int, error) {
				list, err := orchestration.CallActivity(ctx, actList, n).Await()
				if err != nil {
					return 0, err
				}
				tasks := make([]orchestration.Task[int], len(list))
				for i, number := range list {
					tasks[i] = orchestration.CallActivity(ctx, actNumber, number)
				}
				sizes, err := orchestration.All(tasks...).Await()
				return sumOf(sizes), err
			}))
		instance := launch(t, w, actFlow, 5)
		if got := resultOf(t, w, instance); got != 105 {
			t.Errorf("the sum is %d", got)
		}
		if got := string(statusOf(t, w, instance.ID()).Input); got != "5" {
			t.Errorf("the input is %s", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// A08: a join fails only when all have ended; caught, the instance completes and stays completed.
func TestActivity_JoinWaitsForAll_A08(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var failures, ends atomic.Int64
		w.Start(&worker.Options{MaxActivities: 10},
			actText.With(func(ctx context.Context, in string) (string, error) {
				if in == "fails" {
					failures.Add(1)
					return "", errors.New("too heavy")
				}
				run.Sleep(ctx, time.Second)
				ends.Add(1)
				return in, nil
			}),
			actStory.With(func(ctx *orchestration.Context, _ string) (string, error) {
				var tasks []orchestration.Task[string]
				for _, in := range []string{"slow", "fails", "slower"} {
					tasks = append(tasks, orchestration.CallActivity(ctx, actText, in))
				}
				_, err := orchestration.All(tasks...).Await()
				var failed *orchestration.TaskError
				if !errors.As(err, &failed) || !tasks[0].Done() || !tasks[2].Done() {
					return "", fmt.Errorf("joined too early: %w", err)
				}
				return "handled: " + failed.Details.Message, nil
			}))
		instance := launch(t, w, actStory, "")
		if got := resultOf(t, w, instance); got != "handled: too heavy" {
			t.Errorf("the result is %q", got)
		}
		w.Settled(soon, instance.ID())
		if got := statusOf(t, w, instance.ID()).Status; got != history.Completed || failures.Load() != 1 || ends.Load() != 2 {
			t.Errorf("the instance is %s after %d failures and %d successes", got, failures.Load(), ends.Load())
		}
	})
}

// A10: a failure that the history holds before anybody awaits it shows at the await.
func TestActivity_JoinLate_A10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			actText.With(func(context.Context, string) (string, error) { return "", errors.New("long ago") }),
			actStory.With(func(ctx *orchestration.Context, _ string) (string, error) {
				early := orchestration.CallActivity(ctx, actText, "")
				if _, err := orchestration.FirstOf(early).Await(); err != nil {
					return "", err
				}
				if _, err := ctx.Timer(500 * time.Millisecond).Await(); err != nil {
					return "", err
				}
				if _, err := early.Await(); err != nil {
					return "thrown: " + err.Error(), nil
				}
				return "an empty success", nil
			}))
		instance := launch(t, w, actStory, "")
		if got := resultOf(t, w, instance); !strings.HasPrefix(got, "thrown: ") || !strings.HasSuffix(got, "long ago") {
			t.Errorf("the result is %q", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// A12: the first to end wins; what ends later does no harm, nor does a failed attempt of a loser.
func TestActivity_AnyLeavesTheRest_A12(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		release := make(chan struct{})
		var attempts atomic.Int64
		w.Start(&worker.Options{MaxActivities: 10},
			actText.With(func(_ context.Context, in string) (string, error) {
				if in == "quick" {
					return in, nil
				}
				<-release
				if in == "shaky" && attempts.Add(1) == 1 {
					return "", errors.New("shaken")
				}
				return in, nil
			}),
			actStory.With(func(ctx *orchestration.Context, _ string) (string, error) {
				slow := orchestration.CallActivity(ctx, actText, "slow")
				shaky := orchestration.CallActivity(ctx, actText, "shaky",
					orchestration.Retry{MaxAttempts: 2, FirstInterval: 100 * time.Millisecond})
				winner, err := orchestration.Any(slow, shaky, orchestration.CallActivity(ctx, actText, "quick")).Await()
				if err != nil {
					return "", err
				}
				ctx.SetCustomStatus(winner)
				rest, err := orchestration.All(slow, shaky).Await()
				return winner + " " + strings.Join(rest, " "), err
			}))
		instance := launch(t, w, actStory, "")
		w.Eventually(soon, "there is a winner", func() bool {
			return string(statusOf(t, w, instance.ID()).CustomStatus) == `"quick"`
		})
		close(release)
		if got := resultOf(t, w, instance); got != "quick slow shaky" || attempts.Load() != 2 {
			t.Errorf("the result is %q after %d attempts", got, attempts.Load())
		}
		w.Settled(soon, instance.ID())
	})
}

// A13: a hundred activities are drained one at a time, as they end.
func TestActivity_SelectLoop_A13(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(&worker.Options{MaxActivities: 32}, actNumber.With(plusOne),
			actFlows.With(func(ctx *orchestration.Context, n int) ([]int, error) {
				var waits []orchestration.Awaitable
				var open []orchestration.Task[int]
				for i := range n {
					open = append(open, orchestration.CallActivity(ctx, actNumber, i))
					waits = append(waits, open[i])
				}
				results := []int{}
				for len(open) > 0 {
					first, err := orchestration.FirstOf(waits...).Await()
					if err != nil {
						return nil, err
					}
					result, err := open[first].Await()
					if err != nil {
						return nil, err
					}
					results = append(results, result)
					open, waits = slices.Delete(open, first, first+1), slices.Delete(waits, first, first+1)
				}
				return results, nil
			}))
		instance := launch(t, w, actFlows, 100)
		got := resultOf(t, w, instance)
		slices.Sort(got)
		for i, n := range got {
			if n != i+1 || len(got) != 100 {
				t.Fatalf("the results are %v", got)
			}
		}
		w.Settled(soon, instance.ID())
	})
}

// A21: an activity, and a turn, that last several visibility timeouts run once, though another
// worker looks for work all the time.
func TestActivity_LongKeepsItsLease_A21(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		const visibility = 3 * time.Second
		long := pick(w, 10*visibility, 3*visibility/2)
		var runs, turns atomic.Int64
		bindings := []worker.Binding{
			actNumber.With(func(ctx context.Context, n int) (int, error) {
				runs.Add(1)
				run.Sleep(ctx, long)
				return n + 1, ctx.Err()
			}),
			actFlow.With(func(ctx *orchestration.Context, n int) (int, error) {
				if !ctx.IsReplaying() {
					turns.Add(1)
					run.Sleep(context.Background(), long)
				}
				return callNumber(ctx, n)
			}),
		}
		members := []*fleettest.Member{}
		for range 2 {
			opts := quietOptions()
			opts.Visibility = visibility
			members = append(members, w.Start(opts, bindings...))
		}
		instance := launch(t, w, actFlow, 1)
		if got, err := instance.Wait(w.Timeout(10 * time.Minute)); err != nil || got != 2 {
			t.Errorf("the result is %d, %v", got, err)
		}
		conflicts := members[0].Stats().Conflicts + members[1].Stats().Conflicts
		again := members[0].Stats().Redelivered + members[1].Stats().Redelivered
		if runs.Load() != 1 || turns.Load() != 1 || conflicts != 0 || again != 0 {
			t.Errorf("the activity ran %d times, the turn %d times; %d conflicts, %d deliveries anew",
				runs.Load(), turns.Load(), conflicts, again)
		}
		w.Settled(soon, instance.ID())
	})
}

// A23: an activity that returns nothing gives its caller the zero value.
func TestActivity_Void_A23(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		asNumber := activity.Declare[int, int](actVoid.Name())
		w.Start(nil,
			actVoid.With(func(context.Context, int) (struct{}, error) { return struct{}{}, nil }),
			actFlow.With(func(ctx *orchestration.Context, n int) (int, error) {
				if _, err := orchestration.CallActivity(ctx, actVoid, n).Await(); err != nil {
					return 0, err
				}
				zero, err := orchestration.CallActivity(ctx, asNumber, n).Await()
				return 7 + zero, err
			}))
		instance := launch(t, w, actFlow, 1)
		if got := resultOf(t, w, instance); got != 7 {
			t.Errorf("the result is %d", got)
		}
		w.Settled(soon, instance.ID())
	})
}
