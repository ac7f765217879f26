package diagnosis

import (
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/partition"
)

// partitions returns what is wrong with the partitions. What is the same about several is told once.
func (h *Hub) partitions() []Finding {
	var found, single []Finding
	var free []*partition.Lease
	expired := map[string][]*partition.Lease{}
	var owners []string
	for i := range h.Leases {
		lease := &h.Leases[i]
		found = append(found, h.queueOf(lease)...)
		switch gone := owner(lease); {
		case gone == "":
			free = append(free, lease)
		case lease.Expired(h.Now):
			if expired[gone] == nil {
				owners = append(owners, gone)
			}
			expired[gone] = append(expired[gone], lease)
		default:
			single = append(single, h.polls(lease)...)
		}
	}
	if len(free) > 0 {
		found = append(found, h.unowned(NoOwner, free))
	}
	slices.Sort(owners)
	for _, gone := range owners {
		found = append(found, h.unowned(LeaseExpired, expired[gone]))
	}
	return append(found, single...)
}

// Partition returns what is wrong with a partition.
func (h *Hub) Partition(id string) []Finding {
	lease := h.Lease(id)
	if lease == nil {
		return nil
	}
	found := h.queueOf(lease)
	switch {
	case owner(lease) == "":
		return append(found, h.unowned(NoOwner, []*partition.Lease{lease}))
	case lease.Expired(h.Now):
		return append(found, h.unowned(LeaseExpired, []*partition.Lease{lease}))
	}
	return append(found, h.polls(lease)...)
}

// unowned is the finding about partitions that nobody works on: of the same owner, or of none.
func (h *Hub) unowned(code Code, leases []*partition.Lease) Finding {
	f := Finding{Code: code, Severity: Broken, Partition: leases[0].ID, OfHub: true}
	whose, its := "partition "+leases[0].ID, "its"
	if len(leases) > 1 {
		ids := make([]string, len(leases))
		for i, lease := range leases {
			ids[i] = lease.ID
		}
		f.Partition, whose, its = "", fmt.Sprintf("%d partitions (%s)", len(leases), list(ids)), "their"
	}
	for _, lease := range leases {
		f.Evidence = append(f.Evidence, describe(lease, h.Now))
	}
	if code == NoOwner {
		f.Text = fmt.Sprintf("nobody owns %s: %s instances stand still until a worker runs", whose, its)
		return f
	}
	f.Text = fmt.Sprintf("the lease of %s has expired: %s owner %s is gone, and nobody has taken over yet", whose, its, owner(leases[0]))
	return f
}

// polls finds an owner that does not read the queue of its partition.
func (h *Hub) polls(lease *partition.Lease) []Finding {
	report, owned := h.OwnerReport(lease.ID)
	if report == nil || owned == nil || len(h.queueOf(lease)) > 0 {
		return nil
	}
	polled := owned.LastPolled
	if polled.IsZero() {
		polled = owned.Since
	}
	silent := report.At.Sub(polled)
	if silent <= pollPatience {
		return nil
	}
	return []Finding{{
		Code: NotPolling, Severity: Broken, Partition: lease.ID, OfHub: true, Evidence: []string{describe(lease, h.Now)},
		Text: fmt.Sprintf("worker %s owns partition %s and has not read its queue for %s", report.WorkerID, lease.ID, span(silent)),
	}}
}

func owner(lease *partition.Lease) string {
	if lease.CurrentOwner != "" {
		return lease.CurrentOwner
	}
	return lease.NextOwner
}

func describe(lease *partition.Lease, now time.Time) string {
	text := fmt.Sprintf("partition %s: owner %q, next owner %q", lease.ID, lease.CurrentOwner, lease.NextOwner)
	if !lease.LastRenewal.IsZero() {
		text += fmt.Sprintf(", renewed %s ago", span(now.Sub(lease.LastRenewal)))
	}
	return text
}
