package orchestration

import (
	"errors"
	"math"
	"runtime/debug"
	"time"

	"github.com/durafleet/durafleet/internal/failure"
)

// Retry repeats a failed activity or sub-orchestration. Between attempts the orchestration
// sleeps on a durable timer. A failure that is marked as not retriable (activity.Permanent), or
// that is no failure of the task itself, ends the attempts.
type Retry struct {
	// MaxAttempts is the number of attempts in all, the first one included. 0 and 1 mean no
	// retry unless Handler is set, which then decides alone.
	MaxAttempts int
	// FirstInterval is the pause after the first failure.
	FirstInterval time.Duration
	// Coefficient multiplies the pause after each further failure. Default 1.
	Coefficient float64
	// MaxInterval bounds the pause. Default: no bound.
	MaxInterval time.Duration
	// Timeout ends the attempts: none begins later than this after the first one began.
	// Default: no limit.
	Timeout time.Duration
	// RetryIf decides whether a failure is worth another attempt. Default: every failure is. It
	// must be deterministic and must not await anything.
	RetryIf func(*TaskError) bool
	// Handler takes the place of the intervals: it returns the pause before the next attempt, or
	// false to stop. It must be deterministic and must not await anything.
	Handler func(RetryState) (time.Duration, bool)
}

// RetryState tells a Retry.Handler where the attempts stand.
type RetryState struct {
	// Attempt is the number of the attempt that failed, from 1.
	Attempt int
	// Elapsed is the time since the first attempt began.
	Elapsed time.Duration
	// Err is the failure.
	Err *TaskError
}

func (r Retry) applyActivity(o *callOptions)         { o.retry = &r }
func (r Retry) applySubOrchestration(o *callOptions) { o.retry = &r }

// interval returns the pause after the failure of the given attempt, counted from 1.
func (r Retry) interval(attempt int) time.Duration {
	coefficient := r.Coefficient
	if coefficient == 0 {
		coefficient = 1
	}
	pause := float64(r.FirstInterval) * math.Pow(coefficient, float64(attempt-1))
	limit := float64(math.MaxInt64)
	if r.MaxInterval > 0 {
		limit = float64(r.MaxInterval)
	}
	if pause >= limit {
		if r.MaxInterval > 0 {
			return r.MaxInterval
		}
		return math.MaxInt64
	}
	return time.Duration(pause)
}

// next decides whether another attempt follows a failed one, and after which pause.
func (r Retry) next(state RetryState) (time.Duration, bool) {
	if state.Err.Details.NonRetriable {
		return 0, false
	}
	if r.RetryIf != nil && !r.RetryIf(state.Err) {
		return 0, false
	}
	if r.MaxAttempts > 0 && state.Attempt >= r.MaxAttempts || r.MaxAttempts == 0 && r.Handler == nil {
		return 0, false
	}
	pause, again := r.interval(state.Attempt), true
	if r.Handler != nil {
		pause, again = r.Handler(state)
	}
	if r.Timeout > 0 && (state.Elapsed > r.Timeout || pause > r.Timeout-state.Elapsed) {
		return 0, false
	}
	return max(pause, 0), again
}

// consult asks the policy, whose functions are the user's: a panic in them fails the call. They run
// outside of any strand, so they cannot wait for anything.
func (x *Execution) consult(policy *Retry, state RetryState) (pause time.Duration, again bool, crash error) {
	strand, running := x.current, x.running.Swap(true)
	x.current = nil
	defer func() {
		x.current = strand
		x.running.Store(running)
		if p := recover(); p != nil {
			crash = &PanicError{Details: failure.FromPanic(p, debug.Stack())}
		}
	}()
	pause, again = policy.next(state)
	return pause, again, nil
}

// retrying runs attempts until one succeeds or the policy says stop. Each attempt is an action
// of its own.
func (x *Execution) retrying(policy *Retry, attempt func(number int) *future) *future {
	if policy == nil {
		return attempt(1)
	}
	done := x.newFuture()
	began := x.now
	var try func(number int)
	try = func(number int) {
		f := attempt(number)
		f.onSettled(func() {
			var failed *TaskError
			if done.settled || !errors.As(f.err, &failed) {
				done.settle(f.value, f.err)
				return
			}
			pause, again, crash := x.consult(policy, RetryState{Attempt: number, Elapsed: x.now.Sub(began), Err: failed})
			switch {
			case crash != nil:
				done.settle(nil, crash)
			case again && pause > 0:
				x.timer(x.now.Add(pause)).onSettled(func() {
					if !done.settled {
						try(number + 1)
					}
				})
			case again:
				try(number + 1)
			default:
				x.giveUp(done, f.err)
			}
		})
	}
	try(1)
	return done
}

// giveUp ends the attempts with their last failure. The in-process .NET executor sets one more
// timer after the last attempt, due at once; where a history shows that it did, so do we.
func (x *Execution) giveUp(done *future, err error) {
	if x.played {
		if timer, ok := x.ahead[x.nextID]; ok && !timer.FireAt.After(x.now) {
			x.timer(timer.FireAt).onSettled(func() { done.settle(nil, err) })
			return
		}
	}
	done.settle(nil, err)
}
