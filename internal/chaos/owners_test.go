package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// The workers of this file are whole members of a fleet in virtual time, with default intervals.
var (
	touch  = activity.Declare[string, string]("Touch")
	thrice = orchestration.Declare[string, string]("Thrice")
)

func memberBindings() []worker.Binding {
	return []worker.Binding{
		touch.With(func(ctx context.Context, text string) (string, error) {
			if !run.Sleep(ctx, time.Second) {
				return "", context.Cause(ctx)
			}
			return text + ".", nil
		}),
		thrice.With(func(ctx *orchestration.Context, text string) (string, error) {
			var err error
			for range 3 {
				if text, err = orchestration.CallActivity(ctx, touch, text).Await(); err != nil {
					return "", err
				}
			}
			return text, nil
		}),
	}
}

// partitionsOf returns how many partitions each member owns, most first.
func partitionsOf(w *fleettest.World) []int {
	w.T.Helper()
	rows, _, err := storage.All(w.Context(), w.Account.Tables, w.Hub.Store().Names.PartitionsTable(), storage.Query{})
	if err != nil {
		w.T.Fatal(err)
	}
	owned := map[string]int{}
	for _, row := range rows {
		partition, err := wire.DecodePartition(row.RowKey, row.Values)
		if err != nil {
			w.T.Fatal(err)
		}
		if partition.CurrentOwner != "" && partition.NextOwner == "" {
			owned[partition.CurrentOwner]++
		}
	}
	var shares []int
	for _, n := range owned {
		shares = append(shares, n)
	}
	slices.SortFunc(shares, func(a, b int) int { return b - a })
	return shares
}

// shared waits until the partitions are shared out as given.
func shared(w *fleettest.World, limit time.Duration, want ...int) {
	w.T.Helper()
	w.Eventually(limit, fmt.Sprintf("the partitions are shared %v", want), func() bool {
		return slices.Equal(partitionsOf(w), want)
	})
}

// exclusive watches the listened queues of members: no two of them may listen to one.
func exclusive(w *fleettest.World, members *[]*fleettest.Member) {
	w.T.Helper()
	listening := map[string]string{}
	for _, m := range *members {
		for _, status := range m.Stats().Partitions {
			if other, ok := listening[status.ID]; ok {
				w.T.Errorf("%s and %s both listen to %s", other, m.ID(), status.ID)
			}
			listening[status.ID] = m.ID()
		}
	}
}

// M03, M04, M05, M09: one worker takes all partitions, three more get their share, and no queue has
// two listeners while instances run on.
func TestMembers_Share_M03_M04_M05_M09(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		members := []*fleettest.Member{w.Start(nil, memberBindings()...)}
		shared(w, 5*time.Second, 4)
		ids := startThrice(w, 100)
		for range 3 {
			members = append(members, w.Start(nil, memberBindings()...))
		}
		deadline := time.Now().Add(30 * time.Second)
		for !slices.Equal(partitionsOf(w), []int{1, 1, 1, 1}) {
			exclusive(w, &members)
			if time.Now().After(deadline) {
				t.Fatalf("the partitions are shared %v", partitionsOf(w))
			}
			run.Sleep(w.Context(), 100*time.Millisecond)
		}
		checkThrice(w, ids)
	})
}

// M08: one of four workers is killed and its partition is taken over within 40 s; three are killed
// and the last one owns all within 40 s. The instances of all of them end.
func TestMembers_Kill_M08(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		var members []*fleettest.Member
		for range 4 {
			members = append(members, w.Start(nil, memberBindings()...))
		}
		shared(w, 30*time.Second, 1, 1, 1, 1)
		ids := startThrice(w, 40)
		run.Sleep(w.Context(), 1500*time.Millisecond)
		members[0].Kill()
		shared(w, 40*time.Second, 2, 1, 1)
		ids = append(ids, startThrice(w, 40)...)
		run.Sleep(w.Context(), 1500*time.Millisecond)
		members[1].Kill()
		members[2].Kill()
		shared(w, 40*time.Second, 4)
		checkThrice(w, ids)
		w.Eventually(5*time.Minute, "no message is left", func() bool { return w.MessagesLeft() == 0 })
	})
}

func startThrice(w *fleettest.World, n int) []*taskhub.Instance[string] {
	w.T.Helper()
	started := make([]*taskhub.Instance[string], n)
	for i := range started {
		var err error
		if started[i], err = taskhub.Start(w.Context(), w.Client, thrice, "x"); err != nil {
			w.T.Fatal(err)
		}
	}
	return started
}

func checkThrice(w *fleettest.World, started []*taskhub.Instance[string]) {
	w.T.Helper()
	for _, instance := range started {
		got, err := instance.Wait(w.Timeout(10 * time.Minute))
		if err != nil || got != "x..." {
			w.T.Errorf("%s ended with %q, %v", instance.ID(), got, err)
		}
	}
}
