package worker

import (
	"strings"
	"sync"
	"time"
)

// speeds remembers how long the runs of activities took, by name.
type speeds struct {
	mu    sync.Mutex
	names map[string]*speed
}

type speed struct {
	average time.Duration
	// refused counts how often in a row an activity was taken for slow.
	refused int
}

const (
	// weight is how much of the average the last run makes up, as a divisor.
	weight = 4
	// probeEvery is how often an activity that was slow is tried ahead of the history all the same: its
	// runs may be elsewhere, so that nobody here would learn that it is quick now.
	probeEvery = 20
)

// note takes a run into account.
func (s *speeds) note(name string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of(name)
	if known == nil {
		s.names[strings.ToLower(name)] = &speed{average: took}
		return
	}
	known.average += (took - known.average) / weight
}

func (s *speeds) of(name string) *speed {
	if s.names == nil {
		s.names = map[string]*speed{}
	}
	return s.names[strings.ToLower(name)]
}

// quick reports whether an activity is likely to be done within the window if as many others as given
// wait for the slots before it.
func (s *speeds) quick(name string, before, slots int, window time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of(name)
	if known == nil {
		return true
	}
	if inTime(known.average, before, slots, window) {
		known.refused = 0
		return true
	}
	known.refused++
	if known.refused >= probeEvery {
		known.refused = 0
		return true
	}
	return false
}

// inTime reports whether a run of the given length ends within the window although others of its kind
// come before it.
func inTime(average time.Duration, before, slots int, window time.Duration) bool {
	rounds := 1 + before/max(1, slots)
	return average*time.Duration(rounds) <= window
}
