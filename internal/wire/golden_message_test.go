package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
)

// otherText marks the scenarios whose messages are equal in meaning only: the DataContract form, and
// what the recording's driver put.
var otherText = map[string]bool{"data-contract": true, "old-rows": true}

// TestGoldenMessages reads every message put into a queue and writes it again, byte for byte but
// for the $type of dictionaries.
func TestGoldenMessages(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, scenario string) {
		names, err := wire.NewNames(fixture.Load(t, scenario).Name)
		if err != nil {
			t.Fatal(err)
		}
		count := fixture.Load(t, scenario).PartitionCount
		for _, recorded := range recordedMessages(t, scenario) {
			m, blob, err := wire.DecodeMessage(recorded.text)
			switch {
			case err != nil:
				if scenario != "unreadable-message" || !errors.Is(err, wire.ErrMalformed) {
					t.Errorf("decode %s: %v", recorded.text, err)
				}
			case blob != "":
				checkPointer(t, recorded.text, blob)
			default:
				checkMessage(t, recorded.text, m, otherText[scenario])
				checkQueue(t, names, count, recorded.queue, m)
			}
		}
	})
}

// sameButForTags reports whether two messages differ only in the order of tags, which a Go map
// cannot keep.
func sameButForTags(t *testing.T, a, b string) bool {
	t.Helper()
	sorted := func(text string) string {
		return tagOrder.ReplaceAllStringFunc(text, func(object string) string {
			var tags map[string]string
			if err := json.Unmarshal([]byte(object[strings.IndexByte(object, '{'):]), &tags); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(tags)
		})
	}
	return sorted(a) == sorted(b)
}

var tagOrder = regexp.MustCompile(`Tags":\{[^{}]*\}`)

func checkPointer(t *testing.T, text, blob string) {
	t.Helper()
	if got := wire.EncodePointer(blob); got != text {
		t.Errorf("pointer to %s:\ngot  %s\nwant %s", blob, got, text)
	}
}

func checkMessage(t *testing.T, text string, m *wire.Message, other bool) {
	t.Helper()
	again, err := wire.EncodeMessage(m)
	if err != nil {
		t.Errorf("encode %s: %v", text, err)
		return
	}
	if text[0] != '{' {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if wire.Base64(string(raw)) != text {
			t.Errorf("Base64 of %s differs", raw)
		}
		text = string(raw)
	}
	if want := withoutDictionaryTypes(text); again != want && !other && !sameButForTags(t, again, want) {
		t.Errorf("message differs:\ngot  %s\nwant %s", again, want)
	}
	m2, _, err := wire.DecodeMessage(again)
	if err != nil {
		t.Errorf("decode again %s: %v", again, err)
		return
	}
	if m.Sender == nil {
		m.Sender = &history.Instance{} // null is written as a client's
	}
	if diff := cmp.Diff(m, m2); diff != "" {
		t.Errorf("decoded again, the message differs (-first +second):\n%s", diff)
	}
}

// checkQueue checks that .NET put the message where our names and hash would.
func checkQueue(t *testing.T, names wire.Names, count int, queue string, m *wire.Message) {
	t.Helper()
	want := names.ControlQueue(wire.PartitionOf(m.Target.InstanceID, count))
	if m.Event.Kind() == history.KindTaskScheduled {
		want = names.WorkItemQueue()
	}
	if queue != want {
		t.Errorf("%s for %q is in queue %s, want %s", m.Event.Kind(), m.Target.InstanceID, queue, want)
	}
}

// TestGoldenBlobs unpacks every large-message blob and checks its name and content.
func TestGoldenBlobs(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, scenario string) {
		for name, blob := range recordedBlobs(t, scenario) {
			text := unpack(t, blob)
			packed, err := wire.Compress(text)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := wire.Decompress(packed, int64(len(text))); err != nil || again != text {
				t.Errorf("blob %s packed again: %v", name, err)
			}
			if !strings.Contains(name, "/message-") {
				continue
			}
			m, pointer, err := wire.DecodeMessage(text)
			if err != nil || pointer != "" {
				t.Errorf("blob %s: pointer %q, error %v", name, pointer, err)
				continue
			}
			checkMessage(t, text, m, false)
			if got := wire.MessageBlobName(m); got != name {
				t.Errorf("blob name %s, want %s", got, name)
			}
			if len(text) <= wire.InlineLimit {
				t.Errorf("blob %s has only %d bytes", name, len(text))
			}
			if started := m.Event.Kind() == history.KindExecutionStarted; wire.IsStartMessageBlob(name) != started {
				t.Errorf("blob %s is taken for a start message: %t", name, !started)
			}
		}
	})
}
