package taskhub

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

// Client starts and manages the instances of a hub. Its methods may be called concurrently. Calls
// with typed values are functions beside it: Start, Attach and RaiseEvent.
type Client struct {
	hub   *Hub
	store *store.Hub
}

// NewClient returns a client of the hub. It sends nothing and needs no closing.
func NewClient(hub *Hub) *Client { return &Client{hub: hub, store: hub.store} }

// Hub returns the client's hub.
func (c *Client) Hub() *Hub { return c.hub }

// read reads a status row as it is stored. The error is a *NotFoundError if there is none.
func (c *Client) read(ctx context.Context, id string, payloads bool) (store.Instance, error) {
	if err := checkID(id); err != nil {
		return store.Instance{}, err
	}
	row, err := c.store.ReadInstance(ctx, id, payloads)
	if errors.Is(err, storage.ErrNotFound) {
		return store.Instance{}, &NotFoundError{InstanceID: id}
	}
	return row, err
}

// Get returns the status of an instance. An unknown instance is a *NotFoundError, which matches
// ErrNotFound. If something of the instance is missing or damaged, the error is an *UnreadableError,
// which matches ErrUnreadable; the status is returned with it, and holds what can be read.
func (c *Client) Get(ctx context.Context, id string, options ...GetOption) (*Status, error) {
	var o getOptions
	for _, option := range options {
		option.applyGet(&o)
	}
	status, err := c.get(ctx, id, !o.noPayloads)
	if err != nil {
		return status, fmt.Errorf("get status: %w", err)
	}
	return status, nil
}

func (c *Client) get(ctx context.Context, id string, payloads bool) (*Status, error) {
	ctx = storage.WithCause(ctx, storage.CauseRead)
	row, err := c.read(ctx, id, payloads)
	if err == nil && payloads {
		err = c.store.ResolvePayloads(ctx, &row.Instance)
		if errors.Is(err, storage.ErrNotFound) {
			// The blob may belong to an execution that was replaced or purged since the row was read.
			if row, err = c.read(ctx, id, payloads); err == nil {
				err = c.store.ResolvePayloads(ctx, &row.Instance)
			}
		}
	}
	switch {
	case err == nil:
		return statusOf(&row.Instance, payloads), nil
	case row.Unreadable != "" || row.UnreadableInput != "" || row.UnreadableOutput != "":
		return statusOf(&row.Instance, payloads), &UnreadableError{InstanceID: id, Err: err}
	default:
		return nil, err
	}
}

// GetOption adjusts Get. It is NoPayloads.
type GetOption interface{ applyGet(o *getOptions) }

type getOptions struct{ noPayloads bool }

// NoPayloads makes Get leave out what may be large: input, output, failure, reason and custom
// status.
type NoPayloads struct{}

func (NoPayloads) applyGet(o *getOptions) { o.noPayloads = true }

// History returns the history of the instance's current execution, oldest event first. It is
// empty if the instance has not begun. An unknown instance is a *NotFoundError.
func (c *Client) History(ctx context.Context, id string) ([]history.Event, error) {
	ctx = storage.WithCause(ctx, storage.CauseRead)
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("get history: %w", err)
	}
	loaded, err := c.store.LoadHistory(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("get history: %w", err)
	}
	if loaded.State.Len() > 0 {
		return loaded.State.Events(), nil
	}
	if _, err := c.read(ctx, id, false); err != nil {
		return nil, fmt.Errorf("get history: %w", err)
	}
	return nil, nil
}
