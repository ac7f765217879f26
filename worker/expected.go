package worker

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxExpected bounds how many times are remembered at which a queue will show something; of more, the
	// latest are forgotten, and found by an ordinary poll.
	maxExpected = 1000
	// expectedPoll is the pause after a poll at such a time that has found nothing: queues are as exact as a
	// second.
	expectedPoll = 200 * time.Millisecond
)

// expected are the times at which messages will become visible that this worker has put, or put back, because
// they were not due. What it has put back because it cannot do anything about it is not expected: others, who
// can, would come too late every time.
type expected struct {
	// changed says that there is a new first one.
	changed chan struct{}

	mu    sync.Mutex
	times []time.Time // in order
}

func newExpected() expected { return expected{changed: make(chan struct{}, 1)} }

// add notes that something will become visible.
func (e *expected) add(at time.Time) {
	e.mu.Lock()
	i, _ := slices.BinarySearchFunc(e.times, at, time.Time.Compare)
	e.times = slices.Insert(e.times, i, at)
	e.times = e.times[:min(len(e.times), maxExpected)]
	e.mu.Unlock()
	if i > 0 {
		return
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// first returns the first time, or until if that is sooner. What changes it from now on is told.
func (e *expected) first(until time.Time) time.Time {
	select {
	case <-e.changed:
	default:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.times) > 0 && e.times[0].Before(until) {
		return e.times[0]
	}
	return until
}

// passed forgets the times that have come, and reports whether there are any.
func (e *expected) passed(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for n < len(e.times) && !e.times[n].After(now) {
		n++
	}
	e.times = slices.Delete(e.times, 0, n)
	return n > 0
}

// expect notes that a message will become visible in a control queue after a delay. Where the queue is not
// read here, that is somebody else's concern.
func (w *Worker) expect(queue string, delay time.Duration) {
	if r := w.readers.of(queue); r != nil {
		r.pace.expected.add(time.Now().Add(delay))
	}
}
