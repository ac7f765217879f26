package doorbell_test

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/doorbell/doorbelltest"
	"github.com/durafleet/durafleet/internal/run"
)

const queue = "hub-control-00"

var secret = doorbell.Secret{1, 2, 3}

// rig is a bell that is served, and what rings it.
type rig struct {
	network *doorbelltest.Network
	bell    *doorbell.Bell
	ringer  *doorbell.Ringer
	rings   chan doorbell.Ring
	stop    func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{network: &doorbelltest.Network{}, rings: make(chan doorbell.Ring, 1000)}
	bell, err := doorbell.Listen(t.Context(), &doorbell.Options{Network: r.network, Secret: secret, Queues: []string{queue}})
	if err != nil {
		t.Fatal(err)
	}
	r.bell = bell
	r.ringer = doorbell.NewRinger(r.network, doorbell.Secret{}, nil)
	r.ringer.Learn(map[string]string{queue: bell.Address().Text()})
	ctx, cancel := context.WithCancel(t.Context())
	var group run.Group
	group.Go(ctx, "test: bell", func(ctx context.Context) { bell.Serve(ctx, func(ring doorbell.Ring) { r.rings <- ring }) })
	r.stop = func() {
		cancel()
		group.Wait()
	}
	return r
}

func (r *rig) counts(t *testing.T, answered, merged, refused int64) {
	t.Helper()
	synctest.Wait()
	if got, want := r.bell.Counts(), (doorbell.Counts{Answered: answered, Merged: merged, Refused: refused}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if int64(len(r.rings)) != answered {
		t.Errorf("%d answers", len(r.rings))
	}
}

func TestBell_Answers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.ringer.Ring(queue)
		r.ringer.RingOwner(queue, doorbell.Partitions)
		r.ringer.RingAll(doorbell.WorkItems)
		r.ringer.Ring("hub-control-01") // nobody's
		for _, want := range []doorbell.Ring{{Topic: doorbell.News, Queue: queue}, {Topic: doorbell.Partitions}, {Topic: doorbell.WorkItems}} {
			if got := <-r.rings; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if n := r.ringer.Rung(); n != 3 {
			t.Errorf("%d rings were sent", n)
		}
	})
}

// Only who knows the secret can ring, and only about what there is.
func TestBell_Refuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		at := r.bell.Address().At
		stranger := doorbell.NewRinger(r.network, doorbell.Secret{}, nil)
		stranger.Learn(map[string]string{queue: doorbell.Address{At: at, Secret: doorbell.Secret{1, 2, 4}}.Text(), "a-queue": r.bell.Address().Text()})
		stranger.Ring(queue)
		stranger.Ring("a-queue")
		for _, datagram := range [][]byte{nil, []byte("DFR1"), bytes.Repeat([]byte{'x'}, 2000), []byte(strings.Repeat("DFR1", 20))} {
			if err := r.network.Send(at, datagram); err != nil {
				t.Fatal(err)
			}
		}
		r.counts(t, 0, 0, 6)
		r.ringer.Ring(queue)
		r.counts(t, 1, 0, 6)
	})
}

// What comes too fast is merged into a ring that comes later: the last one is not lost.
func TestBell_Limits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		for range 50 {
			r.ringer.Ring(queue)
		}
		r.counts(t, 1, 49, 0)
		r.ringer.RingAll(doorbell.WorkItems) // other things are not held up
		r.counts(t, 2, 49, 0)
		<-time.After(90 * time.Millisecond)
		r.counts(t, 2, 49, 0)
		<-time.After(20 * time.Millisecond)
		r.counts(t, 3, 49, 0)
		<-time.After(time.Second)
		r.counts(t, 3, 49, 0)
		for range 50 {
			r.ringer.RingAll(doorbell.Partitions)
			synctest.Wait()
			<-time.After(200 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(r.rings) - 3; n < 21 || n > 24 {
			t.Errorf("50 rings about the partitions in 10s were answered by %d looks", n)
		}
	})
}

// Nobody rings oneself, and everybody only once.
func TestRinger_RingAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := &doorbelltest.Network{}
		own := doorbell.Address{At: netip.MustParseAddrPort("10.0.0.1:1"), Secret: secret}
		other := doorbell.Address{At: netip.MustParseAddrPort("10.0.0.1:2"), Secret: doorbell.Secret{5}}
		r := doorbell.NewRinger(network, secret, nil)
		r.Learn(map[string]string{"q-1": own.Text(), "q-2": other.Text(), "q-3": other.Text(), "q-4": "junk", "q-5": ""})
		r.RingAll(doorbell.WorkItems)
		r.Ring("q-1")
		r.Ring("q-4")
		if n := network.Sent(); n != 1 {
			t.Errorf("%d datagrams, want 1", n)
		}
	})
}

// Addresses are looked up once for all who ask, and again after a while; without an answer the old ones do.
func TestRinger_Prepare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lookups atomic.Int64
		slow := time.Second
		address := doorbell.Address{At: netip.MustParseAddrPort("10.0.0.1:2"), Secret: secret}
		network := &doorbelltest.Network{}
		r := doorbell.NewRinger(network, doorbell.Secret{}, func(ctx context.Context) (map[string]string, error) {
			lookups.Add(1)
			if !run.Sleep(ctx, slow) {
				return nil, ctx.Err()
			}
			return map[string]string{queue: address.Text()}, nil
		})
		ask := func(n int, took time.Duration, total int64) {
			t.Helper()
			began := time.Now()
			run.Each(t.Context(), "test: ask", n, n, func(ctx context.Context, _ int) {
				r.Prepare(ctx)
				r.Ring(queue)
			})
			if time.Since(began) != took || lookups.Load() != total {
				t.Errorf("%d lookups after %v, want %d after %v", lookups.Load(), time.Since(began), total, took)
			}
		}
		ask(5, time.Second, 1)
		ask(5, 0, 1)
		<-time.After(time.Minute)
		slow = time.Hour
		ask(5, 2*time.Second, 2)
		ask(5, 0, 2)
		if n := network.Sent(); n != 20 {
			t.Errorf("%d rings, want 20", n)
		}
	})
}

// On a real network a ring arrives, and the bell ends with its context.
func TestBell_UDP(t *testing.T) {
	t.Parallel()
	for _, opts := range []doorbell.Options{
		{Listen: "127.0.0.1:0"}, {Toward: "127.0.0.1"}, {Listen: ":0", Advertise: "127.0.0.1"},
	} {
		opts.Network, opts.Secret, opts.Queues = doorbell.UDP(), secret, []string{queue}
		bell, err := doorbell.Listen(t.Context(), &opts)
		if err != nil {
			t.Fatal(err)
		}
		if at := bell.Address().At; at.Addr().String() != "127.0.0.1" || at.Port() == 0 {
			t.Errorf("%+v: the bell is at %v", opts, at)
		}
		ringer := doorbell.NewRinger(doorbell.UDP(), doorbell.Secret{}, nil)
		ringer.Learn(map[string]string{queue: bell.Address().Text()})
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		var group run.Group
		got := make(chan doorbell.Ring, 100)
		group.Go(ctx, "test: bell", func(ctx context.Context) { bell.Serve(ctx, func(r doorbell.Ring) { got <- r }) })
		ringer.Ring(queue)
		select {
		case r := <-got:
			if r != (doorbell.Ring{Topic: doorbell.News, Queue: queue}) {
				t.Errorf("got %v", r)
			}
		case <-ctx.Done():
			t.Error("the ring did not arrive")
		}
		stop()
		group.Wait()
		ringer.Ring(queue) // to nobody
	}
}

func TestListen_Errors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ listen, advertise, want string }{
		{"nowhere", "", `"nowhere"; it must be host:port or :port`},
		{"host:port", "", `"host:port"; it must be host:port or :port`},
		{":70000", "", `":70000"; it must be`},
		{"", ":80", `":80"; it must be a host or host:port`},
		{"", "host:port", `"host:port"; it must be a host or host:port`},
		{"", "0.0.0.0", `"0.0.0.0"; nobody can be reached there`},
		{"", "unknown", `host "unknown" is unknown`},
	} {
		_, err := doorbell.Listen(t.Context(), &doorbell.Options{
			Network: &doorbelltest.Network{}, Listen: tt.listen, Advertise: tt.advertise,
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v", tt, err)
		}
	}
}
