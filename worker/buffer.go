package worker

import "sync"

// buffer counts the control messages a worker holds and says when it may take more.
type buffer struct {
	limit int

	mu   sync.Mutex
	held int
	gone int64         // how many were let go of so far
	open chan struct{} // closed while below the limit
}

func newBuffer(limit int) *buffer {
	b := &buffer{limit: limit, open: make(chan struct{})}
	close(b.open)
	return b
}

// add changes the number of held messages by n.
func (b *buffer) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.held >= b.limit
	b.held += n
	b.gone += int64(max(0, -n))
	switch nowFull := b.held >= b.limit; {
	case nowFull && !full:
		b.open = make(chan struct{})
	case !nowFull && full:
		close(b.open)
	}
}

// count counts a message of a control queue as held, uncount does not any more.
func (w *Worker) count(h *held) {
	h.counted = true
	w.buffer.add(1)
}

func (w *Worker) uncount(h *held) {
	if h.counted {
		h.counted = false
		w.buffer.add(-1)
	}
}

// below returns a channel that is closed when the number is below the limit.
func (b *buffer) below() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// size returns the number of held messages.
func (b *buffer) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// released returns how many messages were let go of so far.
func (b *buffer) released() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gone
}

// readers is the set of the readers of owned partitions.
type readers struct {
	mu  sync.Mutex
	set map[*reader]struct{}
}

func (s *readers) add(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = map[*reader]struct{}{}
	}
	s.set[r] = struct{}{}
}

func (s *readers) remove(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, r)
}

func (s *readers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.set)
}

// of returns the reader of a queue, nil if it is not here.
func (s *readers) of(queue string) *reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.set {
		if r.queue == queue {
			return r
		}
	}
	return nil
}

// wake cuts the pause of the queue's reader short, if this worker reads it.
func (s *readers) wake(queue string) {
	if r := s.of(queue); r != nil {
		r.pace.signal()
	}
}

// recent remembers the last things added to it, up to a limit.
type recent struct {
	limit int

	mu           sync.Mutex
	young, older map[string]int
}

func newRecent(limit int) *recent {
	return &recent{limit: limit, young: map[string]int{}, older: map[string]int{}}
}

func (r *recent) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young[key] = max(r.young[key], r.older[key]) + 1
	if len(r.young) >= r.limit/2 {
		r.young, r.older = map[string]int{}, r.young
	}
}

func (r *recent) has(key string) bool { return r.count(key) > 0 }

// count returns how often something was added.
func (r *recent) count(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.young[key], r.older[key])
}
