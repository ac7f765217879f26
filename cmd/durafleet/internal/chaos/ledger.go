package chaos

import (
	"maps"
	"sync"
	"time"
)

// ledger adds up what workers tell. It may be used concurrently.
type ledger struct {
	recovery *recovery

	mu       sync.Mutex
	runs     map[string]int              // by call
	requests map[string]map[string]int64 // by worker, then by kind
	figures  map[string]map[string]int64 // the latest of each worker
}

func newLedger() *ledger {
	return &ledger{
		recovery: newRecovery(), runs: map[string]int{},
		requests: map[string]map[string]int64{}, figures: map[string]map[string]int64{},
	}
}

// take takes in what a worker tells.
func (l *ledger) take(worker string, told line) {
	l.recovery.take(worker, told, time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	switch told.Kind {
	case lineBegun:
		l.runs[told.Call]++
	case lineRequests:
		l.requests[worker] = told.Counts
	case lineFigures:
		l.figures[worker] = told.Counts
	case lineStarted, lineStep, lineRan:
	}
}

// activities returns how often activities were run, how many calls that was, and how many of them
// were run more than once.
func (l *ledger) activities() (runs, calls, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.runs {
		runs += n
		if n > 1 {
			repeated++
		}
	}
	return runs, len(l.runs), repeated
}

// requestsByKind returns the sum over all workers and the given counts.
func (l *ledger) requestsByKind(own map[string]int64) map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := maps.Clone(own)
	for _, counts := range l.requests {
		for kind, n := range counts {
			sum[kind] += n
		}
	}
	return sum
}

// latestFigures returns the latest figures of each worker.
func (l *ledger) latestFigures() map[string]map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.figures)
}
