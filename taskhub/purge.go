package taskhub

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/internal/storage"
)

// PurgeOption adjusts Purge. It is Force.
type PurgeOption interface{ applyPurge(o *purgeOptions) }

type purgeOptions struct{ force bool }

// Force purges an instance that has not ended, or of which the status cannot be read, too. Its work is cut off wherever it stands.
type Force struct{}

func (Force) applyPurge(o *purgeOptions) { o.force = true }

// Purge removes everything stored about an instance; its id is free then. That includes its poison messages, but for
// those of a former life under the same id: they stay until they are retried or dropped. Instances that it started
// stay. An unknown instance is a *NotFoundError; one that has not ended is a *LiveError, and nothing is removed, unless
// forced. A purge that was cut off can be repeated.
func (c *Client) Purge(ctx context.Context, id string, options ...PurgeOption) error {
	ctx = storage.WithCause(ctx, storage.CausePurge)
	var o purgeOptions
	for _, option := range options {
		option.applyPurge(&o)
	}
	row, err := c.read(ctx, id, false)
	if row.Unreadable != "" && o.force {
		err = nil // it tells nothing but what has to go
	}
	if err != nil {
		return fmt.Errorf("purge: %w", err)
	}
	if !row.Status.Terminal() && !o.force {
		return fmt.Errorf("purge: %w", &LiveError{InstanceID: id, Status: row.Status})
	}
	// What was moved aside goes as well, and first: the row, which names it, goes last.
	if row.Poison != nil {
		for _, poison := range row.Poison.IDs {
			if err := c.dropPoison(ctx, poison); err != nil && !errors.Is(err, ErrPoisonNotFound) {
				return fmt.Errorf("purge: %w", explain(err))
			}
		}
	}
	return explain(c.store.Purge(ctx, id))
}
