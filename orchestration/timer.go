package orchestration

import (
	"time"

	"github.com/durafleet/durafleet/history"
)

// Timer returns a task that is done after d has passed on the orchestration's clock. It is
// durable: it survives restarts, may be as long as one likes, and never ends early.
func (c *Context) Timer(d time.Duration) Task[struct{}] { return c.TimerAt(c.x.now.Add(d)) }

// TimerAt returns a task that is done at the given time; a time in the past is due at once.
func (c *Context) TimerAt(t time.Time) Task[struct{}] {
	c.x.enter()
	f := c.x.timer(t)
	return Task[struct{}]{f: f, decode: func() (struct{}, error) { return struct{}{}, f.err }}
}

// timer sets a durable timer, in hops if it is a long one.
func (x *Execution) timer(fireAt time.Time) *future {
	fireAt = fireAt.UTC().Truncate(history.Tick)
	done := x.newFuture()
	var id int32
	var hop func()
	hop = func() {
		due, last := fireAt, true
		if fireAt.Sub(x.now) > x.options.TimerLimit {
			due, last = x.now.Add(x.options.TimerHop), false
		}
		id = x.takeID()
		fired := x.request(history.KindTimerCreated, "", &TimerAction{ID: id, FireAt: due})
		fired.onSettled(func() {
			switch {
			case done.settled:
			case last:
				done.settle(nil, nil)
			default:
				hop()
			}
		})
	}
	hop()
	done.cancel = func() {
		delete(x.open, id)
		if p, ok := x.actions[id]; ok {
			p.withdrawn = true
		}
	}
	return done
}
