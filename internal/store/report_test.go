package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/internal/store"
)

func TestReports(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		ctx := t.Context()
		if found, err := hub.Reports(ctx); err != nil || len(found) != 0 {
			t.Fatalf("before the first: %v, %v", found, err)
		}
		if err := hub.DeleteReport(ctx, "nobody"); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		a := store.Report{
			WorkerID: "host/a?", At: at, Started: at, Stalls: map[string]int64{"q": 1},
			Partitions: []store.ReportPartition{{ID: "q", Since: at, LeaseAge: time.Second, Messages: 2, OldestMessage: at, Sessions: 3}},
			Unknown:    []store.ReportName{{Kind: "activity", Name: "N", Count: 4, Since: at, LastSeen: at}},
			Held:       []store.ReportInstance{{InstanceID: "i", Reason: "r", Since: at, LastTried: at}},
			Running:    []store.ReportActivity{{Name: "A", InstanceID: "i", ExecutionID: "e", TaskID: 5, Since: at}},
			Activities: 1, Buffered: 2,
		}
		for _, r := range []store.Report{{WorkerID: "b", At: at}, {WorkerID: "host/a?"}, a} {
			if err := hub.PutReport(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := hub.Account.Blobs.PutBlob(ctx, hub.Names.Workers(), "other.json", []byte("garbage"), false); err != nil {
			t.Fatal(err)
		}
		found, err := hub.Reports(ctx)
		if err != nil || len(found) != 2 {
			t.Fatalf("reports %v, %v", found, err)
		}
		if age := time.Since(found[1].Written); age < 0 || age > time.Minute {
			t.Errorf("written %v ago", age)
		}
		found[1].Written = time.Time{}
		if diff := cmp.Diff(a, found[1]); diff != "" {
			t.Error(diff)
		}
		if err := hub.DeleteReport(ctx, "b"); err != nil {
			t.Fatal(err)
		}
		if found, err := hub.Reports(ctx); err != nil || len(found) != 1 {
			t.Errorf("after a removal: %v, %v", found, err)
		}
		if err := hub.Delete(ctx); err != nil {
			t.Fatal(err)
		}
		if found, err := hub.Reports(ctx); err != nil || len(found) != 0 {
			t.Errorf("after the hub: %v, %v", found, err)
		}
	})
}
