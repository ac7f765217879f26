package taskhub_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// give writes a history of n events to the instance, the last with a payload that goes to a blob.
func give(t *testing.T, hub *taskhub.Hub, id string, n int) {
	t.Helper()
	events := make([]history.Event, n)
	for i := range events {
		events[i] = &history.OrchestratorStarted{Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}}
	}
	events[n-1] = &history.EventRaised{
		Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()},
		Name:   "e", Input: history.Text(`"` + strings.Repeat("x", 70_000) + `"`),
	}
	_, err := hub.Store().CommitHistory(t.Context(), store.Commit{
		InstanceID: id, ExecutionID: hub.Store().NewID("test"), Events: events, Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rowsOf returns how many history rows the instance has.
func rowsOf(t *testing.T, hub *taskhub.Hub, id string) int {
	t.Helper()
	st := hub.Store()
	rows, _, err := storage.All(t.Context(), st.Account.Tables, st.Names.HistoryTable(), storage.Query{
		Filter: storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(id)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

// P01, P03, P04: rows in any number of batches and blobs go; a second purge finds nothing.
func TestPurge_RemovesEverything(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		for name, rows := range map[string]int{"one batch": 50, "two batches": 100, "three batches": 250} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				hub := newHub(t, account)
				client := taskhub.NewClient(hub)
				start(t, client, strings.Repeat("x", 70_000), taskhub.InstanceID("one"))
				give(t, hub, "one", rows)
				set(t, hub, "one", history.Completed, nil)
				if rowsOf(t, hub, "one") != rows+1 || len(blobsOf(t, hub)) != 2 {
					t.Fatalf("before: %d rows, blobs %v", rowsOf(t, hub, "one"), blobsOf(t, hub))
				}
				if err := client.Purge(t.Context(), "one"); err != nil {
					t.Fatal(err)
				}
				if rowsOf(t, hub, "one") != 0 || len(blobsOf(t, hub)) != 0 {
					t.Errorf("after: %d rows, blobs %v", rowsOf(t, hub, "one"), blobsOf(t, hub))
				}
				if err := client.Purge(t.Context(), "one"); !errors.Is(err, taskhub.ErrNotFound) {
					t.Errorf("second purge: %v", err)
				}
				start(t, client, "again", taskhub.InstanceID("one"))
				if s, err := client.Get(t.Context(), "one"); err != nil || s.Generation != 0 {
					t.Errorf("after another start: %+v, %v", s, err)
				}
			})
		}
	})
}

// P02: what has not ended is not purged, and not harmed.
func TestPurge_RefusesLiveInstances(t *testing.T) {
	t.Parallel()
	for _, status := range history.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			hub := newHub(t, taskhub.Memory())
			client := taskhub.NewClient(hub)
			start(t, client, "x", taskhub.InstanceID("one"))
			give(t, hub, "one", 3)
			set(t, hub, "one", status, nil)
			err := client.Purge(t.Context(), "one")
			if status.Terminal() {
				if err != nil || rowsOf(t, hub, "one") != 0 {
					t.Errorf("error: %v", err)
				}
				return
			}
			var live *taskhub.LiveError
			if !errors.As(err, &live) || !errors.Is(err, taskhub.ErrLive) || live.Status != status {
				t.Errorf("error: %v", err)
			}
			if s, err := client.Get(t.Context(), "one"); err != nil || s.Status != status || rowsOf(t, hub, "one") != 4 || len(blobsOf(t, hub)) != 1 {
				t.Errorf("the instance was harmed: %+v, %v", s, err)
			}
			if err := client.Purge(t.Context(), "one", taskhub.Force{}); err != nil || rowsOf(t, hub, "one") != 0 || len(blobsOf(t, hub)) != 0 {
				t.Errorf("forced: %v", err)
			}
		})
	}
}

// TestPurge_LeavesNamesakesAlone purges ids that others begin with, and ids of other engines that
// are escaped in the names of rows and of some blobs.
func TestPurge_LeavesNamesakesAlone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		client := taskhub.NewClient(hub)
		st := hub.Store()
		ids := []string{"a", "a-1", "ab", "a^", "a/b", "a/b/c", "a^0b", "a#b?", "a b", "a%2Fb"}
		for _, id := range ids {
			err := st.CreateInstance(t.Context(), wire.Instance{
				InstanceID: id, ExecutionID: st.NewID("test"), Name: "Echo", Status: history.Completed, Created: time.Now(), LastUpdated: time.Now(),
			}, "")
			if err != nil {
				t.Fatal(err)
			}
			give(t, hub, id, 2)
			if err := client.RaiseEventByName(t.Context(), id, "e", strings.Repeat("x", 50_000), taskhub.Unchecked{}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(blobsOf(t, hub)); n != 2*len(ids) {
			t.Fatalf("%d blobs", n)
		}
		for i, id := range ids {
			if err := client.Purge(t.Context(), id); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			if n := len(blobsOf(t, hub)); n != 2*(len(ids)-i-1) {
				t.Errorf("%d blobs after %q: %v", n, id, blobsOf(t, hub))
			}
			for _, other := range ids[i+1:] {
				if _, err := client.Get(t.Context(), other); err != nil || rowsOf(t, hub, other) != 3 {
					t.Errorf("%q after %q: %v", other, id, err)
				}
			}
		}
	})
}

// TestPurge_RowsThatVanish lets a row be deleted by somebody else in the middle of a batch.
// P04: the batch is then deleted row by row.
func TestPurge_RowsThatVanish(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, "x", taskhub.InstanceID("one"))
	give(t, hub, "one", 250)
	set(t, hub, "one", history.Completed, nil)
	f := withFaults(hub)
	gone := func(context.Context, func(context.Context) error) error {
		return &storage.Error{Op: "test", Target: "test", Sentinel: storage.ErrNotFound}
	}
	f.plans[storage.TableTransact] = []fault{gone}
	f.plans[storage.TableDelete] = []fault{gone, gone}
	if err := client.Purge(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if left := rowsOf(t, hub, "one"); left != 2 {
		t.Errorf("%d rows left, want the two that were said to be gone", left)
	}
	if n := len(slices.DeleteFunc(f.log, func(k storage.Kind) bool { return k != storage.TableTransact })); n != 3 {
		t.Errorf("%d transactions, want 3", n)
	}
}

// TestPurge_CutOff repeats a purge that failed at each of its requests.
func TestPurge_CutOff(t *testing.T) {
	t.Parallel()
	for _, kind := range []storage.Kind{storage.TableQuery, storage.TableTransact, storage.BlobList, storage.BlobDelete, storage.TableDelete} {
		hub := newHub(t, taskhub.Memory())
		client := taskhub.NewClient(hub)
		start(t, client, "x", taskhub.InstanceID("one"))
		give(t, hub, "one", 3)
		set(t, hub, "one", history.Completed, nil)
		withFaults(hub).plans[kind] = []fault{refusal}
		if err := client.Purge(t.Context(), "one"); !errors.Is(err, taskhub.ErrUnauthorized) {
			t.Errorf("%s: %v", kind, err)
		}
		if err := client.Purge(t.Context(), "one"); err != nil {
			t.Errorf("%s, again: %v", kind, err)
		}
		if rowsOf(t, hub, "one") != 0 || len(blobsOf(t, hub)) != 0 {
			t.Errorf("%s: something is left", kind)
		}
	}
}
