package orchestration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
)

// mailbox holds external events that nobody has waited for yet and waits that no event has come
// for yet, by name without regard to case. Of one name, the oldest event goes to the oldest wait.
type mailbox struct {
	unread []*history.EventRaised
	waits  map[string][]eventWait
}

// eventWait is a wait that no event has come for yet.
type eventWait struct {
	EventWait
	*future
}

// EventWait is an external event that an orchestration waits for, and since when. The name is as the code
// has it.
type EventWait struct {
	Name  string
	Since time.Time
}

// EventWaits returns the events that have tasks which are not settled, each name once, those that are waited
// for longest first. It tells how things are between two calls of Advance.
func (x *Execution) EventWaits() []EventWait {
	var waits []EventWait
	for _, open := range x.inbox.waits {
		if len(open) > 0 {
			waits = append(waits, open[0].EventWait)
		}
	}
	slices.SortFunc(waits, func(a, b EventWait) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Name, b.Name))
	})
	return waits
}

// WaitForEvent returns a task that takes the next external event of the declared name. Events
// are kept from the moment they arrive, also before anybody waits, and each is taken by one wait.
func WaitForEvent[T any](ctx *Context, event Event[T]) Task[T] {
	ctx.x.enter()
	return typed[T](ctx.x.waitFor(event.Name()))
}

// WaitForEventByName is the untyped twin of WaitForEvent.
func WaitForEventByName(ctx *Context, name string) Task[json.RawMessage] {
	ctx.x.enter()
	return typed[json.RawMessage](ctx.x.waitFor(name))
}

// WaitForEventFor is WaitForEvent with a time limit: after d without an event the task ends with
// ErrTimeout.
func WaitForEventFor[T any](ctx *Context, event Event[T], d time.Duration) Task[T] {
	ctx.x.enter()
	f := ctx.x.waitFor(event.Name())
	if !f.settled {
		deadline := ctx.x.timer(ctx.x.now.Add(d))
		give := f.cancel
		deadline.onSettled(func() {
			if f.settled {
				return
			}
			give()
			f.settle(nil, ErrTimeout)
		})
		f.onSettled(deadline.abandon)
	}
	return typed[T](f)
}

func (x *Execution) waitFor(name string) *future {
	f := x.newFuture()
	for i, e := range x.inbox.unread {
		if sameName(e.Name, name) {
			x.inbox.unread = slices.Delete(x.inbox.unread, i, i+1)
			f.settle(e.Input, nil)
			return f
		}
	}
	key := strings.ToLower(name)
	if x.inbox.waits == nil {
		x.inbox.waits = map[string][]eventWait{}
	}
	x.inbox.waits[key] = append(x.inbox.waits[key], eventWait{EventWait{Name: name, Since: x.now}, f})
	f.cancel = func() {
		x.inbox.waits[key] = slices.DeleteFunc(x.inbox.waits[key], func(w eventWait) bool { return w.future == f })
	}
	return f
}

// raise hands an external event to the oldest wait of its name or keeps it.
func (x *Execution) raise(e *history.EventRaised) {
	key := strings.ToLower(e.Name)
	if waits := x.inbox.waits[key]; len(waits) > 0 && x.outcome == nil {
		x.inbox.waits[key] = waits[1:]
		waits[0].settle(e.Input, nil)
		return
	}
	x.inbox.unread = append(x.inbox.unread, e)
}

// SendEvent raises an external event to another instance. There is no answer: an event to an
// instance that does not exist or has ended is dropped. The error says that the data cannot be
// stored.
func SendEvent[T any](ctx *Context, instanceID string, event Event[T], data T) error {
	return SendEventByName(ctx, instanceID, event.Name(), data)
}

// SendEventByName is the untyped twin of SendEvent.
func SendEventByName(ctx *Context, instanceID, name string, data any) error {
	ctx.x.enter()
	if instanceID == "" {
		return fmt.Errorf("send event %q: the instance id is empty", name)
	}
	text, err := payload.Encode(data)
	if err != nil {
		return fmt.Errorf("send event %q to instance %q: %w", name, instanceID, err)
	}
	id := ctx.x.takeID()
	action := &EventAction{ID: id, InstanceID: instanceID, Name: name, Input: text}
	ctx.x.actions[id] = &pendingAction{action: action}
	return nil
}
