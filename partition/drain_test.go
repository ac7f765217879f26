package partition_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/partition"
)

// live reports whether all leases have time left: renewal goes on while Serve drains.
func (w *world) live() bool {
	for _, row := range w.rows() {
		if row.Expired(time.Now()) {
			return false
		}
	}
	return true
}

func TestManager_DrainRespectsRunningWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", func(m *member, _ *partition.Options) { m.finish = 45 * time.Second })
		w.await(time.Second, "a owns 4", each(4, a))
		b := w.join("b", nil)
		took := w.await(time.Minute, "2+2", func() bool {
			if !w.live() {
				t.Fatal("a lease expired during the drain")
			}
			return each(2, a, b)()
		})
		if took < 45*time.Second {
			t.Errorf("b took over after %v, before the work was done", took)
		}
		if len(a.causes) > 0 {
			t.Errorf("a's contexts ended with %v", a.causes)
		}
	})
}

func TestManager_StopDrainsInParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", func(m *member, _ *partition.Options) { m.finish = 40 * time.Second })
		w.await(time.Second, "a owns 4", each(4, a))
		b := w.join("b", func(m *member, _ *partition.Options) { m.finish = 0 })
		pass(100 * time.Millisecond)
		start := time.Now()
		a.stop()
		w.await(55*time.Second, "b owns 4", func() bool {
			if !w.live() {
				t.Fatal("a lease expired during the drain")
			}
			return b.owns(4)
		})
		a.leaveHub(time.Second)
		if took := time.Since(start); took > 45*time.Second {
			t.Errorf("the hand-over took %v", took)
		}
		if len(a.causes) > 0 {
			t.Errorf("a's contexts ended with %v", a.causes)
		}
	})
}

func TestManager_DrainTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		a := w.join("a", func(m *member, _ *partition.Options) { m.finish = time.Hour })
		w.await(time.Second, "a owns 2", each(2, a))
		b := w.join("b", nil)
		took := w.await(80*time.Second, "1+1", each(1, a, b))
		if took < time.Minute || !a.causedBy(partition.ErrDrainTimeout) {
			t.Errorf("handed over after %v, causes %v", took, a.causes)
		}
	})
}

// hung is a Serve that does not look at its context until it is let go.
func hung(letGo <-chan struct{}, calls *atomic.Int64) func(*member, *partition.Options) {
	return func(m *member, o *partition.Options) {
		o.Serve = func(own context.Context, drain <-chan struct{}, id string, h *partition.Heartbeat) error {
			if id != m.w.ids[0] {
				return m.read(own, drain, id, h)
			}
			calls.Add(1)
			<-letGo
			return errors.New("let go")
		}
	}
}

// A reader that hangs blocks neither the other partitions nor, in the end, its own.
func TestManager_StalledForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		letGo := make(chan struct{})
		defer close(letGo)
		var calls atomic.Int64
		a := w.join("a", hung(letGo, &calls))
		w.await(time.Second, "a owns both and reads one", func() bool {
			return len(a.Owned()) == 2 && w.readBy("a") == 1 && calls.Load() == 1
		})
		w.join("b", nil)
		// 60 s until it counts as stalled, 5 s of grace, 30 s until the lease expires.
		w.await(110*time.Second, "b reads what a does not", func() bool {
			return w.rows()[0].CurrentOwner == "b" && w.readBy("b") >= 1
		})
		if calls.Load() != 1 {
			t.Errorf("a served %d times", calls.Load())
		}
		if got := a.Stalls(); len(got) != 1 || got[w.ids[0]] != 1 {
			t.Errorf("stalls %v", got)
		}
		w.always(time.Minute, "both are read", func() bool { return w.readBy("a")+w.readBy("b") == 2 })
	})
}

func TestManager_StalledIsServedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var cause atomic.Value
		var calls atomic.Int64
		a := w.join("a", func(m *member, o *partition.Options) {
			o.Serve = func(own context.Context, drain <-chan struct{}, id string, h *partition.Heartbeat) error {
				if calls.Add(1) == 1 {
					<-own.Done()
					cause.Store(context.Cause(own))
					return nil
				}
				return m.read(own, drain, id, h)
			}
		})
		w.await(time.Second, "a owns it", func() bool { return len(a.Owned()) == 1 })
		b := w.join("b", nil)
		took := w.await(70*time.Second, "it is served again", each(1, a))
		if took < time.Minute {
			t.Errorf("it was cut off after %v", took)
		}
		if err, _ := cause.Load().(error); !errors.Is(err, partition.ErrStalled) {
			t.Errorf("cause %v", err)
		}
		w.always(time.Minute, "a keeps it", func() bool { return a.owns(1) && b.owns(0) })
		if a.Stalls()[w.ids[0]] != 1 || len(b.Stalls()) != 0 {
			t.Errorf("stalls %v and %v", a.Stalls(), b.Stalls())
		}
	})
}

func TestManager_StopWithHungReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		letGo := make(chan struct{})
		defer close(letGo)
		var calls atomic.Int64
		a := w.join("a", hung(letGo, &calls))
		w.await(time.Second, "a owns both and reads one", func() bool {
			return len(a.Owned()) == 2 && w.readBy("a") == 1
		})
		b := w.join("b", nil)
		a.leaveHub(70 * time.Second)
		w.await(40*time.Second, "b owns 2", each(2, b))
	})
}

func TestManager_Owned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		a := w.join("a", func(m *member, _ *partition.Options) { m.finish = 10 * time.Second })
		w.await(time.Second, "a owns 2", each(2, a))
		pass(5500 * time.Millisecond)
		for i, status := range a.Owned() {
			if status.ID != w.ids[i] || status.Draining || time.Since(status.LastBeat) > time.Second ||
				time.Since(status.Since) < 5*time.Second || time.Since(status.LastRenewal) > 10*time.Second {
				t.Errorf("status %+v", status)
			}
		}
		a.stop()
		w.await(time.Second, "both drain", func() bool {
			owned := a.Owned()
			return len(owned) == 2 && owned[0].Draining && owned[1].Draining
		})
	})
}
