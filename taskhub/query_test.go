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
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// pages lists to the end and returns the sizes of the pages and the ids.
func pages(t *testing.T, c *taskhub.Client, q taskhub.Query) (sizes []int, ids, tokens []string) {
	t.Helper()
	for {
		page, err := c.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Instances))
		for _, s := range page.Instances {
			ids = append(ids, s.InstanceID)
		}
		tokens = append(tokens, page.Next)
		if q.Token = page.Next; q.Token == "" {
			return sizes, ids, tokens
		}
	}
}

// Q04, Q05: pages of any size hold all instances once; the last one has no token.
func TestList_Pages(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		client := taskhub.NewClient(newHub(t, account))
		if page, err := client.List(t.Context(), taskhub.Query{}); err != nil || len(page.Instances) != 0 || page.Next != "" {
			t.Errorf("empty hub: %+v, %v", page, err)
		}
		for i := range 21 {
			start(t, client, "x", taskhub.InstanceID(fmt.Sprintf("page-%02d", i)))
		}
		sizes, ids, tokens := pages(t, client, taskhub.Query{PageSize: 5})
		if !slices.Equal(sizes, []int{5, 5, 5, 5, 1}) || !slices.IsSorted(ids) || len(ids) != 21 {
			t.Errorf("pages of 5: %v, %v", sizes, ids)
		}
		sizes, rest, _ := pages(t, client, taskhub.Query{PageSize: 4, Token: tokens[1]})
		if !slices.Equal(sizes, []int{4, 4, 3}) || !slices.Equal(rest, ids[10:]) {
			t.Errorf("pages of 4 from the third on: %v, %v", sizes, rest)
		}
		if sizes, _, _ := pages(t, client, taskhub.Query{}); !slices.Equal(sizes, []int{21}) {
			t.Errorf("default page: %v", sizes)
		}
	})
}

// Q01, Q02, Q03: status, id prefix and created range select exactly what they say, also together.
func TestList_Filters(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		client, st := taskhub.NewClient(hub), hub.Store()
		day := func(n int) time.Time { return time.Date(2026, 1, n, 12, 0, 0, 123_456_700, time.UTC) }
		for i, in := range []wire.Instance{
			{InstanceID: "Foo", Name: "A", Status: history.Running},
			{InstanceID: "Foo1", Name: "A", Status: history.Completed},
			{InstanceID: "Foo2", Name: "B", Status: history.Running},
			{InstanceID: "Foo/x", Name: "B", Status: history.Failed},
			{InstanceID: "Foo's", Name: "B's", Status: history.Pending},
			{InstanceID: "Fop", Name: "A", Status: history.Terminated},
			{InstanceID: "Fo", Name: "A", Status: history.Suspended},
			{InstanceID: "@counter@Foo", Name: "@counter@Foo", Status: history.Running},
		} {
			in.ExecutionID, in.Created, in.LastUpdated = st.NewID("test"), day(i+1), day(i+1)
			if err := st.CreateInstance(t.Context(), in, ""); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			name string
			q    taskhub.Query
			want string
		}{
			{"all", taskhub.Query{}, "Fo Foo Foo's Foo/x Foo1 Foo2 Fop"},
			{"prefix", taskhub.Query{IDPrefix: "Foo"}, "Foo Foo's Foo/x Foo1 Foo2"},
			{"prefix with a quote", taskhub.Query{IDPrefix: "Foo'"}, "Foo's"},
			{"prefix to escape", taskhub.Query{IDPrefix: "Foo/"}, "Foo/x"},
			{"prefix of nothing", taskhub.Query{IDPrefix: "Fox"}, ""},
			{"prefix of entities", taskhub.Query{IDPrefix: "@"}, ""},
			{"status", taskhub.Query{Statuses: []history.Status{history.Running}}, "Foo Foo2"},
			{"statuses", taskhub.Query{Statuses: []history.Status{history.Completed, history.Failed}}, "Foo/x Foo1"},
			{"from", taskhub.Query{CreatedFrom: day(5)}, "Fo Foo's Fop"},
			{"to", taskhub.Query{CreatedTo: day(2)}, "Foo Foo1"},
			{"from to", taskhub.Query{CreatedFrom: day(2), CreatedTo: day(4)}, "Foo/x Foo1 Foo2"},
			{"name", taskhub.Query{Name: "B"}, "Foo/x Foo2"},
			{"name with a quote", taskhub.Query{Name: "B's"}, "Foo's"},
			{"all together", taskhub.Query{
				IDPrefix: "Foo", Name: "B", Statuses: []history.Status{history.Running, history.Pending}, CreatedFrom: day(1), CreatedTo: day(9),
			}, "Foo2"},
		} {
			_, ids, _ := pages(t, client, tt.q)
			slices.Sort(ids)
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
			}
			tt.q.PageSize = 1
			if sizes, single, _ := pages(t, client, tt.q); len(single) != len(ids) || slices.Max(sizes) > 1 {
				t.Errorf("%s, one by one: %v", tt.name, single)
			}
		}
	})
}

// TestList_FillsPages plays a service whose pages end early or are empty.
func TestList_FillsPages(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	for i := range 7 {
		start(t, client, "x", taskhub.InstanceID(fmt.Sprintf("i%d", i)))
	}
	hub.Store().Account.Tables = &stingyTables{Tables: hub.Store().Account.Tables}
	sizes, ids, _ := pages(t, client, taskhub.Query{PageSize: 3})
	if !slices.Equal(sizes, []int{3, 3, 1}) || !slices.IsSorted(ids) || len(ids) != 7 {
		t.Errorf("pages: %v, %v", sizes, ids)
	}
}

// stingyTables gives an empty page, then a page of at most two rows, in turns.
type stingyTables struct {
	storage.Tables
	calls int
}

func (s *stingyTables) Query(ctx context.Context, table string, q storage.Query) (storage.Page, error) {
	if s.calls++; s.calls%2 == 1 {
		next := q.Next
		if !strings.HasPrefix(next, "again ") {
			next = "again " + next
		}
		return storage.Page{Next: next}, nil
	}
	q.Next = strings.TrimPrefix(q.Next, "again ")
	q.Limit = min(q.Limit, 2)
	return s.Tables.Query(ctx, table, q)
}

func TestAll(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	for i := range 7 {
		start(t, client, "x", taskhub.InstanceID(fmt.Sprintf("i%d", i)))
	}
	n := 0
	for s, err := range client.All(t.Context(), taskhub.Query{PageSize: 2}) {
		if err != nil || s.InstanceID != fmt.Sprintf("i%d", n) {
			t.Fatalf("got %v, %v", s, err)
		}
		n++
	}
	if n != 7 {
		t.Errorf("%d instances", n)
	}
	requests := requestsOf(hub, func() {
		for range client.All(t.Context(), taskhub.Query{PageSize: 2}) {
			break
		}
	})
	if requests != 1 {
		t.Errorf("%d requests after a break", requests)
	}
	withFaults(hub).plans[storage.TableQuery] = []fault{refusal}
	var failed error
	for _, err := range client.All(t.Context(), taskhub.Query{}) {
		failed = err
	}
	if !errors.Is(failed, taskhub.ErrUnauthorized) {
		t.Errorf("error: %v", failed)
	}
}

func TestList_Recorded(t *testing.T) {
	t.Parallel()
	recorded := fixture.Load(t, "queries")
	account := taskhub.Memory()
	restore(t, account, recorded)
	hub, err := taskhub.Open(t.Context(), account, recorded.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := taskhub.NewClient(hub)
	for _, tt := range []struct {
		q    taskhub.Query
		want string
	}{
		{taskhub.Query{}, "other/1 q-0 q-1 q-2 q-3 q-4"},
		{taskhub.Query{IDPrefix: "q-"}, "q-0 q-1 q-2 q-3 q-4"},
		{taskhub.Query{IDPrefix: "other/"}, "other/1"},
		{taskhub.Query{Statuses: []history.Status{history.Running}}, "other/1"},
		{taskhub.Query{Name: "Echo", PageSize: 2}, "q-0 q-1 q-2 q-3 q-4"},
	} {
		if _, ids, _ := pages(t, client, tt.q); strings.Join(ids, " ") != tt.want {
			t.Errorf("%+v: %v", tt.q, ids)
		}
	}
	page, err := client.List(t.Context(), taskhub.Query{IDPrefix: "q-1", Payloads: true})
	if err != nil || string(page.Instances[0].Input) != `"x"` || string(page.Instances[0].Output) != `"x"` {
		t.Errorf("with payloads: %+v, %v", page, err)
	}
	page, err = client.List(t.Context(), taskhub.Query{IDPrefix: "q-1"})
	if err != nil || page.Instances[0].Input != nil || page.Instances[0].Output != nil {
		t.Errorf("without payloads: %+v, %v", page, err)
	}
}

// TestList_MissingBlob lists an instance whose payload is gone beside one that is well.
func TestList_MissingBlob(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, strings.Repeat("x", 50_000), taskhub.InstanceID("a"))
	start(t, client, strings.Repeat("x", 50_000), taskhub.InstanceID("b"))
	if err := hub.Store().DeletePayloads(t.Context(), blobsOf(t, hub)[:1]); err != nil {
		t.Fatal(err)
	}
	page, err := client.List(t.Context(), taskhub.Query{Payloads: true})
	if err != nil || len(page.Instances) != 2 || len(page.Instances[1].Input) != 50_002 {
		t.Fatalf("list: %v", err)
	}
	if s := page.Instances[0]; s.Input != nil || !strings.Contains(s.UnreadableInput, " a/message-") {
		t.Errorf("input: %s, %s", s.Input, s.UnreadableInput)
	}
	if _, err := client.Get(t.Context(), "a"); err == nil || errors.Is(err, taskhub.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}
