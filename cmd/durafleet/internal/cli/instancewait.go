package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

func (p *program) instanceWait() *cobra.Command {
	timeout := time.Duration(0)
	command := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait until an instance has ended",
		Long: `wait waits until the instance has ended and shows its status. The exit code is 0 if it is Completed, 1 if
it ended otherwise, and 5 if it has not ended within the time limit; it goes on then. If something that is stored
about it is missing or damaged, wait shows the rest, and the exit code is 9 unless it ended otherwise.`,
		Args: exactly("the instance id"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			return p.await(c.Context(), client, arguments[0], timeout)
		},
	}
	command.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time (default: never)")
	return command
}

// await waits for the end of an instance and prints its status.
func (p *program) await(ctx context.Context, client *taskhub.Client, id string, timeout time.Duration) error {
	if timeout < 0 {
		return usagef("--timeout %v: must not be negative", timeout)
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w after %v", errTimeout, timeout))
		defer cancel()
	}
	status, unreadable := client.Wait(ctx, id)
	if status == nil {
		if ctx.Err() != nil { // a request that was cut off does not say why
			return fmt.Errorf("wait for instance %q: %w", id, context.Cause(ctx))
		}
		return unreadable
	}
	if err := p.printInstance(viewInstance(status)); err != nil {
		return err
	}
	if status.Unreadable == "" && status.Status != history.Completed {
		return &taskhub.EndedError{InstanceID: id, Status: status.Status, Failure: gist(status.Failure), Reason: gist(status.Reason)}
	}
	return unreadable
}
