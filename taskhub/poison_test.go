package taskhub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// poison plays the worker: it moves a message of the instance aside and returns its id.
func poison(t *testing.T, hub *taskhub.Hub, messageID, instanceID, payload string) string {
	t.Helper()
	st := hub.Store()
	queue := st.ControlQueueOf(instanceID)
	p := &wire.Poison{
		ID: st.PoisonID(queue, messageID), Queue: queue, MessageID: messageID, InstanceID: instanceID,
		Kind: history.KindEventRaised, Name: "E", Reason: "why " + messageID, Deliveries: 20, Crashes: 18,
		Inserted: time.Now(), Moved: time.Now(), Worker: "w", Text: "text " + messageID, Payload: payload,
	}
	if err := st.PutPoison(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := st.MarkPoison(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func poisonCount(t *testing.T, c *taskhub.Client) int {
	t.Helper()
	n, err := c.PoisonCount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPoison_ListRetryDrop(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		client := taskhub.NewClient(hub)
		if page, err := client.ListPoison(t.Context(), taskhub.PoisonQuery{}); err != nil || len(page.Messages) != 0 || poisonCount(t, client) != 0 {
			t.Fatalf("an empty hub has %+v, %v", page, err)
		}
		start(t, client, "x", taskhub.InstanceID("one"))
		retried, dropped := poison(t, hub, "1", "one", ""), poison(t, hub, "2", "one", "")
		other := poison(t, hub, "3", "nobody", "")

		got, err := client.GetPoison(t.Context(), retried)
		if err != nil || got.InstanceID != "one" || got.Reason != "why 1" || got.Deliveries != 20 || got.Crashes != 18 ||
			got.Text != "text 1" || got.Kind != history.KindEventRaised || got.WorkerID != "w" || got.Moved.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
		status, err := client.Get(t.Context(), "one", taskhub.NoPayloads{})
		if err != nil || status.Poison == nil || status.Poison.Count() != 2 || status.Poison.Reason != "why 2" {
			t.Errorf("status %+v, %v", status, err)
		}
		page, err := client.List(t.Context(), taskhub.Query{})
		if err != nil || len(page.Instances) != 1 || page.Instances[0].Poison.Count() != 2 {
			t.Errorf("list %+v, %v", page, err)
		}

		if err := client.RetryPoison(t.Context(), retried); err != nil {
			t.Fatal(err)
		}
		if err := client.DropPoison(t.Context(), dropped); err != nil {
			t.Fatal(err)
		}
		if status, err = client.Get(t.Context(), "one"); err != nil || status.Poison != nil {
			t.Errorf("status %+v, %v", status, err)
		}
		head, err := hub.Store().Account.Queues.Peek(t.Context(), got.Queue, 32)
		if err != nil || !slices.ContainsFunc(head, func(m storage.Message) bool { return m.Text == "text 1" }) {
			t.Errorf("the queue holds %v, %v", head, err)
		}
		var left []string
		for message, err := range client.AllPoison(t.Context(), taskhub.PoisonQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, message.ID)
		}
		if !slices.Equal(left, []string{other}) || poisonCount(t, client) != 1 {
			t.Errorf("left are %q", left)
		}
	})
}

func TestPoison_Pages(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	for i := range 23 {
		poison(t, hub, fmt.Sprintf("%02d", i), []string{"a", "b"}[i%2], "")
	}
	for _, q := range []taskhub.PoisonQuery{{}, {PageSize: 5}, {PageSize: 23}, {PageSize: 1}, {PageSize: 3, InstanceID: "a"}, {InstanceID: "c"}} {
		var ids []string
		for token, first := "", true; first || token != ""; first = false {
			q.Token = token
			page, err := client.ListPoison(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if page.Next != "" && len(page.Messages) != q.PageSize {
				t.Errorf("%+v: a page of %d with a next one", q, len(page.Messages))
			}
			for _, m := range page.Messages {
				ids = append(ids, m.ID)
			}
			token = page.Next
		}
		want := map[string]int{"": 23, "a": 12, "c": 0}[q.InstanceID]
		if len(ids) != want || !slices.IsSorted(ids) || len(slices.Compact(ids)) != want {
			t.Errorf("%+v: %d messages, want %d", q, len(ids), want)
		}
	}
	var argument *taskhub.ArgumentError
	if _, err := client.ListPoison(t.Context(), taskhub.PoisonQuery{PageSize: 5000}); !errors.As(err, &argument) {
		t.Errorf("the error is %v", err)
	}
	for range client.AllPoison(t.Context(), taskhub.PoisonQuery{PageSize: 2}) {
		break // an iteration may end early
	}
}

// A purge takes the poison messages with it.
func TestPoison_Purge(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, "x", taskhub.InstanceID("one"))
	poison(t, hub, "1", "one", "")
	poison(t, hub, "2", "one", "")
	kept := poison(t, hub, "3", "other", "")
	if err := client.Purge(t.Context(), "one", taskhub.Force{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetPoison(t.Context(), kept); err != nil || poisonCount(t, client) != 1 {
		t.Errorf("%d are left, %v", poisonCount(t, client), err)
	}
}

func TestPoison_Errors(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	calls := map[string]func(context.Context, string) error{
		"get":   func(ctx context.Context, id string) error { _, err := client.GetPoison(ctx, id); return err },
		"retry": client.RetryPoison, "drop": client.DropPoison,
	}
	for name, call := range calls {
		var missing *taskhub.PoisonNotFoundError
		if err := call(t.Context(), "workitems-1"); !errors.As(err, &missing) || !errors.Is(err, taskhub.ErrPoisonNotFound) || missing.ID != "workitems-1" {
			t.Errorf("%s: %v", name, err)
		}
		for _, id := range []string{"", "a/b", "..", "a.json", "ä", strings.Repeat("x", 300)} {
			var argument *taskhub.ArgumentError
			if err := call(t.Context(), id); !errors.As(err, &argument) {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
	}
}

// A damaged record is listed with what is wrong, and can be dropped.
func TestPoison_DamagedRecord(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	poison(t, hub, "1", "one", "")
	st := hub.Store()
	if err := st.Account.Blobs.PutBlob(t.Context(), st.Names.Poison(), "damaged.json", []byte("{"), true); err != nil {
		t.Fatal(err)
	}
	page, err := client.ListPoison(t.Context(), taskhub.PoisonQuery{})
	if err != nil || len(page.Messages) != 2 || !page.Messages[1].Unreadable || page.Messages[1].Reason == "" {
		t.Errorf("%+v, %v", page, err)
	}
	if err := client.RetryPoison(t.Context(), "damaged"); !errors.Is(err, taskhub.ErrPoisonUnreadable) {
		t.Errorf("retry: %v", err)
	}
	if err := client.DropPoison(t.Context(), "damaged"); err != nil || poisonCount(t, client) != 1 {
		t.Errorf("drop: %v", err)
	}
}

// A lost reply leaves the record, and says that the outcome is unclear.
func TestPoison_RetryUnclear(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	id := poison(t, hub, "1", "one", "")
	withFaults(hub).plans[storage.QueuePut] = []fault{lostReply}
	if err := client.RetryPoison(t.Context(), id); !errors.Is(err, taskhub.ErrUnclear) || poisonCount(t, client) != 1 {
		t.Errorf("the error is %v", err)
	}
	if err := client.DropPoison(t.Context(), id); err != nil || poisonCount(t, client) != 0 {
		t.Errorf("drop: %v", err)
	}
}

// The payload of a dropped message goes with it.
func TestPoison_DropPayload(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, "x", taskhub.InstanceID("one"))
	if err := client.RaiseEventByName(t.Context(), "one", "E", strings.Repeat("x", 50_000)); err != nil {
		t.Fatal(err)
	}
	blobs := blobsOf(t, hub)
	if len(blobs) != 1 {
		t.Fatalf("blobs %q", blobs)
	}
	if err := client.DropPoison(t.Context(), poison(t, hub, "1", "one", blobs[0])); err != nil || len(blobsOf(t, hub)) != 0 {
		t.Errorf("left are %q, %v", blobsOf(t, hub), err)
	}
}

// A status row that cannot be read hides no other.
func TestList_UnreadableRow(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	for _, id := range []string{"a", "b", "c"} {
		start(t, client, "x", taskhub.InstanceID(id))
	}
	st := hub.Store()
	row := storage.Row{PartitionKey: "b", Values: map[string]any{"CreatedTime": "yesterday", "InputBlobName": "gone"}}
	if _, err := st.Account.Tables.Merge(t.Context(), st.Names.InstancesTable(), row, storage.AnyETag); err != nil {
		t.Fatal(err)
	}
	poison(t, hub, "1", "b", "")
	for _, payloads := range []bool{false, true} {
		page, err := client.List(t.Context(), taskhub.Query{Payloads: payloads})
		if err != nil || len(page.Instances) != 3 || page.Instances[1].Poison == nil || !strings.Contains(page.Instances[1].Unreadable, "CreatedTime") {
			t.Errorf("%+v, %v", page, err)
		}
	}
	if err := client.Purge(t.Context(), "b"); err == nil {
		t.Error("a row that cannot be read was purged without force")
	}
	defer func() {
		if err := client.Purge(t.Context(), "b", taskhub.Force{}); err != nil || poisonCount(t, client) != 0 {
			t.Errorf("forced purge: %v, %d poison messages", err, poisonCount(t, client))
		}
		start(t, client, "x", taskhub.InstanceID("b"))
	}()
	for name, look := range map[string]func() (*taskhub.Status, error){
		"get":  func() (*taskhub.Status, error) { return client.Get(t.Context(), "b") },
		"wait": func() (*taskhub.Status, error) { return client.Wait(t.Context(), "b") },
	} {
		s, err := look()
		if !errors.Is(err, taskhub.ErrUnreadable) || s == nil || s.InstanceID != "b" || s.Poison == nil || !strings.Contains(s.Unreadable, "CreatedTime") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if _, err := taskhub.Attach[string](client, "b").Wait(t.Context()); !errors.Is(err, taskhub.ErrUnreadable) {
		t.Errorf("wait for the result: %v", err)
	}
}
