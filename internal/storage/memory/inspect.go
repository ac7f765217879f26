package memory

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// MessageState is a message as the service sees it.
type MessageState struct {
	ID, Text     string
	DequeueCount int
	Inserted     time.Time
	// Visible is when the message can be taken; it may have passed.
	Visible time.Time
}

// Messages returns all messages of a queue, hidden ones included, the oldest first.
func (s *Store) Messages(queue string) []MessageState {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[queue]
	if !ok {
		return nil
	}
	messages := slices.Clone(q.order)
	slices.SortFunc(messages, func(a, b *message) int { return cmp.Compare(a.serial, b.serial) })
	states := make([]MessageState, len(messages))
	for i, m := range messages {
		states[i] = MessageState{m.id, m.text, m.dequeueCount, m.inserted, m.visible}
	}
	return states
}

// SetVisible moves the time at which a message can be taken, as the service may: it promises
// neither order nor that a message is delivered once. It reports whether the message exists.
func (s *Store) SetVisible(queue, id string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[queue]
	if !ok || q.byID[id] == nil {
		return false
	}
	m := q.byID[id]
	m.visible = at
	heap.Fix(&q.order, m.index)
	return true
}
