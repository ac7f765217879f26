package partition_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/tablelease"
)

// dotnet is a model of a .NET 2.x worker with the table partition manager, weak spots included: it
// judges and writes times by its own clock, gives a pass up at the first lost race, and reads a
// queue after any write that is no renewal in a draining pass (early counts those reads).
type dotnet struct {
	name     string
	w        *world
	store    *tablelease.Store
	skew     time.Duration
	finish   time.Duration
	stop     chan struct{}
	killed   chan struct{}
	stopped  chan struct{}
	owned    map[string]bool
	drained  map[string]time.Time
	early    int
	draining bool // seen in the current pass
	waiting  bool
}

var errConflict = errors.New("412")

func (w *world) joinDotNet(name string, skew, finish time.Duration) *dotnet {
	d := &dotnet{
		name: name, w: w, store: tablelease.New(w.account.Tables, table), skew: skew, finish: finish,
		stop: make(chan struct{}), killed: make(chan struct{}), stopped: make(chan struct{}),
		owned: map[string]bool{}, drained: map[string]time.Time{},
	}
	go d.run()
	w.t.Cleanup(func() {
		select {
		case <-d.killed:
		default:
			close(d.killed)
		}
		<-d.stopped
	})
	return d
}

func (d *dotnet) run() {
	defer close(d.stopped)
	failures := 0
	stop := d.stop
	stopping := false
	for {
		err := d.pass(stopping)
		d.w.notify()
		wait := 10 * time.Second
		switch {
		case err != nil:
			if failures++; failures < 10 {
				wait = 0
			}
		case d.draining || d.waiting:
			failures, wait = 0, time.Second
		default:
			failures = 0
		}
		if stopping && err == nil && len(d.owned) == 0 {
			return
		}
		if stopping {
			wait = min(wait, time.Second)
		}
		select {
		case <-time.After(wait):
		case <-stop:
			stop, stopping = nil, true
		case <-d.killed:
			for id := range d.owned {
				d.lose(id)
			}
			return
		}
	}
}

func (d *dotnet) pass(stopping bool) error {
	listing, err := d.store.List(context.Background())
	if err != nil {
		return err
	}
	d.draining, d.waiting = false, false
	counts, mine := map[string]int{}, 0
	for i := range listing.Leases {
		row := &listing.Leases[i]
		if row.CurrentOwner != d.name {
			d.lose(row.ID)
		}
		if err := d.row(row, stopping); err != nil {
			return err
		}
		switch owner := row.NextOwner; {
		case owner == d.name, owner == "" && row.CurrentOwner == d.name:
			mine++
		case owner != "":
			counts[owner]++
		case row.CurrentOwner != "":
			counts[row.CurrentOwner]++
		}
	}
	if stopping {
		return nil
	}
	return d.balance(listing.Leases, counts, mine)
}

func (d *dotnet) now() time.Time { return time.Now().Add(d.skew) }

// row handles one row and leaves in it what it has become.
func (d *dotnet) row(row *partition.Lease, stopping bool) error {
	now := d.now()
	expired := !row.ExpiresAt.IsZero() && !now.Before(row.ExpiresAt)
	free := row.CurrentOwner == "" && (row.NextOwner == "" || row.NextOwner == d.name)
	renewed := false
	switch {
	case !stopping && (free || expired):
		row.CurrentOwner, row.NextOwner, row.Draining = d.name, "", false
		row.OwnedSince, row.LastRenewal, row.ExpiresAt = now, now, now.Add(30*time.Second)
	case row.CurrentOwner != d.name:
		d.waiting = d.waiting || row.NextOwner == d.name
		if stopping || row.NextOwner != "" || !row.Draining {
			return nil
		}
		row.NextOwner = d.name
		d.waiting = true
	case !stopping && row.NextOwner == "":
		row.LastRenewal, row.ExpiresAt, renewed = now, now.Add(30*time.Second), true
	default:
		renewed = d.drain(row)
	}
	return d.write(*row, renewed)
}

// drain is the drain step; it reports whether the row is renewed and not released.
func (d *dotnet) drain(row *partition.Lease) bool {
	done, running := d.drained[row.ID]
	switch {
	case !running:
		d.drained[row.ID] = time.Now().Add(d.finish)
		row.Draining = true
	case !time.Now().Before(done):
		delete(d.drained, row.ID)
		row.CurrentOwner, row.Draining = "", false
		return false
	}
	d.draining = true
	now := d.now()
	row.LastRenewal, row.ExpiresAt = now, now.Add(30*time.Second)
	return true
}

func (d *dotnet) write(row partition.Lease, renewed bool) error {
	if row.CurrentOwner != d.name && d.owned[row.ID] {
		d.lose(row.ID) // before the write: then the next owner may come at any time
	}
	written, err := d.store.Replace(context.Background(), row)
	if err != nil {
		return err
	}
	if written == nil {
		return errConflict
	}
	if row.CurrentOwner == d.name && !d.owned[row.ID] {
		d.owned[row.ID] = true
		d.w.enter(row.ID, d.name)
	}
	if row.CurrentOwner != d.name && (!renewed || !d.draining) {
		d.early++
	}
	return nil
}

func (d *dotnet) lose(id string) {
	if d.owned[id] {
		delete(d.owned, id)
		d.w.leave(id)
	}
}

func (d *dotnet) balance(rows []partition.Lease, counts map[string]int, mine int) error {
	average := len(rows) / (len(counts) + 1)
	if len(counts) == 0 || mine > average {
		return nil
	}
	for other, count := range counts {
		need := average - mine
		if need < 0 {
			return nil
		}
		if need == 0 && count-average >= 2 {
			need = 1
		}
		for _, row := range rows {
			if need == 0 || count <= average {
				break
			}
			if row.CurrentOwner != other || row.NextOwner != "" {
				continue
			}
			row.NextOwner = d.name
			if err := d.write(row, false); err != nil {
				return err
			}
			d.waiting = true
			need, count, mine = need-1, count-1, mine+1
		}
	}
	return nil
}

// Interop with the model of a .NET worker: each side joins and leaves while the other one runs.
func TestManager_SharesWithDotNet(t *testing.T) {
	t.Parallel()
	t.Run("we join and leave", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			w.joinDotNet("net", 0, 3*time.Second)
			w.await(time.Second, "net owns 4", func() bool { return w.readBy("net") == 4 })
			a := w.join("a", nil)
			w.await(30*time.Second, "2+2", func() bool { return a.owns(2) && w.readBy("net") == 2 })
			w.always(time.Minute, "2+2", func() bool { return a.owns(2) && w.readBy("net") == 2 })
			a.leaveHub(5 * time.Second)
			w.await(12*time.Second, "net owns 4", func() bool { return w.readBy("net") == 4 })
		})
	})
	t.Run("it joins and leaves", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			a := w.join("a", func(m *member, _ *partition.Options) { m.finish = 5 * time.Second })
			w.await(time.Second, "a owns 4", each(4, a))
			net := w.joinDotNet("net", 0, 12*time.Second)
			w.await(30*time.Second, "2+2", func() bool { return a.owns(2) && w.readBy("net") == 2 })
			close(net.stop)
			w.await(25*time.Second, "a owns 4", each(4, a))
			w.await(5*time.Second, "net has stopped", func() bool {
				select {
				case <-net.stopped:
					return true
				default:
					return false
				}
			})
			if net.early == 0 {
				t.Error("the model never read early: it is no model of .NET")
			}
			if a.causedBy(partition.ErrLost) {
				t.Error("a lost a partition")
			}
		})
	})
	t.Run("it is killed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			a := w.join("a", nil)
			net := w.joinDotNet("net", 0, 0)
			w.await(30*time.Second, "2+2", func() bool { return a.owns(2) && w.readBy("net") == 2 })
			close(net.killed)
			w.await(40*time.Second, "a owns 4", each(4, a))
		})
	})
}

// The local clock of a .NET peer is wrong: nobody is robbed, and a dead one is still replaced.
func TestManager_PeerWithWrongClock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		skew time.Duration
		// takeover is how long it may take to replace the peer.
		takeover time.Duration
	}{
		{"60s behind", -time.Minute, 40 * time.Second},
		{"25s behind", -25 * time.Second, 40 * time.Second},
		{"10s ahead", 10 * time.Second, 50 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4)
				a := w.join("a", nil)
				w.await(time.Second, "a owns 4", each(4, a))
				net := w.joinDotNet("net", tt.skew, time.Second)
				w.await(40*time.Second, "2+2", func() bool { return a.owns(2) && w.readBy("net") == 2 })
				w.always(5*time.Minute, "2+2", func() bool { return a.owns(2) && w.readBy("net") == 2 })
				if a.causedBy(partition.ErrLost) {
					t.Error("a lost a partition")
				}
				close(net.killed)
				w.await(tt.takeover, "a owns 4", each(4, a))
			})
		})
	}
}
