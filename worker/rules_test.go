package worker_test

import (
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
)

// H3, classic path: an instance that continues as new in its very first turn leaves its start
// message behind if the worker dies before it is deleted. Without the rule that start begins the
// instance again with generation 0, because the status row may still name it.
func TestH3_HeldStartAfterContinueAsNew(t *testing.T) {
	t.Parallel()
	for _, cut := range []struct {
		name  string
		after bool
		at    []match
	}{
		{"before the row", true, []match{historyWrite}},
		{"after the row", true, []match{rowMerge}},
	} {
		t.Run(cut.name, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				again := orchestration.Declare[int, int]("H3Again")
				binding := again.With(func(ctx *orchestration.Context, n int) (int, error) {
					if n < 3 {
						orchestration.ContinueAsNew(ctx, again, n+1)
						return 0, nil
					}
					_, err := orchestration.WaitForEvent(ctx, ctlNumber).Await()
					return n, err
				})
				var victim *fleettest.Member
				trap := killAt(&victim, cut.after, cut.at...)
				victim = w.StartHooked(trap.hook, nil, binding)
				instance := launch(t, w, again, 0)
				<-trap.sprung
				before := w.Sentinel(instance.ID()).ExecutionID
				w.Start(nil, binding)
				w.DrainedWithin(patiently)
				if after := w.Sentinel(instance.ID()).ExecutionID; after != before {
					t.Errorf("the instance began again: execution %s, then %s", before, after)
				}
				if s := statusOf(t, w, instance.ID()); s.Status != history.Running || s.ExecutionID != before || string(s.Input) != "3" {
					t.Errorf("the row says %s, execution %s, input %s", s.Status, s.ExecutionID, s.Input)
				}
				raise(t, w, instance.ID(), ctlNumber, 1)
				resultOf(t, w, instance)
			})
		})
	}
}
