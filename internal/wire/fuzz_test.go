package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/internal/wire"
)

// The fuzz tests hold that decoding never panics, that its errors are typed, and that what was
// decoded is encoded in a stable way.

func FuzzDecodeMessage(f *testing.F) {
	f.Add(resultMessage)
	f.Add(wire.Base64(resultMessage))
	f.Add(wire.EncodePointer("i/message-1-X.json.gz"))
	f.Add(`{"TaskMessage":{"Event":{"EventType":6,"FailureDetails":{"Properties":[{"Key":"k","Value":[{}]}]}}}}`)
	for _, scenario := range []string{"data-contract", "failing-details", "payload-text", "tags", "trace", "timer"} {
		for _, message := range recordedMessages(f, scenario) {
			f.Add(message.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, blob, err := wire.DecodeMessage(text)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) || m != nil || blob != "" {
				t.Fatalf("message %v, blob %q, error %v", m, blob, err)
			}
			return
		}
		if blob != "" {
			return
		}
		first, err := wire.EncodeMessage(m)
		if errors.Is(err, wire.ErrNotWritable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		again := decode(t, first)
		second, err := wire.EncodeMessage(again)
		if err != nil || first != second {
			t.Fatalf("unstable, error %v:\n%s\n%s", err, first, second)
		}
		_ = wire.MessageBlobName(m)
	})
}

func FuzzDecodeEvent(f *testing.F) {
	for _, kind := range []string{
		"ExecutionStarted", "ExecutionCompleted", "TaskScheduled", "TaskFailed", "SubOrchestrationInstanceCreated",
		"TimerFired", "EventRaised", "GenericEvent", "HistoryState", "ExecutionRewound", "Novelty",
	} {
		f.Add(kind, "text", `{"a":"b"}`, int32(-1), int64(1))
		f.Add(kind, "null", "null", int32(0), int64(-1<<62))
	}
	f.Add("ExecutionStarted", `{"InstanceId":"i"}`, `{"ErrorType":"T","InnerFailure":{"Properties":{"a":[1e400]}}}`, int32(1), int64(0))
	texts := []string{"Name", "Version", "Input", "Result", "Reason", "Details", "Data", "OrchestrationStatus", "InstanceId"}
	objects := []string{"OrchestrationInstance", "ParentInstance", "Tags", "ParentTraceContext", "FailureDetails", "State"}
	f.Fuzz(func(t *testing.T, kind, text, object string, number int32, seconds int64) {
		at := time.Unix(seconds, int64(number))
		c := wire.Columns{
			"EventType": kind, "_Timestamp": at, "FireAt": at, "ScheduledStartTime": at, "EventId": number,
			"TaskScheduledId": number, "TimerId": number, "Generation": number, "IsPlayed": number > 0,
		}
		for _, name := range texts {
			c[name] = text
		}
		for _, name := range objects {
			c[name] = object
			if number%2 == 0 {
				c[name] = "null"
			}
		}
		e, err := wire.DecodeEvent(c)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) || e != nil {
				t.Fatalf("event %v, error %v", e, err)
			}
			return
		}
		first, err := wire.EncodeEvent(e, text)
		if errors.Is(err, wire.ErrNotWritable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := wire.DecodeEvent(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := wire.EncodeEvent(again, text)
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Fatalf("unstable, error %v:\n%s", err, diff)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, id := range []string{"", "a/b", `a\b`, "a^0b", "^", "^^", "\x00\x1F\x7F\u009F", "\uFFFF", "😀", "\xFF^", "@counter@k"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		key := wire.EscapeKey(id)
		if got := wire.UnescapeKey(key); got != id {
			t.Fatalf("%q became key %q and %q", id, key, got)
		}
		if strings.ContainsAny(key, "/\\#?\x00\x1F\x7F") {
			t.Fatalf("key %q of %q holds a forbidden character", key, id)
		}
		if from, to := wire.EscapePrefixRange(id); from != key || to != "" && to <= from {
			t.Fatalf("range of %q is %q to %q", id, from, to)
		}
	})
}

func FuzzUnescapeKey(f *testing.F) {
	for _, key := range []string{"", "a^0b", "^", "^^^", "^x", "^É", "^\uE000", "^😀", "^\xFF", "^\xC3"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		id := wire.UnescapeKey(key)
		if again := wire.UnescapeKey(wire.EscapeKey(id)); again != id {
			t.Fatalf("%q gave %q, then %q", key, id, again)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	good := compress(f, strings.Repeat("text ", 100))
	f.Add(good, int64(500))
	f.Add(good, int64(10))
	f.Add(good[:20], int64(500))
	f.Add([]byte{}, int64(0))
	f.Add(append(good, good...), int64(1000))
	f.Add(compress(f, noise(300))[:200], int64(1<<20))
	f.Add(compress(f, strings.Repeat(" ", 1<<20)), int64(1000))
	f.Fuzz(func(t *testing.T, data []byte, limit int64) {
		limit = min(limit, 1<<20)
		text, err := wire.Decompress(data, limit)
		size, claim := wire.UnpackedSize(data)
		if size > int64(len(data))*1032 || claim != nil && !errors.Is(err, wire.ErrBlobCorrupt) {
			t.Fatalf("claims %d, error %v; then error %v", size, claim, err)
		}
		if err != nil {
			if errors.Is(err, wire.ErrBlobTooLarge) && size <= limit {
				t.Fatalf("claims %d, limit %d: %v", size, limit, err)
			}
			if !errors.Is(err, wire.ErrBlobCorrupt) && !errors.Is(err, wire.ErrBlobTooLarge) || text != "" {
				t.Fatalf("text %q, error %v", text, err)
			}
			return
		}
		if again, err := wire.Decompress(compress(t, text), int64(len(text))); err != nil || strings.TrimPrefix(text, "\uFEFF") != again {
			t.Fatalf("%q became %q, error %v", text, again, err)
		}
	})
}

func FuzzParseBlobURL(f *testing.F) {
	const container = "https://acct.blob.core.windows.net/hub-largemessages"
	for _, text := range []string{"", "urn:x", container, container + "/", container + "/a%2Fb", container + "/a%zz"} {
		f.Add(container, text)
	}
	f.Add("", "/x")
	f.Fuzz(func(t *testing.T, container, text string) {
		name, ok := wire.ParseBlobURL(container, text)
		if ok != (name != "") {
			t.Fatalf("name %q, %t", name, ok)
		}
		if ok {
			if again, ok := wire.ParseBlobURL(container, wire.BlobURL(container, name)); !ok || again != name {
				t.Fatalf("%q became %q, %t", name, again, ok)
			}
		}
		if safe := wire.SafeOutput(text); wire.SafeOutput(safe) != safe {
			t.Fatalf("%q is still a URI", safe)
		}
	})
}

func FuzzDecodeSentinel(f *testing.F) {
	f.Add("e", true, int64(0), "", "")
	f.Add("e", false, int64(1), "eh8MUmweTw6bey1qjJ4fMA", "")
	f.Add("", true, int64(-1), "eh8MUmweTw6bey1qjJ4fMB", "")
	f.Add("e", true, int64(0), "", `{"at":"1970-01-01T00:00:00Z","for":[{"name":"<go>","since":"2026-01-02T03:04:05+01:00"}]}`)
	f.Fuzz(func(t *testing.T, execution string, complete bool, seconds int64, processed, waits string) {
		s, err := wire.DecodeSentinel(wire.Columns{
			"ExecutionId": execution, "IsCheckpointComplete": complete,
			"CheckpointCompletedTimestamp": time.Unix(seconds, 0), "DurafleetProcessed": processed,
			"DurafleetCost": int32(seconds), "DurafleetWaits": waits,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := wire.EncodeSentinel(s)
		if len(s.Processed) > 0 && c["DurafleetProcessed"] != processed {
			t.Fatalf("%q became %q", processed, c["DurafleetProcessed"])
		}
		again, err := wire.DecodeSentinel(c)
		if diff := cmp.Diff(c, wire.EncodeSentinel(again)); err != nil || diff != "" {
			t.Fatalf("unstable, error %v:\n%s", err, diff)
		}
	})
}

// anyValue returns a column value of one of the types of a table.
func anyValue(kind int, text string, number int64) any {
	switch kind % 7 {
	case 0:
		return text
	case 1:
		return int32(number)
	case 2:
		return number
	case 3:
		return number%2 == 0
	case 4:
		return time.Unix(number, 0)
	case 5:
		return []byte(text)
	default:
		return float64(number)
	}
}

// Rows of any types are read or refused with a typed error, and never more than that.
func FuzzDecodeRows(f *testing.F) {
	f.Add(0, "ExecutionId", `{"a":"b"}`, int64(1))
	f.Add(1, "Generation", "Running", int64(-1))
	f.Add(4, "CreatedTime", "null", int64(1<<40))
	f.Add(6, "IsDraining", "[", int64(0))
	f.Add(0, "DurafleetPoison", `{"ids":["a"],"reason":"r","moved":"2026-01-02T03:04:05Z"}`, int64(0))
	columns := append(wire.InstanceColumns(true), "CurrentOwner", "NextOwner", "OwnedSince", "LastRenewal", "ExpiresAt", "IsDraining",
		"IsCheckpointComplete", "CheckpointCompletedTimestamp", "DurafleetProcessed", "DurafleetReplaced", "DurafleetCost", "DurafleetWaits", "EventType", "EventId", "_Timestamp", "IsPlayed")
	f.Fuzz(func(t *testing.T, kind int, column, text string, number int64) {
		kind &= 0xFF
		c := wire.Columns{}
		for i, name := range columns {
			if (number>>(i%60))&1 == 0 {
				c[name] = anyValue(kind+i*int(number&7), text, number)
			}
		}
		c[column] = anyValue(kind, text, number)
		_, instance := wire.DecodeInstance(text, c)
		_, partition := wire.DecodePartition(text, c)
		_, sentinel := wire.DecodeSentinel(c)
		_, event := wire.DecodeEvent(c)
		for _, err := range []error{instance, partition, sentinel, event} {
			if err != nil && !errors.Is(err, wire.ErrMalformed) {
				t.Fatal(err)
			}
		}
		wire.DecodePoisonMark(c)
		wire.BlobColumns(c)
	})
}
