package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Sent is a message that was put into a queue.
type Sent struct {
	Queue   string
	Receipt storage.Receipt
	// Blob is the payload blob that holds the message, "" if the queue itself does.
	Blob string
	// Text is what stands in the queue, Message what it says.
	Text    string
	Message *wire.Message
	// Date is when the message was sent, by the sender's clock.
	Date time.Time
}

// Taken returns the message as if it had been received: the sender has it until it becomes visible.
func (s Sent) Taken() Received {
	return Received{
		Message: storage.Message{
			ID: s.Receipt.ID, PopReceipt: s.Receipt.PopReceipt, Text: s.Text, InsertedOn: s.Date, NextVisible: s.Receipt.NextVisible,
		},
		Queue: s.Queue, Content: s.Message, Blob: s.Blob,
	}
}

// QueueOf returns the queue a message belongs into.
func (h *Hub) QueueOf(m *wire.Message) string {
	if m.Event.Kind() == history.KindTaskScheduled {
		return h.Names.WorkItemQueue()
	}
	return h.ControlQueueOf(m.Target.InstanceID)
}

// Send puts a message into the queue it belongs into; it becomes visible after delay. The
// message gets its id, unless it has one, and its sequence number. A message that is too large
// for the queue goes into a blob first.
func (h *Hub) Send(ctx context.Context, m *wire.Message, delay time.Duration) (Sent, error) {
	h.stamp(m)
	return h.send(ctx, m, delay)
}

// stamp gives a message its id and its sequence number, unless it has them from a try before.
func (h *Hub) stamp(m *wire.Message) {
	if m.SequenceNumber == 0 {
		m.SequenceNumber = h.sequence.Add(1)
	}
	if m.ActivityID == "" {
		m.ActivityID = h.options.Environment.NewID(m.Target.InstanceID).String()
	}
}

func (h *Hub) send(ctx context.Context, m *wire.Message, delay time.Duration) (Sent, error) {
	sent := Sent{Queue: h.QueueOf(m), Message: m, Date: h.Now()}
	text, err := wire.EncodeMessage(m)
	if err != nil {
		return sent, err
	}
	if len(text) > wire.InlineLimit {
		name := wire.MessageBlobName(m)
		if err := h.putPayload(ctx, name, text); err != nil {
			h.unsent(m, name)
			return sent, err
		}
		sent.Blob, text = name, wire.EncodePointer(name)
	}
	if h.options.Base64 {
		text = wire.Base64(text)
	}
	sent.Text = text
	sent.Receipt, err = h.Account.Queues.Put(ctx, sent.Queue, text, max(delay, 0))
	if err != nil {
		h.unsent(m, sent.Blob)
		return sent, fmt.Errorf("send %s to instance %q: %w", m.Event.Kind(), m.Target.InstanceID, err)
	}
	return sent, nil
}

// unsent notes that a message may not have been sent although its payload may be there. A start is sent again under
// the same name, so its payload is not to be touched.
func (h *Hub) unsent(m *wire.Message, blob string) {
	if blob != "" && m.Event.Kind() != history.KindExecutionStarted {
		h.doubtBlobs([]string{blob})
	}
}

// Outgoing is a message to be sent. It is hidden for Delay at first, be it that it is not due before or
// that the sender begins with it itself.
type Outgoing struct {
	Message *wire.Message
	Delay   time.Duration
}

// SendAll sends messages side by side, with sequence numbers in their order. What was sent is
// returned in any case, for Unsend.
func (h *Hub) SendAll(ctx context.Context, messages []Outgoing) ([]Sent, error) {
	for _, m := range messages {
		h.stamp(m.Message)
	}
	sent := make([]Sent, len(messages))
	err := h.each(ctx, len(messages), func(ctx context.Context, i int) error {
		var err error
		sent[i], err = h.send(ctx, messages[i].Message, messages[i].Delay)
		return err
	})
	return slices.DeleteFunc(sent, func(s Sent) bool { return s.Receipt.ID == "" }), err
}

// Unsend takes messages back. Those that somebody has already taken stay; receivers tolerate
// them.
func (h *Hub) Unsend(ctx context.Context, sent []Sent) error {
	return h.each(ctx, len(sent), func(ctx context.Context, i int) error {
		err := h.Account.Queues.Delete(ctx, sent[i].Queue, sent[i].Receipt.ID, sent[i].Receipt.PopReceipt)
		if err == nil && sent[i].Blob != "" {
			err = h.DeletePayloads(ctx, []string{sent[i].Blob})
		}
		if gone(err) {
			return nil
		}
		return err
	})
}

// Received is a message taken from a queue.
type Received struct {
	storage.Message
	Queue string
	// Content is what the message says, nil if Err says why it cannot be read.
	Content *wire.Message
	Err     error
	// Blob is the payload blob that holds the message, "" if the queue itself does.
	Blob string
}

// Receive takes up to limit messages from a queue, hides them for visibility and decodes them,
// in the order in which they were sent as far as the service and the senders tell. Date is the
// service's clock.
func (h *Hub) Receive(
	ctx context.Context, queue string, limit int, visibility time.Duration,
) (received []Received, date time.Time, err error) {
	batch, err := h.Account.Queues.Get(ctx, queue, limit, visibility)
	if err != nil {
		return nil, time.Time{}, err
	}
	received = make([]Received, len(batch.Messages))
	for i, message := range batch.Messages {
		received[i] = Received{Message: message, Queue: queue}
	}
	// Each message carries its own error, so that one that cannot be read holds up no other.
	room := newAllowance(maxBatch)
	_ = h.each(ctx, len(received), func(ctx context.Context, i int) error {
		h.decode(ctx, &received[i], room)
		return nil
	})
	slices.SortStableFunc(received, func(a, b Received) int {
		return cmp.Or(a.InsertedOn.Compare(b.InsertedOn), cmp.Compare(a.sequence(), b.sequence()))
	})
	return received, batch.Date, nil
}

func (r *Received) sequence() int64 {
	if r.Content == nil {
		return 0
	}
	return r.Content.SequenceNumber
}

// decode fills in what a message says, or why it cannot be read.
func (h *Hub) decode(ctx context.Context, r *Received, room *allowance) {
	m, blob, err := wire.DecodeMessage(r.Text)
	if err == nil && blob != "" {
		r.Blob = blob
		m, err = h.decodeBlob(ctx, blob, room)
	}
	if err == nil {
		err = wire.CheckMessage(m, r.Queue == h.Names.WorkItemQueue())
	}
	if err != nil {
		r.Err = err
		return
	}
	r.Content = m
}

func (h *Hub) decodeBlob(ctx context.Context, blob string, room *allowance) (*wire.Message, error) {
	text, err := h.getPayloadWithin(ctx, blob, room)
	if err != nil {
		return nil, err
	}
	m, further, err := wire.DecodeMessage(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("message in blob %s: %w", blob, err)
	case further != "":
		return nil, fmt.Errorf("message in blob %s: %w: it refers to another blob", blob, wire.ErrMalformed)
	}
	return m, nil
}
