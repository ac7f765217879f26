// Package partitiontest states what every partition.Store must do.
package partitiontest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/partition"
)

// Hub is an empty hub to exercise.
type Hub struct {
	Store partition.Store
	// Create adds the row of a partition; it does nothing if there is one.
	Create func(ctx context.Context, id string) error
	// Delete removes the row of a partition.
	Delete func(ctx context.Context, id string) error
}

// Exercise runs the suite. Each call of open returns a new hub.
func Exercise(t *testing.T, open func(t *testing.T) Hub) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*exercise)
	}{
		{"create is repeatable and keeps what is there", (*exercise).create},
		{"list has all rows in key order, and the date", (*exercise).list},
		{"replace keeps every column", (*exercise).roundTrip},
		{"replace removes what is empty", (*exercise).vanish},
		{"replace of a changed row loses", (*exercise).conflict},
		{"replace of a missing row loses", (*exercise).missing},
		{"replace of a row that was never read is refused", (*exercise).unread},
		{"of many writers one wins", (*exercise).race},
		{"an ended context is an error", (*exercise).ended},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&exercise{T: t, Hub: open(t)})
		})
	}
}

type exercise struct {
	*testing.T
	Hub
}

func (e *exercise) make(ids ...string) {
	e.Helper()
	for _, id := range ids {
		if err := e.Create(e.Context(), id); err != nil {
			e.Fatal(err)
		}
	}
}

func (e *exercise) all() partition.Listing {
	e.Helper()
	listing, err := e.Store.List(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	return listing
}

// only returns the one row of the hub.
func (e *exercise) only() partition.Lease {
	e.Helper()
	leases := e.all().Leases
	if len(leases) != 1 {
		e.Fatalf("%d rows, want 1", len(leases))
	}
	return leases[0]
}

func (e *exercise) replace(lease partition.Lease, want bool) {
	e.Helper()
	won, err := e.Store.Replace(e.Context(), lease)
	if err != nil {
		e.Fatal(err)
	}
	if won != want {
		e.Fatalf("replace of %+v: %v, want %v", lease, won, want)
	}
}

func (e *exercise) create() {
	e.make("q-00")
	lease := e.only()
	want := partition.Lease{ID: "q-00", Written: lease.Written, Version: lease.Version}
	if diff := cmp.Diff(want, lease); diff != "" || lease.Version == "" || lease.Written.IsZero() {
		e.Errorf("new row %+v (-want +got):\n%s", lease, diff)
	}
	lease.CurrentOwner = "a"
	e.replace(lease, true)
	e.make("q-00")
	if got := e.only(); got.CurrentOwner != "a" {
		e.Errorf("the second create changed the row to %+v", got)
	}
}

func (e *exercise) list() {
	if listing := e.all(); len(listing.Leases) != 0 || listing.Date.IsZero() {
		e.Errorf("an empty hub lists %+v", listing)
	}
	e.make("q-02", "q-00", "q-01")
	listing := e.all()
	var ids []string
	for _, lease := range listing.Leases {
		ids = append(ids, lease.ID)
	}
	if diff := cmp.Diff([]string{"q-00", "q-01", "q-02"}, ids); diff != "" {
		e.Errorf("ids (-want +got):\n%s", diff)
	}
	if apart := listing.Leases[0].Written.Sub(listing.Date).Abs(); apart > 10*time.Second {
		e.Errorf("the row was written at %v, the date is %v", listing.Leases[0].Written, listing.Date)
	}
}

func full(lease partition.Lease) partition.Lease {
	now := time.Date(2025, 3, 4, 10, 0, 0, 123_456_700, time.UTC)
	lease.CurrentOwner, lease.NextOwner, lease.Draining = "worker-1", "stamp:instance/2 'ä'", true
	lease.OwnedSince, lease.LastRenewal, lease.ExpiresAt = now, now.Add(time.Hour), now.Add(2*time.Hour)
	return lease
}

func (e *exercise) roundTrip() {
	e.make("q-00")
	want := full(e.only())
	e.replace(want, true)
	got := e.only()
	if got.Version == want.Version {
		e.Error("the version did not change")
	}
	got.Version, got.Written = want.Version, want.Written
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("row (-want +got):\n%s", diff)
	}
}

func (e *exercise) vanish() {
	e.make("q-00")
	e.replace(full(e.only()), true)
	stored := e.only()
	want := partition.Lease{ID: stored.ID, Version: stored.Version}
	e.replace(want, true)
	got := e.only()
	got.Version, got.Written = want.Version, want.Written
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("row (-want +got):\n%s", diff)
	}
}

func (e *exercise) conflict() {
	e.make("q-00", "q-01")
	stale := e.all().Leases[0]
	fresh := stale
	fresh.CurrentOwner = "a"
	e.replace(fresh, true)
	stale.CurrentOwner = "b"
	e.replace(stale, false)
	if got := e.all().Leases[0].CurrentOwner; got != "a" {
		e.Errorf("owner %q, want a", got)
	}
}

func (e *exercise) missing() {
	e.make("q-00")
	lease := e.only()
	if err := e.Delete(e.Context(), "q-00"); err != nil {
		e.Fatal(err)
	}
	e.replace(lease, false)
	if left := e.all().Leases; len(left) != 0 {
		e.Errorf("rows %+v", left)
	}
}

func (e *exercise) unread() {
	e.make("q-00")
	if won, err := e.Store.Replace(e.Context(), partition.Lease{ID: "q-00", CurrentOwner: "a"}); won || err == nil {
		e.Errorf("replace without a version: %v, %v", won, err)
	}
}

func (e *exercise) race() {
	e.make("q-00")
	lease := e.only()
	const writers = 8
	won := make([]bool, writers)
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			mine := lease
			mine.CurrentOwner = string(rune('a' + i))
			var err error
			if won[i], err = e.Store.Replace(e.Context(), mine); err != nil {
				e.Error(err)
			}
		})
	}
	wait.Wait()
	winners := ""
	for i, won := range won {
		if won {
			winners += string(rune('a' + i))
		}
	}
	if got := e.only().CurrentOwner; winners != got {
		e.Errorf("winners %q, owner %q", winners, got)
	}
}

func (e *exercise) ended() {
	e.make("q-00")
	lease := e.only()
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	if _, err := e.Store.List(ctx); err == nil {
		e.Error("list succeeded")
	}
	if won, err := e.Store.Replace(ctx, lease); won || err == nil {
		e.Errorf("replace: %v, %v", won, err)
	}
}
