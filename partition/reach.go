package partition

import (
	"sync"
	"time"
)

// reach knows whether the leases can be reached. Its zero value, for which no pass was made yet, says that
// they can.
type reach struct {
	mu       sync.Mutex
	failures int
	from     time.Time
}

// outageAfter is how many passes in a row fail before that is taken for an outage. Single ones fail all the
// time on a busy account.
const outageAfter = 3

// note notes how a pass went.
func (r *reach) note(failed bool, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if failed {
		r.failures++
		return
	}
	if r.failures >= outageAfter {
		r.from = now
	}
	r.failures = 0
}

// since returns since when the leases can be reached, zero for always; not ok if they cannot.
func (r *reach) since() (from time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from, r.failures < outageAfter
}
