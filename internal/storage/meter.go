package storage

import (
	"context"
	"maps"
	"sync"
)

// Meter counts storage requests by kind. Its zero value is ready for use.
type Meter struct {
	mu     sync.Mutex
	counts Counts
}

// Counts holds numbers of requests by kind. A get that brought no message is counted under
// IdlePoll instead of QueueGet.
type Counts map[Kind]int64

// IdlePoll is the kind under which a Meter counts a queue get without a message.
const IdlePoll Kind = "queue.get (empty)"

// Retry is the kind under which a Meter counts the repetitions of a request by the SDK.
const Retry Kind = "retry"

// Hook is the Hook that counts; see WithHook.
func (m *Meter) Hook(ctx context.Context, call *Call, next func(context.Context) error) error {
	err := next(ctx)
	kind := call.Kind
	if call.Empty {
		kind = IdlePoll
	}
	m.Add(kind, 1)
	return err
}

// Add adds n requests of the kind.
func (m *Meter) Add(kind Kind, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = Counts{}
	}
	m.counts[kind] += n
}

// Counts returns a copy of the counts.
func (m *Meter) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counts)
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
