package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/worker"
)

// WorkerCommand is the name of the command that calls Work. It is for this package alone.
const WorkerCommand = "bench-worker"

// WorkOptions configures Work.
type WorkOptions struct {
	// Connection and Hub say where the worker works, WorkerID what it is called there.
	Connection, Hub, WorkerID string
	// Latency delays every request.
	Latency time.Duration
	// Settings are those of the worker.
	Settings Settings
	// In brings orders, and ends with the parent. Out gets the answers, Err the log.
	In       io.Reader
	Out, Err io.Writer
	// Exit ends the process at once.
	Exit func(code int)
}

// Settings are what a run changes about the defaults of workers.
type Settings struct {
	// MaxActivities is how many activities a worker runs at once. 0 means the default of workers.
	MaxActivities int
	// NoSessionCache makes workers load the history for every turn.
	NoSessionCache bool
	// NoInline makes workers put every activity into the queue of work items.
	NoInline bool
	// NoDoorbell makes workers and client find out by themselves what others have put into their queues.
	NoDoorbell bool
}

// doorbellListen is where workers listen for rings: all of a run is on one machine.
const doorbellListen = "127.0.0.1:0"

func (s Settings) options(id string, log *slog.Logger) *worker.Options {
	opts := &worker.Options{
		WorkerID: id, MaxActivities: s.MaxActivities, NoSessionCache: s.NoSessionCache, NoInline: s.NoInline, Logger: log,
	}
	if !s.NoDoorbell {
		opts.Doorbell = &worker.Doorbell{Listen: doorbellListen}
	}
	return opts
}

// orphanLimit is how long a worker that lost its parent may take to end.
const orphanLimit = 10 * time.Second

// Work is what a worker process does until ctx ends, or its parent.
func Work(ctx context.Context, opts *WorkOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	place := &ground{connection: opts.Connection, latency: opts.Latency}
	hub, counts, err := place.openHub(ctx, opts.Hub, nil)
	if err != nil {
		return fmt.Errorf("worker %s: %w", opts.WorkerID, err)
	}
	log := slog.New(slog.NewTextHandler(opts.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	w, err := worker.New(hub, opts.Settings.options(opts.WorkerID, log), bindings()...)
	if err != nil {
		return fmt.Errorf("worker %s: %w", opts.WorkerID, err)
	}
	tell := &narrator{out: opts.Out}
	account := func(order string) {
		if order == orderCollect {
			debug.FreeOSMemory()
		}
		now := counts.figures(ctx).ofProcess()
		tell.say(line{Figures: &now, Last: order == orderNone})
	}
	tell.say(line{})
	child.Serve(ctx, opts.In, account, stop, orphanLimit, func() { opts.Exit(1) })
	err = w.Run(ctx)
	account(orderNone)
	return err
}
