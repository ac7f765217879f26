package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

var poisonTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func poisonOf(hub *store.Hub, messageID, instanceID string) *wire.Poison {
	queue := hub.Names.ControlQueue(1)
	return &wire.Poison{
		ID: hub.PoisonID(queue, messageID), Queue: queue, MessageID: messageID, InstanceID: instanceID,
		Reason: "why " + messageID, Deliveries: 20, Inserted: poisonTime, Moved: poisonTime, Worker: "w", Text: "text " + messageID,
	}
}

func createRow(t *testing.T, hub *store.Hub, id string, input *string) {
	t.Helper()
	err := hub.CreateInstance(t.Context(), wire.Instance{
		InstanceID: id, ExecutionID: "e", Name: "N", Created: poisonTime, LastUpdated: poisonTime, Input: input,
	}, "")
	if err != nil {
		t.Fatal(err)
	}
}

func markOf(t *testing.T, hub *store.Hub, id string) *wire.PoisonMark {
	t.Helper()
	row, err := hub.ReadInstance(t.Context(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	return row.Poison
}

func TestPoison_Life(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		ctx := t.Context()
		if ids, err := hub.PoisonIDs(ctx); err != nil || ids != nil {
			t.Fatalf("a new hub has %q, %v", ids, err)
		}
		createRow(t, hub, "i", nil)
		first, second := poisonOf(hub, "1", "i"), poisonOf(hub, "2", "i")
		for _, p := range []*wire.Poison{second, first, first} { // one is recorded and marked twice
			must(t, hub.PutPoison(ctx, p))
			must(t, hub.MarkPoison(ctx, p))
		}
		ids, err := hub.PoisonIDs(ctx)
		if err != nil || !slices.Equal(ids, []string{"control-01-1", "control-01-2"}) {
			t.Errorf("the ids are %q, %v", ids, err)
		}
		got, err := hub.Poison(ctx, first.ID)
		if diff := cmp.Diff(first, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		want := &wire.PoisonMark{IDs: []string{"control-01-2", "control-01-1"}, Reason: "why 1", Moved: poisonTime}
		if diff := cmp.Diff(want, markOf(t, hub, "i")); diff != "" {
			t.Errorf("mark (-want +got):\n%s", diff)
		}

		must(t, hub.Requeue(ctx, first))
		head, err := hub.Account.Queues.Peek(ctx, first.Queue, 32)
		if err != nil || len(head) != 1 || head[0].Text != first.Text {
			t.Errorf("the queue holds %v, %v", head, err)
		}
		if mark := markOf(t, hub, "i"); mark == nil || len(mark.IDs) != 1 {
			t.Errorf("after one of two the mark is %+v", mark)
		}
		must(t, hub.ForgetPoison(ctx, second))
		must(t, hub.ForgetPoison(ctx, second)) // again
		if mark := markOf(t, hub, "i"); mark != nil {
			t.Errorf("after both the mark is %+v", mark)
		}
		if _, err := hub.Poison(ctx, second.ID); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("a dropped record: %v", err)
		}
		must(t, hub.PutPoison(ctx, first))
		must(t, hub.Delete(ctx))
		if ids, err := hub.PoisonIDs(ctx); err != nil || ids != nil {
			t.Errorf("a deleted hub has %q, %v", ids, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPoison_NoRow(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	p := poisonOf(hub, "1", "nobody")
	must(t, hub.PutPoison(t.Context(), p))
	must(t, hub.MarkPoison(t.Context(), p))
	if _, err := hub.ReadInstance(t.Context(), "nobody", false); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a mark made a row: %v", err)
	}
	must(t, hub.ForgetPoison(t.Context(), p))
}

// A mark is bound to the version of the row, and finds room in rows that cannot be read.
func TestPoison_MarkMeetsOthers(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	createRow(t, hub, "i", nil)
	disturb(hub, storage.TableMerge, refused, lostReply, refused)
	must(t, hub.MarkPoison(t.Context(), poisonOf(hub, "1", "i")))
	if mark := markOf(t, hub, "i"); mark == nil || len(mark.IDs) != 1 {
		t.Errorf("the mark is %+v", mark)
	}
	broken := storage.Row{PartitionKey: "broken", Values: map[string]any{"CreatedTime": "yesterday", "DurafleetPoison": int32(1)}}
	if _, err := hub.Account.Tables.Insert(t.Context(), hub.Names.InstancesTable(), broken); err != nil {
		t.Fatal(err)
	}
	must(t, hub.MarkPoison(t.Context(), poisonOf(hub, "1", "broken")))
	row, err := hub.Account.Tables.Read(t.Context(), hub.Names.InstancesTable(), "broken", "")
	if err != nil || wire.DecodePoisonMark(row.Values) == nil {
		t.Errorf("the row is %v, %v", row, err)
	}
}

// Put again first, then forgotten: whatever fails, the message is in one of the two places.
func TestPoison_RequeueCutOff(t *testing.T) {
	t.Parallel()
	for _, kind := range []storage.Kind{storage.QueuePut, storage.TableRead, storage.BlobDelete} {
		hub := newHub(t)
		createRow(t, hub, "i", nil)
		p := poisonOf(hub, "1", "i")
		must(t, hub.PutPoison(t.Context(), p))
		must(t, hub.MarkPoison(t.Context(), p))
		disturb(hub, kind, lostRequest)
		if err := hub.Requeue(t.Context(), p); err == nil {
			t.Errorf("%s: no error", kind)
		}
		if _, err := hub.Poison(t.Context(), p.ID); err != nil {
			t.Errorf("%s: the record is gone: %v", kind, err)
		}
		must(t, hub.Requeue(t.Context(), p))
		if n, err := hub.Account.Queues.Count(t.Context(), p.Queue); err != nil || n < 1 {
			t.Errorf("%s: %d messages, %v", kind, n, err)
		}
	}
}

// The payload goes with the record, unless a status row or another record refers to it.
func TestPoison_Payload(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	ctx := t.Context()
	send := func(event history.Event, id string) string {
		sent, err := hub.Send(ctx, &wire.Message{Event: event, Target: history.Instance{InstanceID: id}, Sender: &history.Instance{}}, 0)
		must(t, err)
		return sent.Blob
	}
	large := history.Text(`"` + strings.Repeat("x", 50_000) + `"`)
	input := send(&history.ExecutionStarted{Instance: history.Instance{InstanceID: "i", ExecutionID: "e"}, Name: "N", Input: large}, "i")
	event := send(&history.EventRaised{Name: "E", Input: large}, "i")
	url := hub.PayloadURL(input)
	createRow(t, hub, "i", &url)
	record := func(message, blob string) *wire.Poison {
		p := poisonOf(hub, message, "i")
		p.Payload, p.Text = blob, wire.EncodePointer(blob)
		must(t, hub.PutPoison(ctx, p))
		return p
	}
	start, one, two := record("1", input), record("2", event), record("3", event)
	bare := record("4", "")
	for _, step := range []struct {
		p    *wire.Poison
		left int
	}{{start, 2}, {one, 2}, {bare, 2}, {two, 1}} {
		must(t, hub.ForgetPoison(ctx, step.p))
		must(t, hub.DropPoisonPayload(ctx, step.p))
		blobs, err := hub.Account.Blobs.ListBlobs(ctx, hub.Names.LargeMessages(), "")
		if err != nil || len(blobs) != step.left {
			t.Errorf("after %s: %q, %v", step.p.ID, blobs, err)
		}
	}
}

func TestPoison_UnreadableRecord(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	must(t, hub.PutPoison(t.Context(), poisonOf(hub, "1", "i")))
	for name, text := range map[string]string{"garbage.json": "{", "moved.json": `{"id":"other","queue":"q","text":""}`, "note.txt": ""} {
		must(t, hub.Account.Blobs.PutBlob(t.Context(), hub.Names.Poison(), name, []byte(text), true))
	}
	if ids, err := hub.PoisonIDs(t.Context()); err != nil || len(ids) != 3 {
		t.Errorf("the ids are %q, %v", ids, err)
	}
	for _, id := range []string{"garbage", "moved"} {
		if _, err := hub.Poison(t.Context(), id); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
