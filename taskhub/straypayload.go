package taskhub

import (
	"context"
	"errors"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

// strayPayloads finds payload blobs that belong to instances of which nothing is stored, or that instances do not refer
// to which have ended. Those that were examined are done.
func (c *Client) strayPayloads(ctx context.Context, hub *diagnosis.Hub, d *HubDiagnosis, examined []string, limit int) ([]Finding, error) {
	blobs, err := c.store.PayloadBlobs(ctx)
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for _, id := range examined {
		done[id] = true
	}
	byOwner := map[string][]string{}
	var owners []string
	for _, blob := range blobs {
		owner := store.BlobOwner(blob)
		if owner == "" || done[owner] {
			continue
		}
		if byOwner[owner] == nil {
			owners = append(owners, owner)
		}
		byOwner[owner] = append(byOwner[owner], blob)
	}
	search, err := c.newOrphanSearch(ctx, hub)
	if err != nil {
		return nil, err
	}
	var names []string
	var found []diagnosis.Finding
	for _, owner := range owners {
		known, err := c.known(ctx, owner)
		if err != nil {
			return nil, err
		}
		if known && d.Payloads >= limit {
			d.MorePayloads = true
			continue
		}
		old, err := search.orphans(ctx, owner, byOwner[owner])
		if err != nil {
			return nil, err
		}
		switch {
		case !known:
			names = append(names, old...)
			continue
		case len(old) > 0:
			found = append(found, diagnosis.OrphanedPayloads(owner, old))
		}
		d.Payloads++
	}
	if len(names) > 0 {
		found = append(found, diagnosis.StrayPayloads(names))
	}
	return findingsOf(found), nil
}

// known reports whether anything is stored about an instance.
func (c *Client) known(ctx context.Context, id string) (bool, error) {
	_, err := c.store.ReadInstance(ctx, id, false)
	if err == nil || store.InData(err) {
		return true, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return false, err
	}
	sentinel, err := c.store.ReadSentinel(ctx, id)
	if store.InData(err) {
		return true, nil
	}
	return sentinel != nil, err
}
