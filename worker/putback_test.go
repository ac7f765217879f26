package worker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// What was put back is told while it cannot be seen: what it is, why, and until when.
func TestPutBack_IsTold(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, slowUntil(nil), healthCall.With(healthCaller))
		w.Eventually(soon, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
		for range 3 {
			launch(t, w, healthCall, "nobody")
		}
		lost := launch(t, w, healthLost, "x")
		w.Put(&wire.Message{
			Event:  &history.TaskCompleted{Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, TaskID: 7},
			Target: history.Instance{InstanceID: "early", ExecutionID: "e"},
		}, 0)
		pass(t, w, 40*time.Second)
		var h taskhub.WorkerHealth
		w.Eventually(time.Minute, "all are hidden", func() bool { h = m.Health(); return len(h.PutBack) >= 5 })
		for _, name := range h.Unknown {
			want := map[string]int{"HealthNobody": 3, "HealthLost": 1}[name.Name]
			if name.Messages != want || !name.NextTry.After(h.At) || name.NextTry.After(h.At.Add(2*time.Minute)) {
				t.Errorf("unknown %+v at %v", name, h.At)
			}
		}
		find := func(instance string) taskhub.PutBack {
			at := slices.IndexFunc(h.PutBack, func(b taskhub.PutBack) bool { return b.InstanceID == instance })
			if at < 0 {
				t.Fatalf("nothing for %s in %+v", instance, h.PutBack)
			}
			return h.PutBack[at]
		}
		if b := find(lost.ID()); b.Name != "HealthLost" || b.Kind != "ExecutionStarted" || !strings.Contains(b.Reason, "is not bound") || b.Deliveries < 3 {
			t.Errorf("%+v", b)
		}
		if b := find("early"); b.Kind != "TaskCompleted" || b.Reason != "there is no such instance yet" || !b.Until.After(h.At) || b.Sent.IsZero() {
			t.Errorf("%+v", b)
		}
		if !slices.IsSortedFunc(h.PutBack, func(a, b taskhub.PutBack) int { return a.Until.Compare(b.Until) }) {
			t.Errorf("not in order: %+v", h.PutBack)
		}
		pass(t, w, time.Minute)
		health, err := w.Hub.Health(w.Context())
		check(t, err)
		if q := health.WorkItems; q.Messages != 3 || q.Oldest.IsZero() || q.Deliveries < 3 {
			t.Errorf("work items %+v", q)
		}
		// Whoever looks at the instance is told, too.
		w.Eventually(2*time.Minute, "it is told", func() bool {
			d, err := w.Client.Diagnose(w.Context(), lost.ID())
			check(t, err)
			return slices.ContainsFunc(d.Waits, func(wait taskhub.Wait) bool {
				return wait.Kind == taskhub.WaitMessage && wait.Due.After(d.At) &&
					strings.HasPrefix(wait.Text, `an ExecutionStarted ("HealthLost") for it was put back until `) && strings.Contains(wait.Text, "is not bound")
			})
		})
	})
}

// News of trouble is reported within seconds, and no more often than every ten.
func TestReport_EarlyForTrouble(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(nil, healthCall.With(healthCaller))
		w.Eventually(soon, "it owns all", func() bool { return len(m.Health().Partitions) == 4 })
		pass(t, w, 20*time.Second)
		told := func() int {
			if r := reportsOf(t, w); len(r) == 1 {
				return len(r[0].Unknown)
			}
			return 0
		}
		launch(t, w, healthLost, "x")
		pass(t, w, 4*time.Second)
		if told() != 1 {
			t.Errorf("%d names are told after 4 s", told())
		}
		launch(t, w, orchestration.Declare[string, string]("HealthOther"), "x")
		pass(t, w, 4*time.Second)
		if told() != 1 {
			t.Errorf("another report after 4 s")
		}
		pass(t, w, 8*time.Second)
		if told() != 2 {
			t.Errorf("%d names are told after 12 s", told())
		}
	})
}
