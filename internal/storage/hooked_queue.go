package storage

import (
	"context"
	"time"
)

// hookedQueues passes every request of a queue port through a hook.
type hookedQueues struct {
	next Queues
	hook Hook
}

// through carries a request out under a hook. A result whose reply the hook lost is dropped with it.
func through[T any](ctx context.Context, hook Hook, call *Call, request func(context.Context) (T, error)) (T, error) {
	var result T
	err := hook(ctx, call, func(ctx context.Context) error {
		var err error
		if result, err = request(ctx); err == nil {
			call.Result = result
		}
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

func (h *hookedQueues) CreateQueue(ctx context.Context, queue string) error {
	return h.hook(ctx, &Call{Kind: QueueAdmin, Target: queue}, func(ctx context.Context) error {
		return h.next.CreateQueue(ctx, queue)
	})
}

func (h *hookedQueues) DeleteQueue(ctx context.Context, queue string) error {
	return h.hook(ctx, &Call{Kind: QueueAdmin, Target: queue}, func(ctx context.Context) error {
		return h.next.DeleteQueue(ctx, queue)
	})
}

func (h *hookedQueues) ListQueues(ctx context.Context, prefix string) ([]string, error) {
	return through(ctx, h.hook, &Call{Kind: QueueAdmin, Target: prefix}, func(ctx context.Context) ([]string, error) {
		return h.next.ListQueues(ctx, prefix)
	})
}

func (h *hookedQueues) Put(ctx context.Context, queue, text string, delay time.Duration) (Receipt, error) {
	return through(ctx, h.hook, &Call{Kind: QueuePut, Target: queue, Content: Posted{text, delay}}, func(ctx context.Context) (Receipt, error) {
		return h.next.Put(ctx, queue, text, delay)
	})
}

func (h *hookedQueues) Get(ctx context.Context, queue string, limit int, visibility time.Duration) (Batch, error) {
	call := &Call{Kind: QueueGet, Target: queue}
	return through(ctx, h.hook, call, func(ctx context.Context) (Batch, error) {
		batch, err := h.next.Get(ctx, queue, limit, visibility)
		call.Empty = err == nil && len(batch.Messages) == 0
		return batch, err
	})
}

func (h *hookedQueues) Peek(ctx context.Context, queue string, limit int) ([]Message, error) {
	return through(ctx, h.hook, &Call{Kind: QueuePeek, Target: queue}, func(ctx context.Context) ([]Message, error) {
		return h.next.Peek(ctx, queue, limit)
	})
}

func (h *hookedQueues) Update(ctx context.Context, queue, id, popReceipt, text string, visibility time.Duration) (Receipt, error) {
	call := &Call{Kind: QueueUpdate, Target: queue, Key: id, Content: Posted{text, visibility}}
	return through(ctx, h.hook, call, func(ctx context.Context) (Receipt, error) {
		return h.next.Update(ctx, queue, id, popReceipt, text, visibility)
	})
}

func (h *hookedQueues) Delete(ctx context.Context, queue, id, popReceipt string) error {
	return h.hook(ctx, &Call{Kind: QueueDelete, Target: queue, Key: id}, func(ctx context.Context) error {
		return h.next.Delete(ctx, queue, id, popReceipt)
	})
}

func (h *hookedQueues) Count(ctx context.Context, queue string) (int, error) {
	return through(ctx, h.hook, &Call{Kind: QueueCount, Target: queue}, func(ctx context.Context) (int, error) {
		return h.next.Count(ctx, queue)
	})
}
