package taskhub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// TestArguments_AreRefusedBeforeAnythingIsSent checks every rule: the error names the value and
// the rule, and no request is made.
// F05: illegal ids and names among them.
func TestArguments_AreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	ctx := t.Context()
	starting := func(options ...taskhub.StartOption) func() error {
		return func() error { _, err := taskhub.Start(ctx, client, echo, "x", options...); return err }
	}
	withID := func(id string) func() error { return starting(taskhub.InstanceID(id)) }
	listing := func(q taskhub.Query) func() error {
		return func() error { _, err := client.List(ctx, q); return err }
	}
	for _, tt := range []struct {
		name  string
		call  func() error
		value string
		rule  string
	}{
		{"empty id", withID(""), `""`, "must not be empty"},
		{"long id", withID(strings.Repeat("a", 257)), `"aaa`, "longer than 256"},
		{"long id in UTF-16", withID(strings.Repeat("\U0001F600", 129)), `"`, "longer than 256"},
		{"entity id", withID("@counter@1"), `"@counter@1"`, "begin with @"},
		{"slash", withID("a/b"), `"a/b"`, "contain any of"},
		{"backslash", withID(`a\b`), `"a\\b"`, "contain any of"},
		{"hash", withID("a#b"), `"a#b"`, "contain any of"},
		{"question mark", withID("a?b"), `"a?b"`, "contain any of"},
		{"control character", withID("a\nb"), `"a\nb"`, "control characters"},
		{"upper control character", withID("a\u0085b"), `"a\u0085b"`, "control characters"},
		{"invalid UTF-8", withID("a\xffb"), `"a\xffb"`, "valid UTF-8"},
		{"start too late", starting(taskhub.StartAt(time.Now().Add(169 * time.Hour))), "20", "7 days"},
		{"unknown policy", starting(taskhub.Reuse(7)), `"7"`, "is unknown"},
		{"invalid version", starting(taskhub.Version("\xff")), `"\xff"`, "valid UTF-8"},
		{"invalid tag", starting(taskhub.Tags{"k": "\xff"}), "k=", "valid UTF-8"},
		{"too many tags", starting(taskhub.Tags{"k": strings.Repeat("x", 20_000)}), "1 tags", "not be longer"},
		{"no orchestration name", func() error {
			_, err := taskhub.Start(ctx, client, orchestration.Declare[string, string](""), "x")
			return err
		}, `""`, "orchestration name"},
		{"long orchestration name", func() error {
			_, err := client.StartByName(ctx, strings.Repeat("n", 1025), nil)
			return err
		}, `"nnn`, "longer than 1024"},
		{"no event name", func() error { return client.RaiseEventByName(ctx, "one", "", nil) }, `""`, "event name"},
		{"event to nobody", func() error { return client.RaiseEventByName(ctx, "", "e", nil) }, `""`, "instance id"},
		{"get nobody", func() error { _, err := client.Get(ctx, ""); return err }, `""`, "instance id"},
		{"history of nobody", func() error { _, err := client.History(ctx, ""); return err }, `""`, "instance id"},
		{"terminate nobody", func() error { return client.Terminate(ctx, "", "r", taskhub.Unchecked{}) }, `""`, "instance id"},
		{"purge nobody", func() error { return client.Purge(ctx, "") }, `""`, "instance id"},
		{"wait without a pause", func() error { _, err := client.Wait(ctx, "one", taskhub.PollInterval(0)); return err }, `"0s"`, "positive"},
		{"unknown status", listing(taskhub.Query{Statuses: []history.Status{"running"}}), `"running"`, "must be one of"},
		{"negative page", listing(taskhub.Query{PageSize: -1}), `"-1"`, "1 to 1000"},
		{"large page", listing(taskhub.Query{PageSize: 1001}), `"1001"`, "1 to 1000"},
	} {
		var err error
		if n := requestsOf(hub, func() { err = tt.call() }); n != 0 {
			t.Errorf("%s: %d requests", tt.name, n)
		}
		var argument *taskhub.ArgumentError
		if !errors.As(err, &argument) || !strings.Contains(err.Error(), tt.value) || !strings.Contains(err.Error(), tt.rule) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(fmt.Sprint(err)) > 600 {
			t.Errorf("%s: the error has %d characters", tt.name, len(err.Error()))
		}
	}
}

func TestArguments_ThatAreFine(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		client := taskhub.NewClient(newHub(t, account))
		for _, id := range []string{
			strings.Repeat("a", 256), strings.Repeat("\U0001F600", 128), "a|b: c", "it's", "%2F", "a^b", "^0", "Ünï@x", " ",
		} {
			start(t, client, "x", taskhub.InstanceID(id))
			status, err := client.Get(t.Context(), id)
			if err != nil || status.InstanceID != id {
				t.Errorf("%q: %+v, %v", id, status, err)
			}
		}
	})
}

func TestStart_InputThatCannotBeStored(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	n := requestsOf(hub, func() {
		if _, err := client.StartByName(t.Context(), "Echo", make(chan int)); err == nil {
			t.Error("no error")
		}
		if err := client.RaiseEventByName(t.Context(), "one", "e", func() {}); err == nil {
			t.Error("no error")
		}
	})
	if n != 0 {
		t.Errorf("%d requests", n)
	}
}
