package taskhub

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/partition/tablelease"
)

// Cost is how many storage requests were sent through a Hub, in this process or another one.
type Cost struct {
	// Counter names what has counted. Workers that share a Hub report one and the same.
	Counter string
	// Since is when counting began, At how far it goes; both by the clock of the process that counted,
	// and zero if nothing is known.
	Since time.Time
	At    time.Time
	// Requests are the counts, by kind in the order of the services and by cause.
	Requests []Requests
}

// Requests is how many requests of one kind were sent for one cause.
type Requests struct {
	// Kind is what the request is: queue.put, table.transact, blob.get and so on. A queue.get that
	// brought nothing is "queue.get (empty)", one that was sent again is "retry" in addition.
	Kind string
	// Cause is what it is for: start, receive, load, turn, row and so on; docs/cost.md explains them.
	Cause string
	Count int64
	// Sent and Received are the bytes of bodies, without headers; zero for an account in memory.
	Sent     int64
	Received int64
}

// Total returns the number of requests.
func (c *Cost) Total() int64 {
	var sum int64
	for i := range c.Requests {
		sum += c.Requests[i].Count
	}
	return sum
}

// Cost returns what was sent through this Hub since it was opened, its opening included. It sends
// nothing.
func (h *Hub) Cost() Cost {
	cost := Cost{Counter: h.counter, Since: h.opened, At: h.told()}
	for _, e := range h.meter.Entries() {
		cost.Requests = append(cost.Requests, Requests{
			Kind: string(e.Kind), Cause: e.Cause.String(), Count: e.Requests, Sent: e.Sent, Received: e.Received,
		})
	}
	return cost
}

// told returns the time in the precision of reports.
func (h *Hub) told() time.Time { return h.store.Now().UTC().Truncate(time.Millisecond) }

// FleetCost is what the workers of a hub report about the storage requests they send. What clients send
// is in it as far as they share a Hub with a worker; a worker that was stopped has taken its figures
// with it.
type FleetCost struct {
	Hub string
	// At is the time by the storage service's clock, in whole seconds.
	At      time.Time
	Workers []WorkerCost
	// Requests are the sums over the workers.
	Requests []FleetRequests
}

// WorkerCost is what one worker reports.
type WorkerCost struct {
	WorkerID string
	// Age is how old the report is, by the service's clock. A report that is not Fresh is that of a
	// worker that has died, or cannot reach the hub; it counts for the sums, not for the rates.
	Age   time.Duration
	Fresh bool
	// Shared says that the figures are those of a worker before it in the list, with which this one
	// shares a Hub. They count once.
	Shared bool
	Cost
}

// FleetRequests is a sum over workers.
type FleetRequests struct {
	Requests
	// PerHour is how many of them the fresh workers send in an hour, on the average since they
	// began. It is 0 for the opening of a hub, which does not happen again.
	PerHour float64
}

// FleetCost returns what the workers of the hub report that they have sent. A report is up to a minute
// old, and a worker's first comes 2 seconds after its start. It takes two requests and two more for
// each worker.
func (h *Hub) FleetCost(ctx context.Context) (*FleetCost, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	listing, err := tablelease.New(h.store.Account.Tables, h.store.Names.PartitionsTable()).List(ctx)
	var reports []store.Report
	if err == nil {
		reports, err = h.store.Reports(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read cost of task hub %s: %w", h.Name(), explain(err))
	}
	fleet := &FleetCost{Hub: h.Name(), At: listing.Date}
	now := &diagnosis.Hub{Now: listing.Date}
	for i := range reports {
		r := &reports[i]
		fleet.Workers = append(fleet.Workers, WorkerCost{
			WorkerID: r.WorkerID, Age: max(0, listing.Date.Sub(r.Written)), Fresh: now.Fresh(r), Cost: costOf(r.Cost, r.At),
		})
	}
	fleet.add()
	return fleet, nil
}

// add makes the sums.
func (f *FleetCost) add() {
	// Of workers with one counter, the latest report is the one that knows most.
	slices.SortStableFunc(f.Workers, func(a, b WorkerCost) int {
		return cmp.Or(strings.Compare(a.Counter, b.Counter), b.At.Compare(a.At))
	})
	sums := map[Requests]*FleetRequests{}
	for i := range f.Workers {
		w := &f.Workers[i]
		if w.Shared = w.Counter != "" && i > 0 && f.Workers[i-1].Counter == w.Counter; w.Shared {
			continue
		}
		for _, r := range w.Requests {
			key := Requests{Kind: r.Kind, Cause: r.Cause}
			if sums[key] == nil {
				sums[key] = &FleetRequests{Requests: key}
			}
			sums[key].join(r, w)
		}
	}
	for _, sum := range sums {
		f.Requests = append(f.Requests, *sum)
	}
	slices.SortFunc(f.Requests, func(a, b FleetRequests) int {
		return cmp.Or(strings.Compare(a.Cause, b.Cause), strings.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(f.Workers, func(a, b WorkerCost) int {
		return cmp.Or(compareBool(a.Shared, b.Shared), strings.Compare(a.WorkerID, b.WorkerID))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (f *FleetRequests) join(r Requests, w *WorkerCost) {
	f.Count += r.Count
	f.Sent += r.Sent
	f.Received += r.Received
	if span := w.At.Sub(w.Since); w.Fresh && span > 0 && r.Cause != storage.CauseOpen.String() {
		f.PerHour += float64(r.Count) / span.Hours()
	}
}

// costOf returns what a report says that was made at the given time.
func costOf(r store.ReportCost, at time.Time) Cost {
	cost := Cost{Counter: r.Counter, Since: r.Since}
	if r.Counter == "" {
		return cost
	}
	cost.At = at
	for _, of := range r.Requests {
		cost.Requests = append(cost.Requests, Requests(of))
	}
	return cost
}

// InstanceCost returns how many storage requests an instance has taken so far, from its start and
// across the rounds in which it continued as new, as its workers have noted it with its last checkpoint.
// The gets that brought its messages are not in it, since they bring those of others, too, nor are the
// looks of clients at its status or the renewals of messages. What workers of other engines do is not
// counted. known is false for an instance that no worker of ours has worked on. It takes one request.
func (c *Client) InstanceCost(ctx context.Context, id string) (requests int64, known bool, err error) {
	if err := checkID(id); err != nil {
		return 0, false, fmt.Errorf("read cost: %w", err)
	}
	sentinel, err := c.store.ReadSentinel(storage.WithCause(ctx, storage.CauseRead), id)
	if err != nil {
		return 0, false, fmt.Errorf("read cost: %w", explain(err))
	}
	if sentinel == nil || sentinel.Cost == 0 {
		return 0, false, nil
	}
	return sentinel.Cost, true, nil
}
