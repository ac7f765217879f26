package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

func TestDiagnose_NoOwner(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	id := b.start("Greet", "--id", "waiting")
	got := b.fails(ExitProblems, []string{"1 problem found"}, "instance", "diagnose", id)
	for _, text := range []string{"Instance waiting is Pending; its start waits in queue", " as the first, for ", "error (no-owner): instance waiting: nobody owns", "  seen: "} {
		if !strings.Contains(got.out, text) {
			t.Errorf("no %q in %s", text, got.out)
		}
	}
	got = b.fails(ExitProblems, []string{"1 problem found"}, "hub", "doctor", "-o", "json")
	view := decode[doctorView](t, got.out)
	if view.Examined != 1 || view.More || len(view.Findings) != 1 || view.Findings[0].Code != string(taskhub.CodeNoOwner) ||
		view.Findings[0].Fixable || view.Findings[0].Partition != "" {
		t.Errorf("view %+v", view)
	}
	b.fails(ExitNotFound, []string{`"nobody"`}, "instance", "diagnose", "nobody")
	b.fails(ExitUsage, []string{"the instance id is missing"}, "instance", "diagnose")
	b.fails(ExitUsage, []string{"--instances 0"}, "hub", "doctor", "--instances", "0")
}

func TestDiagnose_Fix(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	id := b.start("Greet", "--id", "lost", "--input", `["you"]`)
	hub := b.client().Hub()
	queues, queue := hub.Store().Account.Queues, hub.Store().ControlQueueOf(id)
	batch, err := queues.Get(t.Context(), queue, storage.MaxMessagesPerGet, time.Minute)
	if err != nil || len(batch.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(batch.Messages), err)
	}
	if err := queues.Delete(t.Context(), queue, batch.Messages[0].ID, batch.Messages[0].PopReceipt); err != nil {
		t.Fatal(err)
	}
	got := b.fails(ExitProblems, []string{"2 problems found"}, "instance", "diagnose", id)
	if !strings.Contains(got.out, "--fix can do something about it") {
		t.Errorf("printed %s", got.out)
	}
	// Nobody owns its partition still, which is no thing to be fixed from here.
	got = b.fails(ExitProblems, []string{"1 problem found"}, "instance", "diagnose", id, "--fix")
	if !strings.Contains(got.out, `  fixed: sent the start message of instance "lost" again`) || !strings.Contains(got.out, "  not fixed: start a worker") {
		t.Errorf("printed %s", got.out)
	}
	runWorker(t, b)
	if got := b.ok("instance", "wait", id); !strings.Contains(got, "you") {
		t.Errorf("the instance ended with %s", got)
	}
	golden(t, "instance-diagnose-json", b.ok("instance", "diagnose", id, "-o", "json"))
	golden(t, "instance-diagnose", b.ok("instance", "diagnose", id))
	golden(t, "hub-doctor", b.ok("hub", "doctor"))
}
