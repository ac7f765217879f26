package fault_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fault"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/worker"
)

// onWorkers makes only the workers meet faults.
func (f *fleet) onWorkers(rules ...fault.Rule) {
	for _, faults := range f.transports[:members] {
		faults.Use(rules...)
	}
}

// conflicts returns how many turns met a history that had moved on.
func (f *fleet) conflicts() (n int64) {
	for _, w := range f.workers {
		n += w.Stats().Conflicts
	}
	return n
}

// TestHistory_NoReply_H2 lets no worker ever hear that a transaction of a history has succeeded. Each
// of them is found to have, nothing is done a second time.
func TestHistory_NoReply_H2(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Fault{fault.LostReply, fault.CutReply, fault.LateTimeout} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			// With the default visibility nothing is delivered twice because a machine is slow.
			atRealFleet(t, &worker.Options{MaxPollInterval: time.Second}, func(t *testing.T, f *fleet) {
				f.onWorkers(fault.Rule{Fault: kind, Kinds: []storage.Kind{storage.TableTransact}})
				longer := job{name: chain.Name(), id: "longer", input: 12, want: squares(12), status: history.Completed}
				f.run(append(jobs(), longer))
				f.settle()
				// On a slow machine requests are sent again although they have succeeded.
				again := f.meter.Counts()[storage.Retry]
				if repeated, all := f.runs.repeated(); len(repeated) > int(again) || all == 0 {
					t.Errorf("of %d activity runs these were repeated: %v; %d requests were sent again", all, repeated, again)
				}
				if n := f.conflicts(); n > again {
					t.Errorf("%d turns were refused; %d requests were sent again", n, again)
				}
				if n := f.count(kind); n < 40 {
					t.Errorf("only %d transactions were %s", n, kind)
				}
			})
		})
	}
}

// TestPut_NoReply lets the reply to every fourth put be lost, so that the SDK puts the message twice.
// Activities may run twice then; events take effect once.
func TestPut_NoReply(t *testing.T) {
	t.Parallel()
	atRealFleet(t, quick(), func(t *testing.T, f *fleet) {
		f.use(fault.Rule{Fault: fault.LostReply, Kinds: []storage.Kind{storage.QueuePut}, Every: 4})
		f.run(jobs())
		f.settle()
		if f.count(fault.LostReply) < 5 {
			t.Errorf("only %d replies were lost", f.count(fault.LostReply))
		}
	})
}

// TestUnmet_Bursts answers the conditional writes of the workers by bursts of 412, longer than they
// try anything. No work is lost.
func TestUnmet_Bursts(t *testing.T) {
	t.Parallel()
	atRealFleet(t, quick(), func(t *testing.T, f *fleet) {
		burst := func(kind storage.Kind) fault.Rule {
			return fault.Rule{Fault: fault.Unmet, Kinds: []storage.Kind{kind}, Every: 10, Burst: 7, First: 14}
		}
		f.onWorkers(burst(storage.TableTransact), burst(storage.TableMerge))
		f.run(jobs())
		f.settle()
		if f.count(fault.Unmet) < 20 || f.conflicts() == 0 {
			t.Errorf("%d conditions were unmet, %d turns refused", f.count(fault.Unmet), f.conflicts())
		}
	})
}

// TestBusy_LeasesStay keeps everything but the leases waiting for longer than a lease lasts, and every
// third request about the leases for a second. The workers keep their partitions all the while,
// and work on as soon as they may.
func TestBusy_LeasesStay(t *testing.T) {
	t.Parallel()
	const lease = 9 * time.Second
	opts := quick()
	opts.LeaseDuration, opts.AcquireInterval = lease, lease/3
	atRealFleet(t, opts, func(t *testing.T, f *fleet) {
		f.run(jobs()[:1])
		f.shared()
		begin := f.leases()
		leases := func(r fault.Request) bool { return strings.HasSuffix(r.Target, "Partitions") }
		f.onWorkers(
			fault.Rule{Fault: fault.Busy, Match: leases, Every: 3, Delay: time.Second},
			fault.Rule{Fault: fault.Busy, Delay: 2 * time.Second, Match: func(r fault.Request) bool {
				return !leases(r) && r.Kind != storage.BlobLease
			}})
		var group run.Group
		group.Go(f.Context(), "user", func(context.Context) { f.run(jobs()[1:]) })
		run.Sleep(f.Context(), lease+time.Second)
		end := f.leases()
		for id, before := range begin {
			after := end[id]
			if after.CurrentOwner != before.CurrentOwner || !after.OwnedSince.Equal(before.OwnedSince) || !after.LastRenewal.After(before.LastRenewal) {
				t.Errorf("lease %s before: %+v, after: %+v", id, before, after)
			}
		}
		if f.count(fault.Busy) == 0 {
			t.Error("nothing was busy")
		}
		f.calm()
		group.Wait()
		f.settle()
	})
}

// atRealFleet runs a test on Azurite with a fleet that meets no faults yet.
func atRealFleet(t *testing.T, opts *worker.Options, test func(t *testing.T, f *fleet)) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real time; -short is set")
	}
	fleettest.Real(t, false, func(t *testing.T, w *fleettest.World) {
		f := newFleet(t, w, 0, opts)
		defer f.calm()
		test(t, f)
		f.report()
	})
}

// leases returns the rows of the partitions.
func (f *fleet) leases() map[string]wire.Partition {
	f.T.Helper()
	rows, _, err := storage.All(f.Context(), f.Account.Tables, f.Hub.Store().Names.PartitionsTable(), storage.Query{})
	if err != nil {
		f.T.Fatal(err)
	}
	leases := map[string]wire.Partition{}
	for _, row := range rows {
		if leases[row.RowKey], err = wire.DecodePartition(row.RowKey, row.Values); err != nil {
			f.T.Fatal(err)
		}
	}
	return leases
}

// shared waits until each worker serves two of the four partitions.
func (f *fleet) shared() {
	f.T.Helper()
	f.Eventually(time.Minute, "the partitions are shared", func() bool {
		for _, w := range f.workers {
			owned := w.Stats().Partitions
			if len(owned) != f.Hub.Partitions()/members {
				return false
			}
			if slices.ContainsFunc(owned, func(s partition.Status) bool { return s.Draining }) {
				return false
			}
		}
		return true
	})
}
