package worker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/partition/tablelease"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	bellWork  = activity.Declare[int, int]("BellWork")
	bellOne   = orchestration.Declare[int, int]("BellOne")
	bellEvent = orchestration.Declare[struct{}, int]("BellEvent")
	bellPair  = orchestration.Declare[string, int]("BellPair")
	bellTimer = orchestration.Declare[time.Duration, int64]("BellTimer")
)

func bellCall(ctx *orchestration.Context, n int) (int, error) {
	return orchestration.CallActivity(ctx, bellWork, n).Await()
}

func bellWait(ctx *orchestration.Context, _ struct{}) (int, error) {
	return orchestration.WaitForEvent(ctx, progSignal).Await()
}

func bellParent(ctx *orchestration.Context, child string) (int, error) {
	return orchestration.CallSubOrchestration(ctx, bellOne, 1, orchestration.InstanceID(child)).Await()
}

// bellSleep returns how late its timer is.
func bellSleep(ctx *orchestration.Context, d time.Duration) (int64, error) {
	due := ctx.Now().Add(d)
	_, err := ctx.TimerAt(due).Await()
	return int64(ctx.Now().Sub(due)), err
}

// ringing are the options of a worker with a doorbell, which polls rarely.
func ringing() *worker.Options {
	return &worker.Options{Doorbell: &worker.Doorbell{}, NoInline: true}
}

func bellBindings() []worker.Binding {
	return []worker.Binding{
		bellOne.With(bellCall), bellEvent.With(bellWait), bellPair.With(bellParent), bellTimer.With(bellSleep), bellWork.With(plusOne),
	}
}

// owners returns who owns the partitions, and how many can be rung.
func owners(t *testing.T, w *fleettest.World) (count map[string]int, bells int) {
	t.Helper()
	count = map[string]int{}
	listing, err := leasesOf(w).List(w.Context())
	check(t, err)
	for _, lease := range listing.Leases {
		if lease.CurrentOwner != "" && !lease.Expired(listing.Date) {
			count[lease.CurrentOwner]++
		}
		if lease.Doorbell != "" {
			bells++
		}
	}
	return count, bells
}

func leasesOf(w *fleettest.World) *tablelease.Store {
	return tablelease.New(w.Account.Tables, w.Hub.Store().Names.PartitionsTable())
}

// balanced waits until the workers have shared the partitions evenly.
func balanced(t *testing.T, w *fleettest.World, workers int) {
	t.Helper()
	w.Eventually(2*time.Minute, "the partitions are shared out", func() bool {
		count, _ := owners(t, w)
		return len(count) == workers && slices.Max(slices.Collect(maps.Values(count)))*workers < w.Hub.Partitions()+workers
	})
}

// idOf returns a new instance id in the partition of a number.
func idOf(w *fleettest.World, partition int, about string) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("%s-%d", about, i); w.Hub.PartitionOf(id) == partition {
			return id
		}
	}
}

// soonAfter checks that an instance has taken no longer than a moment from its creation to its end.
func soonAfter(t *testing.T, w *fleettest.World, id string, limit time.Duration) {
	t.Helper()
	reach(t, w, id, "Completed")
	if s := statusOf(t, w, id); s.LastUpdated.Sub(s.Created) > limit {
		t.Errorf("instance %s has taken %v", id, s.LastUpdated.Sub(s.Created))
	}
}

const moment = 300 * time.Millisecond

// In a fleet that has had nothing to do for long, a start, an event, the work items and their answers, and
// messages between partitions of different workers are taken at once.
func TestDoorbell_Wakes(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		for range 2 {
			w.Start(ringing(), bellBindings()...)
		}
		balanced(t, w, 2)
		client := w.RingingClient()
		for round := range 3 {
			pass(t, w, 5*time.Minute)
			id := idOf(w, round, "one")
			_, err := taskhub.Start(w.Context(), client, bellOne, 1, taskhub.InstanceID(id))
			check(t, err)
			soonAfter(t, w, id, moment)
			pass(t, w, 5*time.Minute)
			for other := range w.Hub.Partitions() {
				parent := idOf(w, round, fmt.Sprint("parent-", other))
				_, err = taskhub.Start(w.Context(), client, bellPair, idOf(w, other, parent), taskhub.InstanceID(parent))
				check(t, err)
				soonAfter(t, w, parent, moment)
			}
		}
		id := idOf(w, 1, "event")
		_, err := taskhub.Start(w.Context(), client, bellEvent, struct{}{}, taskhub.InstanceID(id))
		check(t, err)
		reach(t, w, id, "Running")
		pass(t, w, 5*time.Minute)
		raised := time.Now()
		check(t, taskhub.RaiseEvent(w.Context(), client, id, progSignal, 7))
		reach(t, w, id, "Completed")
		if s := statusOf(t, w, id); s.LastUpdated.Sub(raised) > moment {
			t.Errorf("the event was taken after %v", s.LastUpdated.Sub(raised))
		}
	})
}

// A lost ring costs one pause between polls, and nothing else.
func TestDoorbell_Lost(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Network.Drop = func(netip.AddrPort, []byte) bool { return true }
		w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		client := w.RingingClient()
		pass(t, w, 5*time.Minute)
		id := idOf(w, 0, "one")
		_, err := taskhub.Start(w.Context(), client, bellOne, 1, taskhub.InstanceID(id))
		check(t, err)
		soonAfter(t, w, id, 31*time.Second)
		if w.Network.Sent() == 0 {
			t.Error("nobody has rung")
		}
	})
}

// A worker with activities only has no row to publish an address in, so it polls more often; its answers
// ring all the same.
func TestDoorbell_ActivitiesOnly(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(ringing(), bellOne.With(bellCall))
		w.Start(ringing(), bellWork.With(plusOne))
		balanced(t, w, 1)
		client := w.RingingClient()
		pass(t, w, 5*time.Minute)
		id := idOf(w, 0, "one")
		_, err := taskhub.Start(w.Context(), client, bellOne, 1, taskhub.InstanceID(id))
		check(t, err)
		soonAfter(t, w, id, 5*time.Second+moment)
	})
}

// A stop costs a moment: the partitions are served again at once. So does a start.
func TestDoorbell_Stop(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		leaving := w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		pass(t, w, 5*time.Minute)
		w.Start(ringing(), bellBindings()...)
		w.Start(ringing(), bellBindings()...)
		began := time.Now()
		balanced(t, w, 3)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the new workers have had their share after %v", took)
		}
		pass(t, w, 5*time.Minute+3*time.Second)
		began = time.Now()
		check(t, leaving.Stop())
		balanced(t, w, 2)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the partitions are served again after %v", took)
		}
		client := w.RingingClient()
		for p := range w.Hub.Partitions() {
			id := idOf(w, p, "after")
			_, err := taskhub.Start(w.Context(), client, bellOne, 1, taskhub.InstanceID(id))
			check(t, err)
			soonAfter(t, w, id, moment)
		}
	})
}

// The address is there while the partition is owned, whatever others do to the row, and gone afterwards. It
// is new with every start, and never logged.
func TestDoorbell_Column(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		if _, bells := owners(t, w); bells != w.Hub.Partitions() {
			t.Errorf("%d partitions have an address", bells)
		}
		pass(t, w, time.Minute)
		// As a .NET worker does that writes the row.
		listing, err := leasesOf(w).List(w.Context())
		check(t, err)
		first := listing.Leases[0]
		if _, err := doorbell.ParseAddress(first.Doorbell); err != nil {
			t.Error(err)
		}
		text := first.Doorbell
		first.Doorbell = ""
		versions, err := leasesOf(w).Replace(w.Context(), first)
		if err != nil || versions == nil {
			t.Fatalf("the row was not written: %v", err)
		}
		pass(t, w, 21*time.Second)
		if _, bells := owners(t, w); bells != w.Hub.Partitions() {
			t.Errorf("%d partitions have an address after a renewal", bells)
		}
		check(t, m.Stop())
		if count, bells := owners(t, w); bells != 0 || len(count) != 0 {
			t.Errorf("%d partitions have an address of a worker that has stopped", bells)
		}
		w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		listing, err = leasesOf(w).List(w.Context())
		check(t, err)
		if again := listing.Leases[0].Doorbell; again == "" || strings.Fields(again)[1] == strings.Fields(text)[1] {
			t.Error("the secret is the same as that of the worker before")
		}
	})
}

// What an idle fleet costs a minute.
func TestDoorbell_IdleRequests(t *testing.T) {
	t.Parallel()
	for workers, limit := range map[int]int64{1: 26, 4: 66} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				var fleet []*fleettest.Member
				for range workers {
					fleet = append(fleet, w.Start(ringing(), bellBindings()...))
				}
				balanced(t, w, workers)
				pass(t, w, 5*time.Minute)
				before := requestsOf(fleet)
				const minutes = 20
				pass(t, w, minutes*time.Minute)
				var sum int64
				for kind, n := range requestsOf(fleet) {
					if n -= before[kind]; n > 0 {
						sum += n
						t.Logf("%-16s %.2f a minute", kind, float64(n)/minutes)
					}
				}
				if sum > limit*minutes {
					t.Errorf("%.1f requests a minute, want %d at most", float64(sum)/minutes, limit)
				}
			})
		})
	}
}

func requestsOf(fleet []*fleettest.Member) map[string]int64 {
	sum := map[string]int64{}
	for _, m := range fleet {
		for kind, n := range m.Hub.Requests() {
			sum[kind] += n
		}
	}
	return sum
}

// A long timer fires on time although the queue is polled rarely, as long as the partition stays where it
// is.
func TestDoorbell_LongTimer(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		for _, d := range []time.Duration{10 * time.Second, 70 * time.Second, 5 * time.Minute} {
			lateness, err := launch(t, w, bellTimer, d).Wait(w.Timeout(time.Hour))
			check(t, err)
			if late := time.Duration(lateness); late < 0 || late > 2*time.Second {
				t.Errorf("a timer of %v is %v late", d, late)
			}
		}
	})
}

func TestDoorbell_Options(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		for _, tt := range []struct {
			bell worker.Doorbell
			want string
		}{
			{worker.Doorbell{Listen: "nowhere"}, `worker: options: Doorbell: the address to listen at is "nowhere"; it must be host:port or :port`},
			{worker.Doorbell{Advertise: ":80"}, `worker: options: Doorbell: the advertised address is ":80"; it must be a host or host:port`},
		} {
			_, err := worker.New(w.Hub, &worker.Options{Doorbell: &tt.bell}, bellBindings()...)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%+v: error %v", tt.bell, err)
			}
		}
	})
}

// Without storage the look-up of a client fails; what it does is done all the same.
func TestDoorbell_NoLookup(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		var broken atomic.Bool
		account := w.Account
		w.Account = storage.WithHook(account, func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if broken.Load() && call.Target == w.Hub.Store().Names.PartitionsTable() {
				return errors.New("no such luck")
			}
			return next(ctx)
		})
		client := w.RingingClient()
		w.Account = account
		broken.Store(true)
		id := idOf(w, 0, "one")
		_, err := taskhub.Start(w.Context(), client, bellOne, 1, taskhub.InstanceID(id))
		check(t, err)
		soonAfter(t, w, id, 31*time.Second)
	})
}

// Clients of the hub that a worker was made with ring by themselves, and the worker tells where its bell is and
// how often it was rung, but not the secret.
func TestDoorbell_OwnHub(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		m := w.Start(ringing(), bellBindings()...)
		balanced(t, w, 1)
		pass(t, w, 5*time.Minute)
		id := idOf(w, 0, "one")
		_, err := taskhub.Start(w.Context(), taskhub.NewClient(m.Hub), bellOne, 1, taskhub.InstanceID(id))
		check(t, err)
		soonAfter(t, w, id, moment)
		pass(t, w, 2*time.Minute)
		health, err := w.Hub.Health(w.Context())
		check(t, err)
		for _, h := range []taskhub.WorkerHealth{m.Health(), health.Workers[0].WorkerHealth} {
			if _, err := netip.ParseAddrPort(h.Doorbell); err != nil || h.Rings == 0 {
				t.Errorf("the doorbell is at %q and was rung %d times", h.Doorbell, h.Rings)
			}
		}
	})
}
