package taskhub

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/internal/wire"
)

// Instance is a handle on an instance whose result is an Out. It may be used concurrently.
type Instance[Out any] struct{ handle }

// handle is the untyped part of an Instance.
type handle struct {
	client      *Client
	id          string
	executionID string
	// generation is which start of the id the handle is about; nil means whichever is current.
	generation *int32
}

func (c *Client) handleOn(row *wire.Instance) handle {
	h := handle{client: c, id: row.InstanceID, executionID: row.ExecutionID}
	if row.HasGeneration {
		h.generation = &row.Generation
	}
	return h
}

// Attach returns a handle on an instance that was started elsewhere. It sends nothing; an instance
// that does not exist shows when the handle is used.
func Attach[Out any](c *Client, instanceID string) *Instance[Out] {
	return &Instance[Out]{handle{client: c, id: instanceID}}
}

// ID returns the instance's id.
func (h *handle) ID() string { return h.id }

// ExecutionID returns the execution that was current when the handle was obtained from a start, ""
// if the handle was attached.
func (h *handle) ExecutionID() string { return h.executionID }

// Status returns the instance's status; see Client.Get.
func (h *handle) Status(ctx context.Context, options ...GetOption) (*Status, error) {
	return h.client.Get(ctx, h.id, options...)
}

// Wait waits until the instance has ended and returns its result. An instance that ended otherwise
// is an *EndedError; one that was started anew since Start returned the handle is ErrReplaced; one
// whose result cannot be read is an *UnreadableError. Other errors are those of Client.Wait.
func (i *Instance[Out]) Wait(ctx context.Context, options ...WaitOption) (Out, error) {
	var none Out
	status, err := i.client.wait(ctx, i.id, options, func(s *Status) bool {
		return s.Status.Terminal() || i.replaced(s)
	})
	unreadable := errors.Is(err, ErrUnreadable)
	switch {
	case err != nil && !unreadable, unreadable && status.Unreadable != "":
		return none, err
	case i.replaced(status):
		return none, fmt.Errorf("wait for instance %q: %w", i.id, ErrReplaced)
	case status.UnreadableOutput != "" && status.Status != history.Completed:
		return none, fmt.Errorf("%w, and why is not known: %w", &EndedError{InstanceID: i.id, Status: status.Status}, err)
	case status.UnreadableOutput != "":
		return none, err
	case status.Status != history.Completed:
		return none, &EndedError{InstanceID: i.id, Status: status.Status, Failure: status.Failure, Reason: status.Reason}
	}
	out, err := payload.Decode[Out](status.RawOutput)
	if err != nil {
		return none, fmt.Errorf("result of instance %q: %w", i.id, err)
	}
	return out, nil
}

func (h *handle) replaced(s *Status) bool {
	return h.generation != nil && s.hasGeneration && *h.generation != s.Generation
}
