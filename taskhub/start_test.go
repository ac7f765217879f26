package taskhub_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

func TestStart_SendsTheMessageThenWritesTheRow(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	f := withFaults(hub)
	client := taskhub.NewClient(hub)
	tags := taskhub.Tags{"team": "blue"}
	instance := start(t, client, "hi", tags, taskhub.Version("2"))
	if !slices.Equal(f.log, []storage.Kind{storage.QueuePut, storage.TableInsert}) {
		t.Errorf("requests: %v", f.log)
	}
	if !regexp.MustCompile("^[0-9a-f]{32}$").MatchString(instance.ID()) {
		t.Errorf("generated id: %q", instance.ID())
	}
	row, err := hub.Store().ReadInstance(t.Context(), instance.ID(), true)
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Instance{
		InstanceID: instance.ID(), ExecutionID: instance.ExecutionID(), Name: "Echo", Version: "2",
		Input: history.Text(`"hi"`), Status: history.Pending, HasGeneration: true, Tags: tags, TaskHubName: hub.Name(),
		Created: row.Created, LastUpdated: row.LastUpdated,
	}
	if diff := cmp.Diff(want, row.Instance); diff != "" {
		t.Errorf("row: %s", diff)
	}
	all := messages(t, hub)
	if len(all) != 1 {
		t.Fatalf("%d messages", len(all))
	}
	self := history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()}
	generation := int32(0)
	event := &history.ExecutionStarted{
		Header:   history.Header{EventID: history.NoEventID, Timestamp: row.Created},
		Instance: self, Name: "Echo", Version: "2", Input: history.Text(`"hi"`), Tags: tags, Generation: &generation,
	}
	if diff := cmp.Diff(history.Event(event), all[0].Event); diff != "" {
		t.Errorf("event: %s", diff)
	}
	if all[0].Target != self || *all[0].Sender != (history.Instance{}) || all[0].Context != nil || all[0].Episode != nil {
		t.Errorf("message: %+v", all[0])
	}
}

func TestStart_At(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	at := time.Now().Add(7*24*time.Hour - time.Second)
	instance := start(t, client, "later", taskhub.StartAt(at))
	if all := messages(t, hub); len(all) != 0 {
		t.Errorf("%d messages are visible", len(all))
	}
	status, err := client.Get(t.Context(), instance.ID())
	if err != nil {
		t.Fatal(err)
	}
	if status.ScheduledStart == nil || !status.ScheduledStart.Equal(at.Truncate(history.Tick)) || status.Status != history.Pending {
		t.Errorf("status: %+v", status)
	}
	start(t, client, "past", taskhub.StartAt(time.Now().Add(-time.Hour)))
	if all := messages(t, hub); len(all) != 1 {
		t.Errorf("%d messages are visible after a start in the past", len(all))
	}
}

// D05, D07, X11: what a start finds under its id decides.
func TestStart_Reuse(t *testing.T) {
	t.Parallel()
	const refuse, use, replace = "refuse", "use", "replace"
	for _, status := range history.Statuses() {
		for _, tt := range []struct {
			reuse taskhub.Reuse
			live  string
			ended string
		}{
			{taskhub.RefuseLive, refuse, replace},
			{taskhub.UseExisting, use, use},
			{taskhub.ReplaceLive, replace, replace},
		} {
			want := tt.live
			if status.Terminal() {
				want = tt.ended
			}
			t.Run(string(status)+" "+want, func(t *testing.T) {
				t.Parallel()
				hub := newHub(t, taskhub.Memory())
				client := taskhub.NewClient(hub)
				first := start(t, client, "first", taskhub.InstanceID("one"))
				set(t, hub, "one", status, history.Text(`"old"`))
				before, _ := client.Get(t.Context(), "one")
				second, err := taskhub.Start(t.Context(), client, echo, "second", taskhub.InstanceID("one"), tt.reuse)
				after, _ := client.Get(t.Context(), "one")
				switch want {
				case refuse:
					var exists *taskhub.ExistsError
					if !errors.As(err, &exists) || !errors.Is(err, taskhub.ErrExists) || exists.Status != status || exists.InstanceID != "one" {
						t.Errorf("error: %v", err)
					}
				case use:
					if err != nil || second.ExecutionID() != first.ExecutionID() {
						t.Errorf("got %v, %v", second, err)
					}
				case replace:
					if err != nil || second.ExecutionID() == first.ExecutionID() || after.ExecutionID != second.ExecutionID() {
						t.Fatalf("got %v, %v", second, err)
					}
					if after.Generation != 1 || string(after.Input) != `"second"` || after.RawOutput != nil || after.Completed != nil || after.Status != history.Pending {
						t.Errorf("row: %+v", after)
					}
					if n := len(messages(t, hub)); n != 2 {
						t.Errorf("%d messages", n)
					}
					return
				}
				if diff := cmp.Diff(before, after, cmp.AllowUnexported(taskhub.Status{})); diff != "" {
					t.Errorf("the instance changed: %s", diff)
				}
				if n := len(messages(t, hub)); n != 1 {
					t.Errorf("%d messages", n)
				}
			})
		}
	}
}

func TestStart_SurvivesFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		plans    map[storage.Kind][]fault
		err      error
		rows     int
		messages int
	}{
		{"message sent twice", map[storage.Kind][]fault{storage.QueuePut: {lostReply}}, nil, 1, 2},
		{"message sent again", map[storage.Kind][]fault{storage.QueuePut: {lostRequest}}, nil, 1, 1},
		{"message never sent", map[storage.Kind][]fault{storage.QueuePut: {lostRequest, lostRequest, lostRequest}}, taskhub.ErrUnavailable, 0, 0},
		{"message refused", map[storage.Kind][]fault{storage.QueuePut: {refusal}}, taskhub.ErrUnauthorized, 0, 0},
		{"row written", map[storage.Kind][]fault{storage.TableInsert: {lostReply}}, nil, 1, 1},
		{"row written again", map[storage.Kind][]fault{storage.TableInsert: {lostRequest}}, nil, 1, 1},
		{"row never written", map[storage.Kind][]fault{storage.TableInsert: {lostRequest, lostRequest, lostRequest}}, taskhub.ErrUnclear, 0, 1},
		{"row refused", map[storage.Kind][]fault{storage.TableInsert: {refusal}}, taskhub.ErrUnauthorized, 0, 0},
		{"row not to be read back", map[storage.Kind][]fault{storage.TableInsert: {lostReply}, storage.TableRead: {refusal}}, taskhub.ErrUnclear, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub := newHub(t, taskhub.Memory())
			f := withFaults(hub)
			f.plans = tt.plans
			client := taskhub.NewClient(hub)
			instance, err := taskhub.Start(t.Context(), client, echo, "x")
			if !errors.Is(err, tt.err) {
				t.Errorf("error: %v", err)
			}
			page, err := client.List(t.Context(), taskhub.Query{})
			if err != nil || len(page.Instances) != tt.rows {
				t.Fatalf("rows: %+v, %v", page, err)
			}
			all := messages(t, hub)
			if len(all) != tt.messages {
				t.Errorf("%d messages", len(all))
			}
			for _, m := range all {
				if instance != nil && m.Target.ExecutionID != instance.ExecutionID() {
					t.Errorf("message for execution %s", m.Target.ExecutionID)
				}
			}
		})
	}
}

func TestStart_FinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	ctx, cancel := context.WithCancel(t.Context())
	withFaults(hub).plans[storage.QueuePut] = []fault{func(ctx context.Context, next func(context.Context) error) error {
		defer cancel()
		return next(ctx)
	}}
	client := taskhub.NewClient(hub)
	instance, err := taskhub.Start(ctx, client, echo, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(t.Context(), instance.ID()); err != nil {
		t.Error(err)
	}
	if _, err := taskhub.Start(ctx, client, echo, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a start with an ended context: %v", err)
	}
}

func TestStart_PurgedBetweenReadAndWrite(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, "old", taskhub.InstanceID("one"))
	set(t, hub, "one", history.Completed, nil)
	messages(t, hub)
	other := taskhub.NewClient(hub)
	f := withFaults(hub)
	f.plans[storage.QueuePut] = []fault{func(ctx context.Context, next func(context.Context) error) error {
		if err := other.Purge(ctx, "one"); err != nil {
			t.Error(err)
		}
		return next(ctx)
	}}
	instance := start(t, client, "new", taskhub.InstanceID("one"))
	status, err := client.Get(t.Context(), "one")
	if err != nil || status.ExecutionID != instance.ExecutionID() || status.Generation != 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
	if all := messages(t, hub); len(all) != 1 || all[0].Target.ExecutionID != instance.ExecutionID() {
		t.Errorf("messages: %v", all)
	}
}

func TestStart_LargeInputs(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		for _, tt := range []struct {
			name  string
			size  int
			blobs int
		}{
			{"inline", 30_000, 0},
			{"inline message, blob for the row", 35_000, 1},
			{"message in a blob", 50_000, 1},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				hub := newHub(t, account)
				client := taskhub.NewClient(hub)
				const id = "order|7: a b'c%25"
				input := strings.Repeat("x", tt.size)
				start(t, client, input, taskhub.InstanceID(id))
				status, err := client.Get(t.Context(), id)
				if err != nil || string(status.Input) != `"`+input+`"` {
					t.Fatalf("input of %d bytes: %v", tt.size, err)
				}
				page, err := client.List(t.Context(), taskhub.Query{Payloads: true, IDPrefix: "order|"})
				if err != nil || len(page.Instances) != 1 || len(page.Instances[0].Input) != tt.size+2 {
					t.Errorf("listed: %v", err)
				}
				if n := len(blobsOf(t, hub)); n != tt.blobs {
					t.Errorf("%d blobs", n)
				}
				all := messages(t, hub)
				if started, ok := all[0].Event.(*history.ExecutionStarted); !ok || len(*started.Input) != tt.size+2 {
					t.Errorf("message: %v", all[0].Event)
				}
				if err := client.Purge(t.Context(), id, taskhub.Force{}); err != nil {
					t.Error(err)
				}
				if left := blobsOf(t, hub); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	})
}

func TestStart_TakesBackBlobs(t *testing.T) {
	t.Parallel()
	for _, size := range []int{35_000, 50_000} {
		hub := newHub(t, taskhub.Memory())
		withFaults(hub).plans[storage.TableInsert] = []fault{refusal}
		if _, err := taskhub.Start(t.Context(), taskhub.NewClient(hub), echo, strings.Repeat("x", size)); err == nil {
			t.Error("no error")
		}
		if left := blobsOf(t, hub); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if all := messages(t, hub); len(all) > 0 {
			t.Errorf("messages: %v", all)
		}
	}
}

// blobsOf returns the names of all payload blobs of the hub.
func blobsOf(t *testing.T, hub *taskhub.Hub) []string {
	t.Helper()
	names, err := hub.Store().Account.Blobs.ListBlobs(t.Context(), hub.Store().Names.LargeMessages(), "")
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	return names
}

func TestStartByName_Inputs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		input any
		want  string
	}{
		{"none", struct{}{}, ""},
		{"no raw message", json.RawMessage(nil), ""},
		{"null", nil, "null"},
		{"value", map[string]int{"a": 1}, `{"a":1}`},
		{"raw, untouched", json.RawMessage(`{ "b" : 1.0 }`), `{ "b" : 1.0 }`},
		{"looks like a URL", "https://example.org/x", `"https://example.org/x"`},
		{"not escaped", "<&>", `"<&>"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t)
			instance, err := client.StartByName(t.Context(), "Other", tt.input)
			if err != nil {
				t.Fatal(err)
			}
			status, err := client.Get(t.Context(), instance.ID())
			if err != nil || string(status.Input) != tt.want || status.Name != "Other" {
				t.Errorf("got %s, %v, want %s", status.Input, err, tt.want)
			}
		})
	}
}

func TestStart_CountsRequests(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	for _, tt := range []struct {
		name string
		want int64
		call func()
	}{
		{"start", 2, func() { start(t, client, "x") }},
		{"start with a chosen id", 3, func() { start(t, client, "x", taskhub.InstanceID("one")) }},
		{"use existing", 1, func() { start(t, client, "x", taskhub.InstanceID("one"), taskhub.UseExisting) }},
		{"get", 1, func() { _, _ = client.Get(t.Context(), "one") }},
		{"raise", 2, func() { _ = taskhub.RaiseEvent(t.Context(), client, "one", approved, true) }},
		{"raise unchecked", 1, func() { _ = taskhub.RaiseEvent(t.Context(), client, "one", approved, true, taskhub.Unchecked{}) }},
		{"terminate", 2, func() { _ = client.Terminate(t.Context(), "one", "enough") }},
		{"attach", 0, func() { taskhub.Attach[string](client, "one") }},
		{"list", 1, func() { _, _ = client.List(t.Context(), taskhub.Query{}) }},
	} {
		if got := requestsOf(hub, tt.call); got != tt.want {
			t.Errorf("%s: %d requests, want %d", tt.name, got, tt.want)
		}
	}
}

// A client that stood still between message and row sends the message again: workers may have given
// the first one up.
func TestStart_HeldUpBeforeTheRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			pause time.Duration
			want  int
		}{{time.Minute, 1}, {20 * time.Minute, 2}} {
			store := memory.New()
			slow := storage.WithHook(store.Account(), func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
				if call.Kind == storage.TableInsert && strings.HasSuffix(call.Target, "Instances") {
					<-time.After(tt.pause)
					ctx = context.WithoutCancel(ctx) // a process that stands still does not see its time run out
				}
				return next(ctx)
			})
			if _, err := taskhub.Create(t.Context(), taskhub.Ports(store.Account()), "Slow", nil); err != nil {
				t.Fatal(err)
			}
			hub, err := taskhub.Open(t.Context(), taskhub.Ports(slow), "Slow", nil)
			if err != nil {
				t.Fatal(err)
			}
			large := strings.Repeat("x", 100<<10)
			instance, err := taskhub.NewClient(hub).StartByName(t.Context(), "Any", large)
			if err != nil {
				t.Fatal(err)
			}
			received, _, err := hub.Store().Receive(t.Context(), hub.Store().ControlQueueOf(instance.ID()), 32, time.Minute)
			if err != nil || len(received) != tt.want {
				t.Fatalf("after %v: %d messages, %v", tt.pause, len(received), err)
			}
			for _, m := range received {
				started, ok := m.Content.Event.(*history.ExecutionStarted)
				if !ok || started.Instance.ExecutionID != instance.ExecutionID() || len(history.TextOr(started.Input, "")) < len(large) {
					t.Errorf("after %v: the message holds %v", tt.pause, m.Content.Event.Kind())
				}
			}
		}
	})
}
