package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

func poisonRecord(text string) *wire.Poison {
	return &wire.Poison{
		ID: "control-00-1", Queue: "hub-control-00", MessageID: "1", InstanceID: "i", ExecutionID: "e",
		Kind: history.KindEventRaised, Name: "<E>", Reason: "unreadable", Deliveries: 20, Crashes: 3,
		Inserted: created, Moved: created, Worker: "w", Answered: true, Text: text, Payload: "i/message-1-EventRaised.json.gz",
	}
}

// The text of a record is exact, whatever it is.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "garbage", resultMessage, "\x00\xff\xfe binary", "\u2028 <&> \uFFFD", wire.Base64(resultMessage)} {
		want := poisonRecord(text)
		data, err := wire.EncodePoison(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.DecodePoison(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestDecodePoison_Malformed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{}", "[]", `{"id":"a"}`, `{"id":"a","queue":"q"}`, `{"id":"a","queue":"q","textBase64":"%"}`,
		`{"id":7,"queue":"q","text":""}`, `{"id":"a","queue":"q","text":"","moved":"yesterday"}`,
	} {
		if got, err := wire.DecodePoison([]byte(text)); got != nil || !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestPoisonMark(t *testing.T) {
	t.Parallel()
	var none *wire.PoisonMark
	mark := none.With("a", "first", created).With("b", "second", created).With("a", "again", created)
	if want := (&wire.PoisonMark{IDs: []string{"a", "b"}, Reason: "again", Moved: created}); !cmp.Equal(mark, want) {
		t.Errorf("the mark is %+v", mark)
	}
	columns, err := wire.EncodePoisonMark(mark)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mark, wire.DecodePoisonMark(columns)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := mark.Without("a").Without("c"); len(left.IDs) != 1 || left.Without("b") != nil || none.Without("x") != nil {
		t.Errorf("%+v is left", left)
	}
	cleared, err := wire.EncodePoisonMark(nil)
	if err != nil || wire.DecodePoisonMark(cleared) != nil {
		t.Errorf("a cleared mark is %v, %v", cleared, err)
	}
	for i := range 150 {
		mark = mark.With(fmt.Sprint(i), strings.Repeat("é", 5000), created)
	}
	if len(mark.IDs) != 100 || len(mark.Reason) > 1010 {
		t.Errorf("%d ids, reason of %d bytes", len(mark.IDs), len(mark.Reason))
	}
	for _, bad := range []any{nil, int32(7), "garbage", "[]", `{"ids":[1]}`} {
		if got := wire.DecodePoisonMark(wire.Columns{"DurafleetPoison": bad}); got != nil {
			t.Errorf("%v became %+v", bad, got)
		}
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	start := messageOf(&history.ExecutionStarted{Header: head(-1), Instance: execution, Name: "N"})
	for _, tt := range []struct {
		text string
		want wire.Glimpse
	}{
		{"", wire.Glimpse{}},
		{"garbage", wire.Glimpse{}},
		{"{", wire.Glimpse{}},
		{`{"TaskMessage":[]}`, wire.Glimpse{}},
		{encode(t, start), wire.Glimpse{Target: execution, Kind: history.KindExecutionStarted, Name: "N"}},
		{wire.Base64(encode(t, start)), wire.Glimpse{Target: execution, Kind: history.KindExecutionStarted, Name: "N"}},
		{
			strings.Replace(resultMessage, "TaskCompletedEvent", "LostEvent", 1),
			wire.Glimpse{Target: history.Instance{InstanceID: "i", ExecutionID: "e"}},
		},
		{
			strings.Replace(resultMessage, `"TaskScheduledId":2`, `"TaskScheduledId":"x"`, 1),
			wire.Glimpse{Target: history.Instance{InstanceID: "i", ExecutionID: "e"}, Kind: history.KindTaskCompleted},
		},
		{
			wire.EncodePointer("a/b/message-12-EventRaised.json.gz"),
			wire.Glimpse{Target: history.Instance{InstanceID: "a/b"}, Kind: history.KindEventRaised, Blob: "a/b/message-12-EventRaised.json.gz"},
		},
		{wire.EncodePointer("odd"), wire.Glimpse{Blob: "odd"}},
	} {
		if diff := cmp.Diff(tt.want, wire.Look(tt.text)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", tt.text, diff)
		}
	}
}

func FuzzLook(f *testing.F) {
	f.Add(resultMessage)
	f.Add(wire.EncodePointer("i/message-1-X.json.gz"))
	f.Fuzz(func(_ *testing.T, text string) { wire.Look(text) })
}

func FuzzDecodePoison(f *testing.F) {
	data, err := wire.EncodePoison(poisonRecord("text"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := wire.DecodePoison(data)
		if err != nil {
			return
		}
		again, err := wire.EncodePoison(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := wire.DecodePoison(again); err != nil || q.Text != p.Text {
			t.Fatalf("%v: %q became %q", err, p.Text, q.Text)
		}
	})
}
