package taskhub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
)

const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// WaitOption adjusts a wait. It is PollInterval.
type WaitOption interface{ applyWait(o *waitOptions) }

type waitOptions struct{ pause time.Duration }

// PollInterval is how long a wait pauses between two looks at most. The pauses begin with 50 ms
// and double. Default: 1 s. Each look is one storage request.
type PollInterval time.Duration

func (p PollInterval) applyWait(o *waitOptions) { o.pause = time.Duration(p) }

// Wait waits until the instance has ended and returns its status. An unknown instance is a
// *NotFoundError at once. When ctx ends first, the error is that of ctx; the instance goes on. If
// something of the instance cannot be read, the status is returned together with an *UnreadableError.
func (c *Client) Wait(ctx context.Context, id string, options ...WaitOption) (*Status, error) {
	return c.wait(ctx, id, options, func(s *Status) bool { return s.Status.Terminal() })
}

// WaitForStart waits until the instance is not Pending any more, otherwise like Wait.
func (c *Client) WaitForStart(ctx context.Context, id string, options ...WaitOption) (*Status, error) {
	return c.wait(ctx, id, options, func(s *Status) bool { return s.Status != history.Pending })
}

// wait looks at the status until it is enough.
func (c *Client) wait(
	ctx context.Context, id string, options []WaitOption, enough func(*Status) bool,
) (*Status, error) {
	o := waitOptions{pause: lastPause}
	for _, option := range options {
		option.applyWait(&o)
	}
	if o.pause <= 0 {
		return nil, fmt.Errorf("wait: %w", &ArgumentError{
			Argument: "poll interval", Value: o.pause.String(), Rule: "must be positive",
		})
	}
	for looks := 1; ; looks++ {
		status, err := c.get(ctx, id, false)
		if err == nil && enough(status) {
			// Only now the payloads, which may be large.
			status, err = c.get(ctx, id, true)
		}
		switch {
		case errors.Is(err, ErrUnreadable) && (status.Unreadable != "" || enough(status)):
			return status, fmt.Errorf("wait for instance %q: %w", id, err)
		case err != nil && !errors.Is(err, ErrUnreadable):
			return nil, fmt.Errorf("wait for instance %q: %w", id, err)
		case enough(status):
			return status, nil
		case !run.Sleep(ctx, run.Backoff(looks, min(firstPause, o.pause), o.pause)):
			return nil, fmt.Errorf("wait for instance %q, which is %s: %w", id, status.Status, context.Cause(ctx))
		}
	}
}
