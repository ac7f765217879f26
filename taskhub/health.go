package taskhub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/tablelease"
)

// HubHealth is the state of a hub at one moment. Its parts were read one after the other.
type HubHealth struct {
	Hub string
	// At is the time by the storage service's clock, in whole seconds.
	At         time.Time
	Partitions []PartitionHealth
	// WorkItems is the queue of activities.
	WorkItems QueueHealth
	// Workers are those that leave reports, by id; see WorkerReport.Fresh. Silent are owners of
	// partitions that leave none, such as .NET workers.
	Workers []WorkerReport
	Silent  []string
	// Names are the names that messages wait for and that workers do not know.
	Names []WaitingName
	// Poison is how many messages were moved aside; see Client.ListPoison.
	Poison int
	// Findings say what is wrong with the hub, as far as this look shows it; Client.Doctor looks
	// closer.
	Findings []Finding
}

// PartitionState says who may read a partition's queue.
type PartitionState string

// The states of a partition.
const (
	PartitionOwned    PartitionState = "owned"
	PartitionDraining PartitionState = "draining" // about to be handed over
	PartitionReserved PartitionState = "reserved" // somebody is about to take it
	PartitionExpired  PartitionState = "expired"  // its owner is gone
	PartitionFree     PartitionState = "free"     // nobody owns it
)

// PartitionHealth is a partition and its control queue.
type PartitionHealth struct {
	ID        string
	State     PartitionState
	Owner     string
	NextOwner string
	Draining  bool
	// LastRenewal and Expires are the lease's, as its owner wrote them; zero if they never were.
	LastRenewal time.Time
	Expires     time.Time
	// LeaseAge is how long ago the lease was renewed.
	LeaseAge time.Duration
	// LastPolled is when the owner last read the queue, zero if that is not known: the owner leaves
	// no reports. Reported is when it told that, by the same clock: what happened since is not known.
	// Sessions is how many instances it has in memory.
	LastPolled time.Time
	Reported   time.Time
	Sessions   int
	Queue      QueueHealth
}

// QueueHealth is how full a queue is.
type QueueHealth struct {
	// Messages is approximate, and includes messages that are being worked on or not due yet.
	Messages int
	// Visible is how many messages wait to be taken; no more than 32 are seen.
	Visible int
	// Oldest is when the oldest message was sent that is visible, or that workers report to hold or to have
	// put back; zero if there is none.
	Oldest time.Time
	// Deliveries is how often one of these was delivered at most.
	Deliveries int
}

// WorkerReport is what a worker has left in the hub about itself.
type WorkerReport struct {
	WorkerHealth
	// Age is how old the report is, by the service's clock. Fresh says that it
	// tells about now; otherwise the worker has died, or cannot reach the hub.
	Age   time.Duration
	Fresh bool
}

// WaitingName is a name that workers do not know and that messages wait for.
type WaitingName struct {
	UnknownName
	// Workers are those that were asked.
	Workers []string
}

// Health returns who owns the partitions of the hub and how they are, how full its queues are, and
// what its workers report. It changes nothing. It takes two requests for each queue and for each
// worker that reports, and three more.
func (h *Hub) Health(ctx context.Context) (*HubHealth, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	facts, err := h.facts(ctx)
	if err != nil {
		return nil, fmt.Errorf("read health of task hub %s: %w", h.Name(), explain(err))
	}
	queues := []string{h.store.Names.WorkItemQueue()}
	for i := range facts.Leases {
		queues = append(queues, facts.Leases[i].ID)
	}
	// One look is enough here: nothing is concluded from what it does not show.
	if err := h.glance(ctx, facts, queues, 1); err != nil {
		return nil, fmt.Errorf("read health of task hub %s: %w", h.Name(), explain(err))
	}
	return h.healthOf(facts), nil
}

// facts reads what concerns the hub as a whole, without its queues.
func (h *Hub) facts(ctx context.Context) (*diagnosis.Hub, error) {
	facts, err := h.topology(ctx)
	if err != nil {
		return nil, err
	}
	if facts.Reports, err = h.store.Reports(ctx); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(facts.Reports, func(r store.Report) bool { return r.Standby }) {
		if facts.Application, err = h.store.Application(ctx); err != nil {
			return nil, err
		}
	}
	ids, err := h.store.PoisonIDs(ctx)
	facts.Poison = len(ids)
	return facts, err
}

// topology reads what says where messages belong: the rows of the partitions and which control queues exist.
func (h *Hub) topology(ctx context.Context) (*diagnosis.Hub, error) {
	listing, err := tablelease.New(h.store.Account.Tables, h.store.Names.PartitionsTable()).List(ctx)
	if err != nil {
		return nil, err
	}
	facts := &diagnosis.Hub{
		Name: h.Name(), Now: listing.Date, Local: h.store.Now(),
		Leases: listing.Leases, Unreadable: listing.Unreadable, Partitions: h.Partitions(), Looks: map[string]diagnosis.Look{},
	}
	queues, err := h.store.Account.Queues.ListQueues(ctx, strings.TrimSuffix(h.store.Names.ControlQueue(0), "00"))
	facts.ControlQueues = append([]string{}, queues...)
	return facts, err
}

// glance looks at queues, once or twice; see store.Look. A queue that does not exist is seen as empty.
func (h *Hub) glance(ctx context.Context, facts *diagnosis.Hub, queues []string, glances int) error {
	for _, queue := range queues {
		look, err := h.store.Look(ctx, queue, glances)
		missing := errors.Is(err, storage.ErrNotFound)
		if err != nil && !missing {
			return err
		}
		seen := lookOf(look)
		seen.Missing = missing
		facts.Looks[queue] = seen
	}
	return nil
}

func lookOf(look store.Look) diagnosis.Look {
	seen := diagnosis.Look{Queue: look.Queue, Count: look.Count, Whole: look.Whole}
	for _, m := range look.Messages {
		seen.Messages = append(seen.Messages, diagnosis.Message{
			ID: m.ID, Deliveries: m.DequeueCount, Inserted: m.InsertedOn, Content: m.Content, Err: m.Err, Blob: m.Blob,
		})
	}
	return seen
}

func (h *Hub) healthOf(facts *diagnosis.Hub) *HubHealth {
	health := &HubHealth{Hub: h.Name(), At: facts.Now, Poison: facts.Poison}
	for i := range facts.Leases {
		health.Partitions = append(health.Partitions, partitionHealth(facts, &facts.Leases[i]))
		owner := facts.Leases[i].CurrentOwner
		if owner != "" && facts.Report(owner) == nil && !slices.Contains(health.Silent, owner) {
			health.Silent = append(health.Silent, owner)
		}
	}
	items := h.store.Names.WorkItemQueue()
	health.WorkItems = queueHealth(facts.Looks[items])
	mergeReports(facts, items, &health.WorkItems)
	for i := range facts.Reports {
		report := &facts.Reports[i]
		if facts.Fresh(report) {
			health.WorkItems.merge(report.WorkItems.OldestMessage, report.WorkItems.Deliveries)
		}
		health.Workers = append(health.Workers, WorkerReport{
			WorkerHealth: workerHealthOf(report), Age: facts.Now.Sub(report.Written), Fresh: facts.Fresh(report),
		})
	}
	for _, name := range facts.Waiting() {
		health.Names = append(health.Names, WaitingName{unknownNameOf(name.ReportName), name.Workers})
	}
	health.Findings = findingsOf(facts.Findings())
	return health
}

func partitionHealth(facts *diagnosis.Hub, lease *partition.Lease) PartitionHealth {
	p := PartitionHealth{
		ID: lease.ID, State: partitionState(lease, facts.Now), Owner: lease.CurrentOwner, NextOwner: lease.NextOwner,
		Draining: lease.Draining, LastRenewal: lease.LastRenewal, Expires: lease.ExpiresAt,
		Queue: queueHealth(facts.Looks[lease.ID]),
	}
	if !lease.LastRenewal.IsZero() {
		p.LeaseAge = max(0, facts.Now.Sub(lease.LastRenewal))
	}
	if report, reported := facts.OwnerReport(lease.ID); reported != nil {
		p.LastPolled, p.Reported, p.Sessions = reported.LastPolled, report.At, reported.Sessions
		p.Queue.merge(reported.OldestMessage, reported.Deliveries)
	}
	mergeReports(facts, lease.ID, &p.Queue)
	return p
}

// mergeReports adds what workers have put back to what is seen in a queue.
func mergeReports(facts *diagnosis.Hub, queue string, q *QueueHealth) {
	for _, back := range facts.PutBack() {
		if back.Queue == queue {
			q.merge(back.Sent, back.Deliveries)
		}
	}
}

// merge adds what is known of messages that cannot be seen.
func (q *QueueHealth) merge(oldest time.Time, deliveries int) {
	if q.Messages == 0 {
		return // they have gone since
	}
	q.Deliveries = max(q.Deliveries, deliveries)
	if !oldest.IsZero() && (q.Oldest.IsZero() || oldest.Before(q.Oldest)) {
		q.Oldest = oldest
	}
}

func partitionState(lease *partition.Lease, now time.Time) PartitionState {
	switch {
	case lease.CurrentOwner == "" && lease.NextOwner == "":
		return PartitionFree
	case lease.Expired(now):
		return PartitionExpired
	case lease.CurrentOwner == "":
		return PartitionReserved
	case lease.Draining:
		return PartitionDraining
	default:
		return PartitionOwned
	}
}

func queueHealth(look diagnosis.Look) QueueHealth {
	q := QueueHealth{Messages: look.Count, Visible: len(look.Messages)}
	for _, m := range look.Messages {
		q.Deliveries = max(q.Deliveries, m.Deliveries)
		if q.Oldest.IsZero() || m.Inserted.Before(q.Oldest) {
			q.Oldest = m.Inserted
		}
	}
	return q
}

func workerHealthOf(r *store.Report) WorkerHealth {
	health := WorkerHealth{
		WorkerID: r.WorkerID, At: r.At, Started: r.Started, Stalls: r.Stalls, Activities: r.Activities, Buffered: r.Buffered,
		Doorbell: r.Doorbell, Rings: r.Rings, WorkItems: Holding(r.WorkItems), Cost: costOf(r.Cost, r.At),
	}
	health.Application, health.Standby = r.Application, r.Standby
	for _, a := range r.Attempts {
		health.Attempts = append(health.Attempts, Attempt{
			Kind: NameKind(a.Kind), Name: a.Name, InstanceID: a.InstanceID, Number: a.Number, Since: a.Since,
		})
	}
	for _, p := range r.Partitions {
		health.Partitions = append(health.Partitions, OwnedPartition(p))
	}
	for _, name := range r.Unknown {
		health.Unknown = append(health.Unknown, unknownNameOf(name))
	}
	for _, held := range r.Held {
		health.Held = append(health.Held, HeldInstance(held))
	}
	for _, back := range r.PutBack {
		health.PutBack = append(health.PutBack, PutBack(back))
	}
	for _, running := range r.Running {
		health.Running = append(health.Running, RunningActivity(running))
	}
	return health
}

func unknownNameOf(n store.ReportName) UnknownName {
	return UnknownName{
		Kind: NameKind(n.Kind), Name: n.Name, Count: n.Count, Since: n.Since, LastSeen: n.LastSeen, Messages: n.Messages, NextTry: n.NextTry,
	}
}
