package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/taskhub"
)

func (p *program) instanceRaise() *cobra.Command {
	payload := &data{}
	command := &cobra.Command{
		Use:   "raise ID EVENT",
		Short: "Raise an external event to an instance",
		Args:  exactly("the instance id", "the name of the event"),
		RunE: func(c *cobra.Command, arguments []string) error {
			value, err := payload.value(c)
			if err != nil {
				return err
			}
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			if err := client.RaiseEventByName(c.Context(), arguments[0], arguments[1], value); err != nil {
				return err
			}
			return p.acknowledge(arguments[0], "event "+arguments[1]+" raised")
		},
	}
	payload.define(command, "data", "data of the event")
	p.ringFlag(command)
	return command
}

func (p *program) instanceTerminate() *cobra.Command {
	yes := false
	command := p.steer("terminate ID", "End an instance without asking it; what it has begun goes on", "termination requested",
		func(ctx context.Context, client *taskhub.Client, id, reason string) error {
			if err := p.confirm(yes, "Terminate instance "+id); err != nil {
				return err
			}
			return client.Terminate(ctx, id, reason)
		})
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return command
}

func (p *program) instanceSuspend() *cobra.Command {
	return p.steer("suspend ID", "Let an instance pause until resume", "suspension requested",
		func(ctx context.Context, client *taskhub.Client, id, reason string) error {
			return client.Suspend(ctx, id, reason)
		})
}

func (p *program) instanceResume() *cobra.Command {
	return p.steer("resume ID", "Let a suspended instance go on", "resumption requested",
		func(ctx context.Context, client *taskhub.Client, id, reason string) error {
			return client.Resume(ctx, id, reason)
		})
}

// steer returns a command that sends an instance something with a reason.
func (p *program) steer(
	use, short, done string, send func(ctx context.Context, client *taskhub.Client, id, reason string) error,
) *cobra.Command {
	reason := ""
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly("the instance id"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			if err := send(c.Context(), client, arguments[0], reason); err != nil {
				return err
			}
			return p.acknowledge(arguments[0], done)
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at the instance")
	p.ringFlag(command)
	return command
}

func (p *program) instancePurge() *cobra.Command {
	yes, force := false, false
	command := &cobra.Command{
		Use:   "purge ID",
		Short: "Remove everything that is stored about an instance that has ended",
		Args:  exactly("the instance id"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			if err := p.confirm(yes, "Purge instance "+arguments[0]); err != nil {
				return err
			}
			var options []taskhub.PurgeOption
			if force {
				options = append(options, taskhub.Force{})
			}
			if err := client.Purge(c.Context(), arguments[0], options...); err != nil {
				return err
			}
			return p.acknowledge(arguments[0], "purged")
		},
	}
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	command.Flags().BoolVar(&force, "force", false, "also if it has not ended or cannot be read; its work is cut off")
	return command
}
