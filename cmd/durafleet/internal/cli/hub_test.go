package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/taskhub"
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
	if len(view.Partitions) != 4 || len(view.Warnings) != 1 {
		t.Errorf("the view is %+v", view)
	}
	partition := view.Partitions[b.client().Hub().PartitionOf(id)]
	if partition.State != string(taskhub.PartitionFree) || partition.Queue.Messages != 1 || partition.Queue.Visible != 1 {
		t.Errorf("the partition of the instance is %+v", partition)
	}
}

// allPolled reports whether the worker has told that it reads all queues.
func allPolled(view *hubView) bool {
	for _, p := range view.Partitions {
		if p.LastPolled == nil {
			return false
		}
	}
	return len(view.Partitions) > 0
}

func TestHub_ShowWithWorker(t *testing.T) {
	t.Parallel()
	b := withWorker(t)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for view := (hubView{}); !allPolled(&view); <-ticker.C {
		view = decode[hubView](t, b.ok("hub", "show", "-o", "json"))
	}
	golden(t, "hub-show-owned", b.ok("hub", "show"))
	golden(t, "hub-show-owned-json", b.ok("hub", "show", "-o", "json"))
}
