package partition_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
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
		// 60 s until it counts as stalled, 15 s to end in order, 5 s of grace, 30 s until the lease expires.
		w.await(125*time.Second, "b reads what a does not", func() bool {
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

// mute is a Serve of which one queue does not answer for as long as on is set. It drains in order.
func mute(index int, on *atomic.Bool) func(*member, *partition.Options) {
	return func(m *member, o *partition.Options) {
		o.Serve = func(own context.Context, drain <-chan struct{}, id string, h *partition.Heartbeat) error {
			if id != m.w.ids[index] || !on.Load() {
				return m.read(own, drain, id, h)
			}
			h.Miss(errors.New("no answer"))
			select {
			case <-own.Done():
				return m.ended(own)
			case <-drain:
				return nil
			}
		}
	}
}

// A partition that cannot be read is dropped, and others come first.
func TestManager_StalledIsLeftToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		var on atomic.Bool
		on.Store(true)
		a := w.join("a", mute(1, &on))
		w.await(time.Second, "a reads one", func() bool { return len(a.Owned()) == 2 && w.readBy("a") == 1 })
		b := w.join("b", nil)
		w.await(20*time.Second, "b has taken the other one", each(1, b))
		took := w.await(80*time.Second, "each reads what it can", func() bool { return w.rows()[1].CurrentOwner == "b" && each(1, a, b)() })
		if took < 39*time.Second {
			t.Errorf("it was dropped after %v", took)
		}
		w.always(10*time.Minute, "that stays so", each(1, a, b))
		if a.Stalls()[w.ids[1]] != 1 || len(b.Stalls()) != 0 || len(a.causes) != 0 {
			t.Errorf("stalls %v and %v, causes %v", a.Stalls(), b.Stalls(), a.causes)
		}
	})
}

// Without others, the worker takes it again, and as often as it takes.
func TestManager_StalledIsTakenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		var on atomic.Bool
		on.Store(true)
		var told atomic.Int64
		a := w.join("a", func(m *member, o *partition.Options) {
			mute(0, &on)(m, o)
			o.OnStall = func(id string) {
				if id != w.ids[0] {
					t.Errorf("%s has stalled", id)
				}
				told.Add(1)
			}
		})
		w.await(150*time.Second, "it has stalled twice", func() bool { return a.Stalls()[w.ids[0]] == 2 })
		on.Store(false)
		w.await(22*time.Second, "it is read", each(2, a)) // two looks at the rows
		if len(a.Stalls()) != 1 || told.Load() != 2 {
			t.Errorf("stalls %v, told %d", a.Stalls(), told.Load())
		}
	})
}

// An outage in which not even the leases can be reached is no stall, however long they last, and neither is
// its end.
func TestManager_OutageIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var on atomic.Bool
		a := w.join("a", func(m *member, o *partition.Options) {
			o.LeaseDuration, o.AcquireInterval = time.Hour, 10*time.Second
			o.Serve = func(own context.Context, drain <-chan struct{}, id string, h *partition.Heartbeat) error {
				w.enter(id, m.name)
				defer w.leave(id)
				for {
					select {
					case <-own.Done():
						return nil
					case <-drain:
						return nil
					case <-time.After(30 * time.Second):
						if !on.Load() {
							h.Beat()
						}
					}
				}
			}
		})
		w.await(time.Second, "a owns it", each(1, a))
		on.Store(true)
		a.kill()
		pass(5 * time.Minute)
		a.fault(func(ctx context.Context, _ *storage.Call, next func(context.Context) error) error { return next(ctx) })
		pass(25 * time.Second)
		on.Store(false)
		w.always(2*time.Minute, "a keeps it", each(1, a))
		if len(a.Stalls()) != 0 {
			t.Errorf("stalls %v", a.Stalls())
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
