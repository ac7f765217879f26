package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/durafleet/durafleet/taskhub"
)

// attempts are those at messages that may make workers crash: one of a work item and one of a turn at most.
type attempts struct {
	mu   sync.Mutex
	list []*attempt
}

type attempt struct {
	told  taskhub.Attempt
	since time.Time
}

// attempt notes that an attempt begins, and tells others: should this worker die of it, its report says of what. It
// is over when end is called.
func (w *Worker) attempt(ctx context.Context, told taskhub.Attempt) (end func()) {
	a := &attempt{told, time.Now()}
	w.attempts.mu.Lock()
	w.attempts.list = append(w.attempts.list, a)
	w.attempts.mu.Unlock()
	if !w.opts.NoHealthReports {
		w.putReport(ctx)
	}
	return func() {
		w.attempts.mu.Lock()
		defer w.attempts.mu.Unlock()
		w.attempts.list = slices.DeleteFunc(w.attempts.list, func(other *attempt) bool { return other == a })
	}
}

func (s *attempts) told(at moment) []taskhub.Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []taskhub.Attempt
	for _, a := range s.list {
		told := a.told
		told.Since = at.wall(a.since)
		list = append(list, told)
	}
	return list
}
