package partition_test

import (
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/partition"
)

// The manager in real time on a real server, with short intervals.
func TestManager_OnAzurite_M04_M07(t *testing.T) {
	t.Parallel()
	account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldIn(t, account, 4)
	quick := func(_ *member, o *partition.Options) {
		o.LeaseDuration, o.AcquireInterval = 9*time.Second, 500*time.Millisecond
	}
	a := w.join("a", quick)
	w.await(5*time.Second, "a owns 4", each(4, a))
	b := w.join("b", quick)
	w.await(15*time.Second, "2+2", each(2, a, b))
	a.leaveHub(10 * time.Second)
	w.await(10*time.Second, "b owns 4", each(4, b))
	b.leaveHub(10 * time.Second)
	for _, row := range w.rows() {
		if row.CurrentOwner != "" || row.NextOwner != "" || row.Draining || row.ExpiresAt.IsZero() {
			t.Errorf("row is not released: %+v", row)
		}
	}
}
