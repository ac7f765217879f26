package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/bench"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/option"
)

func (p *program) benchCommand() *cobra.Command {
	opts := &bench.Options{}
	wait := ""
	command := &cobra.Command{
		Use:   "bench SCENARIO",
		Short: "Measure requests, throughput and latency, and what the storage can do at all",
		Long: `bench starts a task hub and workers, lets them do the work of a scenario and counts every storage request. Without
--connection it starts an Azurite of its own, in memory, that nobody has used before; without --hub it makes a hub and
removes it again. What the environment says about connection and hub does not count here.

` + benchScenarios() + `
What it prints:

  requests          of workers and client, by kind. They are net: what an idle fleet sends, too, is left out
  requests_idle     that: polls that find nothing, the sharing of partitions, application lease, health reports
  requests_wait     how the bench itself waits: queries of the status rows, and looks at the queues at the end
  latency_ms        from the call that starts an instance until its end is seen, unless the scenario says otherwise
  elapsed_s         from the first start until all instances have ended and all queues are empty
  cpu_s, rss_mb     processor time of all workers, memory of the largest one
  requests_sent     all requests that left through --connection from the first to the last, preparations, warm-up and
                    floor included: what a counting proxy sees
  floor_per_second  what the storage does with no engine: a fixed mix of raw requests, in the same run, at the
                    same concurrency, on an Azurite of its own. floor_ratio is per_second divided by it

Every result is checked. The exit code is 1 if one is wrong, or an instance has failed. No process is left behind, and
no hub but one that --hub names.`,
		Args: exactly("SCENARIO"),
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := refuseZero(c, "count", "parallel", "workers", "partitions", "max-activities", "idle", "timer", "timeout"); err != nil {
				return err
			}
			opts.Scenario, opts.Hub = arguments[0], p.hub
			if err := p.benchConnections(opts, wait); err != nil {
				return err
			}
			return p.bench(c, opts)
		},
	}
	flags := command.Flags()
	flags.IntVar(&opts.Count, "count", 0, "how much of it (default: see above)")
	flags.IntVar(&opts.Parallel, "parallel", 0, "how much of it at once, 1 to 1000 (default: depends on the scenario)")
	flags.IntVar(&opts.Workers, "workers", 0, "workers, 1 to 16 (default 1; of slow-fanout 4)")
	onOffFlag(command, &opts.InProcess, "processes", "workers as processes of their own; off: in this one")
	flags.IntVar(&opts.Partitions, "partitions", 0, "partitions of the hub, 1 to 16 (default 4)")
	flags.IntVar(&opts.Settings.MaxActivities, "max-activities", 0, "activities of a worker at once (default 10, or twice the processors)")
	onOffFlag(command, &opts.Settings.NoSessionCache, "cache", "keep instances in memory between turns")
	onOffFlag(command, &opts.Settings.NoInline, "inline", "run activities before their scheduling is stored, where that is safe")
	onOffFlag(command, &opts.Settings.NoDoorbell, "doorbell", "wake whoever reads a queue when something is put into it")
	flags.DurationVar(&opts.Latency, "latency", 0, "delay of every request, to be like a real account (default 0s)")
	flags.DurationVar(&opts.Idle, "idle", 0, "how long the hub is left alone where that matters (default 1m; of idle 2m)")
	flags.DurationVar(&opts.Timer, "timer", 0, "how long the timers of timers are (default 1s)")
	flags.DurationVar(&opts.Timeout, "timeout", 0, "how long one instance is waited for (default 5m)")
	onOffFlag(command, &opts.NoWarmUp, "warm-up", "do a little of the scenario before the measurement")
	onOffFlag(command, &opts.NoFloor, "floor", "measure the floor as well")
	flags.StringVar(&wait, "wait-connection", "", "like --connection, for the requests by which the bench waits (default: --connection)")
	return command
}

// benchScenarios lists them.
func benchScenarios() string {
	var b strings.Builder
	b.WriteString("Scenarios, with what --count counts and its default:\n\n")
	bench.Scenarios(func(name, about, unit string, count int) {
		fmt.Fprintf(&b, "  %-14s %s (%d %s)\n", name, about, count, unit)
	})
	return b.String()
}

// benchConnections takes the connection strings from the flags, and only from there: a benchmark does not run
// by chance in the account that the environment names.
func (p *program) benchConnections(opts *bench.Options, wait string) error {
	if p.blob != "" || p.queue != "" || p.table != "" {
		return usagef("bench takes --connection instead of the endpoint flags: its workers are told a connection string")
	}
	if p.connection != "" {
		text, _, err := p.connectionString()
		if err != nil {
			return err
		}
		opts.Connection = text
	}
	if wait != "" {
		text, err := p.connectionOf("--wait-connection", wait)
		if err != nil {
			return err
		}
		opts.WaitConnection = text
	}
	return nil
}

// bench runs it. With JSON on the standard output, the progress goes to the other one.
func (p *program) bench(c *cobra.Command, opts *bench.Options) error {
	opts.Out = p.Out
	if p.output != outputTable {
		opts.Out = p.Err
	}
	report, err := bench.Run(c.Context(), opts)
	var broken *option.Error
	var unknown *bench.ScenarioError
	switch {
	case errors.As(err, &broken):
		return usagef("%v", broken)
	case errors.As(err, &unknown):
		return usagef("%v", unknown)
	case err != nil:
		return err
	}
	return p.print(report, func() { report.Print(p.Out) })
}

// benchWorkerCommand is a worker of the bench command, which is the only one to call it.
func (p *program) benchWorkerCommand() *cobra.Command {
	opts := &bench.WorkOptions{}
	command := &cobra.Command{
		Use:    bench.WorkerCommand,
		Hidden: true,
		Short:  "A worker of the bench command",
		Args:   exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			text, _, err := p.connectionString()
			if err != nil {
				return err
			}
			opts.Connection, opts.Hub = text, p.hubName()
			opts.In, opts.Out, opts.Err, opts.Exit = p.In, p.Out, p.Err, p.Exit
			return bench.Work(c.Context(), opts)
		},
	}
	flags := command.Flags()
	flags.StringVar(&opts.WorkerID, "worker-id", "", "name in the hub")
	flags.DurationVar(&opts.Latency, "latency", 0, "delay of every request")
	flags.IntVar(&opts.Settings.MaxActivities, "max-activities", 0, "activities at once (default: that of workers)")
	flags.BoolVar(&opts.Settings.NoSessionCache, "no-session-cache", false, "forget an instance after every turn")
	flags.BoolVar(&opts.Settings.NoInline, "no-inline", false, "put every activity into the queue of work items")
	flags.BoolVar(&opts.Settings.NoDoorbell, "no-doorbell", false, "wake nobody")
	return command
}
