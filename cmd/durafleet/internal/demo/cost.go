package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/examples/hello"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// What DurableTask.AzureStorage needs with its default settings; more would be a regression.
const (
	barSequence = 54
	barEvent    = 16
)

// cost is how many requests of client and worker two small flows take.
type cost struct{ sequence, event int64 }

// flow starts an instance with the counted client and returns its id. What it only looks at goes
// through the observer, which is not counted.
type flow func(ctx context.Context, counted, observer *taskhub.Client) (id string, err error)

// measure counts the requests of five activities in sequence and of one external event, with one
// worker on the store in memory. Left out is what does not belong to the flow: polls that find
// nothing, the sharing of partitions, and the looks at the status of whoever waits.
func measure(ctx context.Context) (cost, error) {
	sequence, err := measureFlow(ctx, sequenceFlow)
	if err != nil {
		return cost{}, err
	}
	event, err := measureFlow(ctx, eventFlow)
	return cost{sequence, event}, err
}

func sequenceFlow(ctx context.Context, counted, _ *taskhub.Client) (string, error) {
	instance, err := taskhub.Start(ctx, counted, hello.Greet, []string{"one", "two", "three", "four", "five"})
	if err != nil {
		return "", err
	}
	return instance.ID(), nil
}

// eventFlow raises the event when the orchestration waits for it: in one turn with the start it
// would be cheaper.
func eventFlow(ctx context.Context, counted, observer *taskhub.Client) (string, error) {
	instance, err := taskhub.Start(ctx, counted, hello.Ask, "ready?")
	if err != nil {
		return "", err
	}
	if _, err := observer.WaitForStart(ctx, instance.ID(), lookOften); err != nil {
		return "", err
	}
	return instance.ID(), taskhub.RaiseEvent(ctx, counted, instance.ID(), hello.Answer, "ready")
}

const lookOften = taskhub.PollInterval(10 * time.Millisecond)

// check compares with the bars.
func (c cost) check() error {
	if c.sequence > barSequence || c.event > barEvent {
		return fmt.Errorf("%w: five activities took %d requests (at most %d), one event %d (at most %d)",
			ErrMismatch, c.sequence, barSequence, c.event, barEvent)
	}
	return nil
}

func (c cost) table() string {
	return fmt.Sprintf("\nRequests of small flows, without idle polls (the classic path takes %d and %d)\n"+
		"  five activities in sequence  %d\n  one external event           %d\n\n",
		barSequence, barEvent, c.sequence, c.event)
}

// measureFlow runs a flow on a hub and a worker of its own and returns the requests it took. It
// counts until the worker has stopped: messages are deleted after the status shows the end.
func measureFlow(ctx context.Context, start flow) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	bare := memory.New().Account()
	meter := &storage.Meter{}
	hub, err := taskhub.Create(ctx, taskhub.Ports(bare), "Cost", &taskhub.Options{Partitions: 1})
	if err != nil {
		return 0, err
	}
	counted, err := taskhub.Open(ctx, taskhub.Ports(storage.WithHook(bare, countFlow(hub, meter))), hub.Name(), nil)
	if err != nil {
		return 0, err
	}
	w, err := worker.New(counted, &worker.Options{MaxPollInterval: lowPollInterval}, hello.Bindings()...)
	if err != nil {
		return 0, err
	}
	before := meter.Counts()
	working, stop := context.WithCancel(ctx)
	var group run.Group
	var workerErr error
	group.Go(working, "demo: cost", func(ctx context.Context) { workerErr = w.Run(ctx) })
	observer := taskhub.NewClient(hub)
	id, err := start(ctx, taskhub.NewClient(counted), observer)
	if err == nil {
		_, err = observer.Wait(ctx, id, lookOften)
	}
	stop()
	group.Wait()
	used := meter.Counts().Since(before)
	return used.Total() - used[storage.IdlePoll], errors.Join(err, workerErr)
}

const lowPollInterval = 100 * time.Millisecond

// countFlow counts requests except those by which workers share out the hub.
func countFlow(hub *taskhub.Hub, meter *storage.Meter) storage.Hook {
	names := hub.Store().Names
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Target == names.PartitionsTable() || call.Target == names.AppLease() {
			return next(ctx)
		}
		return meter.Hook(ctx, call, next)
	}
}
