package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/examples/manifest"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// job is the client's side: it starts the orchestration, watches it, approves, and checks.
type job struct {
	show   *screen
	hub    *taskhub.Hub
	client *taskhub.Client
	root   string
	tally  *tally
	// planned is the number of activity calls that the job consists of.
	planned int
}

// outcome is what came out of the job.
type outcome struct {
	instance string
	report   manifest.Report
	took     time.Duration
	killed   string // the worker that was killed, "" if none was
}

func newJob(show *screen, hub *taskhub.Hub, root string) *job {
	return &job{show: show, hub: hub, client: taskhub.NewClient(hub), root: root, tally: newTally()}
}

// prepare finds out how much there is to do, by calling what workers will call: activities are
// ordinary functions.
func (j *job) prepare(ctx context.Context) error {
	service := &manifest.Service{}
	dirs, err := service.ListSections(ctx, j.root)
	if err != nil {
		return err
	}
	j.planned = 1
	files := 0
	for _, dir := range dirs {
		batches, err := service.ListFiles(ctx, manifest.SectionRequest{Root: j.root, Dir: dir, Limits: request(j.root).Limits})
		if err != nil {
			return err
		}
		j.planned += 1 + len(batches)
		for _, batch := range batches {
			files += len(batch.Paths)
		}
	}
	j.show.say("To do: %d files in %d sections, %d activities", files, len(dirs), j.planned)
	return nil
}

// halfway returns after how many activities half of the job is done.
func (j *job) halfway() int { return (j.planned + 1) / 2 }

const watchInterval = 200 * time.Millisecond

// run starts the orchestration, approves it when it asks, and waits for its result.
func (j *job) run(ctx context.Context) (*outcome, error) {
	begun := time.Now()
	instance, err := taskhub.Start(ctx, j.client, manifest.Manifest, request(j.root))
	if err != nil {
		return nil, err
	}
	j.show.say("Started orchestration %s as %s", manifest.Manifest.Name(), instance.ID())
	if err := j.approve(ctx, instance.ID()); err != nil {
		return nil, err
	}
	report, err := instance.Wait(ctx, taskhub.PollInterval(watchInterval))
	if err != nil {
		return nil, err
	}
	return &outcome{instance: instance.ID(), report: report, took: time.Since(begun)}, nil
}

// approve watches the orchestration until it asks for approval, and grants it.
func (j *job) approve(ctx context.Context, id string) error {
	for {
		status, err := j.client.Get(ctx, id)
		switch {
		case err != nil:
			return err
		case status.Status.Terminal():
			return &taskhub.EndedError{InstanceID: id, Status: status.Status, Failure: status.Failure, Reason: status.Reason}
		}
		_, calls := j.tally.count()
		progress := progressOf(status)
		j.show.progress("%s: %d of %d activities done", progress.Phase, calls, j.planned)
		if progress.Phase == manifest.AwaitingApproval {
			j.show.say("The orchestration asks for approval: %d files, %s; raising event %q",
				progress.Files, size(progress.Bytes), manifest.Approved.Name())
			decision := manifest.Decision{Approved: true, By: "the demo"}
			return taskhub.RaiseEvent(ctx, j.client, id, manifest.Approved, decision)
		}
		if !run.Sleep(ctx, watchInterval) {
			return context.Cause(ctx)
		}
	}
}

// progressOf returns what the custom status says; there is none before the first turn.
func progressOf(status *taskhub.Status) manifest.Progress {
	progress := manifest.Progress{Phase: string(history.Pending)}
	if err := json.Unmarshal(status.CustomStatus, &progress); err != nil {
		return manifest.Progress{Phase: string(status.Status)}
	}
	return progress
}

// size returns a number of bytes as people read it.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", bytes)
}
