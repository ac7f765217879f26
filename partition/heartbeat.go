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
	err  error
}

// Beat says that the reader's queue has answered, or that the reader has good reason not to read it now. It
// may be called concurrently.
func (h *Heartbeat) Beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.err = time.Now(), nil
}

// Miss says why the reader cannot say that: the last reason is told when the partition is dropped. It may be
// called concurrently.
func (h *Heartbeat) Miss(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// Trouble returns when Beat was last called, and what Miss was last told since, nil for nothing.
func (h *Heartbeat) Trouble() (since time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, h.err
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
	// LastBeat is when its reader last gave proof of life, see Heartbeat.Beat.
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
	drops  map[string]time.Time
}

func (s *stalls) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int64{}
	}
	s.counts[id]++
}

// drop notes that a partition is dropped because it cannot be read. A reader that does not return when the
// lease is lost says nothing about the partition: perhaps the whole process stood still.
func (s *stalls) drop(id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops == nil {
		s.drops = map[string]time.Time{}
	}
	s.drops[id] = now
}

// ages returns how long ago each partition was dropped last.
func (s *stalls) ages(now time.Time) map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	ages := make(map[string]time.Duration, len(s.drops))
	for id, at := range s.drops {
		ages[id] = now.Sub(at)
	}
	return ages
}

func (s *stalls) copy() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}
