package worker

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/partition"
)

// Doorbell configures how a worker can be woken: by small UDP datagrams, which are sent by other workers that
// have a Doorbell, and by clients of a hub that was opened with taskhub.Options.Doorbell. The address is
// published in the rows of the partitions that the worker owns, together with a random secret without which a
// datagram is ignored. Nothing depends on a datagram: where one is lost, a message waits for the next poll.
//
// Clients of the very taskhub.Hub that the worker was made with ring as well.
//
// The zero value means all defaults.
type Doorbell struct {
	// Listen is where to listen, as host:port; an empty host means every address of the machine, port 0 any
	// free one. Default ":0".
	Listen string
	// Advertise is the host, or host:port, at which others reach this worker where that is not where it
	// listens, as behind a NAT. A name is looked up once, when the worker starts. Default: the host of
	// Listen if it names one, else the address from which the machine speaks to the storage account.
	Advertise string
}

const (
	// idlePoll is the default of MaxPollInterval, rungPoll with a doorbell.
	idlePoll = 5 * time.Second
	rungPoll = 30 * time.Second
	// unrungPoll is the longest pause of a worker whose doorbell nobody knows of.
	unrungPoll = idlePoll
	// openBellTimeout bounds the search for the own address.
	openBellTimeout = 5 * time.Second
)

func (o *Options) defaultPoll() time.Duration {
	if o.Doorbell != nil {
		return rungPoll
	}
	return idlePoll
}

// doorbells are a worker's own bell and what rings those of others.
type doorbells struct {
	ringer *doorbell.Ringer // nil without Options.Doorbell
	secret doorbell.Secret
	bell   atomic.Pointer[doorbell.Bell] // nil until it is open, or if it cannot be
}

// init makes ready what does nothing yet. A worker that takes part in the sharing of partitions reads the
// addresses of others there anyway.
func (d *doorbells) init(w *Worker) {
	if w.opts.Doorbell != nil {
		d.secret = w.hub.NewSecret()
		d.ringer = w.hub.NewRinger(d.secret, len(w.registry.orchestrations) == 0)
	}
}

// text is what is published, "" without a bell.
func (d *doorbells) text() string {
	if bell := d.bell.Load(); bell != nil {
		return bell.Address().Text()
	}
	return ""
}

// openBell opens the worker's own bell. Without it the worker does everything, but later. A worker that owns
// no partitions has no place to publish an address in.
func (w *Worker) openBell(ctx context.Context, serving *run.Group) {
	if w.opts.Doorbell == nil || len(w.registry.orchestrations) == 0 {
		return
	}
	opening, cancel := context.WithTimeout(ctx, openBellTimeout)
	defer cancel()
	d := w.opts.Doorbell
	bell, err := w.hub.OpenBell(opening, w.bells.secret, d.Listen, d.Advertise)
	if err != nil {
		if ctx.Err() == nil {
			w.opts.Logger.Warn("no doorbell: others cannot wake this worker, so it polls more often", "error", err)
		}
		return
	}
	w.bells.bell.Store(bell)
	w.opts.Logger.Info("doorbell open", "address", bell.Address())
	serving.Go(ctx, "worker: doorbell", func(ctx context.Context) { bell.Serve(ctx, w.answer) })
}

// published reports whether others can know of the worker's bell: it has one, and owns a partition.
func (w *Worker) published() bool { return w.bells.bell.Load() != nil && w.readers.count() > 0 }

// answer does what a ring asks for.
func (w *Worker) answer(ring doorbell.Ring) {
	switch ring.Topic {
	case doorbell.News:
		w.readers.wake(ring.Queue)
	case doorbell.WorkItems:
		w.items.signal()
	case doorbell.Partitions:
		if manager := w.manager.Load(); manager != nil {
			manager.Wake()
		}
	}
}

// learn takes the addresses of others from the rows of the partitions.
func (w *Worker) learn(leases []partition.Lease) {
	if w.bells.ringer == nil {
		return
	}
	published := make(map[string]string, len(leases))
	for _, lease := range leases {
		if lease.Doorbell != "" {
			published[lease.ID] = lease.Doorbell
		}
	}
	w.bells.ringer.Learn(published)
}

// tellOthers wakes those whom a row that was written concerns, instead of letting them find out: the owner of
// what was reserved, and everybody where a partition became free.
func (w *Worker) tellOthers(step partition.Step) {
	switch {
	case w.bells.ringer == nil:
	case step.Kind == partition.Steal:
		w.bells.ringer.RingOwner(step.Lease.ID, doorbell.Partitions)
	case step.Kind == partition.Release:
		w.bells.ringer.RingAll(doorbell.Partitions)
	}
}

// ring wakes the workers elsewhere who read the queues that messages were put into.
func (w *Worker) ring(ctx context.Context, queues []string) {
	if w.bells.ringer == nil || len(queues) == 0 {
		return
	}
	w.bells.ringer.Prepare(ctx)
	for _, queue := range queues {
		if queue == w.hub.Names.WorkItemQueue() {
			w.bells.ringer.RingAll(doorbell.WorkItems)
		} else {
			w.bells.ringer.Ring(queue)
		}
	}
}

// wake wakes those who read queues, here and elsewhere.
func (w *Worker) wake(ctx context.Context, queues []string) {
	var elsewhere []string
	for i, queue := range queues {
		if slices.Contains(queues[:i], queue) {
			continue
		}
		switch {
		case queue == w.hub.Names.WorkItemQueue():
			w.items.signal()
			elsewhere = append(elsewhere, queue)
		case w.readers.of(queue) != nil:
			w.readers.wake(queue)
		default:
			elsewhere = append(elsewhere, queue)
		}
	}
	w.ring(ctx, elsewhere)
}
