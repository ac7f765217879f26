package azure

import (
	"encoding/xml"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/internal/storage"
)

func TestEncodeRow_Format(t *testing.T) {
	t.Parallel()
	row := storage.Row{PartitionKey: "p'", RowKey: "", Values: map[string]any{
		"A": "é\"\\\n\u2028😀<", "B": true, "C": int32(-3), "D": int64(7), "E": 3.0, "F": []byte{1},
		"G": time.Date(2026, 1, 2, 3, 4, 5, 60, time.FixedZone("", -3600)), "H": nil,
	}}
	const format = `{"PartitionKey":"p'","RowKey":"","A":"%","B":true,"C":-3,` +
		`"D@odata.type":"Edm.Int64","D":"7","E@odata.type":"Edm.Double","E":"3.0","F@odata.type":"Edm.Binary","F":"AQ==",` +
		`"G@odata.type":"Edm.DateTime","G":"2026-01-02T04:04:05.0000000Z"}`
	for ascii, text := range map[bool]string{
		false: `é\"\\\u000a\u2028😀<`,
		true:  `\u00e9\"\\\u000a\u2028\ud83d\ude00<`,
	} {
		want := strings.Replace(format, "%", text, 1)
		if got := string(encodeRow(row, ascii)); got != want {
			t.Errorf("ascii %v:\n got %s\nwant %s", ascii, got, want)
		}
	}
}

func TestDecodeRow_AsTheServiceWrites(t *testing.T) {
	t.Parallel()
	const data = `{"odata.metadata":"x","odata.etag":"W/\"1\"","PartitionKey":"p","RowKey":"r","Timestamp":"2026-01-02T03:04:05.6Z",
		"I":3,"D":3.0,"E":1e2,"Big":12345678901,"L@odata.type":"Edm.Int64","L":"3","N@odata.type":"Edm.Double","N":"NaN",
		"F@odata.type":"Edm.Double","F":4,"G@odata.type":"Edm.Guid","G":"00000000-0000-0000-0000-000000000000","Z":null,
		"T@odata.type":"Edm.DateTime","T":"2026-01-02T03:04:05Z","S":"2026-01-02T03:04:05Z"}`
	row, err := decodeRow([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := row.Values["N"].(float64); !ok || !math.IsNaN(n) {
		t.Errorf("N = %v", row.Values["N"])
	}
	delete(row.Values, "N")
	want := storage.Row{
		PartitionKey: "p", RowKey: "r", ETag: `W/"1"`, Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 600000000, time.UTC),
		Values: map[string]any{
			"I": int32(3), "D": 3.0, "E": 100.0, "Big": 12345678901.0, "L": int64(3), "F": 4.0,
			"G": "00000000-0000-0000-0000-000000000000", "T": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "S": "2026-01-02T03:04:05Z",
		},
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "[]", `{"A@odata.type":"Edm.Int64","A":"x"}`, `{"A@odata.type":"Edm.Binary","A":"!"}`, `{"A":{}}`} {
		if row, err := decodeRow([]byte(bad)); err == nil {
			t.Errorf("decodeRow(%s) = %+v", bad, row)
		}
	}
}

func TestRow_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		row := storage.Row{PartitionKey: rapid.String().Draw(t, "partition key"), RowKey: rapid.String().Draw(t, "row key"), Values: map[string]any{
			"Text":   rapid.String().Draw(t, "text"),
			"Int32":  rapid.Int32().Draw(t, "int32"),
			"Int64":  rapid.Int64().Draw(t, "int64"),
			"Double": rapid.Float64().Draw(t, "double"),
			"Bool":   rapid.Bool().Draw(t, "bool"),
			"Bytes":  append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...),
			"Time":   time.Unix(rapid.Int64Range(-1e10, 1e11).Draw(t, "seconds"), 100*rapid.Int64Range(0, 9999999).Draw(t, "ticks")).UTC(),
		}}
		encoded := encodeRow(row, rapid.Bool().Draw(t, "ascii"))
		got, err := decodeRow(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row, got); diff != "" {
			t.Fatalf("%s\n(-want +got):\n%s", encoded, diff)
		}
	})
}

func TestMessageXML(t *testing.T) {
	t.Parallel()
	if got, want := string(messageXML("\"a\" <&>\r\né", false)), "<QueueMessage><MessageText>\"a\" &lt;&amp;&gt;&#xD;&#xA;é</MessageText></QueueMessage>"; got != want {
		t.Errorf("messageXML = %s, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Filter(func(s string) bool { return storage.CheckText("", "", s) == nil }).Draw(t, "text")
		ascii := rapid.Bool().Draw(t, "ascii")
		body := messageXML(text, ascii)
		var message struct{ MessageText string }
		if err := xml.Unmarshal(body, &message); err != nil || message.MessageText != text {
			t.Fatalf("%q came back as %q: %v", text, message.MessageText, err)
		}
		if ascii && strings.ContainsFunc(string(body), func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Fatalf("not ASCII: %s", body)
		}
	})
}

func TestFilterText(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	filter := storage.And{
		storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: "it's"},
		storage.Or{
			storage.Compare{Column: "A", Operator: storage.Less, Value: int32(-1)},
			storage.Compare{Column: "B", Operator: storage.GreaterOrEqual, Value: int64(5)},
			storage.Compare{Column: "C", Operator: storage.NotEqual, Value: true},
			storage.Compare{Column: "D", Operator: storage.Greater, Value: at},
		},
	}
	const want = "(PartitionKey eq 'it''s') and ((A lt -1) or (B ge 5L) or (C ne true) or (D gt datetime'2026-01-02T03:04:05.0000006Z'))"
	if got := filterText(filter); got != want {
		t.Errorf("filterText = %s, want %s", got, want)
	}
}
