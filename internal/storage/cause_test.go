package storage_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
)

func TestCause_Names(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for cause := storage.CauseOther; cause <= storage.CauseAdmin; cause++ {
		if name := cause.String(); name == "" || seen[name] {
			t.Errorf("cause %d is called %q", cause, name)
		} else {
			seen[name] = true
		}
	}
	if got := storage.Cause(200).String(); got != "other" {
		t.Errorf("a cause that does not exist is called %q", got)
	}
}

func TestMeter_CountsByCause(t *testing.T) {
	t.Parallel()
	var meter storage.Meter
	var watched int64
	meter.Watch = func(_ context.Context, _ storage.Kind, _ storage.Cause, grown storage.Usage) {
		watched += grown.Requests
	}
	queues := storage.WithHook(memory.New().Account(), meter.Hook).Queues
	var sum atomic.Int64
	ctx := t.Context()
	receiving := storage.WithTally(storage.WithCause(ctx, storage.CauseReceive), &sum)
	var errs [4]error
	errs[0] = queues.CreateQueue(storage.WithCause(ctx, storage.CauseOpen), "queue")
	_, errs[1] = queues.Get(receiving, "queue", 1, time.Second) // empty, and a poll for that
	_, errs[2] = queues.Put(storage.WithCause(receiving, storage.CauseMessage), "queue", "text", 0)
	_, errs[3] = queues.Get(receiving, "queue", 1, time.Second)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	meter.Carry(receiving, storage.QueueGet, 3, 40)
	meter.Add("no.kind", 2)
	one := storage.Usage{Requests: 1}
	want := []storage.Entry{
		{Kind: "unknown", Cause: storage.CauseOther, Usage: storage.Usage{Requests: 2}},
		{Kind: storage.QueueAdmin, Cause: storage.CauseOpen, Usage: one},
		{Kind: storage.QueuePut, Cause: storage.CauseMessage, Usage: one},
		{Kind: storage.QueueGet, Cause: storage.CauseReceive, Usage: storage.Usage{Requests: 1, Sent: 3, Received: 40}},
		{Kind: storage.IdlePoll, Cause: storage.CausePoll, Usage: one},
	}
	if diff := cmp.Diff(want, meter.Entries()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if watched != meter.Counts().Total() {
		t.Errorf("Watch was told of %d requests of %d", watched, meter.Counts().Total())
	}
	if sum.Load() != 0 {
		t.Errorf("a hook that does not tally has: %d", sum.Load())
	}
}

// A tally takes part only in what its context is about, causes or not, and only one hook adds to it.
func TestMeter_Tallies(t *testing.T) {
	t.Parallel()
	var inner, outer storage.Meter
	account := storage.WithHook(storage.WithHook(memory.New().Account(), inner.Hook), outer.Tallying)
	var sum atomic.Int64
	mine := storage.WithCause(storage.WithTally(t.Context(), &sum), storage.CauseTurn)
	if got := storage.CauseOf(mine); got != storage.CauseTurn {
		t.Errorf("cause %v", got)
	}
	for _, ctx := range []context.Context{mine, t.Context(), storage.WithTally(mine, nil), storage.WithCause(mine, storage.CauseRow)} {
		if _, err := account.Tables.ListTables(ctx); err != nil {
			t.Fatal(err)
		}
	}
	outer.Repeat(mine)
	if got := sum.Load(); got != 3 {
		t.Errorf("tallied %d, want 3", got)
	}
}

func TestMeter_Concurrently(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 500
	var meter storage.Meter
	var group run.Group
	var ready sync.WaitGroup
	ready.Add(goroutines)
	for range goroutines {
		group.Go(t.Context(), "count", func(ctx context.Context) {
			ready.Done()
			ready.Wait()
			for range each {
				meter.Repeat(ctx)
			}
		})
	}
	group.Wait()
	if got := meter.Counts()[storage.Retry]; got != goroutines*each {
		t.Errorf("counted %d, want %d", got, goroutines*each)
	}
}

func BenchmarkMeter(b *testing.B) {
	var meter storage.Meter
	var sum atomic.Int64
	ctx := storage.WithTally(storage.WithCause(b.Context(), storage.CauseTurn), &sum)
	call := &storage.Call{Kind: storage.TableTransact}
	next := func(context.Context) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		_ = meter.Tallying(ctx, call, next) // it is next's, which has none
	}
}
