package storage

import (
	"context"
	"slices"
	"sync/atomic"
)

// Meter counts storage requests by kind and cause. Its zero value is ready for use. It takes no lock,
// since every request of a hub passes it.
type Meter struct {
	// Watch, if set, is told of each count. It is set before the first request, is called by
	// whoever makes the request, and must return quickly.
	Watch func(ctx context.Context, kind Kind, cause Cause, grown Usage)

	cells [kinds][causes]cell
}

// Usage is what requests amount to.
type Usage struct {
	Requests int64
	// Sent and Received are the bytes of the bodies, without headers. They are counted for accounts
	// behind a network.
	Sent, Received int64
}

type cell struct{ requests, sent, received atomic.Int64 }

func (c *cell) add(grown Usage) {
	for _, part := range []struct {
		to *atomic.Int64
		n  int64
	}{{&c.requests, grown.Requests}, {&c.sent, grown.Sent}, {&c.received, grown.Received}} {
		if part.n != 0 {
			part.to.Add(part.n)
		}
	}
}

func (c *cell) usage() Usage { return Usage{c.requests.Load(), c.sent.Load(), c.received.Load()} }

// Entry is what requests of one kind and cause amount to.
type Entry struct {
	Kind  Kind
	Cause Cause
	Usage
}

// Counts holds numbers of requests by kind. A get that brought no message is counted under
// IdlePoll instead of QueueGet.
type Counts map[Kind]int64

// IdlePoll is the kind under which a Meter counts a queue get without a message.
const IdlePoll Kind = "queue.get (empty)"

// Retry is the kind under which a Meter counts the repetitions of a request by the SDK.
const Retry Kind = "retry"

// unknownKind is the kind under which those are counted that do not exist.
const unknownKind Kind = "unknown"

// kindNames are the kinds in the order of the cells.
var kindNames = [...]Kind{
	unknownKind, QueueAdmin, QueuePut, QueueGet, IdlePoll, QueuePeek, QueueUpdate, QueueDelete, QueueCount,
	TableAdmin, TableRead, TableQuery, TableInsert, TableMerge, TableReplace, TableDelete, TableTransact,
	BlobAdmin, BlobPut, BlobGet, BlobDelete, BlobList, BlobLease, Retry,
}

const kinds = len(kindNames)

var kindIndex = func() map[Kind]int {
	index := make(map[Kind]int, kinds)
	for i, kind := range kindNames {
		index[kind] = i
	}
	return index
}()

// Kinds returns all kinds that a Meter tells apart, in the order of the services.
func Kinds() []Kind { return slices.Clone(kindNames[:]) }

// Hook is the Hook that counts; see WithHook.
func (m *Meter) Hook(ctx context.Context, call *Call, next func(context.Context) error) error {
	err := next(ctx)
	kind, cause := call.Kind, CauseOf(ctx)
	if call.Empty {
		kind = IdlePoll
		if cause == CauseReceive {
			cause = CausePoll
		}
	}
	m.count(ctx, kind, cause, Usage{Requests: 1})
	return err
}

// Tallying is Hook, and adds the request to the tally of its context; see WithTally. Of several hooks
// around one account only one may be this.
func (m *Meter) Tallying(ctx context.Context, call *Call, next func(context.Context) error) error {
	err := m.Hook(ctx, call, next)
	tally(ctx)
	return err
}

// Repeat counts a request that was sent again under the cause of its context, and adds it to its tally.
func (m *Meter) Repeat(ctx context.Context) {
	m.count(ctx, Retry, CauseOf(ctx), Usage{Requests: 1})
	tally(ctx)
}

func tally(ctx context.Context) {
	if sum := purposeOf(ctx).tally; sum != nil {
		sum.Add(1)
	}
}

// Carry counts bytes that requests of the kind have carried, under the cause of the context. What an
// empty get carries is not told apart from what others do.
func (m *Meter) Carry(ctx context.Context, kind Kind, sent, received int64) {
	m.count(ctx, kind, CauseOf(ctx), Usage{Sent: sent, Received: received})
}

// Add adds n requests of the kind, of which nobody knows the cause.
func (m *Meter) Add(kind Kind, n int64) {
	m.count(context.Background(), kind, CauseOther, Usage{Requests: n})
}

func (m *Meter) count(ctx context.Context, kind Kind, cause Cause, grown Usage) {
	if grown == (Usage{}) {
		return
	}
	m.cells[kindIndex[kind]][cause].add(grown)
	if m.Watch != nil {
		m.Watch(ctx, kind, cause, grown)
	}
}

// Entries returns what was counted, by kind in the order of the services and by cause.
func (m *Meter) Entries() []Entry {
	var all []Entry
	for kind := range m.cells {
		for cause := range m.cells[kind] {
			if used := m.cells[kind][cause].usage(); used != (Usage{}) {
				all = append(all, Entry{kindNames[kind], Cause(cause), used})
			}
		}
	}
	return all
}

// Counts returns the numbers of requests by kind.
func (m *Meter) Counts() Counts {
	counts := Counts{}
	for _, e := range m.Entries() {
		if e.Requests != 0 {
			counts[e.Kind] += e.Requests
		}
	}
	return counts
}

// Total returns the sum of all counts.
func (c Counts) Total() int64 {
	var sum int64
	for _, n := range c {
		sum += n
	}
	return sum
}

// Since returns how much c has grown since earlier.
func (c Counts) Since(earlier Counts) Counts {
	grown := Counts{}
	for kind, n := range c {
		if d := n - earlier[kind]; d != 0 {
			grown[kind] = d
		}
	}
	return grown
}
