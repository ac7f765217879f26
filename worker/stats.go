package worker

import (
	"sync/atomic"

	"github.com/durafleet/durafleet/partition"
)

// Stats says what a worker has done and is doing.
type Stats struct {
	// Turns is the number of turns stored, Conflicts that of turns that another worker was quicker
	// with.
	Turns, Conflicts int64
	// Activities is the number of activity runs begun, Redelivered how many of them were for a work
	// item that had been delivered before.
	Activities, Redelivered int64
	// Poisoned is how many messages this worker has moved out of their queues.
	Poisoned int64
	// Buffered is how many messages of control queues are held now.
	Buffered int
	// Sessions is how many instances are in memory, SessionBytes about how many bytes the idle ones of
	// them take.
	Sessions     int
	SessionBytes int64
	// Unknown counts messages for names that nothing is bound to, by name.
	Unknown map[string]int64
	// Held says why instances are held: their code does not match their history.
	Held map[string]string
	// Partitions are the partitions this worker owns.
	Partitions []partition.Status
}

type stats struct {
	turns, conflicts, activities, redelivered, poisoned atomic.Int64
}

// Stats returns the worker's figures. It may be called at any time, by anyone.
func (w *Worker) Stats() Stats {
	s := Stats{
		Turns:       w.stats.turns.Load(),
		Conflicts:   w.stats.conflicts.Load(),
		Activities:  w.stats.activities.Load(),
		Redelivered: w.stats.redelivered.Load(),
		Poisoned:    w.stats.poisoned.Load(),
		Buffered:    w.buffer.size(),
	}
	s.Sessions, s.SessionBytes = w.readers.memory()
	s.Unknown = w.unknown.byName()
	s.Held = w.heldInstances.reasons()
	if manager := w.manager.Load(); manager != nil {
		s.Partitions = manager.Owned()
	}
	return s
}
