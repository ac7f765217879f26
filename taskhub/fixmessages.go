package taskhub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

const (
	// fixTaken is for how long a fix takes messages out of a queue: longer than it needs, should it be cut off.
	fixTaken = 30 * time.Second
	// fixRounds bounds how often it takes 32 messages to find those that it looks for.
	fixRounds = 10
)

// fixMessages deletes messages of an instance from a queue that have done all they are there for. The service
// lets only those be deleted that were taken, and does not let one choose which to take.
func (c *Client) fixMessages(ctx context.Context, id, queue string, names []string) (done string, err error) {
	var others []store.Received
	defer func() {
		if failure := c.putBack(ctx, queue, others); failure != nil {
			err = errors.Join(err, failure)
		}
	}()
	taken := map[string]bool{}
	left, deleted := slices.Clone(names), 0
	for round := 0; round < fixRounds && len(left) > 0; round++ {
		batch, _, err := c.store.Receive(ctx, queue, storage.MaxMessagesPerGet, fixTaken)
		if err != nil {
			return "", fmt.Errorf("take messages from queue %s: %w", queue, err)
		}
		again := len(batch) == 0
		for i := range batch {
			m := &batch[i]
			again = again || taken[m.ID] // it took so long that the first ones are back
			taken[m.ID] = true
			at := slices.Index(left, m.ID)
			if at < 0 {
				others = append(others, *m)
				continue
			}
			left = slices.Delete(left, at, at+1)
			unneeded, err := c.unneeded(ctx, id, m)
			if err != nil || !unneeded {
				others = append(others, *m)
				if err != nil {
					return "", err
				}
				continue
			}
			err = c.store.Account.Queues.Delete(ctx, queue, m.ID, m.PopReceipt)
			switch {
			case err == nil:
				deleted++
			case !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrReceipt):
				return "", fmt.Errorf("delete message %s from queue %s: %w", m.ID, queue, err)
			}
		}
		if again {
			break
		}
	}
	if deleted == 0 {
		return "", ErrMoved
	}
	return fmt.Sprintf("deleted %s of instance %q from queue %s", plural(deleted, "message"), id, queue), nil
}

// unneeded looks once more whether a message may be deleted that nobody else can take now.
func (c *Client) unneeded(ctx context.Context, id string, m *store.Received) (bool, error) {
	if m.Content == nil || m.Content.Target.InstanceID != id {
		return false, nil
	}
	in := diagnosis.Instance{ID: id}
	row, err := c.store.ReadInstance(ctx, id, false)
	if err == nil {
		in.Row = &row
		in.History, err = c.store.LoadHistory(ctx, id)
	}
	if err == nil {
		in.Sentinel, err = c.store.ReadSentinel(ctx, id)
	}
	if errors.Is(err, storage.ErrNotFound) || store.InData(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return in.Unneeded(&diagnosis.Message{ID: m.ID, Content: m.Content}), nil
}

// putBack makes messages visible again that a fix has taken and does not want. Those that it cannot put back come
// back by themselves.
func (c *Client) putBack(ctx context.Context, queue string, messages []store.Received) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fixTaken)
	defer cancel()
	var failures []error
	for i := range messages {
		m := &messages[i]
		_, err := c.store.Account.Queues.Update(ctx, queue, m.ID, m.PopReceipt, m.Text, 0)
		if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrReceipt) {
			failures = append(failures, fmt.Errorf("put message %s back into queue %s: %w", m.ID, queue, err))
		}
	}
	return errors.Join(failures...)
}
