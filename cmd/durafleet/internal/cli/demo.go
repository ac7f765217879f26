package cli

import (
	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/demo"
)

func (p *program) demoCommand() *cobra.Command {
	opts := &demo.Options{Out: p.Out, Terminal: isTerminal(p.Out)}
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show work surviving a killed worker, on a real Azurite",
		Long: `demo needs Go and Node.js on this machine, and nothing else. It installs Azurite into the user's cache
directory if it is not there, starts it and three worker processes, lets them make the manifest (the
SHA-256 of every file) of a directory tree, kills one of them halfway, starts another one, and checks the
result against hashes that it computes itself. It exits with 0 only if everything matches.

Without Node.js the same job runs in one process, on the embedded store in memory.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return demo.Run(c.Context(), opts) },
	}
	command.Flags().StringVar(&opts.Dir, "dir", "", "directory to describe (default: the source of Go's standard library)")
	command.Flags().BoolVar(&opts.Embedded, "embedded", false, "run in this process, on the store in memory")
	return command
}
