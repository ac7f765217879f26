package taskhub

import (
	"context"
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// CommandOption adjusts RaiseEvent, Terminate, Suspend and Resume. It is Unchecked.
type CommandOption interface{ applyCommand(o *commandOptions) }

type commandOptions struct{ unchecked bool }

// Unchecked sends without looking first whether the instance exists and is alive, which saves a
// request. What an instance cannot take is dropped by workers then.
type Unchecked struct{}

func (Unchecked) applyCommand(o *commandOptions) { o.unchecked = true }

// RaiseEvent raises an external event to an instance. It is kept until the orchestration waits for
// it. An unknown instance is a *NotFoundError, one that has ended a *NotLiveError. If the error
// matches ErrUnclear, the event may have been raised; raising it again may double it.
func RaiseEvent[T any](
	ctx context.Context, c *Client, instanceID string, e orchestration.Event[T], data T, options ...CommandOption,
) error {
	return c.RaiseEventByName(ctx, instanceID, e.Name(), data, options...)
}

// RaiseEventByName is the untyped twin of RaiseEvent. The data is stored as its JSON:
// json.RawMessage as it is, struct{}{} as no data.
func (c *Client) RaiseEventByName(
	ctx context.Context, instanceID, name string, data any, options ...CommandOption,
) error {
	if err := c.raise(ctx, instanceID, name, data, options); err != nil {
		return fmt.Errorf("raise event %q: %w", shown(name), err)
	}
	return nil
}

func (c *Client) raise(ctx context.Context, id, name string, data any, options []CommandOption) error {
	if err := checkName("event name", name); err != nil {
		return err
	}
	text, err := payload.Encode(data)
	if err != nil {
		return err
	}
	return c.command(ctx, id, &history.EventRaised{Header: c.header(), Name: name, Input: text}, options)
}

// Terminate ends an instance as Terminated without asking it. What it has begun, such as
// activities and sub-orchestrations, goes on. The reason becomes readable in the status. An
// unknown instance is a *NotFoundError, one that has ended a *NotLiveError.
func (c *Client) Terminate(ctx context.Context, instanceID, reason string, options ...CommandOption) error {
	return c.control(ctx, "terminate", instanceID, &history.ExecutionTerminated{Header: c.header(), Reason: &reason}, options)
}

// Suspend pauses an instance: it takes nothing in until Resume. What it has begun goes on. To
// suspend a suspended instance has no effect. Errors are those of Terminate.
func (c *Client) Suspend(ctx context.Context, instanceID, reason string, options ...CommandOption) error {
	return c.control(ctx, "suspend", instanceID, &history.ExecutionSuspended{Header: c.header(), Reason: &reason}, options)
}

// Resume lets a suspended instance go on. To resume one that is not suspended has no effect.
// Errors are those of Terminate.
func (c *Client) Resume(ctx context.Context, instanceID, reason string, options ...CommandOption) error {
	return c.control(ctx, "resume", instanceID, &history.ExecutionResumed{Header: c.header(), Reason: &reason}, options)
}

func (c *Client) control(ctx context.Context, what, id string, event history.Event, options []CommandOption) error {
	if err := c.command(ctx, id, event, options); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (c *Client) header() history.Header {
	return history.Header{EventID: history.NoEventID, Timestamp: wire.Ticks(c.store.Now())}
}

// command sends an event to whatever execution of the instance is current.
func (c *Client) command(ctx context.Context, id string, event history.Event, options []CommandOption) error {
	ctx = storage.WithCause(ctx, storage.CauseCommand)
	var o commandOptions
	for _, option := range options {
		option.applyCommand(&o)
	}
	if err := checkID(id); err != nil {
		return err
	}
	if !o.unchecked {
		row, err := c.read(ctx, id, false)
		if err != nil {
			return err
		}
		if row.Status.Terminal() {
			return &NotLiveError{InstanceID: id, Status: row.Status}
		}
	}
	ring := c.hub.aboutToRing(ctx)
	sent, err := c.store.Send(ctx, &wire.Message{
		Event:  event,
		Target: history.Instance{InstanceID: id},
		Sender: &history.Instance{},
	}, 0)
	if err != nil {
		ring.drop()
		return explain(err)
	}
	ring.done(sent.Queue)
	return nil
}
