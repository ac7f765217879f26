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
		{"rows are replaced together or not at all", (*exercise).together},
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
	e.replaceAll(want, lease)
}

func (e *exercise) replaceAll(want bool, leases ...partition.Lease) (versions []string) {
	e.Helper()
	versions, err := e.Store.Replace(e.Context(), leases...)
	if err != nil {
		e.Fatal(err)
	}
	if (versions != nil) != want || want && len(versions) != len(leases) {
		e.Fatalf("replace of %+v: %q, want %v", leases, versions, want)
	}
	return versions
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
	unread := partition.Lease{ID: "q-00", CurrentOwner: "a"}
	for _, leases := range [][]partition.Lease{{unread}, {e.only(), unread}} {
		if versions, err := e.Store.Replace(e.Context(), leases...); versions != nil || err == nil {
			e.Errorf("replace without a version: %q, %v", versions, err)
		}
	}
}

func (e *exercise) together() {
	e.make("q-00", "q-01", "q-02")
	leases := e.all().Leases
	for i := range leases {
		leases[i] = full(leases[i])
	}
	versions := e.replaceAll(true, leases...)
	for i, got := range e.all().Leases {
		leases[i].Version, leases[i].Written = versions[i], got.Written
		if diff := cmp.Diff(leases[i], got); diff != "" {
			e.Errorf("row (-want +got):\n%s", diff)
		}
	}
	// The versions are good for the next write.
	leases[1].CurrentOwner = "b"
	version := e.replaceAll(true, leases[1])[0]
	// One row that has changed, or is gone, holds up all.
	leases[0].CurrentOwner = "c"
	e.replaceAll(false, leases...)
	leases[1].Version = version
	if err := e.Delete(e.Context(), "q-02"); err != nil {
		e.Fatal(err)
	}
	e.replaceAll(false, leases...)
	for i, want := range []string{"worker-1", "b"} {
		if got := e.all().Leases[i].CurrentOwner; got != want {
			e.Errorf("owner %q, want %q", got, want)
		}
	}
	e.replaceAll(true, leases[:2]...)
}

func (e *exercise) race() {
	e.make("q-00")
	lease := e.only()
	const writers = 8
	won := make([][]string, writers)
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
		if won != nil {
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
	if versions, err := e.Store.Replace(ctx, lease); versions != nil || err == nil {
		e.Errorf("replace: %q, %v", versions, err)
	}
}
