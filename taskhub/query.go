package taskhub

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

const defaultPage = 100

// Query selects instances. Empty fields select all. Without an IDPrefix the whole table of
// instances is searched.
type Query struct {
	// Statuses are the wanted ones.
	Statuses []history.Status
	// CreatedFrom and CreatedTo limit the time of creation, both included.
	CreatedFrom time.Time
	CreatedTo   time.Time
	// IDPrefix is how the id begins, Name is the orchestration's exact name.
	IDPrefix string
	Name     string
	// Payloads includes input, output, failure, reason and custom status.
	Payloads bool
	// PageSize is how many instances a page holds, at most 1000. Default 100.
	PageSize int
	// Token continues after a page: its Next. The other fields but PageSize must be the same then.
	Token string
}

// Page is a part of the answer to a query.
type Page struct {
	// Instances are in the order of their ids as the table sorts them.
	Instances []*Status
	// Next is the Query.Token of the next page, "" on the last one. It can be kept and is fit for
	// URLs. A page with a Next is full; the last one may turn out to be empty.
	Next string
}

func (q Query) check() error {
	for _, status := range q.Statuses {
		if !status.Known() {
			return &ArgumentError{
				Argument: "status", Value: shown(string(status)), Rule: fmt.Sprintf("must be one of %v", history.Statuses()),
			}
		}
	}
	if q.PageSize < 0 || q.PageSize > storage.MaxPage {
		return &ArgumentError{
			Argument: "page size", Value: strconv.Itoa(q.PageSize),
			Rule: fmt.Sprintf("must be 1 to %d, or 0 for the default", storage.MaxPage),
		}
	}
	return nil
}

// List returns one page of the instances that a query selects. Entities are no instances here.
func (c *Client) List(ctx context.Context, q Query) (*Page, error) {
	ctx = storage.WithCause(ctx, storage.CauseRead)
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	if q.PageSize == 0 {
		q.PageSize = defaultPage
	}
	page := &Page{Next: q.Token}
	for {
		// The service may answer with less than was asked for, or with nothing at all, and yet
		// have more.
		rows, next, err := c.store.QueryInstances(ctx, store.InstanceQuery{
			Statuses: q.Statuses, CreatedFrom: q.CreatedFrom, CreatedTo: q.CreatedTo, IDPrefix: q.IDPrefix, Name: q.Name,
			Payloads: q.Payloads, Limit: q.PageSize - len(page.Instances), Next: page.Next,
		})
		if err != nil {
			return nil, fmt.Errorf("list instances: %w", err)
		}
		for i := range rows {
			if q.wants(&rows[i]) {
				page.Instances = append(page.Instances, statusOf(&rows[i], q.Payloads))
			}
		}
		page.Next = next
		if next == "" || len(page.Instances) == q.PageSize {
			return page, nil
		}
	}
}

// wants drops what the filter of the table cannot keep away.
func (q Query) wants(row *wire.Instance) bool {
	return strings.HasPrefix(row.InstanceID, q.IDPrefix) && !strings.HasPrefix(row.InstanceID, "@")
}

// All returns all instances that a query selects, page by page. It ends after the first error.
func (c *Client) All(ctx context.Context, q Query) iter.Seq2[*Status, error] {
	return func(yield func(*Status, error) bool) {
		for {
			page, err := c.List(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, status := range page.Instances {
				if !yield(status, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Token = page.Next
		}
	}
}
