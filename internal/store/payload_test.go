package store_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// bomb returns gzip of n spaces.
func bomb(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for ; n > 0; n -= len(chunk) {
		if _, err := w.Write(chunk[:min(n, len(chunk))]); err != nil {
			t.Fatal(err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

// A message whose blob cannot be a message is refused by what the blob claims, or at the first byte
// beyond it; it holds up no other message of its batch.
func TestReceive_BadBlobs(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	ctx := t.Context()
	must(t, hub.Account.Blobs.CreateContainer(ctx, hub.Names.LargeMessages()))
	liar := bomb(t, 2<<20)
	binary.LittleEndian.PutUint32(liar[len(liar)-4:], 10)
	packed := func(text string) []byte {
		data, err := wire.Compress(text)
		must(t, err)
		return data
	}
	queue := hub.Names.ControlQueue(0)
	for name, data := range map[string][]byte{
		"bomb": bomb(t, 65<<20), "liar": liar, "garbage": []byte("garbage"), "empty": {}, "cut": packed("text")[:15],
		"nested": packed(wire.EncodePointer("bomb")), "no message": packed("[]"), "missing": nil, "a\\b": nil, "..": nil,
	} {
		if data != nil {
			must(t, hub.Account.Blobs.PutBlob(ctx, hub.Names.LargeMessages(), name, data, true))
		}
		_, err := hub.Account.Queues.Put(ctx, queue, wire.EncodePointer(name), 0)
		must(t, err)
	}
	good, err := wire.EncodeMessage(&wire.Message{
		ActivityID: "4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05", Event: &history.EventRaised{Name: "E"}, Target: history.Instance{InstanceID: "i"},
	})
	must(t, err)
	_, err = hub.Account.Queues.Put(ctx, queue, good, 0)
	must(t, err)
	received, _, err := hub.Receive(ctx, queue, 32, time.Minute)
	must(t, err)
	readable := 0
	for _, r := range received {
		switch {
		case r.Err == nil:
			readable++
		case !store.InData(r.Err) || r.Blob == "":
			t.Errorf("%q: %v", r.Blob, r.Err)
		}
	}
	if len(received) != 11 || readable != 1 {
		t.Errorf("%d of %d messages are readable", readable, len(received))
	}
}

// What could not be read again is not written.
func TestSend_TooLarge(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	text := strings.Repeat("x", 64<<20)
	_, err := hub.Send(t.Context(), &wire.Message{
		Event: &history.EventRaised{Name: "E", Input: &text}, Target: history.Instance{InstanceID: "i"},
	}, 0)
	if !errors.Is(err, storage.ErrTooLarge) || !store.InData(err) {
		t.Errorf("the error is %v", err)
	}
}

// A batch holds no more than it may; what is beyond it comes again and is no poison.
func TestReceive_TooMuchTogether(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	must(t, hub.Account.Blobs.CreateContainer(t.Context(), hub.Names.LargeMessages()))
	must(t, hub.Account.Blobs.PutBlob(t.Context(), hub.Names.LargeMessages(), "large", bomb(t, 63<<20), true))
	for range 6 {
		_, err := hub.Account.Queues.Put(t.Context(), hub.Names.ControlQueue(0), wire.EncodePointer("large"), 0)
		must(t, err)
	}
	received, _, err := hub.Receive(t.Context(), hub.Names.ControlQueue(0), 32, time.Minute)
	must(t, err)
	later := 0
	for _, r := range received {
		if !store.InData(r.Err) {
			later++
		}
	}
	if len(received) != 6 || later != 2 {
		t.Errorf("%d of %d have to come again", later, len(received))
	}
}

// History rows that no engine can have written are told apart from an execution that begins anew.
func TestLoadHistory_Corrupt(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, hub *store.Hub, table string) storage.Row{
		"gap": func(t *testing.T, hub *store.Hub, table string) storage.Row {
			must(t, hub.Account.Tables.Delete(t.Context(), table, "i", wire.RowKey(1), storage.AnyETag))
			return storage.Row{}
		},
		"beginning gone": func(t *testing.T, hub *store.Hub, table string) storage.Row {
			must(t, hub.Account.Tables.Delete(t.Context(), table, "i", wire.RowKey(0), storage.AnyETag))
			return storage.Row{}
		},
		"sentinel of another execution": func(*testing.T, *store.Hub, string) storage.Row {
			return storage.Row{RowKey: wire.SentinelKey, Values: map[string]any{"ExecutionId": "other"}}
		},
		"sentinel of a wrong type": func(*testing.T, *store.Hub, string) storage.Row {
			return storage.Row{RowKey: wire.SentinelKey, Values: map[string]any{"IsCheckpointComplete": "yes"}}
		},
		"row without execution": func(t *testing.T, hub *store.Hub, table string) storage.Row {
			must(t, hub.Account.Tables.Delete(t.Context(), table, "i", wire.RowKey(1), storage.AnyETag))
			return storage.Row{RowKey: wire.RowKey(1), Values: map[string]any{"EventType": "EventRaised"}}
		},
		"wrong type": func(*testing.T, *store.Hub, string) storage.Row {
			return storage.Row{RowKey: wire.RowKey(1), Values: map[string]any{"EventId": "one"}}
		},
		"unknown event": func(*testing.T, *store.Hub, string) storage.Row {
			return storage.Row{RowKey: wire.RowKey(1), Values: map[string]any{"EventType": "Novelty"}}
		},
		"payload gone": func(*testing.T, *store.Hub, string) storage.Row {
			return storage.Row{RowKey: wire.RowKey(1), Values: map[string]any{"InputBlobName": "gone"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := newHub(t)
			_, err := hub.CommitHistory(t.Context(), store.Commit{
				InstanceID: "i", ExecutionID: "e", Events: raised("a", "b", "c"), Now: poisonTime,
			})
			must(t, err)
			if row := damage(t, hub, hub.Names.HistoryTable()); row.RowKey != "" {
				row.PartitionKey = "i"
				_, err := hub.Account.Tables.Merge(t.Context(), hub.Names.HistoryTable(), row, "")
				must(t, err)
			}
			if loaded, err := hub.LoadHistory(t.Context(), "i"); !store.InData(err) {
				t.Errorf("%+v, %v", loaded, err)
			}
		})
	}
}

// A history payload that was cut off says that, not that it is too large: the size it claims is
// whatever stands at the cut.
func TestLoadHistory_PayloadCutOff(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	ctx := t.Context()
	text, r := make([]byte, 200_000), rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte(' ' + r.IntN(90))
	}
	_, err := hub.CommitHistory(ctx, store.Commit{InstanceID: "i", ExecutionID: "e", Events: raised(string(text)), Now: poisonTime})
	must(t, err)
	container := hub.Names.LargeMessages()
	blobs, err := hub.Account.Blobs.ListBlobs(ctx, container, "")
	must(t, err)
	data, err := hub.Account.Blobs.GetBlob(ctx, container, blobs[0], 1<<20)
	must(t, err)
	whole := slices.Clone(data)
	check := func(data []byte, want, not error) {
		t.Helper()
		must(t, hub.Account.Blobs.PutBlob(ctx, container, blobs[0], data, false))
		_, err := hub.LoadHistory(ctx, "i")
		if !errors.Is(err, want) || errors.Is(err, not) || !store.InData(err) {
			t.Errorf("%d of %d bytes: %v", len(data), len(whole), err)
		}
	}
	for _, at := range []int{0, 1, 2, 10, 19, 20, 1000, 60_000, 65_000, 65_001, 65_002, 100_000, len(whole) - 8, len(whole) - 1} {
		check(whole[:at], wire.ErrBlobCorrupt, storage.ErrTooLarge)
	}
	check(bomb(t, 65<<20), storage.ErrTooLarge, wire.ErrBlobCorrupt)
	for at := 0; at < len(whole); at += 5001 {
		flipped := slices.Clone(whole)
		flipped[at] ^= 0x10
		check(flipped, wire.ErrBlobCorrupt, storage.ErrTooLarge)
	}
}
