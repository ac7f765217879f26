package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/taskhub"
)

func (p *program) hubCommand() *cobra.Command {
	command := &cobra.Command{Use: "hub", Short: "Create, look at and delete task hubs"}
	command.AddCommand(p.hubCreate(), p.hubShow(), p.hubCost(), p.hubDoctor(), p.hubDelete(), p.hubList())
	return command
}

// named takes the name of the hub from the arguments, where one is given.
func (p *program) named(c *cobra.Command, arguments []string) error {
	switch {
	case len(arguments) == 0:
		return nil
	case len(arguments) > 1:
		return usagef("%s: %q is one argument too many", c.CommandPath(), arguments[1])
	case p.hub != "" && p.hub != arguments[0]:
		return usagef("%s: --hub %q and %q contradict each other", c.CommandPath(), p.hub, arguments[0])
	}
	p.hub = arguments[0]
	return nil
}

func (p *program) hubCreate() *cobra.Command {
	opts := &taskhub.Options{}
	command := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Create a task hub, or what is missing of it",
		Args:  p.named,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("partitions") && opts.Partitions < 1 {
				return usagef("--partitions %d: must be 1 to 16", opts.Partitions)
			}
			account, err := p.account()
			if err != nil {
				return err
			}
			hub, err := taskhub.Create(c.Context(), account, p.hubName(), opts)
			if err != nil {
				return err
			}
			view := struct {
				Hub        string `json:"hub"`
				Partitions int    `json:"partitions"`
			}{hub.Name(), hub.Partitions()}
			return p.print(view, func() {
				fmt.Fprintf(p.Out, "Task hub %s is there, with %d partitions\n", hub.Name(), hub.Partitions())
			})
		},
	}
	command.Flags().IntVar(&opts.Partitions, "partitions", 0, "number of partitions, 1 to 16, which never changes (default 4)")
	return command
}

func (p *program) hubList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the task hubs of the account",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			account, err := p.account()
			if err != nil {
				return err
			}
			names, err := taskhub.List(c.Context(), account)
			if err != nil {
				return err
			}
			if p.output == outputJSONL {
				for _, name := range names {
					if err := p.printJSON(name); err != nil {
						return err
					}
				}
				return nil
			}
			return p.print(append([]string{}, names...), func() {
				for _, name := range names {
					fmt.Fprintln(p.Out, name)
				}
			})
		},
	}
}

func (p *program) hubDelete() *cobra.Command {
	confirmed := ""
	command := &cobra.Command{
		Use:   "delete [NAME]",
		Short: "Delete a task hub with everything in it",
		Args:  p.named,
		RunE: func(c *cobra.Command, _ []string) error {
			hub, err := p.open(c.Context())
			if err != nil {
				return err
			}
			question := fmt.Sprintf("Delete task hub %s and everything in it", hub.Name())
			if err := p.confirmName(confirmed, hub.Name(), question); err != nil {
				return err
			}
			if err := hub.Delete(c.Context()); err != nil {
				return fmt.Errorf("delete task hub %s: %w", hub.Name(), err)
			}
			return p.print(map[string]string{"deleted": hub.Name()}, func() {
				fmt.Fprintf(p.Out, "Task hub %s is deleted\n", hub.Name())
			})
		},
	}
	command.Flags().StringVar(&confirmed, "confirm", "", "the name of the hub once more")
	return command
}
