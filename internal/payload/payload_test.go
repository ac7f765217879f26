package payload_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/internal/payload"
)

type order struct {
	Item string          `json:"item"`
	Raw  json.RawMessage `json:"raw,omitempty"`
}

const noValue = "(no value)"

func show(text *string) string {
	if text == nil {
		return noValue
	}
	return *text
}

// Texts are JSON, byte for byte as written here.
func TestEncode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"text", "go", `"go"`},
		{"no HTML escaping", `<a href="x">&'+</a>`, `"<a href=\"x\">&'+</a>"`},
		{"unicode", "世界 🚀 é \u007f", "\"世界 🚀 é \u007f\""},
		{"controls", "tab\t nl\n \u0001", `"tab\t nl\n \u0001"`},
		{"line separators", "a\u2028b\u2029", `"a\u2028b\u2029"`},
		{"trailing newline", "x\n", `"x\n"`},
		{"zero", 0, "0"},
		{"large integer", uint64(math.MaxUint64), "18446744073709551615"},
		{"float", 1.5, "1.5"},
		{"false", false, "false"},
		{"empty text", "", `""`},
		{"nil", nil, "null"},
		{"nil pointer", (*order)(nil), "null"},
		{"nil slice", []int(nil), "null"},
		{"empty slice", []int{}, "[]"},
		{"nil map", map[string]int(nil), "null"},
		{"sorted map", map[string]int{"b": 1, "a": 2}, `{"a":2,"b":1}`},
		{"bytes", []byte("hi"), `"aGk="`},
		{"struct", order{Item: "a<b"}, `{"item":"a<b"}`},
		{"struct with raw part", order{Item: "x", Raw: json.RawMessage(`{"b": 1.0, "a":"<"}`)}, `{"item":"x","raw":{"b":1.0,"a":"<"}}`},
		{"nothing", struct{}{}, noValue},
		{"pointer to nothing", &struct{}{}, "{}"},
		{"raw untouched", json.RawMessage(" { \"b\" : 1.00,\n \"a\" : \"\\u003c<\" } "), " { \"b\" : 1.00,\n \"a\" : \"\\u003c<\" } "},
		{"raw null", json.RawMessage("null"), "null"},
		{"empty raw", json.RawMessage{}, noValue},
		{"nil raw", json.RawMessage(nil), noValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := payload.Encode(tt.value)
			if err != nil || show(text) != tt.want {
				t.Errorf("got %s, %v", show(text), err)
			}
		})
	}
}

func TestEncode_Errors(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]any{
		"encode payload of type chan int": make(chan int),
		"encode payload of type float64":  math.NaN(),
		"raw message is not valid JSON":   json.RawMessage("{"),
	} {
		if text, err := payload.Encode(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %s, %v; want %q", show(text), err, want)
		}
		if text, err := payload.EncodeActivityInput(value); err == nil {
			t.Errorf("as activity input: %s", show(text))
		}
	}
}

func decoded[T any](t *testing.T, text *string) T {
	t.Helper()
	value, err := payload.Decode[T](text)
	if err != nil {
		t.Errorf("decode %s: %v", show(text), err)
	}
	return value
}

// No value and null are the zero value; json.RawMessage tells them apart.
func TestDecode(t *testing.T) {
	t.Parallel()
	p := func(s string) *string { return &s }
	if got := decoded[int](t, nil); got != 0 {
		t.Errorf("no value as int: %d", got)
	}
	if got := decoded[int](t, p("null")); got != 0 {
		t.Errorf("null as int: %d", got)
	}
	if got := decoded[*int](t, p("0")); got == nil || *got != 0 {
		t.Errorf("0 as *int: %v", got)
	}
	if got := decoded[*int](t, p("null")); got != nil {
		t.Errorf("null as *int: %v", *got)
	}
	if got := decoded[string](t, p(`"a\u003cb"`)); got != "a<b" {
		t.Errorf("text: %q", got)
	}
	if got := decoded[order](t, p(`{"$type":"Shop.Order, Shop","ITEM":"x","more":1}`)); got.Item != "x" {
		t.Errorf("a .NET object: %+v", got)
	}
	if got := decoded[any](t, p(`[1,"a",null]`)); len(got.([]any)) != 3 {
		t.Errorf("any: %v", got)
	}
	decoded[struct{}](t, p("not even JSON"))
	for text, want := range map[string]string{` {"a" : 1} `: ` {"a" : 1} `, "null": "null", "plain <text>": `"plain <text>"`, "": `""`} {
		if got := decoded[json.RawMessage](t, &text); string(got) != want {
			t.Errorf("%q as raw: %s", text, got)
		}
	}
	if got := decoded[json.RawMessage](t, nil); got != nil {
		t.Errorf("no value as raw: %s", got)
	}
}

func TestDecode_Errors(t *testing.T) {
	t.Parallel()
	long := `"` + strings.Repeat("x", 200) + `"`
	for text, want := range map[string]string{
		`"one"`: `payload does not fit its type: "\"one\"" as int`,
		"plain": "invalid character",
		long:    "x…",
		"":      "unexpected end of JSON input",
		"1 2":   "invalid character '2'",
	} {
		_, err := payload.Decode[int](&text)
		if !errors.Is(err, payload.ErrDecode) || !strings.Contains(err.Error(), want) || len(err.Error()) > 250 {
			t.Errorf("%q: %v", text, err)
		}
	}
	var typeErr *json.UnmarshalTypeError
	text := `"one"`
	if _, err := payload.Decode[int](&text); !errors.As(err, &typeErr) {
		t.Errorf("the cause is out of reach: %v", err)
	}
}

// An activity's input is the array of the arguments of its call.
func TestEncodeActivityInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value any
		want  string
	}{
		{"Tokyo", `["Tokyo"]`},
		{nil, "[null]"},
		{struct{}{}, "[]"},
		{[]int{1, 2}, "[[1,2]]"},
		{order{Item: "<"}, `[{"item":"<"}]`},
		{json.RawMessage(`{"a" : 1}`), `[{"a" : 1}]`},
	} {
		text, err := payload.EncodeActivityInput(tt.value)
		if err != nil || show(text) != tt.want {
			t.Errorf("%v: got %s, %v", tt.value, show(text), err)
		}
	}
}

// Peers pass an array of one argument, an empty one, or the bare value.
func TestUnwrapActivityInput(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`["Tokyo"]`:         `"Tokyo"`,
		` [ "Tokyo" ] `:     `"Tokyo"`,
		`[{"amount":1250}]`: `{"amount":1250}`,
		"[null]":            "null",
		"[]":                noValue,
		"[ ]":               noValue,
		"[[1,2]]":           "[1,2]",
		"[[]]":              "[]",
		"[1,2]":             "[1,2]",
		`"Tokyo"`:           `"Tokyo"`,
		`{"a":[1]}`:         `{"a":[1]}`,
		"null":              "null",
		"5":                 "5",
		"":                  "",
		"[unfinished":       "[unfinished",
		"plain text":        "plain text",
	} {
		if got := show(payload.UnwrapActivityInput(&text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := payload.UnwrapActivityInput(nil); got != nil {
		t.Errorf("no input: %s", *got)
	}
}

// Whatever is wrapped comes out again as it went in.
func FuzzActivityInput(f *testing.F) {
	for _, seed := range []string{"1", `"x"`, "[]", "[1]", "[1,2]", "null", `{"a":[ ]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		wrapped, err := payload.EncodeActivityInput(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := show(payload.UnwrapActivityInput(wrapped)); strings.TrimSpace(got) != strings.TrimSpace(text) {
			t.Errorf("%q came out as %q", text, got)
		}
	})
}
