package worker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

const (
	// minPoll is the pause after the first empty poll.
	minPoll = 50 * time.Millisecond
	// eagerPoll bounds the pause for a while after a take-over, when messages of the former owner
	// come back one after the other.
	eagerPoll = 2 * time.Second
	// eagerFor is how long that while is.
	eagerFor = time.Minute
)

// pace decides when a queue is polled next: at once after a message, then with pauses that grow.
// A wake-up cuts a pause short.
type pace struct {
	ceiling    func() time.Duration
	random     func() float64
	eagerUntil atomic.Int64 // Unix nanoseconds
	pause      time.Duration
	gathering  time.Duration
	wake       chan struct{}
	expected   expected
}

func newPace(ceiling time.Duration, random func() float64) *pace {
	p := &pace{
		ceiling: func() time.Duration { return ceiling }, random: random, wake: make(chan struct{}, 1),
		expected: newExpected(),
	}
	p.eager()
	return p
}

// newPace returns the pace for polling a queue.
func (w *Worker) newPace(queue string) *pace {
	p := newPace(w.opts.MaxPollInterval, func() float64 { return w.hub.Random(queue) })
	p.ceiling = w.pollCeiling
	return p
}

// pollCeiling is the longest pause between two polls at the moment: the long one of a worker with a doorbell
// is for when others can know of that.
func (w *Worker) pollCeiling() time.Duration {
	if w.opts.Doorbell != nil && !w.published() {
		return min(w.opts.MaxPollInterval, unrungPoll)
	}
	return w.opts.MaxPollInterval
}

// eager bounds the pauses more tightly for a while; it may be called by anyone.
func (p *pace) eager() { p.eagerUntil.Store(time.Now().Add(eagerFor).UnixNano()) }

// busy notes a poll that brought something.
func (p *pace) busy() { p.pause = 0 }

// wait pauses after an empty poll. It ends early at a wake-up and when done is closed.
func (p *pace) wait(ctx context.Context, done <-chan struct{}) {
	p.gathering = 0
	limit := p.ceiling()
	if time.Now().UnixNano() < p.eagerUntil.Load() {
		limit = min(limit, eagerPoll)
	}
	p.pause = min(max(2*p.pause, minPoll), limit)
	jittered := time.Duration(float64(p.pause) * (0.8 + 0.4*p.random()))
	for until := time.Now().Add(min(jittered, limit)); p.rest(ctx, done, until); {
	}
	if p.expected.passed(time.Now()) {
		p.pause = min(p.pause, expectedPoll)
	}
}

// rest pauses until a time, or until something is expected. It reports whether the pause is to go on, because
// something else is expected now.
func (p *pace) rest(ctx context.Context, done <-chan struct{}, until time.Time) bool {
	timer := time.NewTimer(time.Until(p.expected.first(until)))
	defer timer.Stop()
	woken, changed := false, false
	select {
	case <-timer.C:
	case <-p.wake:
		woken = true
	case <-p.expected.changed:
		changed = true
	case <-done:
	case <-ctx.Done():
	}
	run.Resume(ctx)
	changed = run.Ready(p.expected.changed) || changed
	if run.Ready(p.wake) || woken {
		p.pause = 0
		return false
	}
	return changed
}

// gatherPoll is the pause after a poll that has emptied a queue whose news is rung for: what comes meanwhile
// comes together. It is doubled up to maxGather while every such poll brings something.
const (
	gatherPoll = 20 * time.Millisecond
	maxGather  = 40 * time.Millisecond
)

// gather pauses after a poll that has emptied the queue. Signals of this time are answered by the next poll.
func (p *pace) gather(ctx context.Context, done <-chan struct{}) {
	p.gathering = min(max(2*p.gathering, gatherPoll), maxGather)
	run.SleepOr(ctx, p.gathering, nil, done)
	run.Ready(p.wake)
}

// signal wakes the poller; it may be called by anyone.
func (p *pace) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
