package fault_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/worker"
)

// outage fails a worker's requests about some part of the storage while it is on.
type outage struct {
	on     atomic.Bool
	target string
}

func (o *outage) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	if o.on.Load() && strings.HasSuffix(call.Target, o.target) {
		return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable}
	}
	return next(ctx)
}

// TestOutage_NobodyWaitsAfterwards takes a part of the storage away for ten minutes, in which
// messages are delivered again and again. When it is back, all work goes on within the time for
// which a message may be hidden, however often it was delivered.
func TestOutage_NobodyWaitsAfterwards(t *testing.T) {
	t.Parallel()
	const visibility = 45 * time.Second
	for _, target := range []string{"History", "Instances", "-largemessages"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				o := &outage{target: target}
				o.on.Store(true)
				var r runs
				w.StartHooked(o.hook, &worker.Options{Visibility: visibility, MaxPollInterval: 5 * time.Second}, r.bindings()...)
				u := &user{ctx: w.Context(), client: w.Client}
				var waited []string
				for _, j := range jobs() {
					if j.drive != nil && j.name != large.Name() {
						continue // its user waits for it
					}
					if err := u.start(j); err != nil {
						t.Fatal(err)
					}
					if j.drive != nil {
						if err := j.drive(u, j.id); err != nil {
							t.Fatal(err)
						}
					}
					waited = append(waited, j.id)
				}
				run.Sleep(w.Context(), 10*time.Minute)
				o.on.Store(false)
				begin := time.Now()
				for _, id := range waited {
					status, err := w.Client.Wait(w.Timeout(time.Hour), id)
					if err != nil {
						t.Fatal(err)
					}
					if !status.Status.Terminal() {
						t.Errorf("%s is %s", id, status.Status)
					}
				}
				if took := time.Since(begin); took > visibility+20*time.Second {
					t.Errorf("the last instance ended %v after the outage", took)
				}
				w.Settled(5*time.Minute, waited...)
			})
		})
	}
}
