package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition"
)

const (
	// ReportFresh is how old a report may be that tells about now.
	ReportFresh = 3 * time.Minute
	// reportLag is how much newer a report may be than the time of its writing that was read first.
	reportLag = time.Minute
	// reportDead is how old a report is whose worker is not coming back.
	reportDead = 24 * time.Hour
	// clockTolerance is how far clocks may be apart without harm, as everywhere in the engine.
	clockTolerance = time.Minute
	// pollPatience is how long an owner may not have polled: longer than any pause and any stall that
	// its watchdog has not noticed yet.
	pollPatience = 2 * time.Minute
)

// Hub is what was read of a hub.
type Hub struct {
	Name string
	// Now is the clock of the service; Local was this machine's at the same moment.
	Now   time.Time
	Local time.Time
	// Leases are the rows of the partitions, Unreadable says which could not be read.
	Leases     []partition.Lease
	Unreadable []error
	// Partitions is how many partitions whoever looks counts with, 0 if that is not known.
	Partitions int
	// Application is the lease id of the application that processes the hub, "" if nobody asked.
	Application string
	// ControlQueues are the control queues that exist; nil if nobody looked.
	ControlQueues []string
	Reports       []store.Report
	// Looks are what was seen in the queues, by queue.
	Looks map[string]Look
	// Poison is how many messages were moved aside; PoisonSettled says that nothing waits for any of them.
	Poison        int
	PoisonSettled bool
}

// Look is what was seen of a queue.
type Look struct {
	Queue string
	// Messages are the visible ones, 32 at most, in the order of their delivery.
	Messages []Message
	// Count is how many messages there are in all, hidden ones included.
	Count int
	// Whole says that all messages of the queue were seen: none was hidden.
	Whole bool
	// Missing says that the queue does not exist.
	Missing bool
}

// Hidden returns how many messages were not seen.
func (l Look) Hidden() int { return max(0, l.Count-len(l.Messages)) }

// Message is a visible message.
type Message struct {
	ID         string
	Deliveries int
	Inserted   time.Time
	// Content is nil, and Err says why, if the message cannot be read.
	Content *wire.Message
	Err     error
	// Blob is the payload blob that holds the message, "" if the queue itself does.
	Blob string
}

// Report returns the report of a worker if it tells about now, else nil.
func (h *Hub) Report(worker string) *store.Report {
	for i := range h.Reports {
		if h.Reports[i].WorkerID == worker && h.Fresh(&h.Reports[i]) {
			return &h.Reports[i]
		}
	}
	return nil
}

// Fresh reports whether a report tells about now.
func (h *Hub) Fresh(r *store.Report) bool { return h.Now.Sub(r.Written) < ReportFresh }

// Lease returns the lease of a partition, nil if there is none.
func (h *Hub) Lease(id string) *partition.Lease {
	for i := range h.Leases {
		if h.Leases[i].ID == id {
			return &h.Leases[i]
		}
	}
	return nil
}

// OwnerReport returns what the owner of a partition reports about it, nil if nobody does.
func (h *Hub) OwnerReport(id string) (*store.Report, *store.ReportPartition) {
	lease := h.Lease(id)
	if lease == nil || lease.CurrentOwner == "" {
		return nil, nil
	}
	report := h.Report(lease.CurrentOwner)
	if report == nil {
		return nil, nil
	}
	for i := range report.Partitions {
		if report.Partitions[i].ID == id {
			return report, &report.Partitions[i]
		}
	}
	return report, nil
}

// Findings returns what is wrong with the hub itself.
func (h *Hub) Findings() []Finding {
	found := h.unreadable()
	found = append(found, h.partitions()...)
	found = append(found, h.counts()...)
	found = append(found, h.workItems()...)
	found = append(found, h.applications()...)
	found = append(found, h.crashes()...)
	found = append(found, h.names()...)
	found = append(found, h.strays()...)
	found = append(found, h.clocks()...)
	if h.Poison > 0 {
		f := Finding{Code: Poison, Severity: Warning, Text: were(h.Poison, "message", "") + " moved aside that could not be worked on"}
		if h.PoisonSettled {
			f.Severity = Note
			f.Text += ", and nothing waits for them"
		}
		f.Text += "; see durafleet poison list"
		found = append(found, f)
	}
	return append(found, h.deadReports()...)
}

// names returns the names that messages wait for.
func (h *Hub) names() []Finding {
	waiting := h.Waiting()
	found := make([]Finding, 0, len(waiting))
	for _, name := range waiting {
		text := "activity %q is asked for, and worker %s does not know it: its work items wait until a worker takes them that does"
		if name.Kind == string(orchestrationName) {
			text = "orchestration %q is asked for, and worker %s does not know it: " +
				"its instances stand still, because only the owner of their partition reads their messages"
		}
		found = append(found, Finding{
			Code: NameUnknown, Severity: Warning, Text: fmt.Sprintf(text, name.Name, list(name.Workers)),
			Evidence: []string{fmt.Sprintf("turned away %d times since %s, last %s", name.Count, when(name.Since), when(name.LastSeen))},
		})
	}
	return found
}

const orchestrationName = "orchestration"

// Name is a name that workers do not know.
type Name struct {
	store.ReportName
	Workers []string
}

// Waiting returns the names that messages wait for, over all workers that report now.
func (h *Hub) Waiting() []Name {
	var all []Name
	for i := range h.Reports {
		report := &h.Reports[i]
		if !h.Fresh(report) {
			continue
		}
		for _, unknown := range report.Unknown {
			at := slices.IndexFunc(all, func(n Name) bool { return n.Kind == unknown.Kind && n.Name == unknown.Name })
			if at < 0 {
				all = append(all, Name{unknown, []string{report.WorkerID}})
				continue
			}
			name := &all[at]
			name.Count += unknown.Count
			name.Messages += unknown.Messages
			if name.NextTry.IsZero() || !unknown.NextTry.IsZero() && unknown.NextTry.Before(name.NextTry) {
				name.NextTry = unknown.NextTry
			}
			name.Workers = append(name.Workers, report.WorkerID)
			if unknown.Since.Before(name.Since) {
				name.Since = unknown.Since
			}
			if unknown.LastSeen.After(name.LastSeen) {
				name.LastSeen = unknown.LastSeen
			}
		}
	}
	slices.SortFunc(all, func(a, b Name) int { return strings.Compare(a.Kind+" "+a.Name, b.Kind+" "+b.Name) })
	return all
}

// clocks compares the clocks of workers and of this machine with the service's.
func (h *Hub) clocks() []Finding {
	var found []Finding
	add := func(who string, off time.Duration, evidence string) {
		if off.Abs() <= clockTolerance {
			return
		}
		found = append(found, Finding{
			Code: ClockOff, Severity: Warning, Evidence: []string{evidence},
			Text: fmt.Sprintf("the clock of %s is %s: times it writes are wrong by as much", who, offset(off)),
		})
	}
	if !h.Local.IsZero() {
		add("this machine", h.Local.Sub(h.Now), fmt.Sprintf("it is %s here and %s at the storage service", when(h.Local), when(h.Now)))
	}
	seen := map[string]bool{}
	for _, lease := range h.Leases {
		// A row that somebody reserved was not written by its owner.
		if lease.CurrentOwner == "" || lease.NextOwner != "" || lease.LastRenewal.IsZero() || lease.Written.IsZero() || seen[lease.CurrentOwner] {
			continue
		}
		seen[lease.CurrentOwner] = true
		add("worker "+lease.CurrentOwner, lease.LastRenewal.Sub(lease.Written), fmt.Sprintf(
			"its renewal of partition %s is dated %s and was written at %s", lease.ID, when(lease.LastRenewal), when(lease.Written)))
	}
	for _, report := range h.Reports {
		// The time of writing may be that of the report before.
		if off := report.At.Sub(report.Written); off.Abs() > reportLag+clockTolerance {
			add("worker "+report.WorkerID, off, fmt.Sprintf("its report is dated %s and was written at %s", when(report.At), when(report.Written)))
		}
	}
	return found
}

func (h *Hub) deadReports() []Finding {
	var dead []string
	for i := range h.Reports {
		if h.Now.Sub(h.Reports[i].Written) > reportDead {
			dead = append(dead, h.Reports[i].WorkerID)
		}
	}
	if len(dead) == 0 {
		return nil
	}
	return []Finding{{
		Code: DeadReport, Severity: Note, Evidence: []string{"workers " + list(dead)},
		Text:   plural(len(dead), "worker") + " died more than a day ago and left health reports",
		Repair: Repair{Kind: DeleteReports, Names: dead},
	}}
}

// OrphanedPayloads is the finding about payload blobs that an instance does not refer to.
func OrphanedPayloads(id string, names []string) Finding {
	return Finding{
		Code: OrphanedPayload, Severity: Note, InstanceID: id, Evidence: names, Repair: Repair{Kind: DeletePayloads, Names: names},
		Text: plural(len(names), "payload blob") + " that nothing refers to any more; a purge of the instance deletes them, too",
	}
}

// StrayPayloads is the finding about payload blobs of instances of which nothing is stored.
func StrayPayloads(names []string) Finding {
	return Finding{
		Code: OrphanedPayload, Severity: Note, Evidence: names, Repair: Repair{Kind: DeletePayloads, Names: names},
		Text: plural(len(names), "payload blob") + " left of instances that do not exist any more",
	}
}
