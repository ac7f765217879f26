package taskhub

import (
	"context"
	"strings"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// comparePages is how many pages of histories, and of status rows, are compared. A page has up to 1000 rows.
const comparePages = 100

// compare returns the instances, up to a limit, of which status row and history do not fit together, without loading
// any history, and those whose row cannot be read. What it takes for odd may have moved between its looks; it is to be
// examined.
func (c *Client) compare(ctx context.Context, d *HubDiagnosis, limit int) ([]string, error) {
	traces, more, err := c.store.Traces(ctx, comparePages)
	if err != nil {
		return nil, err
	}
	rows, odd, end, err := c.allRows(ctx)
	if err != nil {
		return nil, err
	}
	d.MoreHistories = more || end != ""
	for i := range traces {
		t := &traces[i]
		if strings.HasPrefix(t.InstanceID, "@") {
			continue // an entity
		}
		if end != "" && wire.EscapeKey(t.InstanceID) > end {
			break // its row was not read
		}
		d.Compared++
		if row := rows[t.InstanceID]; row == nil || !fits(t, row) {
			odd = append(odd, t.InstanceID)
		}
	}
	if len(odd) > limit {
		odd, d.MoreHistories = odd[:limit], true
	}
	return odd, nil
}

// fits reports whether a history, by its trace, is what a status row says. Rows that show no end are looked at anyway.
func fits(t *store.Trace, row *wire.Instance) bool {
	if row.Unreadable != "" || !row.Status.Terminal() {
		return true
	}
	if !strings.EqualFold(row.ExecutionID, t.ExecutionID) {
		return t.Ended != "" // a later start was terminated before it began
	}
	return row.Status == t.Ended
}

// allRows returns the status rows by instance, and which cannot be read. Where there are too many, end is the key of
// the last one that was read, else "".
func (c *Client) allRows(ctx context.Context) (rows map[string]*wire.Instance, unreadable []string, end string, err error) {
	rows = map[string]*wire.Instance{}
	query := store.InstanceQuery{Limit: storage.MaxPage}
	for range comparePages {
		page, next, err := c.store.QueryInstances(ctx, query)
		if err != nil {
			return nil, nil, "", err
		}
		for i := range page {
			id := page[i].InstanceID
			rows[id], end = &page[i], wire.EscapeKey(id)
			if page[i].Unreadable != "" {
				unreadable = append(unreadable, id)
			}
		}
		if next == "" {
			return rows, unreadable, "", nil
		}
		query.Next = next
	}
	return rows, unreadable, end, nil
}
