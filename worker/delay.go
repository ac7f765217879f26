package worker

import (
	"context"
	"errors"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

// passing reports whether the reason of a failure lies neither in messages nor in code, but in the
// storage or in somebody who was quicker: it may be gone a moment later.
func passing(err error) bool {
	for _, reason := range []error{
		storage.ErrUnavailable, storage.ErrPrecondition, storage.ErrReceipt, store.ErrUnclear, context.DeadlineExceeded,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// delayAfter is the delay of a message that is put back because of a failure. It grows with the
// deliveries; but those that an outage of the storage has cost say nothing about the message, so that
// what may pass delays it by no more than it may be hidden anyway. Otherwise work would lie idle for
// as long after an outage as the outage lasted.
func (w *Worker) delayAfter(err error, deliveries int) time.Duration {
	delay := putBackDelay(deliveries)
	if passing(err) {
		return min(delay, w.opts.Visibility)
	}
	return delay
}
