package worker

import (
	"context"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

const (
	tidyInterval = time.Minute
	// tidyAge is how long after an unclear write it is looked into: what was on its way has arrived by then.
	tidyAge = 2 * time.Minute
)

// tidyUp looks from time to time into what this worker has written without knowing whether it counts.
func (w *Worker) tidyUp(ctx context.Context) {
	for run.Sleep(ctx, tidyInterval) {
		w.hub.TidyUp(ctx, tidyAge)
	}
}
