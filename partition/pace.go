package partition

import (
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

const (
	// maxConflicts is the number of passes in a row that are repeated at once after a lost race.
	maxConflicts = 10
	// maxErrorPause bounds the pause after a storage failure. It is short, because the leases run
	// out meanwhile.
	maxErrorPause = 2 * time.Second
	// expirySlack is added to the expiry of another's lease: the service's date is rounded down.
	expirySlack = 1100 * time.Millisecond
)

// pace decides when the next pass is made.
type pace struct {
	interval            time.Duration
	random              func() float64
	conflicts, failures int
	// steady leaves the jitter out while nothing goes on: nobody can meet anybody at a row then.
	steady bool
}

// next returns the time until the next pass. Jitter only shortens it, so that it stays an upper
// bound.
func (p *pace) next(result passResult) time.Duration {
	if result.err != nil || result.failed > 0 {
		p.failures++
		return p.jitter(run.Backoff(p.failures, 250*time.Millisecond, maxErrorPause))
	}
	p.failures = 0
	if result.lost > 0 {
		p.conflicts++
	} else {
		p.conflicts = 0
	}
	if 0 < p.conflicts && p.conflicts < maxConflicts {
		// Workers that met at a row must not meet again in step.
		return time.Duration(p.random() * float64(p.conflicts) * float64(5*time.Millisecond))
	}
	if result.handover {
		return min(handoverInterval, p.interval)
	}
	wait := p.interval
	if !p.steady || !result.calm {
		wait = p.jitter(wait)
	}
	if result.expiry > 0 && result.lost == 0 {
		wait = min(wait, result.expiry+expirySlack)
	}
	return wait
}

// jitter returns d shortened by up to a tenth.
func (p *pace) jitter(d time.Duration) time.Duration {
	return d - time.Duration(p.random()*float64(d/10))
}
