package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition"
)

// Senders find the queue of an instance by the number of rows in the partitions table. If that number is not
// beyond doubt, neither is where a message has to be, and none can be said to be gone.

// rows returns how many partitions the table has.
func (h *Hub) rows() int { return len(h.Leases) + len(h.Unreadable) }

// counted compares the rows of the partitions with the queues that exist.
func (h *Hub) counted() (without, extra []string) {
	if h.ControlQueues == nil {
		return nil, nil
	}
	for _, lease := range h.Leases {
		if !slices.Contains(h.ControlQueues, lease.ID) {
			without = append(without, lease.ID)
		}
	}
	for _, queue := range h.ControlQueues {
		if h.Lease(queue) == nil {
			extra = append(extra, queue)
		}
	}
	if len(extra) > 0 && len(extra) <= len(h.Unreadable) {
		extra = nil // they are those of the rows that cannot be read
	}
	return without, extra
}

// Doubt says why it cannot be told where messages belong, and so whether one is lost; "" if it can.
func (h *Hub) Doubt() string {
	without, extra := h.counted()
	switch {
	case len(h.Unreadable) > 0:
		return "a row of the partitions table cannot be read"
	case len(extra) > 0:
		return fmt.Sprintf("the table has %s and there are %s", plural(len(h.Leases), "partition"), plural(len(h.ControlQueues), "control queue"))
	case len(without) > 0:
		return "there is no queue " + list(without)
	case h.Partitions != 0 && h.Partitions != len(h.Leases):
		return fmt.Sprintf("the hub has %s and had %d when it was opened", plural(len(h.Leases), "partition"), h.Partitions)
	case len(h.strays()) > 0:
		return "messages are in queues that their instances do not belong to"
	}
	return ""
}

// Doubts are the findings that are the reason of a Doubt.
func (h *Hub) Doubts() []Finding {
	found := slices.Concat(h.unreadable(), h.counts(), h.strays())
	if len(found) == 0 && h.Partitions != 0 && h.Partitions != len(h.Leases) {
		found = append(found, Finding{Code: PartitionCount, Severity: Broken, OfHub: true, Text: h.Doubt()})
	}
	return found
}

func (h *Hub) unreadable() []Finding {
	var found []Finding
	for _, unreadable := range h.Unreadable {
		found = append(found, Finding{
			Code: Unreadable, Severity: Broken, OfHub: true,
			Text: fmt.Sprintf("a row of the partitions table cannot be read, so nobody can own that partition: %v", unreadable),
		})
	}
	return found
}

// counts finds queues without a partition.
func (h *Hub) counts() []Finding {
	_, extra := h.counted()
	if len(extra) == 0 {
		return nil
	}
	finding := Finding{
		Code: PartitionCount, Severity: Broken, OfHub: true,
		Text: fmt.Sprintf("the hub has %s by its table and %s: messages go astray until both are the same; no message is sent again until then",
			plural(h.rows(), "partition"), plural(len(h.ControlQueues), "control queue")),
		Evidence: []string{"queues without a partition: " + list(extra)},
	}
	table, queues, all := 0, 0, 0
	h.eachAddressed(func(queue string, m *Message) {
		all++
		if belongs(queue, m, h.rows()) {
			table++
		}
		if belongs(queue, m, len(h.ControlQueues)) {
			queues++
		}
	})
	if all > 0 {
		finding.Evidence = append(finding.Evidence, fmt.Sprintf("of %s seen in the queues, %d are where %s put them, and %d where %d do",
			plural(all, "message"), table, plural(h.rows(), "partition"), queues, len(h.ControlQueues)))
	}
	return []Finding{finding}
}

// queueOf finds the queue of a partition missing.
func (h *Hub) queueOf(lease *partition.Lease) []Finding {
	if h.ControlQueues == nil || slices.Contains(h.ControlQueues, lease.ID) {
		return nil
	}
	return []Finding{{
		Code: QueueMissing, Severity: Broken, Partition: lease.ID, OfHub: true,
		Text: fmt.Sprintf("queue %s does not exist: nothing can be sent to the instances of that partition, and what was in it is gone; "+
			"durafleet hub create %s makes it again, and hub doctor finds then what was lost", lease.ID, h.Name),
	}}
}

// workItems finds the queue of activities missing.
func (h *Hub) workItems() []Finding {
	var found []Finding
	for _, queue := range h.seenQueues() {
		if !h.Looks[queue].Missing || isControl(queue) {
			continue
		}
		found = append(found, Finding{
			Code: QueueMissing, Severity: Broken, OfHub: true,
			Text: fmt.Sprintf("queue %s does not exist: no activity can be asked for; durafleet hub create %s makes it again", queue, h.Name),
		})
	}
	return found
}

func (h *Hub) seenQueues() []string {
	var queues []string
	for queue := range h.Looks {
		queues = append(queues, queue)
	}
	slices.Sort(queues)
	return queues
}

const controlInfix = "-control-"

func isControl(queue string) bool { return strings.Contains(queue, controlInfix) }

// eachAddressed calls f for the messages that are seen in control queues and say for whom they are.
func (h *Hub) eachAddressed(f func(queue string, m *Message)) {
	for _, queue := range h.seenQueues() {
		if !isControl(queue) {
			continue
		}
		messages := h.Looks[queue].Messages
		for i := range messages {
			if m := &messages[i]; m.Content != nil && m.Content.Event != nil && m.Content.Target.InstanceID != "" {
				f(queue, m)
			}
		}
	}
}

// belongs reports whether a message is in the queue that its instance has if there are so many partitions.
func belongs(queue string, m *Message, partitions int) bool {
	return partitions > 0 &&
		strings.HasSuffix(queue, fmt.Sprintf(controlInfix+"%02d", wire.PartitionOf(m.Content.Target.InstanceID, partitions)))
}

// strays finds messages in queues that their instances do not hash to. If there are not as many rows as queues, a
// message may be where the queues have it: then the finding about their numbers tells it all.
func (h *Hub) strays() []Finding {
	evidence := map[string][]string{}
	_, extra := h.counted()
	h.eachAddressed(func(queue string, m *Message) {
		if belongs(queue, m, h.rows()) || len(extra) > 0 && belongs(queue, m, len(h.ControlQueues)) {
			return
		}
		id := m.Content.Target.InstanceID
		evidence[queue] = append(evidence[queue], fmt.Sprintf("message %s, %s for instance %q, which belongs to partition %d",
			m.ID, article(string(m.Content.Event.Kind())), id, wire.PartitionOf(id, max(1, h.rows()))))
	})
	var found []Finding
	for _, queue := range h.seenQueues() {
		if len(evidence[queue]) > 0 {
			found = append(found, Finding{
				Code: WrongQueue, Severity: Warning, Partition: queue, Evidence: evidence[queue], OfHub: true,
				Text: fmt.Sprintf("%s in queue %s for instances that belong elsewhere: their sender counts partitions differently",
					plural(len(evidence[queue]), "message"), queue),
			})
		}
	}
	return found
}
