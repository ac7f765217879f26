package wire_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/wire"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	c := wire.EncodeSentinel(wire.Sentinel{ExecutionID: "e", CompletedAt: created})
	want := wire.Columns{"ExecutionId": "e", "IsCheckpointComplete": false, "DurafleetProcessed": "", "DurafleetReplaced": "", "DurafleetWaits": ""}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("incomplete checkpoint (-want +got):\n%s", diff)
	}
	c = wire.EncodeSentinel(wire.Sentinel{
		ExecutionID: "e", Complete: true, CompletedAt: created, Processed: []string{activityID, "junk"},
		Replaced: []string{"a", "b"}, Cost: 12, Waits: []wire.EventWait{{Name: "Go", Since: created}},
	})
	want = wire.Columns{
		"ExecutionId": "e", "IsCheckpointComplete": true, "CheckpointCompletedTimestamp": created,
		"DurafleetProcessed": "eh8MUmweTw6bey1qjJ4fMA", "DurafleetReplaced": "a\nb", "DurafleetCost": int32(12),
		"DurafleetWaits": `{"at":"` + created.Format(time.RFC3339Nano) + `","for":[{"name":"Go","since":"` + created.Format(time.RFC3339Nano) + `"}]}`,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("complete checkpoint (-want +got):\n%s", diff)
	}
}

// The list of processed messages fits its column and is dropped when it makes no sense.
func TestSentinel_Processed(t *testing.T) {
	t.Parallel()
	ids := make([]string, wire.MaxProcessed+1)
	for i := range ids {
		ids[i] = uuid.NewSHA1(uuid.Nil, []byte{byte(i), byte(i >> 8)}).String()
	}
	c := wire.EncodeSentinel(wire.Sentinel{Processed: ids})
	full := c["DurafleetProcessed"].(string)
	if n := wire.UTF16Bytes(full); n >= 65536 {
		t.Errorf("the list takes %d bytes", n)
	}
	s, err := wire.DecodeSentinel(c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids[1:], s.Processed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []any{"x", full + "A", full + full[:22], strings.Repeat("*", 22), strings.Repeat("B", 22), int32(3), nil} {
		s, err := wire.DecodeSentinel(wire.Columns{"ExecutionId": "e", "DurafleetProcessed": bad})
		if err != nil || s.Processed != nil || s.ExecutionID != "e" {
			t.Errorf("%v: got %v, error %v", bad, s, err)
		}
	}
}

// The list of former executions keeps the newest ones and is dropped when it makes no sense.
func TestSentinel_Replaced(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range wire.MaxReplaced + 1 {
		ids = append(ids, fmt.Sprintf("execution-%02d", i))
	}
	s, err := wire.DecodeSentinel(wire.EncodeSentinel(wire.Sentinel{Replaced: ids}))
	if diff := cmp.Diff(ids[1:], s.Replaced); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []any{"", int32(3), nil} {
		s, err := wire.DecodeSentinel(wire.Columns{"ExecutionId": "e", "DurafleetReplaced": bad})
		if err != nil || s.Replaced != nil {
			t.Errorf("%v: got %v, error %v", bad, s, err)
		}
	}
}

// What an instance has cost stays within its column, and is not known where it makes no sense.
func TestSentinel_Cost(t *testing.T) {
	t.Parallel()
	for cost, want := range map[int64]any{-1: nil, 0: nil, 1: int32(1), math.MaxInt64: int32(math.MaxInt32)} {
		if got := wire.EncodeSentinel(wire.Sentinel{Cost: cost})["DurafleetCost"]; got != want {
			t.Errorf("%d is stored as %v, want %v", cost, got, want)
		}
	}
	for _, bad := range []any{int32(-3), int32(0), int64(3), "3", nil} {
		s, err := wire.DecodeSentinel(wire.Columns{"ExecutionId": "e", "DurafleetCost": bad})
		if err != nil || s.Cost != 0 || s.ExecutionID != "e" {
			t.Errorf("%v: got %v, error %v", bad, s, err)
		}
	}
}

// The events that an instance waits for stay within bounds, and count for the checkpoint they belong to only.
func TestSentinel_Waits(t *testing.T) {
	t.Parallel()
	var waits []wire.EventWait
	for i := range wire.MaxWaits + 1 {
		waits = append(waits, wire.EventWait{Name: fmt.Sprint("e", i), Since: created})
	}
	sentinel := wire.Sentinel{ExecutionID: "e", Complete: true, CompletedAt: created, Waits: waits}
	c := wire.EncodeSentinel(sentinel)
	s, err := wire.DecodeSentinel(c)
	if text, _ := c["DurafleetWaits"].(string); err != nil || len(text) > 1024 || len(s.Waits) < 15 || cmp.Diff(waits[:len(s.Waits)], s.Waits) != "" {
		t.Errorf("%q is read as %+v, error %v", text, s.Waits, err)
	}
	sentinel.Waits = []wire.EventWait{{Name: strings.Repeat("x", 1000), Since: created}}
	if text := wire.EncodeSentinel(sentinel)["DurafleetWaits"]; text != "" {
		t.Errorf("a long name is stored: %q", text)
	}
	later := maps.Clone(c)
	later["CheckpointCompletedTimestamp"] = created.Add(time.Second)
	open := maps.Clone(c)
	open["IsCheckpointComplete"] = false
	for _, bad := range []wire.Columns{later, open} {
		if s, err := wire.DecodeSentinel(bad); err != nil || s.Waits != nil {
			t.Errorf("%v: got %v, error %v", bad, s, err)
		}
	}
	for _, value := range []any{"", "{", "[]", int32(3), nil, strings.Repeat(" ", 2000)} {
		bad := maps.Clone(c)
		bad["DurafleetWaits"] = value
		if s, err := wire.DecodeSentinel(bad); err != nil || s.Waits != nil || s.ExecutionID != "e" {
			t.Errorf("%v: got %v, error %v", value, s, err)
		}
	}
}

func TestDecodeSentinel_Errors(t *testing.T) {
	t.Parallel()
	for column, value := range map[string]any{
		"ExecutionId": int32(1), "IsCheckpointComplete": "true", "CheckpointCompletedTimestamp": "now",
	} {
		if _, err := wire.DecodeSentinel(wire.Columns{column: value}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: got error %v", column, err)
		}
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(wire.Columns{"IsDraining": false}, wire.EncodePartition(wire.Partition{ID: "q"})); diff != "" {
		t.Errorf("new row (-want +got):\n%s", diff)
	}
	want := wire.Partition{
		ID: "q", CurrentOwner: "a", NextOwner: "b", OwnedSince: created, LastRenewal: created.Add(1e9),
		ExpiresAt: created.Add(3e10), Draining: true, Doorbell: "10.0.0.1:7 00",
	}
	got, err := wire.DecodePartition("q", wire.EncodePartition(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := wire.DecodePartition("q", wire.Columns{"DurafleetDoorbell": int32(1)}); err != nil || got.Doorbell != "" {
		t.Errorf("a doorbell that is none: %+v, error %v", got, err)
	}
	for column, value := range map[string]any{"CurrentOwner": true, "ExpiresAt": "now", "IsDraining": int32(1)} {
		if _, err := wire.DecodePartition("q", wire.Columns{column: value}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: got error %v", column, err)
		}
	}
}

func TestAppLeaseInfo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]wire.AppLeaseInfo{
		`{}`:                                   {},
		`{"OwnerId":"o","DesiredSwapId":null}`: {OwnerID: "o"},
		`{"OwnerId":null,"DesiredSwapId":"d"}`: {DesiredSwapID: "d"},
		`{"OwnerId":"o","DesiredSwapId":"d"}`:  {OwnerID: "o", DesiredSwapID: "d"},
	} {
		got, err := wire.DecodeAppLeaseInfo(text)
		if err != nil || got != want || wire.EncodeAppLeaseInfo(got) != text {
			t.Errorf("%s: got %+v, error %v", text, got, err)
		}
	}
	for _, text := range []string{"", "[]", `{"OwnerId":{}}`} {
		if _, err := wire.DecodeAppLeaseInfo(text); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q: got error %v", text, err)
		}
	}
}

func TestHubInfo(t *testing.T) {
	t.Parallel()
	got, err := wire.DecodeHubInfo("\uFEFF" + `{"TaskHubName":"H","CreatedAt":"2025-03-04T10:20:30.4455667Z","PartitionCount":4}`)
	want := wire.HubInfo{TaskHubName: "H", CreatedAt: created, PartitionCount: 4}
	if err != nil || got != want {
		t.Errorf("got %+v, error %v", got, err)
	}
	for _, text := range []string{"", `{"PartitionCount":"x"}`, `{"CreatedAt":"x"}`} {
		if _, err := wire.DecodeHubInfo(text); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q: got error %v", text, err)
		}
	}
}
