package taskhub

import (
	"context"
	"errors"
	"time"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
)

// orphanAge is how old a payload blob has to be before nothing can be about to refer to it.
const orphanAge = time.Hour

// findOrphans finds payload blobs of an instance that nothing refers to. The blobs are listed
// first: what refers to one of them by then is seen afterwards.
func (e *examiner) findOrphans(ctx context.Context, in *diagnosis.Instance) error {
	names, err := e.client.store.InstanceBlobs(ctx, in.ID)
	if err != nil || len(names) == 0 {
		return err
	}
	in.Orphans, err = e.client.orphans(ctx, e.hub, in.ID, names)
	return err
}

// orphans returns those of an instance's payload blobs that nothing refers to and that are so old
// that nobody is about to. Messages that cannot be seen may refer to any of them: unless the queues
// are seen as a whole, none is given.
func (c *Client) orphans(ctx context.Context, hub *diagnosis.Hub, id string, names []string) ([]string, error) {
	queues := []string{c.store.Names.WorkItemQueue(), c.store.ControlQueueOf(id)}
	referred := map[string]bool{}
	for _, queue := range queues {
		look, seen := hub.Looks[queue]
		if !seen || !look.Whole {
			return nil, nil
		}
		for _, message := range look.Messages {
			referred[message.Blob] = true
		}
	}
	rows, err := c.store.References(ctx, id)
	if err != nil {
		return nil, err
	}
	poison, known, err := c.poisonPayloads(ctx, hub)
	if err != nil || !known {
		return nil, err
	}
	var old []string
	for _, name := range names {
		if referred[name] || rows[name] || poison[name] {
			continue
		}
		written, err := c.store.Account.Blobs.BlobTime(ctx, c.store.Names.LargeMessages(), name)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if hub.Now.Sub(written) > orphanAge {
			old = append(old, name)
		}
	}
	return old, nil
}

// poisonPayloads returns the blobs that messages refer to that were moved aside, and whether they
// are known: a damaged record does not tell.
func (c *Client) poisonPayloads(ctx context.Context, hub *diagnosis.Hub) (payloads map[string]bool, known bool, err error) {
	payloads = map[string]bool{}
	if hub.Poison == 0 {
		return payloads, true, nil
	}
	for message, err := range c.AllPoison(ctx, PoisonQuery{}) {
		if err != nil {
			return nil, false, err
		}
		if message.Unreadable {
			return nil, false, nil
		}
		payloads[message.PayloadBlob] = true
	}
	return payloads, true, nil
}
