package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

func withLone(t testing.TB, text string, n int) string {
	t.Helper()
	marked, err := wire.WithLone(text, n)
	if err != nil {
		t.Fatal(err)
	}
	return marked
}

// The number changes nothing else of a text, whatever form it has, and goes without a trace.
func TestLone(t *testing.T) {
	t.Parallel()
	private := messageOf(&history.TaskScheduled{Header: head(1), Name: "A"})
	private.Private = &wire.Private{Attempt: 2, CallID: "c"}
	for name, text := range map[string]string{
		"without private member": resultMessage,
		"with private member":    encode(t, private),
		"pointer":                wire.EncodePointer("i/message-1-X.json.gz"),
		"mark before it":         "\uFEFF \n" + resultMessage,
		"spaces":                 strings.ReplaceAll(resultMessage, `,"`, " ,\n \"") + " \n",
		"empty":                  "{ }",
		"private member first":   `{"Durafleet" : {"call":"c"} , "a":1}`,
	} {
		for _, form := range []string{text, wire.Base64(text), wire.Base64(text) + "\n"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if got := wire.Lone(form); got != 0 {
					t.Errorf("%d attempts in %s", got, form)
				}
				one := withLone(t, form, 1)
				many := withLone(t, one, 17)
				if a, b := wire.Lone(one), wire.Lone(many); a != 1 || b != 17 {
					t.Errorf("%d and %d attempts in %s and %s", a, b, one, many)
				}
				if back := withLone(t, many, 0); back != form {
					t.Errorf("taken out:\ngot  %q\nwant %q", back, form)
				}
				if back := withLone(t, form, 0); back != form {
					t.Errorf("taken out where there is none: %q", back)
				}
				before, blob, err := wire.DecodeMessage(form)
				after, blobAfter, errAfter := wire.DecodeMessage(many)
				if (err == nil) != (errAfter == nil) || blob != blobAfter {
					t.Errorf("blob %q and %q, error %v and %v", blob, blobAfter, err, errAfter)
				}
				if before != nil && before.Private == nil {
					before.Private = &wire.Private{}
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the message differs (-without +with):\n%s", diff)
				}
			})
		}
	}
}

// What .NET wrote keeps its members in their order; ours comes after them.
func TestLone_GoldenMessages(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, scenario string) {
		if scenario == "unreadable-message" {
			t.Skip("its texts are no messages")
		}
		for _, recorded := range recordedMessages(t, scenario) {
			marked := withLone(t, recorded.text, 3)
			if wire.Lone(marked) != 3 || withLone(t, marked, 0) != recorded.text {
				t.Errorf("not as it was: %s", marked)
			}
			if recorded.text[0] == '{' && marked != strings.TrimSuffix(recorded.text, "}")+`,"Durafleet":{"lone":3}}` {
				t.Errorf("more than a member was added: %s", marked)
			}
		}
	})
}

func TestLone_Refusals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "  ", "garbage", `"{}"`, "[1]", "{", `{"a":}`, `{"a":1`, `{"Durafleet":[1]}`, `{"Durafleet":null}`, wire.Base64("garbage"), wire.Base64(`{"a"`),
	} {
		if got := wire.Lone(text); got != 0 {
			t.Errorf("%q has %d attempts", text, got)
		}
		if marked, err := wire.WithLone(text, 1); err == nil {
			t.Errorf("%q became %q", text, marked)
		}
	}
	for _, number := range []string{"-1", "1.5", `"3"`, "99999999999", "null", "{}"} {
		if got := wire.Lone(`{"Durafleet":{"lone":` + number + `}}`); got != 0 {
			t.Errorf("%s became %d attempts", number, got)
		}
	}
}

func FuzzLone(f *testing.F) {
	f.Add(resultMessage, 3)
	f.Add(wire.Base64(resultMessage), 1)
	f.Add(`{"Durafleet":{"lone":1,"lone":2},"Durafleet":{"a":1}}`, 2)
	f.Add(" {\"a\":[{}] , \"Durafleet\":{ \"lone\" : 7 }\t}x", 4)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(1, n%1000)
		marked, err := wire.WithLone(text, n)
		if err != nil {
			return
		}
		if got := wire.Lone(marked); got != n {
			t.Fatalf("%q has %d attempts, want %d", marked, got, n)
		}
		if json.Valid([]byte(text)) && !json.Valid([]byte(marked)) {
			t.Fatalf("%q became %q", text, marked)
		}
		if _, err := wire.WithLone(marked, 0); err != nil {
			t.Fatal(err)
		}
	})
}
