package partition_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/tablelease"
)

func fail(call *storage.Call, sentinel error, ambiguous bool) error {
	return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: sentinel, Ambiguous: ambiguous}
}

// writes reports whether a request writes the row of a partition, by itself or together with
// others; of any partition if id is empty.
func writes(call *storage.Call, id string) bool {
	operations, _ := call.Content.([]storage.Operation)
	return slices.ContainsFunc(operations, func(o storage.Operation) bool { return id == "" || o.Row.RowKey == id })
}

func TestManager_SurvivesShortOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a, b := w.join("a", nil), w.join("b", nil)
		w.await(30*time.Second, "2+2", each(2, a, b))
		renewal := w.rows()[3].LastRenewal
		w.await(11*time.Second, "the next renewal", func() bool { return w.rows()[3].LastRenewal.After(renewal) })
		a.kill()
		b.kill()
		pass(20 * time.Second)
		a.hook.Store(nil)
		b.hook.Store(nil)
		w.await(30*time.Second, "2+2", each(2, a, b))
	})
}

// D-7: the context ends before the lease can expire, on the service's clock; afterwards everything
// is taken up again.
func TestManager_EndsBeforeExpiryInLongOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 4", each(4, a))
		pass(25 * time.Second)
		a.kill()
		w.await(30*time.Second, "a reads nothing", each(0, a))
		for _, row := range w.rows() {
			if left := time.Until(row.ExpiresAt); left < 2*time.Second || left > 6*time.Second {
				t.Errorf("%s was given up %v before its lease expires", row.ID, left)
			}
		}
		if !a.causedBy(partition.ErrLost) {
			t.Error("the cause is not ErrLost")
		}
		pass(90 * time.Second)
		a.hook.Store(nil)
		w.await(5*time.Second, "a owns 4 again", each(4, a))
	})
}

// One row whose writes always lose does not disturb the others, and does not cause a storm.
func TestManager_ConflictStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 4", each(4, a))
		var lists atomic.Int64
		a.fault(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			switch {
			case call.Kind == storage.TableQuery:
				lists.Add(1)
			case writes(call, w.ids[0]):
				return fail(call, storage.ErrPrecondition, false)
			}
			return next(ctx)
		})
		w.await(30*time.Second, "the row in the storm is lost", each(3, a))
		w.always(time.Minute, "the others are kept", each(3, a))
		if n := lists.Load(); n > 30 {
			t.Errorf("%d lists in 90 s", n)
		}
		a.hook.Store(nil)
		w.await(11*time.Second, "a owns 4 again", each(4, a))
	})
}

// The first reply to each kind of write on each row is lost after the write took effect.
func TestManager_LostReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		lossy := func(m *member, _ *partition.Options) {
			var calls atomic.Int64
			m.fault(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
				err := next(ctx)
				if writes(call, "") && err == nil && calls.Add(1)%2 == 1 {
					return fail(call, storage.ErrUnavailable, true)
				}
				return err
			})
		}
		a := w.join("a", lossy)
		w.await(5*time.Second, "a owns 4", each(4, a))
		b := w.join("b", lossy)
		w.await(30*time.Second, "2+2", each(2, a, b))
		w.always(2*time.Minute, "2+2", each(2, a, b))
		b.leaveHub(10 * time.Second)
		w.await(12*time.Second, "a owns 4", each(4, a))
	})
}

// A request that hangs holds up its row only, and not for long.
func TestManager_HangingWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", func(m *member, _ *partition.Options) {
			m.fault(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
				if writes(call, w.ids[1]) {
					return cutOff(ctx, call, next)
				}
				return next(ctx)
			})
		})
		w.await(time.Second, "a owns 3", each(3, a))
		w.always(2*time.Minute, "a owns 3", each(3, a))
	})
}

func TestManager_UnreadableRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		bad := storage.Row{RowKey: w.ids[1], Values: map[string]any{"IsDraining": "yes"}}
		if _, err := w.account.Tables.Replace(t.Context(), table, bad, storage.AnyETag); err != nil {
			t.Fatal(err)
		}
		a := w.join("a", nil)
		w.await(time.Second, "a owns 2", each(2, a))
		w.always(time.Minute, "a owns 2", each(2, a))
	})
}

// What a pass reads about its own rows ends their contexts at once.
func TestManager_RowSaysLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*partition.Lease)
		back   bool // whether it is free to be claimed again
	}{
		{"another owner", func(l *partition.Lease) { l.CurrentOwner = "thief" }, false},
		{"no owner", func(l *partition.Lease) { l.CurrentOwner = "" }, true},
		{"expired, as after a suspension of the machine", func(l *partition.Lease) {
			l.ExpiresAt = time.Now().Add(-time.Second)
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				a := w.join("a", nil)
				w.await(time.Second, "a owns it", each(1, a))
				row := w.rows()[0]
				tt.change(&row)
				if written, err := tablelease.New(w.account.Tables, table).Replace(t.Context(), row); written == nil || err != nil {
					t.Fatal(written, err)
				}
				w.await(11*time.Second, "a has ended it", func() bool { return a.causedBy(partition.ErrLost) })
				if tt.back {
					w.await(11*time.Second, "a owns it again", each(1, a))
				} else {
					w.always(15*time.Second, "a leaves it alone", each(0, a))
				}
			})
		})
	}
}

func TestManager_RowIsDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 2", each(2, a))
		if err := w.account.Tables.Delete(t.Context(), table, "", w.ids[0], storage.AnyETag); err != nil {
			t.Fatal(err)
		}
		w.await(11*time.Second, "a owns 1", each(1, a))
	})
}

// A stopping worker gives its reservations up, so that nobody waits for it.
func TestManager_WithdrawsReservations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 4", each(4, a))
		pass(time.Second)
		b := w.join("b", nil)
		w.await(time.Second, "b has reserved 2", func() bool {
			return w.rows()[0].NextOwner == "b" && w.rows()[1].NextOwner == "b"
		})
		b.leaveHub(time.Second)
		for _, row := range w.rows() {
			if row.CurrentOwner != "a" || row.NextOwner != "" {
				t.Errorf("row is not a's alone: %+v", row)
			}
		}
		w.always(30*time.Second, "a owns 4", each(4, a))
	})
}

// Nothing is released while storage is away; Run ends all the same.
func TestManager_StopsDuringOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 4", each(4, a))
		a.kill()
		a.leaveHub(70 * time.Second)
		b := w.join("b", nil)
		w.await(time.Second, "b owns 4", each(4, b))
	})
}

func TestManager_ServeFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fail func() error
	}{
		{"error", func() error { return errors.New("no queue") }},
		{"no error", func() error { return nil }},
		{"panic", func() error { panic("bug") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				var calls atomic.Int64
				a := w.join("a", func(m *member, o *partition.Options) {
					o.Serve = func(own context.Context, drain <-chan struct{}, id string, h *partition.Heartbeat) error {
						if calls.Add(1) <= 12 {
							return tt.fail()
						}
						return m.read(own, drain, id, h)
					}
				})
				w.await(time.Second, "a owns it", func() bool { return len(a.Owned()) == 1 })
				b := w.join("b", nil)
				took := w.await(3*time.Minute, "it is served in the end", each(1, a))
				if took < 30*time.Second {
					t.Errorf("12 failures took %v only", took)
				}
				w.always(time.Minute, "a keeps it", func() bool { return a.owns(1) && b.owns(0) })
			})
		})
	}
}
