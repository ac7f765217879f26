package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

// poison plays the worker: it moves a message aside.
func (b *rig) poison(messageID, instanceID, text string) string {
	b.t.Helper()
	st := b.client().Hub().Store()
	queue := st.ControlQueueOf(instanceID)
	p := &wire.Poison{
		ID: st.PoisonID(queue, messageID), Queue: queue, MessageID: messageID, InstanceID: instanceID,
		Kind: history.KindEventRaised, Name: "Answer", Reason: "store: unreadable\n\x1b[31mpayload", Deliveries: 20,
		Inserted: time.Now(), Moved: time.Now(), Worker: "w1", Text: text,
	}
	if err := st.PutPoison(b.t.Context(), p); err != nil {
		b.t.Fatal(err)
	}
	if err := st.MarkPoison(b.t.Context(), p); err != nil {
		b.t.Fatal(err)
	}
	return p.ID
}

func TestPoison_Commands(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	type list struct {
		Messages []poisonView
		Next     string
	}
	if got := decode[list](t, b.ok("poison", "list", "-o", "json")); len(got.Messages) != 0 {
		t.Errorf("a new hub has %+v", got)
	}
	b.ok("poison", "list")
	if got := b.ok("poison", "retry", "--all"); !strings.Contains(got, "no poison messages") {
		t.Errorf("retry of none printed %q", got)
	}
	b.start("Ask", "--id", "one")
	first, second, third := b.poison("m1", "one", "text 1"), b.poison("m2", "one", "text 2"), b.poison("m3", "two", "text 3")
	golden(t, "poison-list", b.ok("poison", "list", "--instance", "one"))
	golden(t, "poison-show", b.ok("poison", "show", first))
	golden(t, "poison-instance", b.ok("instance", "get", "one"))
	if got := b.ok("instance", "list"); !strings.Contains(got, "Pending (poison)") {
		t.Errorf("the list is %s", got)
	}
	if got := decode[instanceView](t, b.ok("instance", "get", "one", "-o", "json")); got.Poison == nil || len(got.Poison.IDs) != 2 {
		t.Errorf("the instance is %+v", got)
	}
	if got := decode[poisonView](t, b.ok("poison", "show", first, "-o", "json")); got.Text != "text 1" || got.InstanceID != "one" {
		t.Errorf("the message is %+v", got)
	}
	page := decode[list](t, b.ok("poison", "list", "-o", "json", "--top", "2"))
	if rest := b.ok("poison", "list", "-o", "jsonl", "--token", page.Next); len(page.Messages) != 2 || strings.Count(rest, "\n") != 1 {
		t.Errorf("pages %+v and %s", page, rest)
	}

	if got := b.ok("poison", "retry", first); !strings.Contains(got, first+": retried") {
		t.Errorf("retry printed %q", got)
	}
	b.fails(ExitUsage, []string{"Drop poison message " + second, "--yes"}, "poison", "drop", second)
	b.fails(ExitUsage, []string{"Drop 2 poison messages", "--yes"}, "poison", "drop", "--all")
	got := b.run("poison", "drop", second, "control-99-none", first, "--yes", "-o", "json")
	if got.code != ExitNotFound || !strings.Contains(got.err, `2 of 3 poison messages were not dropped; the first: drop poison message: poison message "control-99-none" not found`) ||
		len(decode[map[string][]string](t, got.out)["dropped"]) != 1 {
		t.Errorf("drop came to %+v", got)
	}
	if got := b.ok("instance", "get", "one"); strings.Contains(got, "Poison") {
		t.Errorf("the mark is still there: %s", got)
	}
	b.ok("poison", "drop", "--all", "--instance", "two", "--yes")
	b.fails(ExitNotFound, []string{third, "not found"}, "poison", "show", third)
	b.fails(ExitUsage, []string{`"a/b"`, "letters, digits"}, "poison", "show", "a/b")
}
