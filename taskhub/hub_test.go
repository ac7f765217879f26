package taskhub_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// TestCreate_MakesWhatDotNetMakes compares a new hub with a recorded one.
// M01: the resources of a hub, and none more.
func TestCreate_MakesWhatDotNetMakes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		st := hub.Store()
		recorded := fixture.Load(t, "hub-create")
		rename := strings.NewReplacer(recorded.Name, hub.Name(), strings.ToLower(recorded.Name), strings.ToLower(hub.Name()))
		want := []string{}
		for _, names := range [][]string{
			slices.Collect(maps.Keys(recorded.Tables)), slices.Collect(maps.Keys(recorded.Queues)), slices.Collect(maps.Keys(recorded.Containers)),
		} {
			for _, name := range names {
				want = append(want, rename.Replace(name))
			}
		}
		for range 2 { // creating again changes nothing
			if diff := cmp.Diff(slices.Sorted(slices.Values(want)), resources(t, st.Account, hub.Name())); diff != "" {
				t.Errorf("resources: %s", diff)
			}
			if _, err := taskhub.Create(t.Context(), account, hub.Name(), nil); err != nil {
				t.Fatal(err)
			}
		}
		rows, _, err := storage.All(t.Context(), st.Account.Tables, st.Names.PartitionsTable(), storage.Query{})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range recorded.Rows(recorded.Name + "Partitions") {
			if row.PartitionKey != rows[i].PartitionKey || rename.Replace(row.RowKey) != rows[i].RowKey {
				t.Errorf("partition row %q", rows[i].RowKey)
			}
		}
		if len(rows) != 4 || hub.Partitions() != 4 {
			t.Errorf("%d partitions, %d rows", hub.Partitions(), len(rows))
		}
		info, err := st.Account.Blobs.GetBlob(t.Context(), st.Names.AppLease(), st.Names.AppLeaseInfo(), 0)
		if err != nil || string(info) != "{}" {
			t.Errorf("app lease information: %q, %v", info, err)
		}
	})
}

// resources returns the names of everything in the account that belongs to the hub.
func resources(t *testing.T, account storage.Account, hub string) []string {
	t.Helper()
	lower := strings.ToLower(hub)
	tables, err := account.Tables.ListTables(t.Context())
	queues, err1 := account.Queues.ListQueues(t.Context(), lower)
	containers, err2 := account.Blobs.ListContainers(t.Context(), lower)
	if err := errors.Join(err, err1, err2); err != nil {
		t.Fatal(err)
	}
	tables = slices.DeleteFunc(tables, func(name string) bool { return !strings.HasPrefix(name, hub) })
	return slices.Sorted(slices.Values(slices.Concat(tables, queues, containers)))
}

// M01: deletion removes all; creation may be repeated.
func TestHub_DeleteAndCreateAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		hub := newHub(t, account)
		client := taskhub.NewClient(hub)
		start(t, client, strings.Repeat("x", 50_000), taskhub.InstanceID("one"))
		for range 2 {
			if err := hub.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if left := resources(t, hub.Store().Account, hub.Name()); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if _, err := taskhub.Open(t.Context(), account, hub.Name(), nil); !errors.Is(err, taskhub.ErrHubNotFound) {
			t.Errorf("open a deleted hub: %v", err)
		}
		if _, err := taskhub.Start(t.Context(), client, echo, "x"); err == nil {
			t.Error("start in a deleted hub succeeded")
		}
		again, err := taskhub.Create(t.Context(), account, hub.Name(), &taskhub.Options{Partitions: 2})
		if err != nil || again.Partitions() != 2 {
			t.Fatalf("create again: %v", err)
		}
		client = taskhub.NewClient(again)
		if _, err := client.Get(t.Context(), "one"); !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("instance of the deleted hub: %v", err)
		}
		start(t, client, strings.Repeat("x", 50_000), taskhub.InstanceID("one"))
	})
}

func TestOpen_PartitionCount(t *testing.T) {
	t.Parallel()
	account := taskhub.Memory()
	created, err := taskhub.Create(t.Context(), account, "Counted", &taskhub.Options{Partitions: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, partitions := range []int{0, 7} {
		hub, err := taskhub.Open(t.Context(), account, "Counted", &taskhub.Options{Partitions: partitions})
		if err != nil || hub.Partitions() != 7 {
			t.Fatalf("open with %d: %v", partitions, err)
		}
	}
	for name, open := range map[string]func() (*taskhub.Hub, error){
		"open": func() (*taskhub.Hub, error) {
			return taskhub.Open(t.Context(), account, "Counted", &taskhub.Options{Partitions: 4})
		},
		"create": func() (*taskhub.Hub, error) {
			return taskhub.Create(t.Context(), account, "Counted", &taskhub.Options{Partitions: 4})
		},
	} {
		_, err := open()
		var count *taskhub.PartitionCountError
		if !errors.As(err, &count) || count.Actual != 7 || count.Asked != 4 || !strings.Contains(err.Error(), "has 7 partitions, not 4") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, want := created.PartitionOf("order-1001"), wire.PartitionOf("order-1001", 7); got != want {
		t.Errorf("partition %d, want %d", got, want)
	}
	for _, partitions := range []int{-1, 17} {
		var argument *taskhub.ArgumentError
		if _, err := taskhub.Create(t.Context(), account, "Other", &taskhub.Options{Partitions: partitions}); !errors.As(err, &argument) {
			t.Errorf("%d partitions: %v", partitions, err)
		}
	}
}

func TestCreate_AtTheSameTime(t *testing.T) {
	t.Parallel()
	account := taskhub.Memory()
	var wg sync.WaitGroup
	hubs := make([]*taskhub.Hub, 12)
	for i := range hubs {
		wg.Go(func() {
			hubs[i], _ = taskhub.Create(t.Context(), account, "Raced", &taskhub.Options{Partitions: i + 1})
		})
	}
	wg.Wait()
	won := slices.DeleteFunc(hubs, func(h *taskhub.Hub) bool { return h == nil })
	opened, err := taskhub.Open(t.Context(), account, "Raced", nil)
	if err != nil || len(won) != 1 || won[0].Partitions() != opened.Partitions() {
		t.Errorf("%d creations succeeded; %v", len(won), err)
	}
}

// F06: illegal hub names.
func TestOpen_Names(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "ab", "1abc", "my-hub", "hüb", "a b c", strings.Repeat("a", 46)} {
		for _, open := range []func() error{
			func() error { _, err := taskhub.Open(t.Context(), taskhub.Memory(), name, nil); return err },
			func() error { _, err := taskhub.Create(t.Context(), taskhub.Memory(), name, nil); return err },
		} {
			err := open()
			var bad *taskhub.NameError
			if !errors.As(err, &bad) || bad.Name != name || !strings.Contains(err.Error(), fmt.Sprintf("%q: must be 3 to 45", name)) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	for _, name := range []string{"abc", strings.Repeat("a", 45), "Hub2"} {
		if _, err := taskhub.Create(t.Context(), taskhub.Memory(), name, nil); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOpen_BlobManaged(t *testing.T) {
	t.Parallel()
	recorded := fixture.Load(t, "partitions-blob-safe")
	account := taskhub.Memory()
	restore(t, account, recorded)
	for _, open := range []func() (*taskhub.Hub, error){
		func() (*taskhub.Hub, error) { return taskhub.Open(t.Context(), account, recorded.Name, nil) },
		func() (*taskhub.Hub, error) { return taskhub.Create(t.Context(), account, recorded.Name, nil) },
	} {
		if _, err := open(); !errors.Is(err, taskhub.ErrBlobManaged) {
			t.Errorf("error: %v", err)
		}
	}
}

func TestList_NamesHubs(t *testing.T) {
	t.Parallel()
	account := taskhub.Memory()
	if names, err := taskhub.List(t.Context(), account); err != nil || len(names) > 0 {
		t.Errorf("got %v, %v", names, err)
	}
	for _, name := range []string{"Second", "First"} {
		if _, err := taskhub.Create(t.Context(), account, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := taskhub.List(t.Context(), account); err != nil || !slices.Equal(names, []string{"First", "Second"}) {
		t.Errorf("got %v, %v", names, err)
	}
}

const secretKey = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA=="

func TestAccount_ErrorsAndSecrets(t *testing.T) {
	t.Parallel()
	const unreachable = "BlobEndpoint=http://127.0.0.1:1/x;QueueEndpoint=http://127.0.0.1:1/x;TableEndpoint=http://127.0.0.1:1/x;"
	for _, tt := range []struct {
		name    string
		account taskhub.Account
		want    string
		is      error
	}{
		{"empty", taskhub.ConnectionString(""), "connection string", nil},
		{"nonsense", taskhub.ConnectionString("AccountKey:" + secretKey), "connection string", nil},
		{"no name", taskhub.ConnectionString("AccountKey=" + secretKey), "AccountName", nil},
		{"no key", taskhub.ConnectionString("AccountName=x"), "AccountKey", nil},
		{"bad key", taskhub.ConnectionString("AccountName=x;AccountKey=" + secretKey + "?"), "AccountKey", nil},
		{"no URL", taskhub.Endpoints{Blob: "?sig=" + secretKey}, "endpoint", nil},
		{"nil", nil, "nil", nil},
		{"unreachable, by key", taskhub.ConnectionString(unreachable + "AccountName=x;AccountKey=" + secretKey), "127.0.0.1:1", taskhub.ErrUnavailable},
		{"unreachable, by SAS", taskhub.ConnectionString(unreachable + "SharedAccessSignature=sv=1&sig=" + secretKey), "127.0.0.1:1", taskhub.ErrUnavailable},
		{"unreachable, by URLs", taskhub.Endpoints{
			Blob: "http://127.0.0.1:1/x?sig=" + secretKey, Queue: "http://127.0.0.1:1/x?sig=" + secretKey, Table: "http://127.0.0.1:1/x?sig=" + secretKey,
		}, "127.0.0.1:1", taskhub.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			var opened, created, listed error
			var wg sync.WaitGroup
			wg.Go(func() { _, opened = taskhub.Open(t.Context(), tt.account, "Orders", nil) })
			wg.Go(func() { _, created = taskhub.Create(t.Context(), tt.account, "Orders", nil) })
			wg.Go(func() { _, listed = taskhub.List(t.Context(), tt.account) })
			wg.Wait()
			for _, err := range []error{opened, created, listed} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error: %v", err)
				}
				if err != nil && strings.Contains(err.Error(), secretKey[:20]) {
					t.Errorf("secret in %q", err)
				}
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			shown := fmt.Sprintf("%v %+v %#v %s", tt.account, tt.account, tt.account, slog.AnyValue(tt.account).Resolve())
			if strings.Contains(shown, secretKey[:20]) {
				t.Errorf("account shows its secret: %s", shown)
			}
		})
	}
}

func TestOpen_RefusedKey(t *testing.T) {
	t.Parallel()
	server := azurite.Start(t)
	text := fmt.Sprintf("AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s;TableEndpoint=%s",
		azurite.AccountName, secretKey, server.BlobURL(), server.QueueURL(), server.TableURL())
	_, err := taskhub.Open(t.Context(), taskhub.ConnectionString(text), "Orders", nil)
	if !errors.Is(err, taskhub.ErrUnauthorized) || strings.Contains(err.Error(), secretKey) {
		t.Errorf("error: %v", err)
	}
}

func TestHub_Requests(t *testing.T) {
	t.Parallel()
	account := taskhub.Memory()
	newHub(t, account)
	hub, err := taskhub.Create(t.Context(), account, "Metered", nil)
	if err != nil {
		t.Fatal(err)
	}
	start(t, taskhub.NewClient(hub), "x")
	if all := messages(t, hub); len(all) != 1 {
		t.Fatalf("%d messages", len(all))
	}
	want := map[string]int64{
		"table.query": 3, "table.admin": 3, "table.transact": 1, "table.insert": 1,
		"queue.admin": 5, "queue.put": 1, "queue.get": 1, "queue.get (empty)": 4,
		"blob.get": 2, "blob.admin": 1, "blob.put": 1,
	}
	if diff := cmp.Diff(want, hub.Requests()); diff != "" {
		t.Error(diff)
	}
	again, err := taskhub.Open(t.Context(), account, "Metered", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"table.query": 1}, again.Requests()); diff != "" {
		t.Error(diff)
	}
	again.Requests()["table.query"] = 9
	if again.Requests()["table.query"] != 1 {
		t.Error("the map is shared")
	}
}

// restore loads a recorded hub into a memory account, by way of a hub that is opened in it.
func restore(t *testing.T, account taskhub.Account, recorded *fixture.Hub) {
	t.Helper()
	recorded.Restore(t.Context(), t, newHub(t, account).Store().Account)
}
