package store_test

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
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

func TestMain(m *testing.M) {
	code := m.Run()
	azurite.StopShared()
	os.Exit(code)
}

// everywhere runs a test on a new hub in memory and on one in Azurite.
func everywhere(t *testing.T, test func(t *testing.T, hub *store.Hub)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, newHub(t))
	})
	t.Run("azurite", func(t *testing.T) {
		t.Parallel()
		account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), nil)
		if err != nil {
			t.Fatal(err)
		}
		test(t, createHub(t, account, store.Options{}))
	})
}

func newHub(t *testing.T) *store.Hub {
	t.Helper()
	return createHub(t, memory.New().Account(), store.Options{})
}

func createHub(t *testing.T, account storage.Account, options store.Options) *store.Hub {
	t.Helper()
	names, err := wire.NewNames("T" + strings.ReplaceAll(uuid.NewString(), "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	hub := store.New(account, names, 4, options)
	if err := hub.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return hub
}

// outcome says what becomes of a request.
type outcome int

const (
	fine outcome = iota
	lostReply
	lostRequest
	refused
)

// disturb lets the next requests of a kind have the given outcomes.
func disturb(hub *store.Hub, kind storage.Kind, outcomes ...outcome) {
	var mu sync.Mutex
	next := func() outcome {
		mu.Lock()
		defer mu.Unlock()
		if len(outcomes) == 0 {
			return fine
		}
		first := outcomes[0]
		outcomes = outcomes[1:]
		return first
	}
	hub.Account = storage.WithHook(hub.Account, func(ctx context.Context, call *storage.Call, send func(context.Context) error) error {
		if call.Kind != kind {
			return send(ctx)
		}
		failure := &storage.Error{Op: kind, Target: call.Target, Sentinel: storage.ErrUnavailable, Ambiguous: true}
		switch next() {
		case lostReply:
			if err := send(ctx); err != nil {
				return err
			}
			return failure
		case lostRequest:
			return failure
		case refused:
			failure.Sentinel, failure.Ambiguous = storage.ErrPrecondition, false
			return failure
		case fine:
		}
		return send(ctx)
	})
}

// raised returns events with the given inputs.
func raised(inputs ...string) []history.Event {
	events := make([]history.Event, len(inputs))
	for i, input := range inputs {
		events[i] = &history.EventRaised{
			Header: history.Header{EventID: history.NoEventID, Timestamp: wire.Ticks(time.Now())}, Name: "e", Input: &input,
		}
	}
	return events
}

// inputs returns what raised was given.
func inputs(t *testing.T, loaded *store.History) []string {
	t.Helper()
	var all []string
	for _, event := range loaded.State.Events() {
		e, ok := event.(*history.EventRaised)
		if !ok {
			t.Fatalf("event %T", event)
		}
		all = append(all, *e.Input)
	}
	return all
}

func load(t *testing.T, hub *store.Hub) *store.History {
	t.Helper()
	loaded, err := hub.LoadHistory(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// id is the instance that the tests are about; its id is escaped in keys.
const id = "order/1 ^"

func blobs(t *testing.T, hub *store.Hub) []string {
	t.Helper()
	names, err := hub.Account.Blobs.ListBlobs(t.Context(), hub.Names.LargeMessages(), "")
	if err != nil {
		t.Fatal(err)
	}
	return names
}
