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
	search, err := e.client.newOrphanSearch(ctx, e.hub)
	if err != nil {
		return err
	}
	in.Orphans, err = search.orphans(ctx, in.ID, names)
	return err
}

// orphanSearch searches for payload blobs that nothing refers to. The queues have been looked at.
type orphanSearch struct {
	client *Client
	hub    *diagnosis.Hub
	// poison are the blobs that messages refer to that were moved aside, and known says that they are known: a damaged
	// record does not tell.
	poison map[string]bool
	known  bool
}

func (c *Client) newOrphanSearch(ctx context.Context, hub *diagnosis.Hub) (*orphanSearch, error) {
	s := &orphanSearch{client: c, hub: hub, poison: map[string]bool{}, known: true}
	if hub.Poison == 0 {
		return s, nil
	}
	for message, err := range c.AllPoison(ctx, PoisonQuery{}) {
		if err != nil {
			return nil, err
		}
		if message.Unreadable {
			s.known = false
			break
		}
		s.poison[message.PayloadBlob] = true
	}
	return s, nil
}

// orphans returns those of an instance's payload blobs that nothing refers to and that are so old
// that nobody is about to. Messages that cannot be seen may refer to any of them: unless the queues
// are seen as a whole, none is given.
func (s *orphanSearch) orphans(ctx context.Context, id string, names []string) ([]string, error) {
	if !s.known {
		return nil, nil
	}
	c := s.client
	referred := map[string]bool{}
	for _, queue := range []string{c.store.Names.WorkItemQueue(), c.store.ControlQueueOf(id)} {
		look, seen := s.hub.Looks[queue]
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
	var old []string
	for _, name := range names {
		if referred[name] || rows[name] || s.poison[name] {
			continue
		}
		written, err := c.store.Account.Blobs.BlobTime(ctx, c.store.Names.LargeMessages(), name)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.hub.Now.Sub(written) > orphanAge {
			old = append(old, name)
		}
	}
	return old, nil
}
