package taskhub

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
)

const (
	// defaultExamined is how many live instances a doctor looks at.
	defaultExamined = 1000
	// examineBatch is how many instances share a look at the queues.
	examineBatch = 100
)

// DoctorOptions adjusts Doctor. The zero value of every field means its default.
type DoctorOptions struct {
	// Instances is how many instances that have not ended are examined. As many others are, beside them, of which row
	// and history do not fit together, and as many that have ended are searched for payloads. Default 1000.
	Instances int
}

// HubDiagnosis says what is wrong with a hub.
type HubDiagnosis struct {
	Hub string
	// At is when the look began, by the storage service's clock.
	At time.Time
	// Findings are about the hub itself first, then about its instances.
	Findings []Finding
	// Examined is how many instances were examined that have not ended; More says that there are others.
	Examined int
	More     bool
	// Compared is how many histories were compared with their status rows; MoreHistories says that there are others.
	Compared      int
	MoreHistories bool
	// Payloads is how many ended instances were searched for payload blobs that nothing refers to; MorePayloads says
	// that there are others that have blobs.
	Payloads     int
	MorePayloads bool
}

// Problems returns how many findings are more than notes.
func (d *HubDiagnosis) Problems() int { return problems(d.Findings) }

// Doctor looks at a hub as a whole: its partitions, queues, workers and clocks; at the instances that have not ended,
// that have messages waiting or moved aside, or of which status row and history do not fit together, each as Diagnose
// does; and at payloads that nothing refers to. It changes nothing. A nil opts means all defaults.
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
	d := &HubDiagnosis{Hub: c.hub.Name(), At: hub.Now}
	ids, more, err := c.live(ctx, limit)
	if err != nil {
		return nil, err
	}
	d.Examined, d.More = len(ids), more
	odd, err := c.compare(ctx, d, limit)
	if err != nil {
		return nil, err
	}
	aside, all, err := c.movedAside(ctx, hub)
	if err != nil {
		return nil, err
	}
	ids = distinct(ids, addressees(hub), odd, aside)
	var found []Finding
	for batch := range slices.Chunk(ids, examineBatch) {
		some, err := c.examineBatch(ctx, batch)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	// What is unknown to workers, was moved aside, or kills workers, is told once for the hub.
	hub.PoisonSettled = all && !slices.ContainsFunc(found, func(f Finding) bool { return f.Code == CodePoison && f.Problem() })
	d.Findings = findingsOf(hub.Findings())
	for _, f := range found {
		if f.Code != CodePoison && f.Code != CodeNameUnknown && f.Code != CodeWorkersDie {
			d.Findings = append(d.Findings, f)
		}
	}
	strays, err := c.strayPayloads(ctx, hub, d, ids, limit)
	d.Findings = append(d.Findings, strays...)
	return d, err
}

// movedAside returns the instances that messages were about which were moved aside, and whether it is known of all of
// them.
func (c *Client) movedAside(ctx context.Context, hub *diagnosis.Hub) (ids []string, all bool, err error) {
	if hub.Poison == 0 {
		return nil, true, nil
	}
	all = true
	for message, err := range c.AllPoison(ctx, PoisonQuery{}) {
		if err != nil {
			return nil, false, err
		}
		if message.Unreadable || checkID(message.InstanceID) != nil {
			all = false
			continue
		}
		ids = append(ids, message.InstanceID)
	}
	return ids, all, nil
}

// distinct returns all the ids, each once.
func distinct(lists ...[]string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Concat(lists...), func(id string) bool {
		known := seen[id]
		seen[id] = true
		return known
	})
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

// addressees returns the instances for which messages wait in queues.
func addressees(hub *diagnosis.Hub) []string {
	var ids []string
	for _, queue := range slices.Sorted(maps.Keys(hub.Looks)) {
		for _, message := range hub.Looks[queue].Messages {
			if message.Content == nil {
				continue
			}
			if id := message.Content.Target.InstanceID; checkID(id) == nil {
				ids = append(ids, id)
			}
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
			if !f.ofHub {
				found = append(found, f)
			}
		}
	}
	return found, nil
}
