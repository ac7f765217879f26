//go:build unix

package chaos_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// exitLimit is how long a worker may take to stop: activities and turns are short here.
const exitLimit = 12 * time.Second

// A worker that is asked to stop in the middle of work ends without an error and hides no message
// from the fleet: another worker does not have to wait for anything.
func TestStop_HidesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, false)
	p := f.launch()
	f.eventually(30*time.Second, "the worker owns all", func() bool { return f.owners()[p.id] == f.hub.Partitions() })
	var jobs []job
	for i := range 60 {
		if j := jobOf(i); j.name != naps.Name() { // timers are hidden by nature
			f.start(j)
			jobs = append(jobs, j)
		}
	}
	f.eventually(30*time.Second, "work is under way", func() bool {
		return slices.ContainsFunc(f.queues(), func(l level) bool { return l.all > l.visible })
	})
	p.signal(syscall.SIGTERM)
	if code := p.exit(t, exitLimit); code != 0 {
		t.Errorf("the worker ended with exit code %d", code)
	}
	if owners := f.owners(); owners[""] != f.hub.Partitions() {
		t.Errorf("the partitions belong to %v", owners)
	}
	for _, l := range f.queues() {
		if l.visible < min(l.all, storage.MaxMessagesPerGet) {
			t.Errorf("of the %d messages in %s only %d are visible", l.all, l.queue, l.visible)
		}
	}
	f.launch()
	f.allEnd(jobs, time.Minute)
	f.drained(drainLimit)
	f.checkHistories()
}

// A worker that is frozen for longer than its lease, and goes on later, does no damage.
func TestFreeze_DoesNoDamage(t *testing.T) {
	t.Parallel()
	f := newFleet(t, true)
	frozen, other := f.launch(), f.launch()
	f.eventually(time.Minute, "both own two partitions", func() bool {
		owners := f.owners()
		return owners[frozen.id] == 2 && owners[other.id] == 2
	})
	jobs := f.startAll(0, 60)
	frozen.signal(syscall.SIGSTOP)
	f.eventually(30*time.Second, "the other worker owns all", func() bool {
		return f.owners()[other.id] == f.hub.Partitions()
	})
	jobs = append(jobs, f.startAll(len(jobs), 30)...)
	frozen.signal(syscall.SIGCONT)
	f.allEnd(jobs, time.Minute)
	f.drained(drainLimit)
	f.checkHistories()
	frozen.signal(syscall.SIGTERM)
	if code := frozen.exit(t, exitLimit); code != 0 {
		t.Errorf("the worker that was frozen ended with exit code %d", code)
	}
}

// drainLimit bounds how long messages without a purpose may circulate. An answer that comes too
// late, for a generation that is over, is given 6 deliveries, which takes 62 s.
const drainLimit = 100 * time.Second
