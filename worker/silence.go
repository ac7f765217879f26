package worker

import (
	"sync"
	"time"
)

// silences remember since when queues have not answered whose partitions were dropped because of that, so
// that a partition that is dropped and taken again and again does not look as if it were read.
type silences struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// note notes that a partition is dropped.
func (s *silences) note(queue string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since == nil {
		s.since = map[string]time.Time{}
	}
	s.since[queue] = since
}

// of returns since when a queue has not answered, zero if it answered when it was last read here.
func (s *silences) of(queue string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since[queue]
}

// end notes that a queue has answered.
func (s *silences) end(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, queue)
}

// stalled notes that a partition is dropped because its queue does not answer.
func (w *Worker) stalled(id string) {
	w.alarm()
	r := w.readers.of(id)
	if r == nil {
		return
	}
	r.mu.Lock()
	since := r.polled
	r.mu.Unlock()
	if since.IsZero() {
		since = r.began
	}
	w.silences.note(id, since)
}
