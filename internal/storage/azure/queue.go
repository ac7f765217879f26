package azure

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/durafleet/durafleet/internal/storage"
)

// forever is the time to live of messages that never expire.
const forever = -1

type queues struct{ client *azqueue.ServiceClient }

// errMalformed reports a reply that lacks what it must hold.
var errMalformed = errors.New("malformed reply")

// CreateQueue implements storage.Queues.
func (p *queues) CreateQueue(ctx context.Context, queue string) error {
	if err := storage.CheckQueueName(storage.QueueAdmin, queue); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.QueueAdmin, queue)
	_, err := p.client.CreateQueue(ctx, queue, nil)
	return unlessExists(c.failure(ctx, err))
}

// unlessExists makes a success of finding the thing to create.
func unlessExists(err error) error {
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	return err
}

// DeleteQueue implements storage.Queues.
func (p *queues) DeleteQueue(ctx context.Context, queue string) error {
	if err := storage.CheckQueueName(storage.QueueAdmin, queue); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.QueueAdmin, queue)
	_, err := p.client.DeleteQueue(ctx, queue, nil)
	return c.failure(ctx, err)
}

// ListQueues implements storage.Queues.
func (p *queues) ListQueues(ctx context.Context, prefix string) ([]string, error) {
	pager := p.client.NewListQueuesPager(&azqueue.ListQueuesOptions{Prefix: &prefix})
	var names []string
	for pager.More() {
		pageCtx, c := reading(ctx, storage.QueueAdmin, prefix)
		page, err := pager.NextPage(pageCtx)
		if err != nil {
			return nil, c.failure(ctx, err)
		}
		for _, queue := range page.Queues {
			names = append(names, value(queue.Name))
		}
	}
	return names, nil
}

// Put implements storage.Queues.
func (p *queues) Put(ctx context.Context, queue, text string, delay time.Duration) (storage.Receipt, error) {
	if err := checkPut(storage.QueuePut, queue, text, delay); err != nil {
		return storage.Receipt{}, err
	}
	ctx, c := begin(ctx, storage.QueuePut, queue)
	c.text = &text
	options := &azqueue.EnqueueMessageOptions{TimeToLive: to.Ptr(int32(forever))}
	if delay > 0 {
		options.VisibilityTimeout = to.Ptr(storage.WholeSeconds(delay))
	}
	reply, err := p.client.NewQueueClient(queue).EnqueueMessage(ctx, text, options)
	if err == nil && len(reply.Messages) != 1 {
		err = errMalformed
	}
	if err != nil {
		return storage.Receipt{}, c.failure(ctx, err)
	}
	m := reply.Messages[0]
	return storage.Receipt{ID: value(m.MessageID), PopReceipt: value(m.PopReceipt), NextVisible: value(m.TimeNextVisible).UTC()}, nil
}

func checkPut(op storage.Kind, queue, text string, delay time.Duration) error {
	if err := storage.CheckQueueName(op, queue); err != nil {
		return err
	}
	if err := storage.CheckVisibility(op, queue, delay, 0); err != nil {
		return err
	}
	return storage.CheckText(op, queue, text)
}

// Get implements storage.Queues.
func (p *queues) Get(ctx context.Context, queue string, limit int, visibility time.Duration) (storage.Batch, error) {
	if err := checkGet(storage.QueueGet, queue, limit); err != nil {
		return storage.Batch{}, err
	}
	if err := storage.CheckVisibility(storage.QueueGet, queue, visibility, time.Second); err != nil {
		return storage.Batch{}, err
	}
	ctx, c := begin(ctx, storage.QueueGet, queue)
	reply, err := p.client.NewQueueClient(queue).DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{
		NumberOfMessages:  to.Ptr(int32(limit)),
		VisibilityTimeout: to.Ptr(storage.WholeSeconds(visibility)),
	})
	if err != nil {
		return storage.Batch{}, c.failure(ctx, err)
	}
	batch := storage.Batch{Date: dateOr(reply.Date)}
	for _, m := range reply.Messages {
		batch.Messages = append(batch.Messages, storage.Message{
			ID:           value(m.MessageID),
			PopReceipt:   value(m.PopReceipt),
			Text:         value(m.MessageText),
			DequeueCount: int(value(m.DequeueCount)),
			InsertedOn:   value(m.InsertionTime).UTC(),
			NextVisible:  value(m.TimeNextVisible).UTC(),
		})
	}
	return batch, nil
}

func checkGet(op storage.Kind, queue string, limit int) error {
	if err := storage.CheckQueueName(op, queue); err != nil {
		return err
	}
	return storage.CheckBatch(op, queue, limit)
}

// dateOr returns the service's clock, or ours if it did not say.
func dateOr(date *time.Time) time.Time {
	if date == nil {
		return time.Now().UTC().Truncate(time.Second)
	}
	return date.UTC()
}

// value returns what p points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// Peek implements storage.Queues.
func (p *queues) Peek(ctx context.Context, queue string, limit int) ([]storage.Message, error) {
	if err := checkGet(storage.QueuePeek, queue, limit); err != nil {
		return nil, err
	}
	ctx, c := begin(ctx, storage.QueuePeek, queue)
	options := &azqueue.PeekMessagesOptions{NumberOfMessages: to.Ptr(int32(limit))}
	reply, err := p.client.NewQueueClient(queue).PeekMessages(ctx, options)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	var messages []storage.Message
	for _, m := range reply.Messages {
		messages = append(messages, storage.Message{
			ID:           value(m.MessageID),
			Text:         value(m.MessageText),
			DequeueCount: int(value(m.DequeueCount)),
			InsertedOn:   value(m.InsertionTime).UTC(),
		})
	}
	return messages, nil
}

// Update implements storage.Queues.
func (p *queues) Update(ctx context.Context, queue, id, popReceipt, text string, visibility time.Duration) (storage.Receipt, error) {
	if err := checkPut(storage.QueueUpdate, queue, text, visibility); err != nil {
		return storage.Receipt{}, err
	}
	ctx, c := begin(ctx, storage.QueueUpdate, queue)
	c.text = &text
	options := &azqueue.UpdateMessageOptions{VisibilityTimeout: to.Ptr(storage.WholeSeconds(visibility))}
	reply, err := p.client.NewQueueClient(queue).UpdateMessage(ctx, id, popReceipt, text, options)
	if err == nil && value(reply.PopReceipt) == "" {
		err = errMalformed
	}
	if err != nil {
		return storage.Receipt{}, c.failure(ctx, err)
	}
	return storage.Receipt{ID: id, PopReceipt: value(reply.PopReceipt), NextVisible: value(reply.TimeNextVisible).UTC()}, nil
}

// Delete implements storage.Queues.
func (p *queues) Delete(ctx context.Context, queue, id, popReceipt string) error {
	if err := storage.CheckQueueName(storage.QueueDelete, queue); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.QueueDelete, queue)
	_, err := p.client.NewQueueClient(queue).DeleteMessage(ctx, id, popReceipt, nil)
	return c.failure(ctx, err)
}

// Count implements storage.Queues.
func (p *queues) Count(ctx context.Context, queue string) (int, error) {
	if err := storage.CheckQueueName(storage.QueueCount, queue); err != nil {
		return 0, err
	}
	ctx, c := begin(ctx, storage.QueueCount, queue)
	reply, err := p.client.NewQueueClient(queue).GetProperties(ctx, nil)
	if err != nil {
		return 0, c.failure(ctx, err)
	}
	return int(value(reply.ApproximateMessagesCount)), nil
}
