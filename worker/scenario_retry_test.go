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
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var (
	retryTry    = activity.Declare[string, string]("RetryTry")
	retryCall   = orchestration.Declare[string, string]("RetryCall")
	retryParent = orchestration.Declare[string, string]("RetryParent")
)

// callWith returns an orchestrator that calls the activity under a policy.
func callWith(policy orchestration.Retry) orchestration.Binding {
	return retryCall.With(func(ctx *orchestration.Context, in string) (string, error) {
		return orchestration.CallActivity(ctx, retryTry, in, policy).Await()
	})
}

// failTimes returns an activity that fails the first n times it runs.
func failTimes(runs *atomic.Int64, n int64) activity.Binding {
	return retryTry.With(func(context.Context, string) (string, error) {
		if run := runs.Add(1); run <= n {
			return "", fmt.Errorf("failure %d", run)
		}
		return "done", nil
	})
}

// always is more failures than any policy of these tests allows attempts.
const always = 1000

// R01: three attempts are three calls with a timer between each two, and every one of them is an
// action of its own.
func TestRetry_Exhausted_R01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(nil, failTimes(&runs, always), callWith(orchestration.Retry{MaxAttempts: 3, FirstInterval: 10 * time.Millisecond}))
		instance := launch(t, w, retryCall, "")
		events := ended(t, w, instance.ID())
		status := statusOf(t, w, instance.ID())
		if status.Status != history.Failed || !strings.Contains(status.Failure, "failure 3") || runs.Load() != 3 {
			t.Errorf("%s with %q after %d calls", status.Status, status.Failure, runs.Load())
		}
		if took := status.LastUpdated.Sub(status.Created); took < 20*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		want := []string{"TaskScheduled 0", "TimerCreated 1", "TaskScheduled 2", "TimerCreated 3", "TaskScheduled 4", "ExecutionCompleted 5"}
		if got := actions(events); !slices.Equal(got, want) {
			t.Errorf("the actions are %q, want %q", got, want)
		}
	})
}

// R02: an attempt that succeeds ends the attempts. The activity sees which attempt it is, and one
// id for all of them.
func TestRetry_LaterSuccess_R02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var attempts noted[string]
		w.Start(nil, callWith(orchestration.Retry{MaxAttempts: 5, FirstInterval: pick(w, 10*time.Second, 0)}),
			retryTry.With(func(ctx context.Context, _ string) (string, error) {
				info, _ := activity.FromContext(ctx)
				attempts.add(fmt.Sprintf("%d of %s", info.Attempt, info.CallID))
				if info.Attempt < 3 {
					return "", errors.New("not yet")
				}
				return "done", nil
			}))
		instance := launch(t, w, retryCall, "")
		if got := resultOf(t, w, instance); got != "done" {
			t.Errorf("the result is %q", got)
		}
		call := instance.ExecutionID() + ":0"
		if got, want := attempts.all(), []string{"1 of " + call, "2 of " + call, "3 of " + call}; !slices.Equal(got, want) {
			t.Errorf("the attempts are %q, want %q", got, want)
		}
		w.Settled(soon, instance.ID())
	})
}

// R03: retries of a child multiply with those of its activity, and the message tells the whole
// way. In real time there are no pauses, which take a second each at least.
func TestRetry_Nested_R03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		policy := orchestration.Retry{MaxAttempts: 3, FirstInterval: pick(w, 2*time.Second, 0)}
		var runs atomic.Int64
		var children noted[string]
		w.Start(nil, failTimes(&runs, always),
			retryCall.With(func(ctx *orchestration.Context, in string) (string, error) {
				if !ctx.IsReplaying() {
					children.add(ctx.InstanceID())
				}
				return orchestration.CallActivity(ctx, retryTry, in, policy).Await()
			}),
			retryParent.With(func(ctx *orchestration.Context, in string) (string, error) {
				return orchestration.CallSubOrchestration(ctx, retryCall, in, policy).Await()
			}))
		instance := launch(t, w, retryParent, "")
		ids := append([]string{instance.ID()}, endChildren(t, w, instance.ID(), 3)...)
		lastChild := map[bool]int{true: 4, false: 2}[w.Virtual] // pauses are actions, too
		if started := children.all(); !slices.Equal(ids[1:], started) {
			t.Errorf("the children are %q, their runs were %q", ids[1:], started)
		}
		w.Settled(soon, ids...)
		status := statusOf(t, w, instance.ID())
		message, _ := strings.CutPrefix(status.Failure, "DurableTask.Core.Exceptions.SubOrchestrationFailedException: ")
		if status.Status != history.Failed || runs.Load() != 9 ||
			!strings.HasPrefix(message, fmt.Sprintf("sub-orchestration %q (#%d) failed", "RetryCall", lastChild)) || !strings.HasSuffix(message, "failure 9") {
			t.Errorf("%s with %q after %d calls", status.Status, status.Failure, runs.Load())
		}
	})
}

// endChildren waits for the end of a parent and returns the ids of the n children it started.
func endChildren(t *testing.T, w *fleettest.World, parent string, n int) []string {
	t.Helper()
	endOf(t, w, parent)
	var ids []string
	for _, created := range eventsOfKind[*history.SubOrchestrationCreated](eventsOf(t, w, parent)) {
		ids = append(ids, created.InstanceID)
	}
	if len(ids) != n {
		t.Fatalf("%d children were started, want %d", len(ids), n)
	}
	return ids
}

// R04, in virtual time: the pauses of 1, 2, 4 and 8 s would pass the limit of 14 s, so the fifth
// attempt is not made, nor waited for.
func TestRetry_Timeout_R04(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(nil, failTimes(&runs, always), callWith(orchestration.Retry{
			MaxAttempts: 5, FirstInterval: time.Second, Coefficient: 2, Timeout: 14 * time.Second,
		}))
		began := time.Now()
		instance := launch(t, w, retryCall, "")
		end := endOf(t, w, instance.ID())
		if took := time.Since(began); end.Status != history.Failed || runs.Load() != 4 || took < 7*time.Second || took > 14*time.Second {
			t.Errorf("%s after %d calls and %v", end.Status, runs.Load(), took)
		}
		w.Settled(soon, instance.ID())
	})
}

// pauses returns how long after their episode the timers of a history are due.
func pauses(events []history.Event) []time.Duration {
	var list []time.Duration
	for _, timer := range eventsOfKind[*history.TimerCreated](events) {
		list = append(list, timer.FireAt.Sub(timer.Timestamp))
	}
	return list
}

// R06, in virtual time: the longest pause bounds all of them. A queue delays messages by whole
// seconds, so the calls may come that much later.
func TestRetry_MaxInterval_R06(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		var calls noted[time.Time]
		w.Start(nil,
			callWith(orchestration.Retry{
				MaxAttempts: 4, FirstInterval: 200 * time.Millisecond, Coefficient: 2, MaxInterval: 300 * time.Millisecond,
			}),
			retryTry.With(func(context.Context, string) (string, error) {
				runs.Add(1)
				calls.add(time.Now())
				return "", errors.New("never")
			}))
		instance := launch(t, w, retryCall, "")
		want := []time.Duration{200 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond}
		if got := pauses(ended(t, w, instance.ID())); !slices.Equal(got, want) {
			t.Errorf("the pauses are %v, want %v", got, want)
		}
		times := calls.all()
		if len(times) != 4 {
			t.Fatalf("%d calls", len(times))
		}
		for i, pause := range want {
			if gap := times[i+1].Sub(times[i]); gap < pause || gap > pause+2*time.Second {
				t.Errorf("gap %d is %v, want %v", i, gap, pause)
			}
		}
	})
}

// R08: a policy that does not want a failure ends the attempts after it, however many are left; it
// sees type, message and causes.
func TestRetry_Predicate_R08(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		var seen noted[string]
		w.Start(nil,
			callWith(orchestration.Retry{
				MaxAttempts: 100, FirstInterval: time.Millisecond,
				RetryIf: func(err *orchestration.TaskError) bool {
					d := err.Details
					seen.add(fmt.Sprintf("%s #%d: %s: %s: %s", err.Name, err.ID, d.Type, d.Message, d.Inner.Message))
					return !d.HasType("errors.errorString") // the type of the cause
				},
			}),
			retryTry.With(func(context.Context, string) (string, error) {
				runs.Add(1)
				return "", &lifeError{errors.New("root")}
			}))
		instance := launch(t, w, retryCall, "")
		ended(t, w, instance.ID())
		if got := statusOf(t, w, instance.ID()).Status; got != history.Failed || runs.Load() != 1 {
			t.Errorf("%s after %d calls", got, runs.Load())
		}
		const want = "RetryTry #0: Life.Disorder: out of order: root: root"
		for _, got := range seen.all() {
			if got != want {
				t.Errorf("the policy saw %q, want %q", got, want)
			}
		}
	})
}

// R09: a handler names the pause before the next attempt; none means at once, without a timer, and
// false stops.
func TestRetry_Handler_R09(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(nil, failTimes(&runs, always), callWith(orchestration.Retry{
			Handler: func(s orchestration.RetryState) (time.Duration, bool) {
				if s.Err.Details.Message != fmt.Sprintf("failure %d", s.Attempt) {
					return 0, true
				}
				return []time.Duration{150 * time.Millisecond, 0, 50 * time.Millisecond, 0}[s.Attempt-1], s.Attempt < 4
			},
		}))
		instance := launch(t, w, retryCall, "")
		events := ended(t, w, instance.ID())
		want := []string{"TaskScheduled 0", "TimerCreated 1", "TaskScheduled 2", "TaskScheduled 3", "TimerCreated 4", "TaskScheduled 5", "ExecutionCompleted 6"}
		if got := actions(events); !slices.Equal(got, want) {
			t.Errorf("the actions are %q, want %q", got, want)
		}
		if got := pauses(events); !slices.Equal(got, []time.Duration{150 * time.Millisecond, 50 * time.Millisecond}) {
			t.Errorf("the pauses are %v", got)
		}
		if got := statusOf(t, w, instance.ID()).Status; got != history.Failed || runs.Load() != 4 {
			t.Errorf("%s after %d calls", got, runs.Load())
		}
	})
}

// R10: a child of a fixed id is run again under it; one without gets a fresh id for each attempt.
func TestRetry_Child_R10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs, executions noted[string]
		w.Start(nil,
			retryCall.With(func(ctx *orchestration.Context, in string) (string, error) {
				runs.add(ctx.InstanceID())
				executions.add(ctx.ExecutionID())
				return "", fmt.Errorf("child %s fails", in)
			}),
			retryParent.With(func(ctx *orchestration.Context, in string) (string, error) {
				options := []orchestration.SubOrchestrationOption{
					orchestration.Retry{MaxAttempts: 3, FirstInterval: 20 * time.Millisecond, Coefficient: 2},
				}
				if in == "fixed" {
					options = append(options, orchestration.InstanceID("the-child"))
				}
				return orchestration.CallSubOrchestration(ctx, retryCall, in, options...).Await()
			}))
		for _, in := range []string{"fixed", "own"} {
			if in == "own" && !w.Virtual {
				continue // each pause takes a second at least
			}
			runs.reset()
			executions.reset()
			instance := launch(t, w, retryParent, in)
			ids := endChildren(t, w, instance.ID(), 3)
			checkChildRetries(t, w, instance, in, ids)
			if got := runs.all(); !slices.Equal(got, ids) {
				t.Errorf("%s: the runs were %q, want %q", in, got, ids)
			}
			if got := executions.all(); len(got) != 3 || got[0] == got[1] || got[1] == got[2] || got[0] == got[2] {
				t.Errorf("%s: the executions were %q", in, got)
			}
			w.Settled(soon, append(ids, instance.ID())...)
		}
	})
}

func checkChildRetries(t *testing.T, w *fleettest.World, parent *taskhub.Instance[string], in string, ids []string) {
	t.Helper()
	distinct := map[string]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if want := map[string]int{"fixed": 1, "own": 3}[in]; len(distinct) != want {
		t.Errorf("%s: %d different ids of children, want %d", in, len(distinct), want)
	}
	status := statusOf(t, w, parent.ID())
	if status.Status != history.Failed || !strings.Contains(status.Failure, "child "+in+" fails") {
		t.Errorf("%s: the parent is %s with %q", in, status.Status, status.Failure)
	}
	want := []time.Duration{20 * time.Millisecond, 40 * time.Millisecond}
	if got := pauses(eventsOf(t, w, parent.ID())); !slices.Equal(got, want) {
		t.Errorf("%s: the pauses are %v, want %v", in, got, want)
	}
}

// R12: a failure that is marked as permanent ends the attempts at once, in a child's parent too.
func TestRetry_Permanent_R12(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		policy := orchestration.Retry{MaxAttempts: 10, FirstInterval: time.Millisecond}
		var runs, children atomic.Int64
		w.Start(nil,
			retryTry.With(func(context.Context, string) (string, error) {
				runs.Add(1)
				return "", fmt.Errorf("wrapped: %w", activity.Permanent(errors.New("for good")))
			}),
			retryCall.With(func(ctx *orchestration.Context, in string) (string, error) {
				if !ctx.IsReplaying() {
					children.Add(1)
				}
				return orchestration.CallActivity(ctx, retryTry, in, policy).Await()
			}),
			retryParent.With(func(ctx *orchestration.Context, in string) (string, error) {
				return orchestration.CallSubOrchestration(ctx, retryCall, in, policy).Await()
			}))
		instance := launch(t, w, retryParent, "")
		ids := endChildren(t, w, instance.ID(), 1)
		w.Settled(soon, append(ids, instance.ID())...)
		status := statusOf(t, w, instance.ID())
		if status.Status != history.Failed || !strings.Contains(status.Failure, "for good") || runs.Load() != 1 || children.Load() != 1 {
			t.Errorf("%s with %q after %d calls and %d children", status.Status, status.Failure, runs.Load(), children.Load())
		}
	})
}
