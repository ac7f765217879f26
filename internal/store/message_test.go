package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

func message(input string) *wire.Message {
	return &wire.Message{Event: raised(input)[0], Target: history.Instance{InstanceID: id}, Sender: &history.Instance{}}
}

func receive(t *testing.T, hub *store.Hub) []store.Received {
	t.Helper()
	received, date, err := hub.Receive(t.Context(), hub.ControlQueueOf(id), 32, time.Minute)
	if err != nil || date.IsZero() {
		t.Fatalf("receive at %v: %v", date, err)
	}
	return received
}

func inputOf(t *testing.T, r *store.Received) string {
	t.Helper()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	e, ok := r.Content.Event.(*history.EventRaised)
	if !ok {
		t.Fatalf("event %T", r.Content.Event)
	}
	return *e.Input
}

func TestMessages_SmallAndLarge(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		large := `"` + strings.Repeat("x", 100_000) + `"`
		for _, input := range []string{"1", large, "3"} {
			sent, err := hub.Send(t.Context(), message(input), 0)
			if err != nil || (sent.Blob != "") != (input == large) {
				t.Fatalf("sent %+v, %v", sent, err)
			}
		}
		if _, err := hub.Send(t.Context(), message("later"), time.Hour); err != nil {
			t.Fatal(err)
		}
		got := receive(t, hub)
		if len(got) != 3 {
			t.Fatalf("%d messages", len(got))
		}
		for i, want := range []string{"1", large, "3"} {
			if inputOf(t, &got[i]) != want {
				t.Errorf("message %d: %.80s", i, inputOf(t, &got[i]))
			}
		}
	})
}

func TestReceive_UnreadableMessageHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	queue := hub.ControlQueueOf(id)
	for _, text := range []string{"garbage", "{}", wire.EncodePointer("nowhere/message.json.gz")} {
		if _, err := hub.Account.Queues.Put(t.Context(), queue, text, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := hub.Send(t.Context(), message("good"), 0); err != nil {
		t.Fatal(err)
	}
	good := 0
	got := receive(t, hub)
	for i := range got {
		if got[i].Err == nil && inputOf(t, &got[i]) == "good" {
			good++
		}
	}
	if len(got) != 4 || good != 1 {
		t.Errorf("%d messages, %d good", len(got), good)
	}
}

func TestUnsend(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		large := `"` + strings.Repeat("x", 100_000) + `"`
		sent, err := hub.SendAll(t.Context(), []store.Outgoing{{Message: message(large)}, {Message: message("2")}, {Message: message("3"), Delay: time.Hour}})
		if err != nil || len(sent) != 3 {
			t.Fatalf("sent %d, %v", len(sent), err)
		}
		if err := hub.Unsend(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, hub); len(got) != 0 || len(blobs(t, hub)) != 0 {
			t.Errorf("%d messages, %v", len(got), blobs(t, hub))
		}
		taken, err := hub.Send(t.Context(), message(large), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := receive(t, hub); len(got) != 1 || inputOf(t, &got[0]) != large {
			t.Fatalf("%d messages", len(got))
		}
		// Whoever has taken the message still needs its blob.
		if err := hub.Unsend(t.Context(), []store.Sent{taken}); err != nil || len(blobs(t, hub)) != 1 {
			t.Errorf("unsend what is taken: %v, %v", err, blobs(t, hub))
		}
	})
}

func TestSend_Base64(t *testing.T) {
	t.Parallel()
	hub := createHub(t, memory.New().Account(), store.Options{Base64: true})
	if _, err := hub.Send(t.Context(), message("1"), 0); err != nil {
		t.Fatal(err)
	}
	peeked, err := hub.Account.Queues.Peek(t.Context(), hub.ControlQueueOf(id), 1)
	if err != nil || strings.ContainsAny(peeked[0].Text, "{}") {
		t.Errorf("text %.80s, %v", peeked[0].Text, err)
	}
	if got := receive(t, hub); len(got) != 1 || inputOf(t, &got[0]) != "1" {
		t.Errorf("%d messages", len(got))
	}
}
