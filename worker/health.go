package worker

import (
	"time"

	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/taskhub"
)

// moment is one time on two clocks: the one by which intervals are measured, and the one by which
// what others see is told.
type moment struct{ local, told time.Time }

func (w *Worker) moment() moment {
	return moment{time.Now(), w.hub.Now().UTC().Truncate(time.Millisecond)}
}

// wall returns a local time by the other clock. No time stays no time.
func (m moment) wall(local time.Time) time.Time {
	if local.IsZero() {
		return local
	}
	return m.told.Add(-m.local.Sub(local)).Truncate(time.Millisecond)
}

// Health returns how the worker is. It sends nothing, takes little time, and may be called at any
// time, by anyone; before Run there is not much to tell.
func (w *Worker) Health() taskhub.WorkerHealth {
	at := w.moment()
	hidden := w.keeper.aside.hidden(at)
	health := taskhub.WorkerHealth{
		WorkerID: w.opts.WorkerID, At: at.told,
		Unknown: w.unknown.waiting(at, hidden), Held: w.heldInstances.waiting(at),
		Running: w.running.list(at), Buffered: w.buffer.size(), Cost: w.cost(),
	}
	for _, a := range hidden {
		health.PutBack = append(health.PutBack, a.PutBack)
	}
	items := w.keeper.holdings()[w.hub.Names.WorkItemQueue()]
	health.WorkItems = taskhub.Holding{Messages: items.count, OldestMessage: items.oldest, Deliveries: items.deliveries}
	if bell := w.bells.bell.Load(); bell != nil {
		health.Doorbell, health.Rings = bell.Address().String(), bell.Counts().Answered
	}
	if began := w.began.Load(); began != nil {
		health.Started = at.wall(*began)
	}
	health.Activities = len(health.Running)
	health.Attempts = w.attempts.told(at)
	if lease := w.lease.Load(); lease != nil {
		health.Application, health.Standby = w.opts.AppName, !lease.Held()
	}
	if manager := w.manager.Load(); manager != nil {
		health.Stalls = manager.Stalls()
		health.Partitions = w.ownedPartitions(manager.Owned(), at)
	}
	return health
}

func (w *Worker) ownedPartitions(owned []partition.Status, at moment) []taskhub.OwnedPartition {
	holdings, views := w.keeper.holdings(), w.readers.views()
	list := make([]taskhub.OwnedPartition, len(owned))
	for i, status := range owned {
		holding, view := holdings[status.ID], views[status.ID]
		list[i] = taskhub.OwnedPartition{
			ID: status.ID, Since: at.wall(status.Since), LeaseAge: at.local.Sub(status.LastRenewal), Draining: status.Draining,
			LastPolled: at.wall(view.polled), Sessions: view.sessions,
			Messages: holding.count, OldestMessage: holding.oldest, Deliveries: holding.deliveries,
		}
	}
	return list
}

// holding sums up what is held of a queue.
type holding struct {
	count, deliveries int
	oldest            time.Time
}

// holdings sums up what is held, by queue.
func (k *keeper) holdings() map[string]holding {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := map[string]holding{}
	for _, h := range k.held {
		sum := all[h.Queue]
		sum.count++
		sum.deliveries = max(sum.deliveries, h.DequeueCount)
		if sum.oldest.IsZero() || h.InsertedOn.Before(sum.oldest) {
			sum.oldest = h.InsertedOn
		}
		all[h.Queue] = sum
	}
	return all
}

// readerView is what there is to tell about a reader.
type readerView struct {
	polled   time.Time
	sessions int
}

// views returns what there is to tell about the readers, by queue.
func (s *readers) views() map[string]readerView {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := map[string]readerView{}
	for r := range s.set {
		r.mu.Lock()
		views[r.queue] = readerView{r.polled, len(r.sessions)}
		r.mu.Unlock()
	}
	return views
}

// list returns the calls, the oldest first.
func (r *running) list(at moment) []taskhub.RunningActivity {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]taskhub.RunningActivity, len(r.calls))
	for i, c := range r.calls {
		list[i] = taskhub.RunningActivity{
			Name: c.info.Name, InstanceID: c.info.InstanceID, ExecutionID: c.info.ExecutionID,
			TaskID: c.info.TaskID, Since: at.wall(c.since),
		}
	}
	return list
}
