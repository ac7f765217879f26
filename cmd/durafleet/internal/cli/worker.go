package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
	"github.com/durafleet/durafleet/examples/hello"
	"github.com/durafleet/durafleet/examples/manifest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// bindings returns the built-in examples.
func bindings() []worker.Binding {
	return append((&manifest.Service{}).Bindings(), hello.Bindings()...)
}

func (p *program) workerCommand() *cobra.Command {
	opts := &worker.Options{}
	bell := &doorbellFlags{}
	reporting, verbose := false, false
	command := &cobra.Command{
		Use:   "worker",
		Short: "Run the built-in examples on a task hub",
		Long: `worker is a member of a fleet that runs the orchestrations Manifest, Greet and Ask. SIGTERM or Ctrl-C
makes it finish what it has begun, hand its partitions over and end; a second one ends it at once.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelInfo
			}
			if !c.Flags().Changed("app") {
				opts.AppName = p.appName()
			}
			opts.Doorbell = bell.options(c)
			opts.Logger = slog.New(slog.NewTextHandler(p.Err, &slog.HandlerOptions{Level: level}))
			hub, err := p.open(c.Context())
			if err != nil {
				return err
			}
			if reporting {
				return p.runReporting(c.Context(), hub, opts)
			}
			return p.runWorker(c.Context(), hub, opts)
		},
	}
	flags := command.Flags()
	flags.StringVar(&opts.WorkerID, "worker-id", "", "name in the hub, unique among running workers (default: host and random part)")
	flags.StringVar(&opts.AppName, "app", "", "application: only workers of one application process a hub at a time "+
		"(default $WEBSITE_SITE_NAME, then $DTFX_APP_NAME, as .NET workers)")
	flags.BoolVar(&opts.NoAppLease, "no-app-lease", false, "leave the agreement between applications out; all workers of the hub have to")
	flags.IntVar(&opts.MaxActivities, "max-activities", 0, "activities at once (default 10, or twice the processors)")
	flags.IntVar(&opts.MaxTurns, "max-turns", 0, "orchestrations at once (default 100)")
	flags.DurationVar(&opts.LeaseDuration, "lease", 0, "how long a partition stays ours without renewal (default 30s)")
	flags.DurationVar(&opts.AcquireInterval, "acquire-interval", 0, "time between looks at the partitions (default 10s)")
	flags.DurationVar(&opts.Visibility, "visibility", 0, "how long a taken message is hidden from others (default 45s)")
	flags.DurationVar(&opts.MaxPollInterval, "max-poll-interval", 0, "longest pause between polls of an idle queue (default 5s; with --doorbell 30s)")
	bell.define(command)
	flags.DurationVar(&opts.DrainTimeout, "drain-timeout", 0, "how long a stop waits for running work (default 30s)")
	flags.BoolVar(&verbose, "verbose", false, "log more than warnings")
	flags.BoolVar(&reporting, "report", false, "report to the parent process: JSON lines on standard output; stop when standard input ends")
	return command
}

// appVariables are looked up if there is no --app. .NET workers do the same.
var appVariables = []string{"WEBSITE_SITE_NAME", "DTFX_APP_NAME"}

// appName returns the application that the environment names, "" if it names none.
func (p *program) appName() string {
	for _, name := range appVariables {
		if app, found := p.LookupEnv(name); found && app != "" {
			return app
		}
	}
	return ""
}

// runWorker works until ctx ends.
func (p *program) runWorker(ctx context.Context, hub *taskhub.Hub, opts *worker.Options) error {
	w, err := worker.New(hub, opts, bindings()...)
	if err != nil {
		return usagef("%v", err)
	}
	fmt.Fprintf(p.Out, "Worker %s runs on task hub %s; stop it with Ctrl-C\n", w.ID(), hub.Name())
	if err := w.Run(ctx); err != nil {
		return err
	}
	stats := w.Stats()
	fmt.Fprintf(p.Out, "Worker %s has stopped; it ran %d activities and %d turns\n", w.ID(), stats.Activities, stats.Turns)
	return nil
}

const (
	// reportInterval is the time between two reports of request counts.
	reportInterval = 200 * time.Millisecond
	// orphanLimit is how long a worker that lost its parent may take to end.
	orphanLimit = 15 * time.Second
)

// runReporting works until ctx or standard input ends, and reports to the parent.
func (p *program) runReporting(ctx context.Context, hub *taskhub.Hub, opts *worker.Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	child.Serve(ctx, p.In, nil, stop, orphanLimit, func() { p.Exit(ExitOther) })

	var out *report.Writer
	full := *opts
	full.OnActivity = func(info activity.Info, err error) { out.Activity(info, err) }
	w, err := worker.New(hub, &full, bindings()...)
	if err != nil {
		return usagef("%v", err)
	}
	out = report.NewWriter(p.Out, w.ID())
	out.Say(report.Started)
	var counting run.Group
	counted, ended := context.WithCancel(context.WithoutCancel(ctx))
	counting.Go(counted, "worker: report", func(ctx context.Context) {
		for run.Sleep(ctx, reportInterval) {
			out.Requests(hub.Requests())
		}
	})
	err = w.Run(ctx)
	ended()
	counting.Wait()
	out.Requests(hub.Requests())
	out.Say(report.Stopped)
	return err
}
