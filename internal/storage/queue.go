package storage

import (
	"context"
	"time"
)

// Limits of the queue service.
const (
	// MaxMessageBytes is the size of a message text after XML unescaping.
	MaxMessageBytes = 64 * 1024
	// MaxVisibility is the longest delay a put or an update may ask for.
	MaxVisibility = 7 * 24 * time.Hour
	// MaxMessagesPerGet is the largest batch of one get.
	MaxMessagesPerGet = 32
)

// Queues is the queue port. Visibility times are whole seconds: a fraction is rounded up, so
// that nothing becomes visible early. All methods may be called concurrently.
type Queues interface {
	// CreateQueue creates the queue if it does not exist. A queue deleted a moment ago answers
	// ErrBeingDeleted.
	CreateQueue(ctx context.Context, queue string) error
	// DeleteQueue deletes the queue with its messages. ErrNotFound if there is none.
	DeleteQueue(ctx context.Context, queue string) error
	// ListQueues returns the names of all queues that begin with prefix.
	ListQueues(ctx context.Context, prefix string) ([]string, error)

	// Put adds a message that never expires and becomes visible after delay (0 to MaxVisibility).
	// It is not idempotent: an ambiguous failure may have added the message.
	Put(ctx context.Context, queue, text string, delay time.Duration) (Receipt, error)
	// Get takes up to limit (1 to 32) visible messages and hides them for visibility (at least
	// 1 s). An empty batch is no error. Order is not guaranteed.
	Get(ctx context.Context, queue string, limit int, visibility time.Duration) (Batch, error)
	// Peek shows up to limit visible messages without taking them; receipts are empty.
	Peek(ctx context.Context, queue string, limit int) ([]Message, error)
	// Update sets the message's visibility (0 makes it visible at once) and, as the service
	// demands, its text again; it returns the new receipt. ErrNotFound if the message is gone,
	// ErrReceipt if somebody else took it since.
	Update(ctx context.Context, queue, id, popReceipt, text string, visibility time.Duration) (Receipt, error)
	// Delete removes the message. ErrNotFound if it is gone, ErrReceipt if somebody else took it.
	Delete(ctx context.Context, queue, id, popReceipt string) error
	// Count returns the approximate number of messages, invisible ones included.
	Count(ctx context.Context, queue string) (int, error)
}

// Receipt proves the right to update or delete a message.
type Receipt struct {
	ID          string
	PopReceipt  string
	NextVisible time.Time
}

// Batch is the answer to a Get.
type Batch struct {
	Messages []Message
	// Date is the service's clock when it answered, in whole seconds.
	Date time.Time
}

// Message is a message taken from or peeked at in a queue.
type Message struct {
	ID           string
	PopReceipt   string
	Text         string
	DequeueCount int
	InsertedOn   time.Time
	NextVisible  time.Time
}
