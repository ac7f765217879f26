package partition_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/partition"
)

func TestDecide_Balance(t *testing.T) {
	t.Parallel()
	type owner = [2]string // current, next
	for _, tt := range []struct {
		name string
		rows []owner
		want []string
	}{
		{"alone", []owner{{me}, {me}}, nil},
		{"newcomer takes half", []owner{{amy}, {amy}, {amy}, {amy}}, []string{"q0", "q1"}},
		{"newcomer takes a third, rounded down", []owner{{amy}, {amy}, {bob}, {bob}}, []string{"q0"}},
		{"at the average", []owner{{me}, {me}, {amy}, {amy}}, nil},
		{"remainder is left alone", []owner{{me}, {amy}, {amy}}, nil},
		{"two above the average, and equal", []owner{{me}, {amy}, {amy}, {amy}, {bob}}, []string{"q1"}},
		{"above the average", []owner{{me}, {me}, {amy}}, nil},
		{"more workers than partitions (M06)", []owner{{amy}, {bob}}, nil},
		{"reserved by me counts for me", []owner{{amy, me}, {amy, me}, {amy}, {amy}}, nil},
		{"reserved by another counts for that one", []owner{{amy, bob}, {amy, bob}, {amy}, {amy}}, []string{"q2"}},
		{"most loaded first", []owner{{amy}, {amy}, {bob}, {bob}, {bob}, {bob}}, []string{"q2", "q3"}},
		{"spread over several", []owner{{amy}, {amy}, {amy}, {bob}, {bob}, {bob}, {"x"}, {"x"}}, []string{"q0", "q3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			view := partition.View{
				Now: noon, Worker: me, Duration: 30 * time.Second, RenewAfter: time.Minute,
				Holds: map[string]partition.Hold{},
			}
			for i, r := range tt.rows {
				lease := owned(r[0], r[1], false)
				lease.ID = fmt.Sprintf("q%d", i)
				view.Leases = append(view.Leases, lease)
				if r[0] == me {
					view.Holds[lease.ID] = partition.Serving
				}
			}
			var got []string
			for _, step := range partition.Decide(view) {
				if step.Kind != partition.Steal || step.Lease.NextOwner != me {
					t.Errorf("step %+v is no steal", step)
				}
				got = append(got, step.Lease.ID)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("stolen (-want +got):\n%s", diff)
			}
		})
	}
}

// hub is a model of a hub's table and its workers, with time moved by hand.
type hub struct {
	now     time.Time
	rows    []partition.Lease
	workers []*peer
}

// peer is a worker in the model. It reads and writes in two separate moves, so that others come in
// between.
type peer struct {
	name     string
	read     []partition.Lease
	readAt   time.Time
	holds    map[string]partition.Hold
	deadline map[string]time.Time
	stopping bool
}

func newHub(partitions, workers int) *hub {
	h := &hub{now: noon}
	for i := range partitions {
		h.rows = append(h.rows, partition.Lease{ID: fmt.Sprintf("q%02d", i), Version: "0"})
	}
	for i := range workers {
		h.workers = append(h.workers, &peer{
			name: fmt.Sprintf("w%02d", i), holds: map[string]partition.Hold{}, deadline: map[string]time.Time{},
		})
	}
	return h
}

// tick moves the time and ends what can no longer be proven to be owned.
func (h *hub) tick(d time.Duration) {
	h.now = h.now.Add(d)
	for _, w := range h.workers {
		for id, deadline := range w.deadline {
			if !h.now.Before(deadline) {
				w.drop(id)
			}
		}
	}
}

func (w *peer) drop(id string) {
	delete(w.holds, id)
	delete(w.deadline, id)
}

func (h *hub) readBy(w *peer) {
	w.read, w.readAt = slices.Clone(h.rows), h.now
	for _, r := range h.rows {
		if r.CurrentOwner != w.name {
			w.drop(r.ID)
		}
	}
}

// writeBy carries out what w decides on what it has read. A reader that was told to drain is gone
// by the next pass.
func (h *hub) writeBy(w *peer) {
	drained := slices.Collect(maps.Keys(w.holds))
	steps := partition.Decide(partition.View{
		Now: w.readAt, Worker: w.name, Leases: w.read, Holds: w.holds, ShuttingDown: w.stopping,
		Duration: 30 * time.Second, RenewAfter: 5 * time.Second,
	})
	for _, step := range steps {
		h.write(w, step)
	}
	for _, id := range drained {
		if w.holds[id] == partition.Draining {
			w.drop(id)
		}
	}
}

func (h *hub) write(w *peer, step partition.Step) {
	id := step.Lease.ID
	if step.Kind == partition.StartDrain && w.holds[id] == partition.Serving {
		w.holds[id] = partition.Draining
	}
	i := slices.IndexFunc(h.rows, func(r partition.Lease) bool { return r.ID == id })
	if h.rows[i].Version != step.Lease.Version {
		return
	}
	h.rows[i] = step.Lease
	h.rows[i].Version += "'"
	h.rows[i].Written = h.now
	switch step.Kind {
	case partition.Claim, partition.Renew:
		if _, held := w.holds[id]; !held {
			w.holds[id] = partition.Serving
		}
		w.deadline[id] = w.readAt.Add(25 * time.Second)
	case partition.StartDrain:
		w.deadline[id] = w.readAt.Add(25 * time.Second)
	case partition.Release, partition.Steal, partition.Withdraw:
	}
}

// check fails if two workers hold a partition at once.
func (h *hub) check(t *rapid.T) {
	holder := map[string]string{}
	for _, w := range h.workers {
		for id := range w.holds {
			if other, taken := holder[id]; taken {
				t.Fatalf("%s is held by %s and %s at %v", id, other, w.name, h.now.Sub(noon))
			}
			holder[id] = w.name
		}
	}
}

func (h *hub) spread() (least, most int) {
	least = len(h.rows)
	for _, w := range h.workers {
		least, most = min(least, len(w.holds)), max(most, len(w.holds))
	}
	return least, most
}

func (h *hub) round(t *rapid.T) {
	for _, i := range rapid.Permutation(indices(len(h.workers))).Draw(t, "order") {
		h.readBy(h.workers[i])
		h.writeBy(h.workers[i])
		h.check(t)
	}
	h.tick(time.Second)
	h.check(t)
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// M04, M05, M06: whatever the numbers and the order, the load settles and then stays.
func TestDecide_SettlesEvenly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHub(rapid.IntRange(1, 16).Draw(t, "partitions"), rapid.IntRange(1, 25).Draw(t, "workers"))
		for range 12 {
			h.round(t)
		}
		least, most := h.spread()
		if most-least > 1 {
			t.Fatalf("%d partitions, %d workers: between %d and %d held", len(h.rows), len(h.workers), least, most)
		}
		before := owners(h.rows)
		for range 3 {
			h.round(t)
		}
		if diff := cmp.Diff(before, owners(h.rows)); diff != "" {
			t.Fatalf("ownership still moves:\n%s", diff)
		}
	})
}

func owners(rows []partition.Lease) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.CurrentOwner+">"+r.NextOwner)
	}
	return all
}

// M09: reads and writes of many workers interleave in any order, some stop, some fall silent for
// long: nobody ever holds what another one holds.
func TestDecide_NeverTwoHolders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHub(rapid.IntRange(1, 6).Draw(t, "partitions"), rapid.IntRange(2, 5).Draw(t, "workers"))
		for range rapid.IntRange(1, 150).Draw(t, "moves") {
			w := h.workers[rapid.IntRange(0, len(h.workers)-1).Draw(t, "worker")]
			switch rapid.IntRange(0, 9).Draw(t, "move") {
			case 0, 1, 2, 3:
				h.readBy(w)
			case 4, 5, 6, 7:
				// A pass that takes longer than a request may is over.
				if w.read != nil && h.now.Sub(w.readAt) < 4*time.Second {
					h.writeBy(w)
				}
				w.read = nil
			case 8:
				w.stopping = !w.stopping
			case 9:
				h.tick(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			}
			h.check(t)
			h.tick(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			h.check(t)
		}
	})
}
