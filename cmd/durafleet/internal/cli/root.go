package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/interrupt"
)

// program is what all commands share: the streams and the global flags.
type program struct {
	Streams
	hub        string
	connection string
	blob       string
	queue      string
	table      string
	output     string
	ring       bool
}

// defaultHub is the hub that commands use if nobody says which.
const defaultHub = "DurafleetHub"

// Run runs one command line and returns its exit code. The context ends it in order.
func Run(ctx context.Context, arguments []string, streams Streams) int {
	p := &program{Streams: streams}
	root := p.root()
	root.SetArgs(arguments)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	if errors.Is(context.Cause(ctx), interrupt.ErrInterrupted) {
		err = interrupt.ErrInterrupted
	}
	fmt.Fprintf(streams.Err, "durafleet: %v\n", err)
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "durafleet",
		Short: "Durable execution on an Azure Storage account",
		Long: `durafleet runs and manages orchestrations that survive crashes. Their state is in an Azure Storage
account, in the format of DurableTask.AzureStorage.

Exit codes: 0 ok, 1 other, 2 usage, 3 not found, 4 wrong state or conflict, 5 timed out waiting,
6 credential refused, 8 storage unavailable, 9 problems found by diagnose or doctor, or data that cannot be read.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.checkGlobals() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.hub, "hub", "", "task hub (default $DURAFLEET_HUB, else "+defaultHub+")")
	flags.StringVar(&p.connection, "connection", "", "connection string of the storage account, or name of an environment "+
		"variable that holds one (default DURAFLEET_CONNECTION, then AzureWebJobsStorage, else UseDevelopmentStorage=true)")
	flags.StringVar(&p.blob, "blob-endpoint", "", "URL of the blob service, to sign in with the default Azure credential")
	flags.StringVar(&p.queue, "queue-endpoint", "", "URL of the queue service, likewise")
	flags.StringVar(&p.table, "table-endpoint", "", "URL of the table service, likewise")
	flags.StringVarP(&p.output, "output", "o", outputTable, "output: table, json or, for lists, jsonl")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%v", err) })
	root.AddCommand(
		p.demoCommand(), p.chaosCommand(), p.chaosWorkerCommand(), p.benchCommand(), p.benchWorkerCommand(), p.devCommand(),
		p.workerCommand(), p.hubCommand(), p.instanceCommand(), p.poisonCommand(),
	)
	rejectUnknown(root)
	return root
}

// rejectUnknown makes a group of commands refuse what is none of them; by itself cobra prints help
// and reports success.
func rejectUnknown(command *cobra.Command) {
	for _, child := range command.Commands() {
		rejectUnknown(child)
	}
	if !command.HasSubCommands() {
		return
	}
	command.Args = func(c *cobra.Command, arguments []string) error {
		if len(arguments) > 0 {
			return usagef("%s: unknown command %q; see %s --help", c.CommandPath(), arguments[0], c.CommandPath())
		}
		return nil
	}
	command.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

func (p *program) checkGlobals() error {
	switch p.output {
	case outputTable, outputJSON, outputJSONL:
	default:
		return usagef("--output %q: must be table, json or jsonl", p.output)
	}
	return nil
}

// exactly checks the number of arguments and names them in the error.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if len(arguments) < len(names) {
			return usagef("%s: %s is missing", c.CommandPath(), names[len(arguments)])
		}
		if len(arguments) > len(names) {
			return usagef("%s: %q is one argument too many", c.CommandPath(), arguments[len(names)])
		}
		return nil
	}
}
