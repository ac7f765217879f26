package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var (
	genCount  = orchestration.Declare[int, int]("GenCount")
	genActor  = orchestration.Declare[int, int]("GenActor")
	genText   = orchestration.Declare[string, string]("GenText")
	genSignal = orchestration.DeclareEvent[bool]("Signal")
	genVerb   = orchestration.DeclareEvent[string]("Verb")
)

// C01, C07: ten generations of one instance, each with an execution id of its own.
func TestGeneration_Ten_C01_C07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var mu sync.Mutex
		executions := map[string]bool{}
		w.Start(nil, genCount.With(func(ctx *orchestration.Context, n int) (int, error) {
			if _, err := ctx.Timer(0).Await(); err != nil {
				return 0, err
			}
			mu.Lock()
			executions[ctx.InstanceID()+" "+ctx.ExecutionID()] = true
			mu.Unlock()
			if n < 10 {
				orchestration.ContinueAsNew(ctx, genCount, n+1)
			}
			return n, nil
		}))
		instance := launch(t, w, genCount, 0)
		end := endOf(t, w, instance.ID())
		if string(end.Output) != "10" || string(end.Input) != "10" || end.ExecutionID == instance.ExecutionID() {
			t.Errorf("output %s, input %s, execution %s", end.Output, end.Input, end.ExecutionID)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(executions) != 11 { // the first one and ten more
			t.Errorf("the executions are %v", executions)
		}
	})
}

// C02: nothing is left of older generations: no rows, no blobs, no input.
func TestGeneration_HistoryIsCut_C02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, genText.With(func(ctx *orchestration.Context, all string) (string, error) {
			verb, err := orchestration.WaitForEvent(ctx, genVerb).Await()
			if err != nil || verb == "end" {
				return all[:3], err
			}
			orchestration.ContinueAsNew(ctx, genText, verb+all[3:])
			return "", nil
		}))
		instance := launch(t, w, genText, "000"+large)
		reach(t, w, instance.ID(), history.Running)
		for i := range 4 {
			raise(t, w, instance.ID(), genVerb, fmt.Sprintf("%03d", i+1))
			w.Eventually(soon, "the generation has begun", func() bool {
				return strings.HasPrefix(string(statusOf(t, w, instance.ID()).Input), fmt.Sprintf(`"%03d`, i+1))
			})
		}
		w.DrainedWithin(soon)
		execution := statusOf(t, w, instance.ID()).ExecutionID
		for _, row := range w.HistoryRows(instance.ID()) {
			if row.Values["ExecutionId"] != execution {
				t.Errorf("row %s is of execution %v, not %s", row.RowKey, row.Values["ExecutionId"], execution)
			}
		}
		if got := kinds(eventsOf(t, w, instance.ID())); got[history.KindEventRaised] != 0 || got[history.KindExecutionStarted] != 1 {
			t.Errorf("the history holds %v", got)
		}
		var ours []string
		for _, blob := range w.Blobs() {
			if strings.Contains(blob, "/history-") {
				ours = append(ours, blob)
			}
		}
		if len(ours) != 1 {
			t.Errorf("the payloads of all generations are %q", ours)
		}
		raise(t, w, instance.ID(), genVerb, "end")
		if got := resultOf(t, w, instance); got != "004" {
			t.Errorf("the last generation is %q", got)
		}
	})
}

// C03: events in a burst are consumed one by one, each by its own generation.
func TestGeneration_EventsSurvive_C03(t *testing.T) {
	t.Parallel()
	for _, timer := range []bool{false, true} {
		t.Run(fmt.Sprintf("timer=%t", timer), func(t *testing.T) {
			fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
				w.Start(nil, genCount.With(func(ctx *orchestration.Context, n int) (int, error) {
					if timer {
						if _, err := ctx.Timer(0).Await(); err != nil {
							return 0, err
						}
					}
					last, err := orchestration.WaitForEvent(ctx, genSignal).Await()
					if err != nil || last {
						return n, err
					}
					orchestration.ContinueAsNew(ctx, genCount, n+1)
					return 0, nil
				}))
				instance := launch(t, w, genCount, 0)
				for i := range 11 {
					raise(t, w, instance.ID(), genSignal, i == 10)
				}
				if got := resultOf(t, w, instance); got != 10 {
					t.Errorf("%d generations consumed an event, want 10", got)
				}
				w.DrainedWithin(soon)
			})
		})
	}
}

// C04: what a generation leaves to the next travels in its input.
func TestGeneration_InputCarriesState_C04(t *testing.T) {
	t.Parallel()
	number := orchestration.DeclareEvent[int]("Number")
	note := activity.Declare[int, []int]("GenNote")
	largest := orchestration.Declare[int, []int]("GenLargest")
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var all []int // runs one after the other
		w.Start(nil,
			note.With(func(_ context.Context, n int) ([]int, error) { all = append(all, n); return slices.Clone(all), nil }),
			largest.With(func(ctx *orchestration.Context, sofar int) ([]int, error) {
				n, err := orchestration.WaitForEvent(ctx, number).Await()
				if err != nil {
					return nil, err
				}
				list, err := orchestration.CallActivity(ctx, note, n).Await()
				if err != nil || len(list) == 5 {
					return list, err
				}
				orchestration.ContinueAsNew(ctx, largest, max(n, sofar))
				return nil, nil
			}))
		instance := launch(t, w, largest, 0)
		for n := range 5 {
			raise(t, w, instance.ID(), number, n+1)
		}
		end := endOf(t, w, instance.ID())
		if string(end.Output) != "[1,2,3,4,5]" || string(end.Input) != "4" {
			t.Errorf("output %s, input %s", end.Output, end.Input)
		}
	})
}

// C05: an actor counts up and down, is always Running in between, and ends when told.
func TestGeneration_Actor_C05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, genActor.With(func(ctx *orchestration.Context, n int) (int, error) {
			verb, err := orchestration.WaitForEvent(ctx, genVerb).Await()
			switch {
			case err != nil || verb == "end":
				return n, err
			case verb == "incr":
				n++
			default:
				n--
			}
			orchestration.ContinueAsNew(ctx, genActor, n)
			return 0, nil
		}))
		instance := launch(t, w, genActor, 0)
		reach(t, w, instance.ID(), history.Running)
		for _, verb := range []string{"incr", "incr", "incr", "decr", "incr"} {
			raise(t, w, instance.ID(), genVerb, verb)
			if s := statusOf(t, w, instance.ID()).Status; s != history.Running && s != history.ContinuedAsNew {
				t.Errorf("the status is %s", s)
			}
		}
		raise(t, w, instance.ID(), genVerb, "end")
		if got := resultOf(t, w, instance); got != 3 {
			t.Errorf("the counter is %d", got)
		}
	})
}

// C06: results of activities and timers that an older generation left behind are not taken for
// those of the current one, which have the same numbers.
func TestGeneration_StaleResults_C06(t *testing.T) {
	t.Parallel()
	generationOf := activity.Declare[[]int, []int]("GenOf")
	racing := orchestration.Declare[int, int]("GenRacing")
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		rounds, instances := 20, 10
		if !w.Virtual {
			rounds, instances = 4, 4
		}
		w.Start(nil,
			generationOf.With(func(_ context.Context, in []int) ([]int, error) { return in, nil }),
			racing.With(func(ctx *orchestration.Context, n int) (int, error) {
				timer := ctx.Timer(time.Duration(n%3) * 10 * time.Millisecond)
				tasks := make([]orchestration.Task[[]int], 3)
				for i := range tasks {
					tasks[i] = orchestration.CallActivity(ctx, generationOf, []int{n, i})
				}
				first, err := orchestration.Any(tasks...).Await() // the other two come too late
				if err != nil {
					return 0, err
				}
				if first[0] != n {
					return 0, fmt.Errorf("generation %d got the result of %d", n, first[0])
				}
				if n%2 == 0 {
					if _, err := timer.Await(); err != nil {
						return 0, err
					}
				}
				if n < rounds {
					orchestration.ContinueAsNew(ctx, racing, n+1)
				}
				return n, nil
			}))
		var all []*taskhub.Instance[int]
		for range instances {
			all = append(all, launch(t, w, racing, 0))
		}
		for _, instance := range all {
			if got := resultOf(t, w, instance); got != rounds {
				t.Errorf("the result is %d", got)
			}
		}
		if w.Virtual { // without the cache, late messages get the benefit of the doubt for a minute
			w.DrainedWithin(10 * time.Minute)
		}
	})
}

// C08: a generation that waits for a timer ends properly.
func TestGeneration_ThenTimer_C08(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, genText.With(func(ctx *orchestration.Context, in string) (string, error) {
			if in == "" {
				orchestration.ContinueAsNew(ctx, genText, "timer")
				return "", nil
			}
			_, err := ctx.Timer(time.Second).Await()
			return "OK", err
		}))
		if got := resultOf(t, w, launch(t, w, genText, "")); got != "OK" {
			t.Errorf("the result is %q", got)
		}
	})
}

// C09: a wait that has timed out takes no event; the event waits for the next generation.
func TestGeneration_EventContention_C09(t *testing.T) {
	t.Parallel()
	contended := orchestration.Declare[struct{}, int]("GenContended")
	data, signal := orchestration.DeclareEvent[int]("A"), orchestration.DeclareEvent[bool]("B")
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, contended.With(func(ctx *orchestration.Context, _ struct{}) (int, error) {
			n, err := orchestration.WaitForEventFor(ctx, data, time.Second).Await()
			if err != nil && !errors.Is(err, orchestration.ErrTimeout) {
				return 0, err
			}
			last, err := orchestration.WaitForEvent(ctx, signal).Await()
			if err != nil || last {
				return n, err
			}
			orchestration.ContinueAsNew(ctx, contended, struct{}{})
			return 0, nil
		}))
		instance := launch(t, w, contended, struct{}{})
		w.Eventually(soon, "the wait for A has timed out", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindTimerFired] == 1
		})
		raise(t, w, instance.ID(), data, 42)
		raise(t, w, instance.ID(), signal, false)
		raise(t, w, instance.ID(), signal, true)
		if got := resultOf(t, w, instance); got != 42 {
			t.Errorf("the result is %d", got)
		}
	})
}

// C02: a shorter generation leaves the tail of a longer one in the table, which nobody takes for
// its own.
func TestGeneration_LongerTail_C02(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, childTwice.With(func(_ context.Context, i int) (int, error) { return 2 * i, nil }),
			genCount.With(func(ctx *orchestration.Context, n int) (int, error) {
				for range n {
					if _, err := orchestration.CallActivity(ctx, childTwice, n).Await(); err != nil {
						return 0, err
					}
				}
				if n == 0 {
					_, err := orchestration.WaitForEvent(ctx, genSignal).Await()
					return n, err
				}
				orchestration.ContinueAsNew(ctx, genCount, n-5)
				return 0, nil
			}))
		instance := launch(t, w, genCount, 5)
		w.Eventually(soon, "the last generation has begun", func() bool {
			return string(statusOf(t, w, instance.ID()).Input) == "0"
		})
		w.DrainedWithin(soon)
		old := 0
		for _, row := range w.HistoryRows(instance.ID()) {
			if row.Values["ExecutionId"] == instance.ExecutionID() {
				old++
			}
		}
		if old == 0 {
			t.Fatal("the older generation left no rows; the test proves nothing")
		}
		if got := kinds(eventsOf(t, w, instance.ID())); got[history.KindTaskScheduled] != 0 {
			t.Errorf("the history holds %v", got)
		}
		raise(t, w, instance.ID(), genSignal, true)
		resultOf(t, w, instance)
		check(t, w.Client.Purge(w.Context(), instance.ID()))
		if rows := w.HistoryRows(instance.ID()); len(rows) != 0 {
			t.Errorf("%d rows are left after the purge", len(rows))
		}
	})
}
