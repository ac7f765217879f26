package partition_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/partition"
)

func TestManager_OneWorkerTakesAll_M03(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(5*time.Second, "a owns 4", each(4, a))
		w.always(2*time.Minute, "a owns 4", each(4, a))
	})
}

func TestManager_Balances_M04(t *testing.T) {
	t.Parallel()
	t.Run("two", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			a, b := w.join("a", nil), w.join("b", nil)
			w.await(30*time.Second, "2+2", each(2, a, b))
			w.always(time.Minute, "2+2", each(2, a, b))
		})
	})
	t.Run("four", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			a, b, c, d := w.join("a", nil), w.join("b", nil), w.join("c", nil), w.join("d", nil)
			w.await(30*time.Second, "1+1+1+1", each(1, a, b, c, d))
			w.always(time.Minute, "1+1+1+1", each(1, a, b, c, d))
			for _, m := range []*member{a, b, c, d} {
				if m.causedBy(partition.ErrLost) {
					t.Errorf("%s lost a partition instead of handing it over", m.name)
				}
			}
		})
	})
}

func TestManager_OneThenThreeMore_M05(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(5*time.Second, "a owns 4", each(4, a))
		b, c, d := w.join("b", nil), w.join("c", nil), w.join("d", nil)
		w.await(30*time.Second, "1+1+1+1", each(1, a, b, c, d))
	})
}

func TestManager_MoreWorkersThanPartitions_M06(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a, b, c, d := w.join("a", nil), w.join("b", nil), w.join("c", nil), w.join("d", nil)
		w.await(30*time.Second, "1+1+1+1", each(1, a, b, c, d))
		for _, name := range []string{"e", "f", "g", "h"} {
			w.join(name, nil)
		}
		before := owners(w.rows())
		w.always(time.Minute, "nothing moves", func() bool {
			for i, now := range owners(w.rows()) {
				if now != before[i] {
					return false
				}
			}
			return true
		})
	})
}

func TestManager_GracefulLeave_M07(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a, b, c, d := w.join("a", nil), w.join("b", nil), w.join("c", nil), w.join("d", nil)
		w.await(30*time.Second, "1+1+1+1", each(1, a, b, c, d))
		d.leaveHub(5 * time.Second)
		w.await(12*time.Second, "d's partition is read again", func() bool {
			return w.readBy("a")+w.readBy("b")+w.readBy("c") == 4
		})
		b.leaveHub(5 * time.Second)
		c.leaveHub(5 * time.Second)
		w.await(12*time.Second, "a owns 4", each(4, a))
	})
}

func TestManager_Kill_M08(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		killed int
	}{{"one of four", 1}, {"three of four", 3}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4)
				all := []*member{w.join("a", nil), w.join("b", nil), w.join("c", nil), w.join("d", nil)}
				w.await(30*time.Second, "1+1+1+1", each(1, all...))
				for _, m := range all[:tt.killed] {
					m.kill()
				}
				took := w.await(40*time.Second, "the others own all", func() bool {
					owned := 0
					for _, m := range all[tt.killed:] {
						owned += w.readBy(m.name)
					}
					return owned == 4
				})
				t.Log("taken over after", took)
				for _, m := range all[:tt.killed] {
					if !m.causedBy(partition.ErrLost) {
						t.Errorf("%s was not told that it lost its partition", m.name)
					}
				}
			})
		})
	}
}

// The lease loop of a stalls without its process noticing. When it comes back, it neither reads
// nor retakes what it had.
func TestManager_ZombieOwner_M10(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(5*time.Second, "a owns 4", each(4, a))
		a.kill()
		b := w.join("b", nil)
		w.await(40*time.Second, "b owns 4", each(4, b))
		a.hook.Store(nil)
		w.await(30*time.Second, "2+2, by hand-over", each(2, a, b))
		if b.causedBy(partition.ErrLost) {
			t.Error("a took a partition without asking")
		}
	})
}

// A process dies and starts again with its worker id before the leases expire.
func TestManager_RestartWithLiveLease_M11(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(5*time.Second, "a owns 4", each(4, a))
		since := w.rows()[0].OwnedSince
		a.kill()
		w.await(30*time.Second, "the old process reads no more", func() bool { return w.readBy("a") == 0 })
		again := w.join("a", nil)
		w.await(time.Second, "a reads 4 again", each(4, again))
		if got := w.rows()[0].OwnedSince; !got.Equal(since) {
			t.Errorf("OwnedSince moved from %v to %v: it was claimed anew", since, got)
		}
	})
}

func TestManager_ScaleOutAndBack_M12(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(5*time.Second, "4", each(4, a))
		b := w.join("b", nil)
		w.await(30*time.Second, "2+2", each(2, a, b))
		c, d := w.join("c", nil), w.join("d", nil)
		w.await(30*time.Second, "1+1+1+1", each(1, a, b, c, d))
		d.leaveHub(5 * time.Second)
		c.leaveHub(5 * time.Second)
		w.await(30*time.Second, "2+2", each(2, a, b))
		b.leaveHub(5 * time.Second)
		w.await(30*time.Second, "4", each(4, a))
		a.leaveHub(5 * time.Second)
		for _, row := range w.rows() {
			if row.CurrentOwner != "" || row.NextOwner != "" || row.Draining {
				t.Errorf("row is not free: %+v", row)
			}
		}
	})
}

func TestManager_RunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 1", each(1, a))
		if err := a.Run(t.Context()); !errors.Is(err, partition.ErrRun) {
			t.Errorf("Run while running: %v", err)
		}
		a.leaveHub(5 * time.Second)
		if err := a.Run(t.Context()); !errors.Is(err, partition.ErrRun) {
			t.Errorf("Run after stop: %v", err)
		}
		w.always(time.Minute, "a reads nothing", each(0, a))
	})
}

func TestManager_StopsBeforeItStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		a.leaveHub(time.Second)
		for _, row := range w.rows() {
			if row.CurrentOwner != "" {
				t.Errorf("row is not free: %+v", row)
			}
		}
	})
}

func TestNew_Validates(t *testing.T) {
	t.Parallel()
	serve := func(context.Context, <-chan struct{}, string, *partition.Heartbeat) error { return nil }
	store := struct{ partition.Store }{}
	for _, tt := range []struct {
		name  string
		store partition.Store
		opts  *partition.Options
		ok    bool
	}{
		{"defaults", store, &partition.Options{WorkerID: "a", Serve: serve}, true},
		{"no store", nil, &partition.Options{WorkerID: "a", Serve: serve}, false},
		{"no options", store, nil, false},
		{"no worker id", store, &partition.Options{Serve: serve}, false},
		{"no serve", store, &partition.Options{WorkerID: "a"}, false},
		{"short lease", store, &partition.Options{
			WorkerID: "a", Serve: serve, LeaseDuration: 12 * time.Second,
		}, true},
		{"rare passes", store, &partition.Options{
			WorkerID: "a", Serve: serve, AcquireInterval: 11 * time.Second,
		}, false},
		{"large margin", store, &partition.Options{WorkerID: "a", Serve: serve, Margin: 16 * time.Second}, false},
		{"negative", store, &partition.Options{WorkerID: "a", Serve: serve, StallAfter: -1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := partition.New(tt.store, tt.opts); (err == nil) != tt.ok {
				t.Errorf("error %v, want ok %v", err, tt.ok)
			}
		})
	}
}
