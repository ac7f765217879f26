package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
)

// running knows the activities that run in this worker, to end them when their results are no
// longer wanted.
type running struct {
	mu    sync.Mutex
	calls []*call // in the order in which they began
}

type call struct {
	info   activity.Info
	since  time.Time
	cancel context.CancelCauseFunc
}

// begin registers a call and returns its context.
func (r *running) begin(ctx context.Context, info activity.Info) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &call{info, time.Now(), cancel}
	r.mu.Lock()
	r.calls = append(r.calls, c)
	r.mu.Unlock()
	return ctx, func() {
		r.mu.Lock()
		r.calls = slices.DeleteFunc(r.calls, func(other *call) bool { return other == c })
		r.mu.Unlock()
		cancel(context.Canceled)
	}
}

// cancel ends the calls of an execution.
func (r *running) cancel(target history.Instance, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.info.InstanceID == target.InstanceID && sameID(c.info.ExecutionID, target.ExecutionID) {
			c.cancel(cause)
		}
	}
}

// cancelAll ends all calls.
func (r *running) cancelAll(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		c.cancel(cause)
	}
}

// checkWanted returns what looks whether the execution that waits for a long activity is still there, and
// ends the activity if it is not. It is called when the activity's work item has been renewed.
func (w *Worker) checkWanted(target history.Instance) func(ctx context.Context) {
	return func(ctx context.Context) {
		row, err := w.hub.ReadInstance(ctx, target.InstanceID, false)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			// A child has no row before its first checkpoint, and that may still be under way.
			return
		case err != nil:
			w.opts.Logger.Debug("status of a running activity's instance not read", "instance", target.InstanceID, "error", err)
			return
		}
		if sameID(row.ExecutionID, target.ExecutionID) && row.Status.Terminal() {
			w.running.cancel(target, activity.ErrUnwanted)
		}
	}
}
