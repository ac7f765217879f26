package demo

import (
	"fmt"
	"maps"
	"sync"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
)

// tally adds up what workers report. It may be used concurrently.
type tally struct {
	mu       sync.Mutex
	runs     int
	calls    map[string]bool
	failures int
	requests map[string]map[string]int64 // by worker, then by kind

	// at and reached: when runs reaches at, reached is called with the worker that got it there.
	at      int
	reached func(worker string)
}

func newTally() *tally {
	return &tally{calls: map[string]bool{}, requests: map[string]map[string]int64{}}
}

// when asks for f to be called once, on the goroutine that reads the report in question.
func (t *tally) when(runs int, f func(worker string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at, t.reached = runs, f
}

// take adds a report.
func (t *tally) take(line report.Line) {
	t.mu.Lock()
	var call func(string)
	switch line.Kind {
	case report.Run:
		t.runs++
		// Attempts of a retry policy share the id of their call; they are no re-runs.
		t.calls[fmt.Sprintf("%s attempt %d", line.CallID, line.Attempt)] = true
		if line.Error != "" {
			t.failures++
		}
		if t.reached != nil && t.runs >= t.at {
			call, t.reached = t.reached, nil
		}
	case report.Requests:
		t.requests[line.Worker] = line.Counts
	case report.Started, report.Stopped:
	}
	t.mu.Unlock()
	if call != nil {
		call(line.Worker)
	}
}

// count returns the number of runs and of calls that were run.
func (t *tally) count() (runs, calls int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.runs, len(t.calls)
}

// requestsByKind returns the sum over all workers and the given counts.
func (t *tally) requestsByKind(own map[string]int64) map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := maps.Clone(own)
	for _, counts := range t.requests {
		for kind, n := range counts {
			sum[kind] += n
		}
	}
	return sum
}
