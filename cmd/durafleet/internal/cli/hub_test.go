package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/partition"
)

func TestHub_Life(t *testing.T) {
	t.Parallel()
	b := online(t)
	name := "Life" + strings.ReplaceAll(time.Now().Format("150405.000"), ".", "")
	if got := b.ok("hub", "create", name, "--partitions", "2"); !strings.Contains(got, "2 partitions") {
		t.Errorf("create printed %q", got)
	}
	b.ok("hub", "create", name)               // again
	b.ok("hub", "create", name, "-o", "json") // and again
	b.fails(ExitConflict, []string{name, "has 2 partitions, not 5"}, "hub", "create", name, "--partitions", "5")

	if names := strings.Fields(b.ok("hub", "list")); !slices.Contains(names, name) {
		t.Errorf("%s is not in %q", name, names)
	}
	if names := decode[[]string](t, b.ok("hub", "list", "--output", "json")); !slices.Contains(names, name) {
		t.Errorf("%s is not in %q", name, names)
	}
	if lines := strings.Fields(b.ok("hub", "list", "--output", "jsonl")); !slices.Contains(lines, `"`+name+`"`) {
		t.Errorf("%s is not in %q", name, lines)
	}

	b.fails(ExitUsage, []string{"--confirm " + name}, "hub", "delete", name)
	b.fails(ExitUsage, []string{`"Other"`, name}, "hub", "delete", name, "--confirm", "Other")
	b.ok("hub", "delete", name, "--confirm", name)
	b.fails(ExitNotFound, []string{name}, "hub", "delete", name, "--confirm", name)
	b.fails(ExitNotFound, []string{name}, "hub", "show", name)
	b.fails(ExitNotFound, []string{name}, "instance", "list", "--hub", name)
	b.fails(ExitNotFound, []string{name}, "worker", "--hub", name)
}

func TestHub_ShowWithoutWorker(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	golden(t, "hub-show-idle", b.ok("hub", "show"))
	id := b.start("Greet")
	view := decode[hubView](t, b.ok("hub", "show", "-o", "json"))
	if len(view.Partitions) != 4 || len(view.Warnings) != 4 {
		t.Errorf("the view is %+v", view)
	}
	partition := view.Partitions[b.client().Hub().PartitionOf(id)]
	if partition.State != stateFree || partition.Queue.Messages != 1 || partition.Queue.Visible != 1 {
		t.Errorf("the partition of the instance is %+v", partition)
	}
}

func TestHub_ShowWithWorker(t *testing.T) {
	t.Parallel()
	b := withWorker(t)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for view := (hubView{Warnings: []string{"?"}}); len(view.Warnings) > 0; <-ticker.C {
		view = decode[hubView](t, b.ok("hub", "show", "-o", "json"))
	}
	golden(t, "hub-show-owned", b.ok("hub", "show"))
	golden(t, "hub-show-owned-json", b.ok("hub", "show", "-o", "json"))
}

func TestViewLease(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	later, earlier := now.Add(10*time.Second), now.Add(-10*time.Second)
	for _, tt := range []struct {
		name  string
		lease partition.Lease
		want  string
	}{
		{"new", partition.Lease{}, stateFree},
		{"owned", partition.Lease{CurrentOwner: "a", ExpiresAt: later}, stateOwned},
		{"contested", partition.Lease{CurrentOwner: "a", NextOwner: "b", ExpiresAt: later}, stateOwned},
		{"draining", partition.Lease{CurrentOwner: "a", Draining: true, ExpiresAt: later}, stateDraining},
		{"reserved", partition.Lease{NextOwner: "b", ExpiresAt: later}, stateReserved},
		{"expired", partition.Lease{CurrentOwner: "a", ExpiresAt: earlier}, stateExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := viewLease(tt.lease, now); got.State != tt.want {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
		})
	}
}
