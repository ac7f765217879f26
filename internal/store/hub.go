package store

import (
	"cmp"
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Options adjusts a Hub. The zero value means all defaults.
type Options struct {
	// Base64 makes messages go out in Base64, for hubs shared with 1.x engines. Both forms are
	// always read.
	Base64 bool
	// Concurrency is how many requests one operation sends at a time. Default 16.
	Concurrency int
	// Environment is the machine of the process. The zero value means the real one.
	Environment Environment
}

// Hub gives access to everything one task hub stores. Its methods may be called concurrently.
type Hub struct {
	// Names are the names of the hub's resources.
	Names wire.Names
	// Partitions is the number of control queues.
	Partitions int
	// Account is where the hub lives.
	Account storage.Account

	options   Options
	sequence  atomic.Int64
	container atomic.Bool // the payload container is known to exist
	// large has room for a token of each large payload that is being unpacked.
	large chan struct{}
	left  leftovers
}

// New returns the hub of the given names in an account. It sends nothing.
func New(account storage.Account, names wire.Names, partitions int, options Options) *Hub {
	options.Concurrency = cmp.Or(options.Concurrency, 16)
	options.Environment = options.Environment.withDefaults()
	return &Hub{
		Names: names, Partitions: partitions, Account: account, options: options, large: make(chan struct{}, maxLarge),
	}
}

// NewID returns a new id of 32 hexadecimal digits, the form of instance and execution ids; about
// says what for, see Environment.
func (h *Hub) NewID(about string) string {
	return strings.ReplaceAll(h.options.Environment.NewID(about).String(), "-", "")
}

// Now returns the wall-clock time. Whatever is stored, or compared with what is, is told in it.
func (h *Hub) Now() time.Time { return h.options.Environment.Now() }

// Random returns a random number from 0 up to 1; about says what for.
func (h *Hub) Random(about string) float64 { return h.options.Environment.Random(about) }

// ControlQueueOf returns the control queue of an instance.
func (h *Hub) ControlQueueOf(instanceID string) string {
	return h.Names.ControlQueue(wire.PartitionOf(instanceID, h.Partitions))
}

// each calls f for 0 to n−1, a bounded number at a time, and returns the first error in that
// order. All calls are made, whatever the others return.
func (h *Hub) each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	errs := make([]error, n)
	run.Each(ctx, "store: parallel requests", n, h.options.Concurrency, func(ctx context.Context, i int) {
		errs[i] = f(ctx, i)
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
