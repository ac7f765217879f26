package demo

import (
	"context"
	"errors"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
	"github.com/durafleet/durafleet/examples/manifest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// runEmbedded runs the job in this process, with one worker on the store in memory.
func runEmbedded(ctx context.Context, show *screen, root string) error {
	account := taskhub.Memory()
	hub, err := taskhub.Create(ctx, account, hubName, &taskhub.Options{Partitions: partitions})
	if err != nil {
		return err
	}
	show.say("Task hub %s with %d partitions in memory; one worker, which nobody kills", hub.Name(), hub.Partitions())
	job := newJob(show, hub, root)
	if err := job.prepare(ctx); err != nil {
		return err
	}
	// A hub of its own keeps the worker's requests apart from the client's.
	workers, err := taskhub.Open(ctx, account, hubName, nil)
	if err != nil {
		return err
	}
	options := &worker.Options{
		WorkerID: "worker-1", MaxPollInterval: maxPollInterval,
		OnActivity: func(info activity.Info, err error) { job.tally.take(report.OfRun(info, err)) },
	}
	w, err := worker.New(workers, options, (&manifest.Service{}).Bindings()...)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var group run.Group
	var workerErr error
	group.Go(working, "demo: worker", func(ctx context.Context) { workerErr = w.Run(ctx) })
	outcome, err := job.run(ctx)
	stop()
	group.Wait()
	if err := errors.Join(err, workerErr); err != nil {
		return err
	}
	job.tally.take(report.Line{Kind: report.Requests, Worker: w.ID(), Counts: workers.Requests()})
	return job.conclude(ctx, outcome)
}
