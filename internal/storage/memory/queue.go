package memory

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// queue holds messages by id and in the order in which they become visible.
type queue struct {
	byID  map[string]*message
	order visibleOrder
}

type message struct {
	id, text, popReceipt string
	dequeueCount         int
	inserted             time.Time
	visible              time.Time
	serial               uint64 // order among messages visible at the same moment
	index                int    // place in queue.order
}

// visibleOrder is a heap: the message that becomes visible first is at the top.
type visibleOrder []*message

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (o visibleOrder) Len() int { return len(o) }

// Less orders by visibility, then by age.
func (o visibleOrder) Less(i, j int) bool {
	if o[i].visible.Equal(o[j].visible) {
		return o[i].serial < o[j].serial
	}
	return o[i].visible.Before(o[j].visible)
}

// Swap keeps the index of each message right.
func (o visibleOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

// Push appends a message.
func (o *visibleOrder) Push(x any) {
	m := x.(*message)
	m.index = len(*o)
	*o = append(*o, m)
}

// Pop removes the last message.
func (o *visibleOrder) Pop() any {
	last := len(*o) - 1
	m := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return m
}

// takeVisible removes up to limit visible messages from the order.
func (q *queue) takeVisible(limit int, now time.Time) []*message {
	var taken []*message
	for len(taken) < limit && len(q.order) > 0 && !q.order[0].visible.After(now) {
		taken = append(taken, heap.Pop(&q.order).(*message))
	}
	return taken
}

type queues struct{ store *Store }

// open locks the store and finds the queue. The caller unlocks if there is no error.
func (p queues) open(ctx context.Context, op storage.Kind, name string) (*queue, error) {
	if err := storage.CheckQueueName(op, name); err != nil {
		return nil, err
	}
	if err := p.store.lock(ctx, op, name); err != nil {
		return nil, err
	}
	q, ok := p.store.queues[name]
	if !ok {
		p.store.mu.Unlock()
		return nil, notFound(op, name, "QueueNotFound")
	}
	return q, nil
}

// find returns the message if the receipt is the current one.
func (q *queue) find(op storage.Kind, name, id, popReceipt string) (*message, error) {
	m, ok := q.byID[id]
	if !ok {
		return nil, notFound(op, name, "MessageNotFound")
	}
	if m.popReceipt != popReceipt {
		return nil, &storage.Error{Op: op, Target: name, Sentinel: storage.ErrReceipt, Code: "PopReceiptMismatch"}
	}
	return m, nil
}

func (s *Store) newReceipt() string { return fmt.Sprintf("receipt-%d", s.next()) }

func (m *message) receipt() storage.Receipt {
	return storage.Receipt{ID: m.id, PopReceipt: m.popReceipt, NextVisible: wholeSecond(m.visible)}
}

func hiddenFor(d time.Duration) time.Duration {
	return time.Duration(storage.WholeSeconds(d)) * time.Second
}

// CreateQueue implements storage.Queues.
func (p queues) CreateQueue(ctx context.Context, name string) error {
	if err := storage.CheckQueueName(storage.QueueAdmin, name); err != nil {
		return err
	}
	if err := p.store.lock(ctx, storage.QueueAdmin, name); err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if _, ok := p.store.queues[name]; !ok {
		p.store.queues[name] = &queue{byID: map[string]*message{}}
	}
	return nil
}

// DeleteQueue implements storage.Queues.
func (p queues) DeleteQueue(ctx context.Context, name string) error {
	if _, err := p.open(ctx, storage.QueueAdmin, name); err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	delete(p.store.queues, name)
	return nil
}

// ListQueues implements storage.Queues.
func (p queues) ListQueues(ctx context.Context, prefix string) ([]string, error) {
	if err := p.store.lock(ctx, storage.QueueAdmin, prefix); err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	return namesWith(p.store.queues, prefix), nil
}

// Put implements storage.Queues.
func (p queues) Put(ctx context.Context, name, text string, delay time.Duration) (storage.Receipt, error) {
	if err := storage.CheckVisibility(storage.QueuePut, name, delay, 0); err != nil {
		return storage.Receipt{}, err
	}
	if err := storage.CheckText(storage.QueuePut, name, text); err != nil {
		return storage.Receipt{}, err
	}
	q, err := p.open(ctx, storage.QueuePut, name)
	if err != nil {
		return storage.Receipt{}, err
	}
	defer p.store.mu.Unlock()
	now := time.Now()
	serial := p.store.next()
	m := &message{
		id:         fmt.Sprintf("%08x-0000-4000-8000-%012x", serial>>48, serial),
		text:       text,
		popReceipt: p.store.newReceipt(),
		inserted:   wholeSecond(now),
		visible:    now.Add(hiddenFor(delay)),
		serial:     serial,
	}
	q.byID[m.id] = m
	heap.Push(&q.order, m)
	return m.receipt(), nil
}

// Get implements storage.Queues.
func (p queues) Get(ctx context.Context, name string, limit int, visibility time.Duration) (storage.Batch, error) {
	if err := storage.CheckBatch(storage.QueueGet, name, limit); err != nil {
		return storage.Batch{}, err
	}
	if err := storage.CheckVisibility(storage.QueueGet, name, visibility, time.Second); err != nil {
		return storage.Batch{}, err
	}
	q, err := p.open(ctx, storage.QueueGet, name)
	if err != nil {
		return storage.Batch{}, err
	}
	defer p.store.mu.Unlock()
	now := time.Now()
	batch := storage.Batch{Date: wholeSecond(now)}
	for _, m := range q.takeVisible(limit, now) {
		m.dequeueCount++
		m.popReceipt = p.store.newReceipt()
		m.visible = now.Add(hiddenFor(visibility))
		heap.Push(&q.order, m)
		shown := m.shown()
		shown.PopReceipt = m.popReceipt
		shown.NextVisible = wholeSecond(m.visible)
		batch.Messages = append(batch.Messages, shown)
	}
	return batch, nil
}

// shown is the message as a peek shows it.
func (m *message) shown() storage.Message {
	return storage.Message{ID: m.id, Text: m.text, DequeueCount: m.dequeueCount, InsertedOn: m.inserted}
}

// Peek implements storage.Queues.
func (p queues) Peek(ctx context.Context, name string, limit int) ([]storage.Message, error) {
	if err := storage.CheckBatch(storage.QueuePeek, name, limit); err != nil {
		return nil, err
	}
	q, err := p.open(ctx, storage.QueuePeek, name)
	if err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	var seen []storage.Message
	for _, m := range q.takeVisible(limit, time.Now()) {
		heap.Push(&q.order, m)
		seen = append(seen, m.shown())
	}
	return seen, nil
}

// Update implements storage.Queues.
func (p queues) Update(ctx context.Context, name, id, popReceipt, text string, visibility time.Duration) (storage.Receipt, error) {
	if err := storage.CheckVisibility(storage.QueueUpdate, name, visibility, 0); err != nil {
		return storage.Receipt{}, err
	}
	if err := storage.CheckText(storage.QueueUpdate, name, text); err != nil {
		return storage.Receipt{}, err
	}
	q, err := p.open(ctx, storage.QueueUpdate, name)
	if err != nil {
		return storage.Receipt{}, err
	}
	defer p.store.mu.Unlock()
	m, err := q.find(storage.QueueUpdate, name, id, popReceipt)
	if err != nil {
		return storage.Receipt{}, err
	}
	m.text = text
	m.popReceipt = p.store.newReceipt()
	m.visible = time.Now().Add(hiddenFor(visibility))
	heap.Fix(&q.order, m.index)
	return m.receipt(), nil
}

// Delete implements storage.Queues.
func (p queues) Delete(ctx context.Context, name, id, popReceipt string) error {
	q, err := p.open(ctx, storage.QueueDelete, name)
	if err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	m, err := q.find(storage.QueueDelete, name, id, popReceipt)
	if err != nil {
		return err
	}
	heap.Remove(&q.order, m.index)
	delete(q.byID, id)
	return nil
}

// Count implements storage.Queues.
func (p queues) Count(ctx context.Context, name string) (int, error) {
	q, err := p.open(ctx, storage.QueueCount, name)
	if err != nil {
		return 0, err
	}
	defer p.store.mu.Unlock()
	return len(q.byID), nil
}
