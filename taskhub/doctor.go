package taskhub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

const (
	// defaultExamined is how many live instances a doctor looks at.
	defaultExamined = 1000
	// examineBatch is how many instances share a look at the queues.
	examineBatch = 100
)

// DoctorOptions adjusts Doctor. The zero value of every field means its default.
type DoctorOptions struct {
	// Instances is how many instances that have not ended are examined. Default 1000.
	Instances int
}

// HubDiagnosis says what is wrong with a hub.
type HubDiagnosis struct {
	Hub string
	// At is when the look began, by the storage service's clock.
	At time.Time
	// Findings are about the hub itself first, then about its instances.
	Findings []Finding
	// Examined is how many instances were examined; More says that there are others that have not
	// ended.
	Examined int
	More     bool
}

// Problems returns how many findings are more than notes.
func (d *HubDiagnosis) Problems() int { return problems(d.Findings) }

// Doctor looks at a hub as a whole: its partitions, queues, workers and clocks, payloads that belong
// to nobody, and the instances that have not ended or have messages waiting, each as Diagnose does. It changes nothing. A nil
// opts means all defaults.
func (c *Client) Doctor(ctx context.Context, opts *DoctorOptions) (*HubDiagnosis, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	if opts == nil {
		opts = &DoctorOptions{}
	}
	d, err := c.doctor(ctx, cmp.Or(opts.Instances, defaultExamined))
	if err != nil {
		return nil, fmt.Errorf("examine task hub %s: %w", c.hub.Name(), explain(err))
	}
	return d, nil
}

func (c *Client) doctor(ctx context.Context, limit int) (*HubDiagnosis, error) {
	if limit < 0 {
		return nil, &ArgumentError{Argument: "number of instances", Value: fmt.Sprint(limit), Rule: "must not be negative"}
	}
	hub, err := c.wholeHub(ctx)
	if err != nil {
		return nil, err
	}
	d := &HubDiagnosis{Hub: c.hub.Name(), At: hub.Now, Findings: findingsOf(hub.Findings())}
	ids, more, err := c.live(ctx, limit)
	if err != nil {
		return nil, err
	}
	d.Examined, d.More = len(ids), more
	ids = append(ids, addressees(hub, ids)...)
	for batch := range slices.Chunk(ids, examineBatch) {
		found, err := c.examineBatch(ctx, batch)
		if err != nil {
			return nil, err
		}
		d.Findings = append(d.Findings, found...)
	}
	strays, err := c.strayPayloads(ctx, hub)
	d.Findings = append(d.Findings, strays...)
	return d, err
}

// wholeHub reads what concerns the hub as a whole, with its queues.
func (c *Client) wholeHub(ctx context.Context) (*diagnosis.Hub, error) {
	hub, err := c.hub.facts(ctx)
	if err != nil {
		return nil, err
	}
	return hub, c.hub.glance(ctx, hub, append([]string{c.store.Names.WorkItemQueue()}, hub.ControlQueues...), 2)
}

// live returns the ids of instances that have not ended, and whether there are more.
func (c *Client) live(ctx context.Context, limit int) (ids []string, more bool, err error) {
	query := Query{Statuses: []history.Status{history.Pending, history.Running, history.Suspended, history.ContinuedAsNew}}
	for status, err := range c.All(ctx, query) {
		switch {
		case err != nil:
			return nil, false, err
		case status.Unreadable != "":
		case len(ids) == limit:
			return ids, true, nil
		default:
			ids = append(ids, status.InstanceID)
		}
	}
	return ids, false, nil
}

// addressees returns the instances for which messages wait in control queues, but for those that are known.
func addressees(hub *diagnosis.Hub, known []string) []string {
	seen := map[string]bool{}
	for _, id := range known {
		seen[id] = true
	}
	var ids []string
	for i := range hub.Leases {
		for _, message := range hub.Looks[hub.Leases[i].ID].Messages {
			if message.Content == nil || seen[message.Content.Target.InstanceID] {
				continue
			}
			seen[message.Content.Target.InstanceID] = true
			ids = append(ids, message.Content.Target.InstanceID)
		}
	}
	return ids
}

// examineBatch examines instances with one look at the queues. What is wrong with the hub is left out: it has been
// found before.
func (c *Client) examineBatch(ctx context.Context, ids []string) ([]Finding, error) {
	e, err := c.examine(ctx, ids, 0)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := e.findOrphans(ctx, e.instances[id]); err != nil {
			return nil, err
		}
	}
	if err := e.diagnose(ctx); err != nil {
		return nil, err
	}
	var found []Finding
	for _, id := range ids {
		if !e.exists(id) {
			continue // it was purged meanwhile
		}
		for _, f := range findingsOf(e.results[id].Findings) {
			if !f.ofHub && f.Code != CodePoison && f.Code != CodeNameUnknown {
				found = append(found, f)
			}
		}
	}
	return found, nil
}

// strayPayloads finds payload blobs that belong to instances of which nothing is stored.
func (c *Client) strayPayloads(ctx context.Context, hub *diagnosis.Hub) ([]Finding, error) {
	blobs, err := c.store.PayloadBlobs(ctx)
	if err != nil {
		return nil, err
	}
	byOwner := map[string][]string{}
	var owners []string
	for _, blob := range blobs {
		owner := store.BlobOwner(blob)
		if owner == "" {
			continue
		}
		if byOwner[owner] == nil {
			owners = append(owners, owner)
		}
		byOwner[owner] = append(byOwner[owner], blob)
	}
	var names []string
	for _, owner := range owners {
		known, err := c.known(ctx, owner)
		if err != nil {
			return nil, err
		}
		if known {
			continue
		}
		old, err := c.orphans(ctx, hub, owner, byOwner[owner])
		if err != nil {
			return nil, err
		}
		names = append(names, old...)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return findingsOf([]diagnosis.Finding{diagnosis.StrayPayloads(names)}), nil
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
