package chaos

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// WorkOptions configures Work.
type WorkOptions struct {
	// WorkerID is the worker's name in the hub.
	WorkerID string
	// Lease is how long partitions and messages stay with a worker that says nothing any more.
	// 0 means the default intervals of workers.
	Lease time.Duration
	// Figures is the time between two looks at the process's own memory. 0 means never.
	Figures time.Duration
	// In ends with the parent. Out gets the reports for it, Err the log.
	In       io.Reader
	Out, Err io.Writer
	// Exit ends the process at once.
	Exit func(code int)
}

const (
	// minLease is the shortest lease that Work can be told: a request for a renewal may take a third
	// of it, which must be enough on a busy machine.
	minLease = 6 * time.Second
	// reportInterval is the time between two reports of request counts.
	reportInterval = 200 * time.Millisecond
	// orphanLimit is how long a worker that lost its parent may take to end.
	orphanLimit = 10 * time.Second
	// drainTimeout bounds how long a worker that is asked to stop waits; activities are short.
	drainTimeout = 5 * time.Second
	quickPoll    = 500 * time.Millisecond
)

// workerOptions returns the options of a worker with the given lease.
func workerOptions(id string, lease time.Duration, log *slog.Logger) *worker.Options {
	opts := &worker.Options{WorkerID: id, Logger: log}
	if lease > 0 {
		opts.LeaseDuration, opts.AcquireInterval, opts.Visibility = lease, lease/4, lease
		opts.MaxPollInterval, opts.DrainTimeout = quickPoll, drainTimeout
	}
	return opts
}

// Work is what a worker process of the fleet does until ctx ends, or its parent.
func Work(ctx context.Context, hub *taskhub.Hub, opts *WorkOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tell := &narrator{out: opts.Out}
	log := slog.New(slog.NewTextHandler(opts.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	w, err := worker.New(hub, workerOptions(opts.WorkerID, opts.Lease, log), programs{tell}.bindings()...)
	if err != nil {
		return fmt.Errorf("worker %s: %w", opts.WorkerID, err)
	}
	child.Serve(ctx, opts.In, nil, stop, orphanLimit, func() { opts.Exit(1) })
	var telling run.Group
	tell.say(line{Kind: lineStarted})
	told, ended := context.WithCancel(context.WithoutCancel(ctx))
	telling.Go(told, "chaos: requests", func(ctx context.Context) {
		for run.Sleep(ctx, reportInterval) {
			tell.say(line{Kind: lineRequests, Counts: hub.Requests()})
		}
	})
	if opts.Figures > 0 {
		telling.Go(told, "chaos: figures", func(ctx context.Context) {
			for run.Sleep(ctx, opts.Figures) {
				tell.say(line{Kind: lineFigures, Counts: ownFigures()})
			}
		})
	}
	err = w.Run(ctx)
	ended()
	telling.Wait()
	tell.say(line{Kind: lineRequests, Counts: hub.Requests()})
	return err
}
