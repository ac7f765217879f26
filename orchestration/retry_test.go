package orchestration_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// attempts lets every attempt of one retried activity fail, each the moment it is asked for, and
// lets each timer fire on time. It returns the delays, the number of attempts and the end.
func attempts(t *testing.T, policy orchestration.Retry, failure func(attempt int) *history.FailureDetails) ([]time.Duration, int, *orchestration.CompleteAction) {
	t.Helper()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return call(ctx, "a", policy).Await()
	}), orchestration.Options{TimerLimit: math.MaxInt64})
	var delays []time.Duration
	decision := d.turn(started("Job", `""`))
	for calls := 0; calls < 100; {
		if end := decision.Complete(); end != nil {
			return delays, calls, end
		}
		switch a := decision.Actions[0].(type) {
		case *orchestration.ActivityAction:
			calls++
			if a.Attempt != calls || a.CallID != "exec:0" {
				t.Errorf("attempt %d of call %s, want %d of exec:0", a.Attempt, a.CallID, calls)
			}
			decision = d.turnAfter(0, failedWith(a.ID, failure(calls)))
		case *orchestration.TimerAction:
			delays = append(delays, a.FireAt.Sub(d.now))
			decision = d.turnAfter(a.FireAt.Sub(d.now), fired(a.ID))
		}
	}
	t.Fatal("the attempts do not end")
	return nil, 0, nil
}

func flop(int) *history.FailureDetails {
	return &history.FailureDetails{Type: "some.Error", Message: "no"}
}

const (
	ms  = time.Millisecond
	sec = time.Second
)

// R01, R04 to R07, R09, R12: how many attempts are made and how long the pauses are.
func TestRetry_Delays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		policy   orchestration.Retry
		delays   []time.Duration
		attempts int
	}{
		{"R01 attempts exhausted", orchestration.Retry{MaxAttempts: 3, FirstInterval: 10 * ms}, []time.Duration{10 * ms, 10 * ms}, 3},
		{"R04 timeout cuts attempts", orchestration.Retry{MaxAttempts: 5, FirstInterval: sec, Coefficient: 2, Timeout: 14 * sec}, []time.Duration{sec, 2 * sec, 4 * sec}, 4},
		{"R04 timeout just reached", orchestration.Retry{MaxAttempts: 5, FirstInterval: sec, Coefficient: 2, Timeout: 15 * sec}, []time.Duration{sec, 2 * sec, 4 * sec, 8 * sec}, 5},
		{"R05 growth with a cap", orchestration.Retry{MaxAttempts: 6, FirstInterval: 2 * sec, Coefficient: 2, MaxInterval: 10 * sec}, []time.Duration{2 * sec, 4 * sec, 8 * sec, 10 * sec, 10 * sec}, 6},
		{"R05 coefficient 1", orchestration.Retry{MaxAttempts: 3, FirstInterval: 2 * sec, Coefficient: 1}, []time.Duration{2 * sec, 2 * sec}, 3},
		{"R05 fraction", orchestration.Retry{MaxAttempts: 4, FirstInterval: sec, Coefficient: 1.5}, []time.Duration{sec, 1500 * ms, 2250 * ms}, 4},
		{"R06 cap", orchestration.Retry{MaxAttempts: 4, FirstInterval: 200 * ms, Coefficient: 2, MaxInterval: 300 * ms}, []time.Duration{200 * ms, 300 * ms, 300 * ms}, 4},
		{"R07 defaults", orchestration.Retry{MaxAttempts: 4, FirstInterval: time.Hour}, []time.Duration{time.Hour, time.Hour, time.Hour}, 4},
		{"R07 no cap", orchestration.Retry{MaxAttempts: 4, FirstInterval: time.Hour, Coefficient: 100}, []time.Duration{time.Hour, 100 * time.Hour, 10_000 * time.Hour}, 4},
		{"R07 endless growth", orchestration.Retry{MaxAttempts: 2, FirstInterval: time.Hour, Coefficient: math.Inf(1), MaxInterval: time.Minute}, []time.Duration{time.Minute}, 2},
		{"no pause", orchestration.Retry{MaxAttempts: 3}, nil, 3},
		{"zero policy", orchestration.Retry{}, nil, 1},
		{"one attempt", orchestration.Retry{MaxAttempts: 1, FirstInterval: sec}, nil, 1},
		{"R08 predicate says no", orchestration.Retry{MaxAttempts: 5, RetryIf: func(*orchestration.TaskError) bool { return false }}, nil, 1},
		{"R09 handler alone", orchestration.Retry{Handler: linear(3)}, []time.Duration{sec, 2 * sec, 3 * sec}, 4},
		{"R09 handler and attempts", orchestration.Retry{MaxAttempts: 2, FirstInterval: time.Hour, Handler: linear(3)}, []time.Duration{sec}, 2},
		{"R09 handler at once", orchestration.Retry{Handler: func(s orchestration.RetryState) (time.Duration, bool) { return 0, s.Attempt < 3 }}, nil, 3},
		{"R09 handler with a negative pause", orchestration.Retry{Handler: func(s orchestration.RetryState) (time.Duration, bool) { return -1, s.Attempt < 3 }}, nil, 3},
		{"R09 handler and timeout", orchestration.Retry{Timeout: 2 * sec, Handler: linear(9)}, []time.Duration{sec}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			delays, calls, end := attempts(t, tt.policy, flop)
			if !slices.Equal(delays, tt.delays) || calls != tt.attempts {
				t.Errorf("%d attempts with pauses %v, want %d with %v", calls, delays, tt.attempts, tt.delays)
			}
			if end.Status != history.Failed || !strings.HasSuffix(*end.Result, "failed: no") {
				t.Errorf("the end is %s %s", end.Status, *end.Result)
			}
		})
	}
}

// linear retries up to a number of times, after one, two, three … seconds.
func linear(times int) func(orchestration.RetryState) (time.Duration, bool) {
	return func(s orchestration.RetryState) (time.Duration, bool) {
		return time.Duration(s.Attempt) * sec, s.Attempt <= times
	}
}

// R01: attempts and pauses take ids in turn.
func TestRetry_Ids_R01_R02(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return call(ctx, "a", orchestration.Retry{MaxAttempts: 3, FirstInterval: sec}).Await()
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expect([]string{"1 timer +1s"}, failed(0, "no"))
	d.expect([]string{`2 activity Work ["a"]`}, fired(1))
	d.expect([]string{"3 timer +1s"}, failed(2, "no"))
	d.expect([]string{`4 activity Work ["a"]`}, fired(3))
	d.expect([]string{`5 Completed "third time lucky"`}, done(4, `"third time lucky"`))
}

// R03: retries of the parent multiply with those of the child, and the message leads from one to
// the other. The child is played by a second driver.
func TestRetry_Nested_R03(t *testing.T) {
	t.Parallel()
	inner := orchestration.Declare[string, string]("Inner")
	runChild := func() (message string, calls int) {
		_, calls, end := attempts(t, orchestration.Retry{MaxAttempts: 3, FirstInterval: sec}, flop)
		return *end.Result, calls
	}
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return orchestration.CallSubOrchestration(ctx, inner, "x", orchestration.Retry{MaxAttempts: 3}).Await()
	}), orchestration.Options{})
	decision := d.turn(started("Job", `""`))
	children, calls := 0, 0
	for decision.Complete() == nil {
		child, ok := decision.Actions[0].(*orchestration.SubOrchestrationAction)
		if !ok {
			t.Fatalf("action %s", render(decision.Actions, d.now))
		}
		message, n := runChild()
		children, calls = children+1, calls+n
		decision = d.turn(childFailed(child.ID, message))
	}
	if children != 3 || calls != 9 {
		t.Errorf("%d children made %d calls", children, calls)
	}
	want := `sub-orchestration "Inner" (#2) failed: activity "Work" (#4) failed: no`
	if end := decision.Complete(); end.Status != history.Failed || *end.Result != want {
		t.Errorf("the end is %s %s", end.Status, *end.Result)
	}
}

// R08: the predicate sees type, message and causes.
func TestRetry_PredicateSeesFailure_R08(t *testing.T) {
	t.Parallel()
	var seen []string
	policy := orchestration.Retry{MaxAttempts: 9, RetryIf: func(err *orchestration.TaskError) bool {
		seen = append(seen, fmt.Sprint(err.Details.Type, err.Details.Message, err.Details.HasType("net.Timeout")))
		return err.Details.HasType("net.Timeout")
	}}
	_, calls, _ := attempts(t, policy, func(attempt int) *history.FailureDetails {
		details := &history.FailureDetails{Type: "main.Error", Message: fmt.Sprint(attempt)}
		if attempt < 3 {
			details.Inner = &history.FailureDetails{Type: "net.Timeout"}
		}
		return details
	})
	if calls != 3 || !slices.Contains(seen, "main.Error1true") || !slices.Contains(seen, "main.Error3false") {
		t.Errorf("%d attempts; seen %q", calls, seen)
	}
}

// R09: the handler sees the attempt, the time since the first one began, and the failure.
func TestRetry_HandlerSeesState_R09(t *testing.T) {
	t.Parallel()
	var last orchestration.RetryState
	policy := orchestration.Retry{Handler: func(s orchestration.RetryState) (time.Duration, bool) {
		last = s
		return 2 * sec, s.Attempt < 3
	}}
	attempts(t, policy, flop)
	if last.Attempt != 3 || last.Elapsed != 4*sec || last.Err.Details.Message != "no" {
		t.Errorf("the last state is %+v", last)
	}
}

// R10: each retry of a child with a generated id gets a fresh one; a given id stays.
func TestRetry_ChildIDs_R10(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options []orchestration.SubOrchestrationOption
		ids     []string
	}{
		{"generated", nil, []string{"exec:0", "exec:2", "exec:4"}},
		{"given", []orchestration.SubOrchestrationOption{orchestration.InstanceID("mine")}, []string{"mine", "mine", "mine"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
				options := append(slices.Clip(tt.options), orchestration.Retry{MaxAttempts: 3, FirstInterval: sec})
				return orchestration.CallSubOrchestration(ctx, job, "x", options...).Await()
			}), orchestration.Options{})
			d.expect([]string{"0 child Job as " + tt.ids[0] + ` "x"`}, started("Job", `""`))
			d.expect([]string{"1 timer +1s"}, childFailed(0, "no"))
			d.expect([]string{"2 child Job as " + tt.ids[1] + ` "x"`}, fired(1))
			d.expect([]string{"3 timer +1s"}, childFailed(2, "no"))
			d.expect([]string{"4 child Job as " + tt.ids[2] + ` "x"`}, fired(3))
			d.expect([]string{`5 Failed sub-orchestration "Job" (#4) failed: no`}, childFailed(4, "no"))
		})
	}
}

// R12: a permanent failure ends the attempts, whoever decides.
func TestRetry_Permanent_R12(t *testing.T) {
	t.Parallel()
	asked := false
	for _, policy := range []orchestration.Retry{
		{MaxAttempts: 5},
		{Handler: func(orchestration.RetryState) (time.Duration, bool) { asked = true; return 0, true }},
	} {
		_, calls, end := attempts(t, policy, func(int) *history.FailureDetails {
			return &history.FailureDetails{Type: "main.Error", Message: "never", NonRetriable: true}
		})
		if calls != 1 || asked || !end.Failure.NonRetriable {
			t.Errorf("%d attempts, asked %v, failure %+v", calls, asked, end.Failure)
		}
	}
}

// R14: retried calls in one join keep their own counts and pauses.
func TestRetry_SideBySide_R14(t *testing.T) {
	t.Parallel()
	policy := orchestration.Retry{MaxAttempts: 2, FirstInterval: sec}
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		texts, err := orchestration.All(call(ctx, "a", policy), call(ctx, "b", policy)).Await()
		return strings.Join(texts, ""), err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`, `1 activity Work ["b"]`}, started("Job", `""`))
	d.expect([]string{"2 timer +1s", "3 timer +1s"}, failed(1, "no"), failed(0, "no"))
	d.expect([]string{`4 activity Work ["a"]`, `5 activity Work ["b"]`}, fired(3), fired(2))
	d.expect(nil, done(5, `"b"`))
	d.expect([]string{`6 Failed activity "Work" (#4) failed: no`}, failed(4, "no"))
}

// R15: a pause beyond the timer limit is made of hops.
func TestRetry_LongPause_R15(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return call(ctx, "a", orchestration.Retry{MaxAttempts: 2, FirstInterval: 5 * sec}).Await()
	}), orchestration.Options{TimerLimit: 3 * sec, TimerHop: 3 * sec})
	d.turn(started("Job", `""`))
	d.expect([]string{"1 timer +3s"}, failed(0, "no"))
	d.expectAfter(3*sec, []string{"2 timer +2s"}, fired(1))
	d.expectAfter(2*sec, []string{`3 activity Work ["a"]`}, fired(2))
}

// A panic in a function of the policy fails the call; so does waiting in it.
func TestRetry_PolicyPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ask  func(*orchestration.Context)
		want string
	}{
		{"panic", func(*orchestration.Context) { panic("oh no") }, "panic: oh no"},
		{"await", func(ctx *orchestration.Context) { _, _ = ctx.Timer(sec).Await() }, "a function of a retry policy must not await"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
				policy := orchestration.Retry{MaxAttempts: 2, RetryIf: func(*orchestration.TaskError) bool {
					tt.ask(ctx)
					return true
				}}
				_, err := call(ctx, "a", policy).Await()
				var crashed *orchestration.PanicError
				return fmt.Sprint(errors.As(err, &crashed), err), nil
			}), orchestration.Options{})
			d.turn(started("Job", `""`))
			end := d.turn(failed(0, "no")).Complete()
			if end == nil || !strings.HasPrefix(*end.Result, `"true `) || !strings.Contains(*end.Result, tt.want) {
				t.Errorf("the end is %+v", end)
			}
		})
	}
}
