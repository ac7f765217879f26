package orchestration

import (
	"github.com/durafleet/durafleet/history"
)

// All returns a task that is done when all the given tasks are. Its result holds theirs in the
// order given. If some failed, it waits for the others all the same and then ends with the error
// of the first failed one in the order given.
func All[T any](tasks ...Task[T]) Task[[]T] {
	if len(tasks) == 0 {
		return Task[[]T]{f: &future{settled: true}, decode: func() ([]T, error) { return []T{}, nil }}
	}
	done := executionOf(tasks).newFuture()
	left := len(tasks)
	for _, task := range tasks {
		task.f.onSettled(func() {
			if left--; left == 0 {
				done.settle(nil, nil)
			}
		})
	}
	return Task[[]T]{f: done, decode: func() ([]T, error) {
		if done.err != nil {
			return nil, done.err
		}
		results := make([]T, len(tasks))
		var first error
		for i, task := range tasks {
			result, err := task.decode()
			results[i] = result
			if err != nil && first == nil {
				first = err
			}
		}
		return results, first
	}}
}

// FirstOf returns a task that is done as soon as one of the given tasks is, with success or
// failure; its result is the index of that task. The others go on; cancel those that are no
// longer needed.
func FirstOf(tasks ...Awaitable) Task[int] {
	if len(tasks) == 0 {
		panic("orchestration: FirstOf needs at least one task")
	}
	done := executionOf(tasks).newFuture()
	winner := -1
	for i, task := range tasks {
		task.pending().onSettled(func() {
			if winner < 0 {
				winner = i
				done.settle(nil, nil)
			}
		})
	}
	return Task[int]{f: done, decode: func() (int, error) { return winner, done.err }}
}

// executionOf returns the execution that the tasks belong to, nil if all of them are combinations
// of nothing, which belong to none.
func executionOf[T Awaitable](tasks []T) *Execution {
	for _, task := range tasks {
		if x := task.pending().x; x != nil {
			return x
		}
	}
	return nil
}

// Any returns a task that is done as soon as one of the given tasks is, with the result or the
// failure of that task. The others go on; what they end with is ignored.
func Any[T any](tasks ...Task[T]) Task[T] {
	waits := make([]Awaitable, len(tasks))
	for i, task := range tasks {
		waits[i] = task
	}
	first := FirstOf(waits...)
	return Task[T]{f: first.f, decode: func() (T, error) {
		winner, err := first.decode()
		if err != nil {
			var zero T
			return zero, err
		}
		return tasks[winner].decode()
	}}
}

// Go starts a branch: fn runs side by side with its caller, one of them at a time, and may await
// tasks of its own. The returned task is done when fn returns. A panic in fn fails the task.
func Go[T any](ctx *Context, fn func(*Context) (T, error)) Task[T] {
	x := ctx.x
	x.enter()
	f := x.newFuture()
	var result T
	body := func() {
		value, err := fn(ctx)
		if !f.settled { // a branch that was cancelled goes on, but for nobody
			result = value
			f.settle(nil, err)
		}
	}
	x.spawn(body, func(crashed *history.FailureDetails) {
		if crashed != nil {
			f.settle(nil, &PanicError{Details: crashed})
		}
	})
	return Task[T]{f: f, decode: func() (T, error) { return result, f.err }}
}
