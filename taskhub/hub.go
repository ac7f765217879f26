package taskhub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/telemetry"
	"github.com/durafleet/durafleet/internal/wire"
)

// defaultPartitions is how many partitions a new hub gets, as with .NET.
const defaultPartitions = 4

// Options adjusts Open and Create. The zero value of every field means its default.
type Options struct {
	// Partitions is how many partitions the hub has to have, at most 16. Default: as many as it
	// has; 4 when it is created. The number never changes afterwards, and no more workers than
	// that can run orchestrations at a time.
	Partitions int
	// Base64 makes messages go out in Base64, for a hub that is shared with engines of version 1.
	// Both forms are always read. Default: as they are.
	Base64 bool
	// Doorbell makes clients of the hub wake the workers for whom they have put something into a queue, if
	// these have a worker.Options.Doorbell: by a UDP datagram to where the partition table says. It takes one
	// more request every 30 s at most, and only while there is something to wake them for. Nothing depends
	// on it. Default: workers find out by themselves.
	Doorbell bool
	// MeterProvider counts the storage requests of the hub with OpenTelemetry: durafleet.storage.requests
	// by kind, cause and hub, durafleet.storage.bytes by direction as well. Default: none.
	MeterProvider metric.MeterProvider
}

func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		return Options{}, nil
	}
	if o.Partitions < 0 || o.Partitions > store.MaxPartitions {
		return *o, &ArgumentError{
			Argument: "Options.Partitions", Value: strconv.Itoa(o.Partitions),
			Rule: fmt.Sprintf("must be 1 to %d, or 0 for the default", store.MaxPartitions),
		}
	}
	return *o, nil
}

// Hub is an existing task hub. Its methods may be called concurrently. It needs no closing.
type Hub struct {
	store *store.Hub
	meter *storage.Meter
	// ringer is nil as long as nobody is to be rung.
	ringer atomic.Pointer[doorbell.Ringer]
	// counter names the meter to others; opened is when it began to count.
	counter  string
	opened   time.Time
	provider metric.MeterProvider
}

// Open opens a task hub that exists and finds out how many partitions it has. A nil opts means
// all defaults. A name that cannot be one is a *NameError; a hub that does not exist is
// ErrHubNotFound, one with another number of partitions than asked for a *PartitionCountError, and
// one that is shared out in a way we cannot join ErrBlobManaged.
//
// An account that cannot be reached is ErrUnavailable, after about 15 s. The error names it.
func Open(ctx context.Context, account Account, name string, opts *Options) (*Hub, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open task hub %q: %w", name, err)
	}
	a, err := reach(account, name, o.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("open task hub %q: %w", name, err)
	}
	hub, err := a.find(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open task hub %q: %w", name, a.explain(err))
	}
	return hub, nil
}

// Create creates a task hub, or what is missing of it, and opens it. It may be repeated. If the
// hub exists with another number of partitions than asked for, nothing is changed and the error is
// a *PartitionCountError; the others are those of Open.
func Create(ctx context.Context, account Account, name string, opts *Options) (*Hub, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("create task hub %q: %w", name, err)
	}
	a, err := reach(account, name, o.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("create task hub %q: %w", name, err)
	}
	hub, err := a.create(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("create task hub %q: %w", name, a.explain(err))
	}
	return hub, nil
}

// List returns the names of the task hubs in an account.
func List(ctx context.Context, account Account) ([]string, error) {
	a, err := connect(account)
	if err != nil {
		return nil, fmt.Errorf("list task hubs: %w", err)
	}
	names, err := store.List(ctx, a.ports)
	if err != nil {
		return nil, a.explain(err)
	}
	return names, nil
}

// reached is an account on the way to a hub in it.
type reached struct {
	ports       storage.Account
	meter       *storage.Meter
	names       wire.Names
	environment store.Environment
}

func connect(account Account) (*reached, error) {
	if account == nil {
		return nil, errors.New("the account is nil")
	}
	r := &reached{meter: &storage.Meter{}}
	ports, err := account.open(r.meter)
	if err != nil {
		return nil, err
	}
	r.ports = storage.WithHook(ports, r.meter.Tallying)
	if own, ok := account.(portsAccount); ok {
		r.environment = own.environment
	}
	return r, nil
}

func reach(account Account, name string, provider metric.MeterProvider) (*reached, error) {
	names, err := wire.NewNames(name)
	if err != nil {
		return nil, &NameError{Name: name, Rule: "must be 3 to 45 ASCII letters and digits, the first a letter"}
	}
	r, err := connect(account)
	if err != nil {
		return nil, err
	}
	r.names = names
	if provider != nil {
		if r.meter.Watch, err = telemetry.Requests(provider, names.Hub()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *reached) find(ctx context.Context, o Options) (*Hub, error) {
	ctx = storage.WithCause(ctx, storage.CauseOpen)
	count, err := store.PartitionCount(ctx, r.ports, r.names)
	if err != nil {
		return nil, err
	}
	if o.Partitions != 0 && o.Partitions != count {
		return nil, &PartitionCountError{Hub: r.names.Hub(), Actual: count, Asked: o.Partitions}
	}
	return r.hub(count, o), nil
}

func (r *reached) create(ctx context.Context, o Options) (*Hub, error) {
	ctx = storage.WithCause(ctx, storage.CauseOpen)
	hub, err := r.find(ctx, o)
	if errors.Is(err, ErrHubNotFound) {
		hub, err = r.hub(cmp.Or(o.Partitions, defaultPartitions), o), nil
	}
	if err != nil {
		return nil, err
	}
	// Somebody else may create the hub at the same time, with another number of partitions.
	if err := hub.store.Create(ctx); err != nil && !errors.Is(err, store.ErrPartitionCount) {
		return nil, err
	}
	return r.find(ctx, o)
}

func (r *reached) hub(partitions int, o Options) *Hub {
	hub := &Hub{
		store: store.New(r.ports, r.names, partitions, store.Options{Base64: o.Base64, Environment: r.environment}),
		meter: r.meter, provider: o.MeterProvider,
	}
	hub.counter, hub.opened = hub.store.NewID("counter"), hub.told()
	if o.Doorbell {
		hub.UseDoorbells()
	}
	return hub
}

// explain adds to an error of storage which account it is about.
func (r *reached) explain(err error) error {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnauthorized) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("storage account %s: %w", hostOf(r.ports.Blobs.ContainerURL("")), err)
	}
	return explain(err)
}

// Name returns the hub's name as it was given.
func (h *Hub) Name() string { return h.store.Names.Hub() }

// Partitions returns the number of partitions.
func (h *Hub) Partitions() int { return h.store.Partitions }

// PartitionOf returns the number of the partition that an instance belongs to.
func (h *Hub) PartitionOf(instanceID string) int {
	return wire.PartitionOf(instanceID, h.store.Partitions)
}

// Requests returns how many storage requests of each kind were sent through this Hub, its opening
// included. Polls that found a queue empty are counted under a kind of their own, and so are
// requests that were sent again. The map is the caller's.
func (h *Hub) Requests() map[string]int64 {
	counts := h.meter.Counts()
	requests := make(map[string]int64, len(counts))
	for kind, n := range counts {
		requests[string(kind)] = n
	}
	return requests
}

// Delete deletes the hub with everything in it. Parts that do not exist are no error, so it may be
// repeated. The container of the app lease stays behind while a worker holds the lease. A hub may
// be created again under the name, which takes the service about half a minute to permit.
func (h *Hub) Delete(ctx context.Context) error {
	return explain(h.store.Delete(storage.WithCause(ctx, storage.CauseOpen)))
}

// MeterProvider returns Options.MeterProvider, nil if there is none.
func (h *Hub) MeterProvider() metric.MeterProvider { return h.provider }

// UseDoorbells makes clients of the hub ring from now on, as Options.Doorbell does. A worker that has a
// doorbell calls it for its hub. It may be called at any time, and again.
func (h *Hub) UseDoorbells() {
	h.ringer.CompareAndSwap(nil, h.store.NewRinger(doorbell.Secret{}, true))
}

// Store returns the hub's storage for the engine's own packages.
func (h *Hub) Store() *store.Hub { return h.store }
