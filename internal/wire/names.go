package wire

import (
	"fmt"
	"strings"
)

const (
	minHubName = 3
	maxHubName = 45
)

// Names gives the names of a task hub's storage resources.
type Names struct {
	hub   string
	lower string
}

// NewNames returns the names for a task hub. A hub name is 3 to 45 ASCII letters and digits and
// begins with a letter, which makes every derived name legal and the hub usable from Azure
// Functions. Hub names that differ only in case mean the same resources.
func NewNames(hub string) (Names, error) {
	if !validHubName(hub) {
		return Names{}, fmt.Errorf("%w %q: want %d to %d ASCII letters and digits, the first a letter",
			ErrHubName, hub, minHubName, maxHubName)
	}
	return Names{hub: hub, lower: strings.ToLower(hub)}, nil
}

func validHubName(hub string) bool {
	if len(hub) < minHubName || len(hub) > maxHubName {
		return false
	}
	for i := range len(hub) {
		c := hub[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if !letter && (i == 0 || !digit) {
			return false
		}
	}
	return true
}

// Hub returns the name as it was given; the TaskHubName column keeps this casing.
func (n Names) Hub() string { return n.hub }

// ControlQueue returns the name of control queue i, which is also the partition's ID.
func (n Names) ControlQueue(i int) string { return fmt.Sprintf("%s-control-%02d", n.lower, i) }

// WorkItemQueue returns the name of the queue activities are scheduled through.
func (n Names) WorkItemQueue() string { return n.lower + "-workitems" }

// HistoryTable returns the name of the table holding event rows and sentinels.
func (n Names) HistoryTable() string { return n.hub + "History" }

// InstancesTable returns the name of the table holding one status row per instance.
func (n Names) InstancesTable() string { return n.hub + "Instances" }

// PartitionsTable returns the name of the table through which workers share out partitions.
func (n Names) PartitionsTable() string { return n.hub + "Partitions" }

// LargeMessages returns the name of the container for large payloads.
func (n Names) LargeMessages() string { return n.lower + "-largemessages" }

// Leases returns the name of the container the blob partition managers of .NET use.
func (n Names) Leases() string { return n.lower + "-leases" }

// AppLease returns the name of the container whose lease an application holds.
func (n Names) AppLease() string { return n.lower + "-applease" }

// AppLeaseInfo returns the name of the blob in the AppLease container that names the holder.
func (n Names) AppLeaseInfo() string { return n.lower + "-appleaseinfo" }

// Workers returns the name of the container, private to Durafleet, in which workers tell how they
// are.
func (n Names) Workers() string { return n.lower + "-workers" }

// Poison returns the name of the container, private to Durafleet, for messages that were moved out
// of their queues.
func (n Names) Poison() string { return n.lower + "-poison" }
