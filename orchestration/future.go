package orchestration

// future is the untyped core of a task: something that will be settled once, with a stored text
// or with an error.
type future struct {
	x       *Execution
	settled bool
	value   *string
	err     error
	waiting []*coroutine
	then    []func()
	// cancel undoes what waits for the future outside; nil if there is nothing to undo.
	cancel func()
}

// settle gives the future its outcome. Later outcomes are ignored: the first one counts.
func (f *future) settle(value *string, err error) {
	if f.settled {
		return
	}
	f.settled, f.value, f.err = true, value, err
	then := f.then
	f.then = nil
	for _, call := range then {
		call()
	}
	if f.x != nil { // nil: a combination of nothing, for which nobody can wait
		f.x.ready = append(f.x.ready, f.waiting...)
		f.waiting = nil
	}
}

// onSettled calls g once the future is settled, at once if it is already.
func (f *future) onSettled(g func()) {
	if f.settled {
		g()
		return
	}
	f.then = append(f.then, g)
}

// Awaitable is any Task, whatever its type; see All and FirstOf.
type Awaitable interface{ pending() *future }

// Task is the result of something that is under way: an activity, a sub-orchestration, a timer,
// an event, or a combination of tasks. Tasks come from the functions of this package; the zero
// Task must not be awaited. A Task belongs to the execution it was created in.
type Task[T any] struct {
	f      *future
	decode func() (T, error)
}

func (t Task[T]) pending() *future { return t.f }

// Await blocks the orchestrator, or the branch, until the task is done, and returns its result.
// The failure of an activity or sub-orchestration is a *TaskError; a cancelled task returns
// ErrCanceled. Await may be called again and returns the same.
func (t Task[T]) Await() (T, error) {
	if t.f.x != nil { // nil: a combination of nothing
		t.f.x.await(t.f)
	}
	return t.decode()
}

// Done reports whether Await would return at once.
func (t Task[T]) Done() bool { return t.f.settled }

// Cancel gives the task up: unless it is done it ends with ErrCanceled. A cancelled wait takes
// no event; a cancelled timer leaves at most a message that is ignored when it comes due. An
// activity or sub-orchestration that has been started goes on, but its result is ignored.
// Cancelling twice, or after the end, has no effect.
func (t Task[T]) Cancel() {
	if t.f.x != nil {
		t.f.x.enter()
		t.f.abandon()
	}
}

// abandon settles the future as cancelled unless it has an outcome.
func (f *future) abandon() {
	if f.settled {
		return
	}
	if f.cancel != nil {
		f.cancel()
	}
	f.settle(nil, ErrCanceled)
}

func (x *Execution) newFuture() *future { return &future{x: x} }

// failed returns a future that ended with err before anything was started.
func (x *Execution) failed(err error) *future {
	return &future{x: x, settled: true, err: err}
}
