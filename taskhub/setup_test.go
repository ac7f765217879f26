package taskhub_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

func TestMain(m *testing.M) {
	code := m.Run()
	azurite.StopShared()
	os.Exit(code)
}

var (
	echo     = orchestration.Declare[string, string]("Echo")
	approved = orchestration.DeclareEvent[bool]("Approved")
)

// everywhere runs a test on a memory account and on Azurite.
func everywhere(t *testing.T, test func(t *testing.T, account taskhub.Account)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, taskhub.Memory())
	})
	t.Run("azurite", func(t *testing.T) {
		t.Parallel()
		test(t, taskhub.ConnectionString(azurite.Start(t).ConnectionString()))
	})
}

// newHub creates a hub of a random name.
func newHub(t *testing.T, account taskhub.Account) *taskhub.Hub {
	t.Helper()
	name := "T" + strings.ReplaceAll(uuid.NewString(), "-", "")
	hub, err := taskhub.Create(t.Context(), account, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return hub
}

func newClient(t *testing.T) *taskhub.Client {
	t.Helper()
	return taskhub.NewClient(newHub(t, taskhub.Memory()))
}

func start(t *testing.T, c *taskhub.Client, in string, options ...taskhub.StartOption) *taskhub.Instance[string] {
	t.Helper()
	instance, err := taskhub.Start(t.Context(), c, echo, in, options...)
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

// requestsOf returns how many requests f sends, polls and retries included.
func requestsOf(hub *taskhub.Hub, f func()) (sum int64) {
	before := hub.Requests()
	f()
	for kind, n := range hub.Requests() {
		sum += n - before[kind]
	}
	return sum
}

// messages takes all visible messages of the control queues.
func messages(t *testing.T, hub *taskhub.Hub) []*wire.Message {
	t.Helper()
	var all []*wire.Message
	for i := range hub.Partitions() {
		for {
			batch, _, err := hub.Store().Receive(t.Context(), hub.Store().Names.ControlQueue(i), 32, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if len(batch) == 0 {
				break
			}
			for _, m := range batch {
				if m.Err != nil {
					t.Fatal(m.Err)
				}
				all = append(all, m.Content)
			}
		}
	}
	return all
}

// set plays the worker: it gives the instance a status and an output.
func set(t *testing.T, hub *taskhub.Hub, id string, status history.Status, output *string) {
	t.Helper()
	row, err := hub.Store().ReadInstance(t.Context(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	update := wire.InstanceUpdate{
		ExecutionID: row.ExecutionID, LastUpdated: now, TaskHubName: hub.Name(), Status: status, Output: output,
	}
	if status.Terminal() {
		update.Completed = &now
	}
	if _, err := hub.Store().UpdateInstance(t.Context(), id, update.Encode(), row.ETag); err != nil {
		t.Fatal(err)
	}
}

// faults is a hook that can be told what to do with the next request of a kind.
type faults struct {
	mu    sync.Mutex
	log   []storage.Kind
	plans map[storage.Kind][]fault
}

// fault stands around one request.
type fault func(ctx context.Context, next func(context.Context) error) error

func (f *faults) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	f.mu.Lock()
	f.log = append(f.log, call.Kind)
	plan := f.plans[call.Kind]
	if len(plan) > 0 {
		f.plans[call.Kind] = plan[1:]
	}
	f.mu.Unlock()
	if len(plan) == 0 {
		return next(ctx)
	}
	return plan[0](ctx, next)
}

// withFaults puts a hook before the hub's storage.
func withFaults(hub *taskhub.Hub) *faults {
	f := &faults{plans: map[storage.Kind][]fault{}}
	hub.Store().Account = storage.WithHook(hub.Store().Account, f.hook)
	return f
}

func unclear() error {
	return &storage.Error{Op: "test", Target: "test", Sentinel: storage.ErrUnavailable, Ambiguous: true}
}

// The faults: a lost reply, a lost request, a refusal.
func lostReply(ctx context.Context, next func(context.Context) error) error {
	if err := next(ctx); err != nil {
		return err
	}
	return unclear()
}

func lostRequest(context.Context, func(context.Context) error) error { return unclear() }

func refusal(context.Context, func(context.Context) error) error {
	return &storage.Error{Op: "test", Target: "test", Sentinel: storage.ErrUnauthorized}
}
