package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/chaos"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/option"
)

func (p *program) chaosCommand() *cobra.Command {
	opts := &chaos.Options{}
	faults := ""
	command := &cobra.Command{
		Use:   "chaos",
		Short: "Break a fleet in every way while it works, and check that nothing shows",
		Long: `chaos starts Azurite on a temporary directory, a task hub and worker processes, which reach it through a
proxy, and gives them a steady stream of instances: chains, fan-outs, timers, events, children, generations,
retries, large payloads, suspended and terminated ones. Meanwhile, one after the other in an order that the
seed decides:

  kill-worker      a worker is killed with SIGKILL and another one started
  freeze-worker    a worker is stopped with SIGSTOP for longer than its lease, and goes on (not on Windows)
  rolling-restart  all workers are asked to stop with SIGTERM and replaced, one after the other
  stop-storage     the network is cut, Azurite is stopped with SIGTERM and started on the same data and ports
  kill-storage     the network is cut, Azurite is killed with SIGKILL and started on the same data and ports
  cut-network      connections break and new ones are refused for 10 s

Azurite saves only every 5 s, so a kill at any moment loses what it has acknowledged; therefore kill-storage
waits for the save. When the time is over, all instances have to end, with the right results; every accepted
event has to count exactly once; the queues have to run empty; and after a purge of everything, nothing may be
left over. The exit code is 1 if anything is wrong.

With --soak no fault happens. The workers have their default settings, and what they hold of memory, goroutines
and open files when they are idle must not have grown at the end, compared with what it was after the first
twentieth of the instances.

It needs Node.js, for Azurite, and leaves no process behind.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := chaosOptions(c, opts, faults); err != nil {
				return err
			}
			return p.chaos(c, opts)
		},
	}
	flags := command.Flags()
	flags.Float64Var(&opts.Minutes, "minutes", 0, "for how long instances are started and faults happen (default 2; of a soak 20)")
	flags.IntVar(&opts.Workers, "workers", 0, "worker processes, 1 to 16 (default 3)")
	flags.IntVar(&opts.Instances, "instances", 0, "instances to start, evenly over the time (default: by --instances-per-minute; of a soak 10000)")
	flags.IntVar(&opts.PerMinute, "instances-per-minute", 0, "instances to start each minute (default 200)")
	flags.Uint64Var(&opts.Seed, "seed", 0, "decides which faults happen when, and to whom (default 1)")
	flags.StringVar(&faults, "faults", "", "faults that may happen, separated by commas (default: all)")
	flags.DurationVar(&opts.Lease, "lease", 0, "how long partitions and messages stay with a worker that is silent (default 9s; of a soak, the workers' defaults)")
	flags.BoolVar(&opts.Soak, "soak", false, "no faults, many instances: memory, goroutines and open files must not grow")
	return command
}

// refuseZero checks flags that were given: 0 is a default only for those that were not.
func refuseZero(c *cobra.Command, names ...string) error {
	for _, name := range names {
		flag := c.Flags().Lookup(name)
		if flag.Changed && (flag.Value.String() == "0" || flag.Value.String() == "0s") {
			return usagef("--%s 0: must be more than 0", name)
		}
	}
	return nil
}

// chaosOptions checks and completes what was given.
func chaosOptions(c *cobra.Command, opts *chaos.Options, faults string) error {
	if err := refuseZero(c, "minutes", "workers", "instances", "instances-per-minute", "seed", "lease"); err != nil {
		return err
	}
	if !c.Flags().Changed("faults") {
		return nil
	}
	if opts.Soak {
		return usagef("--faults %s: excludes --soak, in which no fault happens", faults)
	}
	var err error
	if opts.Faults, err = chaos.ParseFaults(faults); err != nil {
		return usagef("--faults %s: %v", faults, err)
	}
	return nil
}

// chaos runs it. With JSON on the standard output, the progress goes to the other one.
func (p *program) chaos(c *cobra.Command, opts *chaos.Options) error {
	opts.Out = p.Out
	if p.output != outputTable {
		opts.Out = p.Err
	}
	report, err := chaos.Run(c.Context(), opts)
	var broken *option.Error
	if errors.As(err, &broken) {
		return usagef("%v", broken)
	}
	if report == nil {
		return err
	}
	if printErr := p.print(report, func() { report.Print(p.Out) }); printErr != nil {
		return errors.Join(err, printErr)
	}
	return err
}

// chaosWorkerCommand is a worker of the chaos command, which is the only one to call it.
func (p *program) chaosWorkerCommand() *cobra.Command {
	opts := &chaos.WorkOptions{}
	command := &cobra.Command{
		Use:    chaos.WorkerCommand,
		Hidden: true,
		Short:  "A worker of the chaos command",
		Args:   exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			hub, err := p.open(c.Context())
			if err != nil {
				return fmt.Errorf("worker %s: %w", opts.WorkerID, err)
			}
			opts.In, opts.Out, opts.Err, opts.Exit = p.In, p.Out, p.Err, p.Exit
			return chaos.Work(c.Context(), hub, opts)
		},
	}
	flags := command.Flags()
	flags.StringVar(&opts.WorkerID, "worker-id", "", "name in the hub")
	flags.DurationVar(&opts.Lease, "lease", 0, "lease and visibility (default: the default settings of workers)")
	flags.DurationVar(&opts.Figures, "figures", 0*time.Second, "time between reports of the process's own memory (default: none)")
	return command
}
