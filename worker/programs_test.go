package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
)

// What many scenarios use.
var (
	progHello  = orchestration.Declare[string, string]("ProgHello")
	progSignal = orchestration.DeclareEvent[int]("Signal")
)

func plusOne(_ context.Context, n int) (int, error) { return n + 1, nil }

func sayHelloTo(_ *orchestration.Context, name string) (string, error) {
	return "Hello, " + name + "!", nil
}

// pick returns long in virtual time, where waiting costs nothing, and short in real time.
func pick(w *fleettest.World, long, short time.Duration) time.Duration {
	if w.Virtual {
		return long
	}
	return short
}

// highWater counts how many of something run at once, and remembers the most.
type highWater struct{ now, most atomic.Int64 }

func (h *highWater) enter() {
	now := h.now.Add(1)
	for most := h.most.Load(); now > most && !h.most.CompareAndSwap(most, now); most = h.most.Load() {
	}
}

func (h *highWater) leave() { h.now.Add(-1) }

// eventsOfKind returns the events of one type in a history.
func eventsOfKind[E history.Event](events []history.Event) []E {
	var found []E
	for _, e := range events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// actions returns kinds and ids of the actions in a history, in order.
func actions(events []history.Event) []string {
	var list []string
	for _, e := range events {
		if id := e.Head().EventID; id != history.NoEventID {
			list = append(list, fmt.Sprintf("%s %d", e.Kind(), id))
		}
	}
	return list
}

// ended waits for the end of an instance and checks what is stored about it.
func ended(t *testing.T, w *fleettest.World, id string) []history.Event {
	t.Helper()
	endOf(t, w, id)
	w.Settled(soon, id)
	return eventsOf(t, w, id)
}
