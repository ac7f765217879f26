package wire_test

import (
	"encoding/xml"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/internal/wire"
)

var xmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Every message comes back as it was, also through the XML of the queue service.
func TestMessageRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMessage().Draw(t, "message")
		text, err := wire.EncodeMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ MessageText string }
		document := "<QueueMessage><MessageText>" + xmlEscape.Replace(text) + "</MessageText></QueueMessage>"
		if err := xml.Unmarshal([]byte(document), &body); err != nil {
			t.Fatalf("%q is not legal in XML: %v", text, err)
		}
		for _, form := range []string{text, body.MessageText, wire.Base64(text)} {
			got, blob, err := wire.DecodeMessage(form)
			if err != nil || blob != "" {
				t.Fatalf("decode %s: blob %q, error %v", form, blob, err)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

// Every event that may be stored comes back from its row as it was.
func TestEventRowRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(true).Draw(t, "event")
		c, err := wire.EncodeEvent(e, "e")
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.DecodeEvent(c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestSentinelRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := wire.Sentinel{
			ExecutionID: anyText().Draw(t, "execution"), Complete: rapid.Bool().Draw(t, "complete"),
			Processed: rapid.SliceOfN(anyGUID(), 0, 20).Draw(t, "processed"),
		}
		if want.Complete {
			want.CompletedAt = anyTime().Draw(t, "completed")
			for range rapid.IntRange(0, 3).Draw(t, "waits") {
				want.Waits = append(want.Waits, wire.EventWait{Name: rapid.StringN(0, 20, 40).Draw(t, "event"), Since: anyTime().Draw(t, "since")})
			}
		}
		if rapid.Bool().Draw(t, "dated") {
			want.Started = anyTime().Draw(t, "started")
		}
		want.Cost = rapid.Int64Range(0, math.MaxInt32).Draw(t, "cost")
		if len(want.Processed) == 0 {
			want.Processed = nil
		}
		got, err := wire.DecodeSentinel(wire.EncodeSentinel(want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestBlobRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.TrimPrefix(anyText().Draw(t, "text"), "\uFEFF")
		data, err := wire.Compress(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wire.Decompress(data, int64(len(text))); err != nil || got != text {
			t.Fatalf("%q became %q, error %v", text, got, err)
		}
	})
}

func TestBlobURLRoundTrip(t *testing.T) {
	t.Parallel()
	const container = "https://acct.blob.core.windows.net/myhub-largemessages"
	rapid.Check(t, func(t *rapid.T) {
		name := anyText().Filter(func(name string) bool { return name != "" }).Draw(t, "name")
		if got, ok := wire.ParseBlobURL(container, wire.BlobURL(container+"/", name)); !ok || got != name {
			t.Fatalf("%q became %q, %t", name, got, ok)
		}
	})
}
