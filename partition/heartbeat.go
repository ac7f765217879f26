package partition

import (
	"maps"
	"sync"
	"time"
)

// Heartbeat is the proof of life of one partition's reader.
type Heartbeat struct {
	mu   sync.Mutex
	last time.Time
}

// Beat says that the reader polls its queue. It may be called concurrently.
func (h *Heartbeat) Beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = time.Now()
}

// Last returns when Beat was last called, or when the reader was last started.
func (h *Heartbeat) Last() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Status describes one owned partition.
type Status struct {
	ID string
	// Since is when this worker took it, by the local clock.
	Since time.Time
	// LastBeat is when its queue was last polled.
	LastBeat time.Time
	// LastRenewal is when the lease was last renewed with effect, by the local clock.
	LastRenewal time.Time
	// Draining says that it is about to be handed over.
	Draining bool
}

// stalls counts by partition how often the watchdog found a reader that hangs. Its zero value is
// ready for use.
type stalls struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (s *stalls) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int64{}
	}
	s.counts[id]++
}

func (s *stalls) copy() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}
