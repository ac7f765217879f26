package partition

import (
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
	// Draining says that it is about to be handed over.
	Draining bool
}
