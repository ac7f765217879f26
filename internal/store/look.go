package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Look is what can be seen of a queue without taking anything from it.
type Look struct {
	Queue string
	// Messages are the visible ones, 32 at most; they have no receipts.
	Messages []Received
	// Count is how many messages there are, hidden ones included.
	Count int
	// Whole says that all messages were seen, and none was hidden, at one moment during the look. It
	// is only ever set by a look of two glances.
	Whole bool
}

// Look looks at a queue with one glance or with two. Two glances that show the same messages,
// delivered as often as before, frame the count: none of them was hidden in between. If the count is
// no larger than their number, it leaves no room for others.
func (h *Hub) Look(ctx context.Context, queue string, glances int) (Look, error) {
	look := Look{Queue: queue}
	before, err := h.Account.Queues.Peek(ctx, queue, storage.MaxMessagesPerGet)
	if err != nil {
		return look, fmt.Errorf("look at queue %s: %w", queue, err)
	}
	if look.Count, err = h.Account.Queues.Count(ctx, queue); err != nil {
		return look, fmt.Errorf("look at queue %s: %w", queue, err)
	}
	seen := before
	if glances > 1 {
		if seen, err = h.Account.Queues.Peek(ctx, queue, storage.MaxMessagesPerGet); err != nil {
			return look, fmt.Errorf("look at queue %s: %w", queue, err)
		}
		look.Whole = look.Count <= len(seen) && sameMessages(before, seen)
	}
	look.Messages = make([]Received, len(seen))
	room := newAllowance(maxBatch)
	// Each message carries its own error, as in Receive.
	_ = h.each(ctx, len(seen), func(ctx context.Context, i int) error {
		look.Messages[i] = Received{Message: seen[i], Queue: queue}
		h.decode(ctx, &look.Messages[i], room)
		return nil
	})
	return look, nil
}

func sameMessages(a, b []storage.Message) bool {
	if len(a) != len(b) {
		return false
	}
	deliveries := map[string]int{}
	for _, m := range a {
		deliveries[m.ID] = m.DequeueCount
	}
	for _, m := range b {
		if before, seen := deliveries[m.ID]; !seen || before != m.DequeueCount {
			return false
		}
	}
	return true
}

// SentinelView is a sentinel with what the service knows about it.
type SentinelView struct {
	wire.Sentinel
	ETag storage.ETag
	// Written is when the service wrote it.
	Written time.Time
}

// ReadSentinel returns the sentinel of an instance, nil if there is none.
func (h *Hub) ReadSentinel(ctx context.Context, instanceID string) (*SentinelView, error) {
	row, err := h.Account.Tables.Read(ctx, h.Names.HistoryTable(), wire.EscapeKey(instanceID), wire.SentinelKey)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil //nolint:nilnil // no sentinel is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read sentinel of instance %q: %w", instanceID, err)
	}
	sentinel, err := wire.DecodeSentinel(row.Values)
	if err != nil {
		return nil, fmt.Errorf("%w: sentinel of instance %q: %w", ErrCorrupt, instanceID, err)
	}
	return &SentinelView{sentinel, row.ETag, row.Timestamp}, nil
}
