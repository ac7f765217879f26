package worker

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

const (
	// timerMargin is how much later than it is due the message of a timer comes to light that is kept in
	// memory.
	timerMargin = 15 * time.Second
	// timerHold is the longest time for which a timer is kept in memory, and maxTimers how many are.
	timerHold = time.Minute
	maxTimers = 10_000
)

// timers are the timers that a reader keeps in memory until they are due: to the millisecond, while their
// messages, which nobody sees before, are there for the case that this worker dies. Everything but run
// is guarded by reader.mu.
type timers struct {
	r    *reader
	wake chan struct{}
	// queue holds them in the order in which they fire, of those of an instance.
	queue timerQueue
	of    map[string][]*keptTimer
	n     int
	// serial numbers them.
	serial int
	// closed says that none is taken any more.
	closed bool
}

// keptTimer is the message of a timer. Once it is gone, somebody has seen to it.
type keptTimer struct {
	message store.Received
	due     time.Time
	serial  int
	gone    bool
}

type timerQueue []*keptTimer

func (q timerQueue) Len() int { return len(q) }
func (q timerQueue) Less(i, j int) bool {
	return cmp.Or(q[i].due.Compare(q[j].due), cmp.Compare(q[i].serial, q[j].serial)) < 0
}
func (q timerQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *timerQueue) Push(x any)   { *q = append(*q, x.(*keptTimer)) } //nolint:forcetypeassert // only ours
func (q *timerQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newTimers(r *reader) *timers {
	return &timers{r: r, wake: make(chan struct{}, 1), of: map[string][]*keptTimer{}}
}

// room reports whether one more may be kept.
func (t *timers) room() bool {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	return !t.closed && t.n < maxTimers
}

// keep delivers the message of a timer when it is due.
func (t *timers) keep(ctx context.Context, message store.Received) {
	timer := &keptTimer{message: message, due: dueAt(message.Content.Event)}
	t.r.mu.Lock()
	closed := t.closed
	if !closed {
		id := message.Content.Target.InstanceID
		t.of[id] = append(t.of[id], timer)
		t.n++
		t.serial++
		timer.serial = t.serial
		heap.Push(&t.queue, timer)
	}
	t.r.mu.Unlock()
	if closed {
		t.giveBack(ctx, timer)
		return
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run fires timers until intake ends; the messages of the others are made to come to light on time then.
func (t *timers) run(ctx context.Context) {
	for t.r.intake.Err() == nil {
		due, next := t.due(t.r.w.hub.Now())
		for _, timer := range due {
			if h := t.hold(timer); h != nil {
				t.r.deliver(h)
			}
		}
		run.SleepOr(ctx, next, t.wake, t.r.intake.Done())
	}
	t.r.mu.Lock()
	t.closed = true
	left := slices.DeleteFunc(t.queue, func(timer *keptTimer) bool { return timer.gone })
	t.queue, t.of, t.n = nil, map[string][]*keptTimer{}, 0
	t.r.mu.Unlock()
	run.Each(ctx, "worker: put timers back", len(left), parallel, func(ctx context.Context, i int) { t.giveBack(ctx, left[i]) })
}

// due takes out what is due, in the order in which it is, and returns how long it is until more will be.
func (t *timers) due(now time.Time) (due []*keptTimer, next time.Duration) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	for len(t.queue) > 0 {
		timer := t.queue[0]
		if !timer.gone && timer.due.After(now) {
			return due, timer.due.Sub(now)
		}
		heap.Pop(&t.queue)
		if !timer.gone {
			t.remove(timer)
			due = append(due, timer)
		}
	}
	return due, timerHold
}

// remove notes that somebody sees to a timer. The reader is locked.
func (t *timers) remove(timer *keptTimer) {
	id := timer.message.Content.Target.InstanceID
	timer.gone = true
	t.n--
	if t.of[id] = slices.DeleteFunc(t.of[id], func(other *keptTimer) bool { return other == timer }); len(t.of[id]) == 0 {
		delete(t.of, id)
	}
}

// hold begins to hold the message of a timer; it is nil if the queue has delivered it, too. It is hidden
// for the margin still, and is renewed before that ends.
func (t *timers) hold(timer *keptTimer) *held {
	return t.r.w.keeper.take(timer.message, time.Now().Add(timerMargin-t.r.w.opts.Visibility))
}

// giveBack makes the message of a timer come to light on time. Without the partition it comes to light
// after the margin.
func (t *timers) giveBack(ctx context.Context, timer *keptTimer) {
	if ctx.Err() != nil {
		return
	}
	if h := t.hold(timer); h != nil {
		h.because(notDue)
		h.putBack(ctx, timer.due.Sub(t.r.w.hub.Now()))
	}
}

// ofExecution returns the timers of an execution that are kept. The reader is locked.
func (t *timers) ofExecution(id, execution string) []*keptTimer {
	var own []*keptTimer
	for _, timer := range t.of[id] {
		if sameID(timer.message.Content.Target.ExecutionID, execution) {
			own = append(own, timer)
		}
	}
	return own
}

// kept returns how many timers of an execution are kept.
func (t *timers) kept(id, execution string) int64 {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	return int64(len(t.ofExecution(id, execution)))
}

// cancel deletes the messages of the timers of an execution that is over.
func (t *timers) cancel(ctx context.Context, id, execution string) {
	ctx = storage.WithCause(ctx, storage.CauseSettle)
	t.r.mu.Lock()
	over := t.ofExecution(id, execution)
	for _, timer := range over {
		t.remove(timer)
	}
	t.r.mu.Unlock()
	run.Each(ctx, "worker: delete timers", len(over), parallel, func(ctx context.Context, i int) {
		if h := t.hold(over[i]); h != nil {
			h.remove(ctx)
		}
	})
}
