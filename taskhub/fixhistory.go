package taskhub

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// endHistory terminates an instance whose status row shows an end already, as the worker does that comes upon it.
func (c *Client) endHistory(ctx context.Context, id string) (string, error) {
	row, err := c.store.ReadInstance(ctx, id, true)
	if errors.Is(err, storage.ErrNotFound) {
		return "", ErrMoved
	}
	if err != nil {
		return "", err
	}
	loaded, err := c.current(ctx, id)
	if err != nil {
		return "", err
	}
	if !row.Status.Terminal() || !strings.EqualFold(row.ExecutionID, loaded.ExecutionID) {
		return "", ErrMoved
	}
	reason := fmt.Sprintf("its status row says that it is %s", row.Status)
	if row.Status == history.Terminated && row.Output != nil {
		reason = *row.Output
	}
	ring := c.hub.aboutToRing(ctx)
	sent, err := c.store.Send(ctx, &wire.Message{
		Event:  &history.ExecutionTerminated{Header: c.header(), Reason: &reason},
		Target: loaded.State.Started().Instance, Sender: &history.Instance{},
	}, 0)
	if err != nil {
		ring.drop()
		return "", err
	}
	ring.done(sent.Queue)
	return fmt.Sprintf("asked for the history of instance %q to be ended: %s", id, c.obeys(ctx, sent.Queue)), nil
}

// dropHistory deletes what is left of the history of an instance that was purged.
func (c *Client) dropHistory(ctx context.Context, id string) (string, error) {
	loaded, err := c.store.LoadHistory(ctx, id)
	if err != nil {
		return "", err
	}
	// The row is read after the history: whoever starts the id again writes the row first.
	_, err = c.store.ReadInstance(ctx, id, false)
	if err == nil || loaded.State.Started() == nil || loaded.State.Started().Parent != nil {
		return "", ErrMoved
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return "", err
	}
	removed, err := c.store.RemoveHistory(ctx, id, loaded)
	if err == nil && !removed {
		err = ErrMoved
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("deleted the history that was left of instance %q: %s", id, plural(loaded.Rows, "row")), nil
}
