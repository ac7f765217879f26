package worker

import (
	"cmp"
	"slices"
	"time"
)

// sessionSize is about what an idle session takes in memory beside its history: the coroutines of its
// orchestrator and what the engine knows about them.
const sessionSize = 12 << 10

// size returns about how many bytes the session takes in memory.
func (s *session) footprint() int {
	if s.stored == nil {
		return 0
	}
	return sessionSize + s.stored.State.Size()
}

// evict forgets sessions that have been idle for long, and of the others those that have been it longest
// while they are too many or take too much memory. The budgets are the worker's, in equal shares for its
// partitions.
func (r *reader) evict() {
	now, shares := time.Now(), max(1, r.w.readers.count())
	most, bytes := max(1, r.w.opts.MaxSessions/shares), r.w.opts.MaxSessionBytes/int64(shares)
	r.evicted = now
	var idle, evicted []*session
	r.mu.Lock()
	count, size := len(r.sessions), int64(0)
	for _, s := range r.sessions {
		if !s.running {
			idle = append(idle, s)
			size += int64(s.idleSize)
		}
	}
	slices.SortFunc(idle, func(a, b *session) int {
		return cmp.Or(a.idleSince.Compare(b.idleSince), cmp.Compare(a.id, b.id))
	})
	for _, s := range idle {
		if now.Sub(s.idleSince) <= r.w.opts.SessionIdle && count <= most && size <= bytes {
			break
		}
		delete(r.sessions, s.id)
		evicted = append(evicted, s)
		count--
		size -= int64(s.idleSize)
	}
	r.mu.Unlock()
	for _, s := range evicted {
		s.forget()
	}
}

// memory returns how many sessions there are, and about how many bytes the idle ones take.
func (s *readers) memory() (sessions int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.set {
		r.mu.Lock()
		sessions += len(r.sessions)
		for _, session := range r.sessions {
			if !session.running {
				bytes += int64(session.idleSize)
			}
		}
		r.mu.Unlock()
	}
	return sessions, bytes
}
