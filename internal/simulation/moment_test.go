package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// moment says what is wrong with when an event has become part of a history, by the clock of the
// process that wrote it.
func (c *checker) moment(p *process, r *record) string {
	events := r.state.Events()
	now := time.Now().Add(p.skew)
	switch e := events[len(events)-1].(type) {
	case *history.OrchestratorStarted:
		for _, other := range events[:len(events)-1] {
			if other.Kind() == e.Kind() && !e.Timestamp.After(other.Head().Timestamp) {
				return fmt.Sprintf("an episode of %s follows one of %s", clock(e.Timestamp), clock(other.Head().Timestamp))
			}
		}
	case *history.TimerFired:
		if created, ok := r.state.Request(e).(*history.TimerCreated); ok && now.Before(created.FireAt) {
			return fmt.Sprintf("timer %d fires %v early", e.TimerID, created.FireAt.Sub(now))
		}
	case *history.ExecutionStarted:
		if e.ScheduledStart != nil && now.Before(*e.ScheduledStart) {
			return fmt.Sprintf("begins %v early", e.ScheduledStart.Sub(now))
		}
	}
	return ""
}

// asksSuspended returns what an instance has decided since it was suspended, "" for nothing. What had
// been decided before may be recorded later. A turn that ends an instance ends it suspended, too.
func (r *record) asksSuspended() history.Kind {
	if !r.state.Suspended() {
		return ""
	}
	var before, episode, since time.Time
	for _, e := range r.state.Events() {
		switch e.Kind() {
		case history.KindOrchestratorStarted:
			before, episode = episode, e.Head().Timestamp
		case history.KindExecutionSuspended:
			since = episode
			if episode.Sub(before) <= history.Tick {
				since = episode.Add(history.Tick) // one turn of several episodes, which records in the last what it has decided in all
			}
		}
	}
	for _, e := range slices.Backward(r.state.Events()) {
		switch {
		case isRequest(e) && !e.Head().Timestamp.Before(since):
			return e.Kind()
		case e.Kind() == history.KindExecutionSuspended:
			return ""
		}
	}
	return ""
}

// busyWith returns what a process does about a partition at the moment, but for what it has given up.
func (c *checker) busyWith(p *process, queue string) string {
	switch {
	case c.w.sched.waits(p, func(call *storage.Call) bool { return call.Kind == storage.QueueGet && call.Target == queue }) > 0:
		return "reads it"
	case c.w.sched.waits(p, func(call *storage.Call) bool { return c.storesTurn(call, queue) }) > 0:
		return "stores a turn of an instance in it"
	default:
		return ""
	}
}

// storesTurn reports whether a request stores a turn of an instance in a partition.
func (c *checker) storesTurn(call *storage.Call, queue string) bool {
	if call.Kind != storage.TableTransact || call.Target != c.w.names.HistoryTable() {
		return false
	}
	key, _, _ := strings.Cut(call.Key, "/")
	return c.w.names.ControlQueue(wire.PartitionOf(wire.UnescapeKey(key), c.w.setup.partitions)) == queue
}

// claim says who owns a partition, and until when.
type claim struct {
	owner string
	until time.Time
}

// own notes what a partition's row says about its owner, and says what is wrong with that: nobody may
// take a partition over while its owner's lease lasts, unless that one has given it up.
func (c *checker) own(queue string, values map[string]any) string {
	before := c.claims[queue]
	owner, _ := values["CurrentOwner"].(string)
	until, _ := values["ExpiresAt"].(time.Time)
	c.claims[queue] = claim{owner, until}
	next, _ := values["NextOwner"].(string)
	if next != "" && next != c.reserved[queue] {
		c.reservations++
	}
	c.reserved[queue] = next
	if owner != "" && before.owner != "" && owner != before.owner && time.Now().Before(before.until) {
		return fmt.Sprintf("its owner becomes %s although the lease of %s lasts until %s", owner, before.owner, clock(before.until))
	}
	return ""
}

// stolen notes that a partition was taken away in spite of all rules.
func (c *checker) stolen(queue string, by claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims[queue] = by
}
