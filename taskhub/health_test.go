package taskhub

import (
	"testing"
	"time"

	"github.com/durafleet/durafleet/partition"
)

func TestPartitionState(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	later, earlier := now.Add(10*time.Second), now.Add(-10*time.Second)
	for _, tt := range []struct {
		name  string
		lease partition.Lease
		want  PartitionState
	}{
		{"new", partition.Lease{}, PartitionFree},
		{"owned", partition.Lease{CurrentOwner: "a", ExpiresAt: later}, PartitionOwned},
		{"contested", partition.Lease{CurrentOwner: "a", NextOwner: "b", ExpiresAt: later}, PartitionOwned},
		{"draining", partition.Lease{CurrentOwner: "a", Draining: true, ExpiresAt: later}, PartitionDraining},
		{"reserved", partition.Lease{NextOwner: "b", ExpiresAt: later}, PartitionReserved},
		{"expired", partition.Lease{CurrentOwner: "a", ExpiresAt: earlier}, PartitionExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := partitionState(&tt.lease, now); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
