package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/telemetry"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/applease"
	"github.com/durafleet/durafleet/partition/tablelease"
	"github.com/durafleet/durafleet/taskhub"
)

// Worker runs orchestrations and activities of a task hub.
type Worker struct {
	hub      *store.Hub
	cost     func() taskhub.Cost
	opts     Options
	registry *registry

	keeper  *keeper
	buffer  *buffer
	turns   slots
	items   *items
	running running
	readers readers
	speeds  speeds
	// intake ends when nothing more is to begin, work when everything that was taken is settled. Run
	// sets them.
	intake, work context.Context //nolint:containedctx // two lifetimes of the worker
	// confirmed remembers processed events whose messages were deleted for sure.
	confirmed *recent
	// early counts how often messages were put aside because they were early.
	early *recent
	// alone and aloneItems let one message at a time be worked on that may make workers crash.
	alone, aloneItems slots

	attempts      attempts
	silences      silences
	trouble       chan struct{} // signalled when there is news for an early report
	unknown       unknownNames
	heldInstances heldBack
	stats         stats
	bells         doorbells
	metrics       *telemetry.Worker
	manager       atomic.Pointer[partition.Manager]
	lease         atomic.Pointer[applease.Lease]
	started       atomic.Bool
	began         atomic.Pointer[time.Time]
}

// remembered is how many messages of a sort a worker remembers.
const remembered = 100_000

// New returns a worker for the hub that has started nothing. A worker without orchestrations owns
// no partitions, one without activities reads no work items. The bindings come from Activity.With
// and Orchestrator.With. A nil opts means all defaults.
func New(hub *taskhub.Hub, opts *Options, bindings ...Binding) (*Worker, error) {
	if hub == nil {
		return nil, errors.New("worker: the hub is nil")
	}
	full, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	provider := full.MeterProvider
	if provider == nil {
		provider = hub.MeterProvider()
	}
	metrics, err := telemetry.NewWorker(provider, hub.Name())
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	known, err := newRegistry(bindings)
	if err != nil {
		return nil, err
	}
	if len(bindings) == 0 {
		return nil, errors.New("worker: nothing is bound; a worker needs an orchestration or an activity")
	}
	w := &Worker{
		hub: hub.Store(), cost: hub.Cost, opts: full, registry: known,
		buffer: newBuffer(full.BufferThreshold), turns: newSlots(full.MaxTurns),
		confirmed: newRecent(remembered), early: newRecent(remembered), alone: newSlots(1), aloneItems: newSlots(1),
		metrics: metrics, trouble: make(chan struct{}, 1),
	}
	w.opts.Logger = full.Logger.With("worker", full.WorkerID)
	w.keeper = newKeeper(w.hub.Account.Queues, full.Visibility, w.opts.Logger)
	w.bells.init(w)
	w.keeper.returned = func(ctx context.Context, queue string) { w.wake(ctx, []string{queue}) }
	w.items = newItems(w)
	if _, err := w.newManager(); err != nil {
		return nil, err
	}
	if _, err := w.newAppLease(); err != nil {
		return nil, err
	}
	if full.Doorbell != nil {
		hub.UseDoorbells()
	}
	return w, nil
}

// ID returns the name by which the worker is known in the hub.
func (w *Worker) ID() string { return w.opts.WorkerID }

// Run works until ctx ends. Then it stops: it takes no more messages, lets turns and activities
// that run end for up to Options.DrainTimeout, makes all other messages visible to the fleet
// again, and hands its partitions over. Activities that still run after that see their context
// end and are run again elsewhere.
//
// Run returns nil after a stop asked for by ctx. It may be called once; a second call returns
// ErrRun.
func (w *Worker) Run(ctx context.Context) error {
	if !w.started.CompareAndSwap(false, true) {
		return ErrRun
	}
	now := time.Now()
	w.began.Store(&now)
	w.opts.Logger.Info("worker started", "orchestrations", len(w.registry.orchestrations), "activities", len(w.registry.activities))
	// Two lifetimes: intake ends when the caller says so, work when what was taken is settled.
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	work = storage.WithCause(work, storage.CauseActivity)
	w.intake, w.work = ctx, work
	var keeping, taking run.Group
	keeping.Go(storage.WithCause(work, storage.CauseRenew), "worker: renewals", w.keeper.run)
	keeping.Go(storage.WithCause(work, storage.CauseSettle), "worker: tidying up", w.tidyUp)
	var partitionsErr error
	w.openBell(ctx, &taking) // before the first row is written that tells of it
	if len(w.registry.orchestrations) > 0 {
		taking.Go(ctx, "worker: partitions", func(ctx context.Context) { partitionsErr = w.runPartitions(ctx) })
	}
	if len(w.registry.activities) > 0 {
		taking.Go(ctx, "worker: work items", func(intake context.Context) { w.items.run(intake, work) })
	}
	if !w.opts.NoHealthReports {
		taking.Go(ctx, "worker: health reports", w.report)
	}
	<-ctx.Done()
	run.Resume(ctx)
	w.opts.Logger.Info("worker is stopping")
	// The order: intake has ended with ctx; partitions drain and are handed over while activities
	// end; only then is what was held no longer renewed.
	keeping.Go(work, "worker: patience", func(work context.Context) {
		if run.Sleep(work, w.opts.DrainTimeout) {
			w.running.cancelAll(activity.ErrStopping)
		}
	})
	taking.Wait()
	w.items.group.Wait()
	if !w.opts.NoHealthReports {
		w.withdrawReport(work)
	}
	w.hub.TidyUp(storage.WithCause(work, storage.CauseSettle), 0)
	endWork()
	keeping.Wait()
	w.opts.Logger.Info("worker stopped")
	return partitionsErr
}

// runPartitions takes part in the sharing of partitions for as long as this application is the
// one that processes the hub.
func (w *Worker) runPartitions(ctx context.Context) error {
	ctx = storage.WithCause(ctx, storage.CauseLease)
	if w.opts.NoAppLease {
		return w.serveAll(ctx)
	}
	lease, err := w.newAppLease()
	if err != nil {
		return err
	}
	w.lease.Store(lease)
	return lease.Run(ctx, w.serveAll)
}

func (w *Worker) serveAll(ctx context.Context) error {
	manager, err := w.newManager()
	if err != nil {
		return err
	}
	w.manager.Store(manager)
	return manager.Run(ctx)
}

// stallMargin is how much longer than the longest pause between polls a reader may be silent before
// it is taken for stalled.
const stallMargin = time.Minute

func (w *Worker) newManager() (*partition.Manager, error) {
	leases := tablelease.New(w.hub.Account.Tables, w.hub.Names.PartitionsTable())
	manager, err := partition.New(leases, &partition.Options{
		WorkerID:        w.opts.WorkerID,
		Serve:           w.serve,
		LeaseDuration:   w.opts.LeaseDuration,
		AcquireInterval: w.opts.AcquireInterval,
		DrainTimeout:    w.opts.DrainTimeout,
		StallAfter:      w.opts.MaxPollInterval + stallMargin,
		Logger:          w.opts.Logger,
		Random:          func() float64 { return w.hub.Random("partitions") },
		Doorbell:        w.bells.text(),
		SkipReads:       w.bells.bell.Load() != nil, // peers that are in a hurry ring
		OnStall:         w.stalled,
		OnRead:          w.learn,
		OnWrite:         w.tellOthers,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return manager, nil
}

// appRenewal is the time between renewals of the application's lease of a minute, which leaves as much for
// tries after one that has failed.
const appRenewal = 30 * time.Second

func (w *Worker) newAppLease() (*applease.Lease, error) {
	lease, err := applease.New(w.hub.Account.Blobs, w.hub.Names, &applease.Options{
		AppName: w.opts.AppName, RenewInterval: appRenewal, Logger: w.opts.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return lease, nil
}
