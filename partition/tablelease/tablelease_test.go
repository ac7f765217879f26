package tablelease_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/partition/internal/partitiontest"
	"github.com/durafleet/durafleet/partition/tablelease"
)

func opener(account storage.Account) func(t *testing.T) partitiontest.Hub {
	var hubs atomic.Int64
	return func(t *testing.T) partitiontest.Hub {
		t.Helper()
		table := fmt.Sprintf("Lease%dPartitions", hubs.Add(1))
		if err := account.Tables.CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := account.Tables.DeleteTable(context.Background(), table); err != nil {
				t.Error(err)
			}
		})
		store := tablelease.New(account.Tables, table)
		return partitiontest.Hub{
			Store: store, Create: store.Create,
			Delete: func(ctx context.Context, id string) error {
				return account.Tables.Delete(ctx, table, "", id, storage.AnyETag)
			},
		}
	}
}

func TestStore_InMemory(t *testing.T) {
	t.Parallel()
	partitiontest.Exercise(t, opener(memory.New().Account()))
}

func TestStore_OnAzurite(t *testing.T) {
	t.Parallel()
	account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	partitiontest.Exercise(t, opener(account))
}

// A row that cannot be understood takes no other one with it.
func TestStore_UnreadableRow(t *testing.T) {
	t.Parallel()
	account := memory.New().Account()
	hub := opener(account)(t)
	for _, id := range []string{"q-00", "q-01"} {
		if err := hub.Create(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	bad := storage.Row{RowKey: "q-00", Values: map[string]any{"CurrentOwner": int32(7), "IsDraining": false}}
	if _, err := account.Tables.Replace(t.Context(), "Lease1Partitions", bad, storage.AnyETag); err != nil {
		t.Fatal(err)
	}
	listing, err := hub.Store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.Leases) != 1 || listing.Leases[0].ID != "q-01" || len(listing.Unreadable) != 1 {
		t.Errorf("listing %+v", listing)
	}
}

func TestStore_NewRowHasOneColumn(t *testing.T) {
	t.Parallel()
	account := memory.New().Account()
	hub := opener(account)(t)
	if err := hub.Create(t.Context(), "q-00"); err != nil {
		t.Fatal(err)
	}
	row, err := account.Tables.Read(t.Context(), "Lease1Partitions", "", "q-00")
	if err != nil {
		t.Fatal(err)
	}
	if len(row.Values) != 1 || row.Values["IsDraining"] != false {
		t.Errorf("columns %v", row.Values)
	}
}

func TestStore_NoTable(t *testing.T) {
	t.Parallel()
	store := tablelease.New(memory.New().Account().Tables, "NonePartitions")
	if _, err := store.List(t.Context()); err == nil {
		t.Error("list of a missing table succeeded")
	}
	if err := store.Create(t.Context(), "q-00"); err == nil {
		t.Error("create in a missing table succeeded")
	}
}
