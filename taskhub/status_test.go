package taskhub_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// L10.
func TestGet_UnknownInstance(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		client := taskhub.NewClient(newHub(t, account))
		for name, call := range map[string]func() error{
			"get":       func() error { _, err := client.Get(t.Context(), "nobody"); return err },
			"history":   func() error { _, err := client.History(t.Context(), "nobody"); return err },
			"wait":      func() error { _, err := client.Wait(t.Context(), "nobody"); return err },
			"raise":     func() error { return taskhub.RaiseEvent(t.Context(), client, "nobody", approved, true) },
			"terminate": func() error { return client.Terminate(t.Context(), "nobody", "r") },
			"suspend":   func() error { return client.Suspend(t.Context(), "nobody", "r") },
			"resume":    func() error { return client.Resume(t.Context(), "nobody", "r") },
			"purge":     func() error { return client.Purge(t.Context(), "nobody", taskhub.Force{}) },
			"attached": func() error {
				_, err := taskhub.Attach[string](client, "nobody").Wait(t.Context())
				return err
			},
		} {
			var missing *taskhub.NotFoundError
			if err := call(); !errors.As(err, &missing) || !errors.Is(err, taskhub.ErrNotFound) || missing.InstanceID != "nobody" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestStatus_Outputs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status                  history.Status
		text                    string
		output, failure, reason string
	}{
		{history.Completed, `{"a":1}`, `{"a":1}`, "", ""},
		{history.Completed, "not JSON", `"not JSON"`, "", ""},
		{history.Completed, "https://example.org/x", `"https://example.org/x"`, "", ""},
		{history.Failed, "E: urn:x", "", "E: urn:x", ""},
		{history.Terminated, "enough", "", "", "enough"},
		{history.Canceled, "enough", "", "", "enough"},
		{history.Suspended, "lunch", "", "", "lunch"},
		{history.Running, "back from lunch", "", "", ""},
	} {
		t.Run(string(tt.status)+" "+tt.text, func(t *testing.T) {
			t.Parallel()
			hub := newHub(t, taskhub.Memory())
			client := taskhub.NewClient(hub)
			start(t, client, "in", taskhub.InstanceID("one"), taskhub.Tags{"k": "v"})
			set(t, hub, "one", tt.status, &tt.text)
			s, err := client.Get(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			if string(s.Output) != tt.output || s.Failure != tt.failure || s.Reason != tt.reason || *s.RawOutput != tt.text {
				t.Errorf("status: %+v", s)
			}
			if (s.Completed != nil) != tt.status.Terminal() || s.Status != tt.status || s.Tags["k"] != "v" || string(s.Input) != `"in"` {
				t.Errorf("status: %+v", s)
			}
			s, err = client.Get(t.Context(), "one", taskhub.NoPayloads{})
			if err != nil || s.Input != nil || s.Output != nil || s.CustomStatus != nil || s.RawOutput != nil || s.Failure+s.Reason != "" {
				t.Errorf("without payloads: %+v, %v", s, err)
			}
		})
	}
}

// TestGet_Recorded reads what .NET left behind.
func TestGet_Recorded(t *testing.T) {
	t.Parallel()
	long := func(n int) func(string) bool { return func(s string) bool { return len(s) > n } }
	is := func(want string) func(string) bool { return func(s string) bool { return s == want } }
	for _, tt := range []struct {
		scenario, id  string
		status        history.Status
		input, output func(string) bool
		reason        string
	}{
		{"large-input-50k", "large-input", history.Completed, long(50_000), long(50_000), ""},
		{"large-input-35k", "quirk-input", history.Completed, long(35_000), long(35_000), ""},
		{"large-result-200k", "", history.Completed, long(0), long(200_000), ""},
		{"old-rows", "old-1", history.Completed, is(""), is(`["Hello Tokyo!","Hello Seattle!","Hello London!"]`), ""},
		{"output-uri", "uri-1", history.Terminated, is(""), is(""), "urn:reason:1"},
		{"custom-status", "", history.Completed, is(""), nil, ""},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			recorded := fixture.Load(t, tt.scenario)
			account := taskhub.Memory()
			restore(t, account, recorded)
			hub, err := taskhub.Open(t.Context(), account, recorded.Name, nil)
			if err != nil {
				t.Fatal(err)
			}
			client := taskhub.NewClient(hub)
			id := tt.id
			if id == "" {
				id = wire.UnescapeKey(recorded.Rows(recorded.Name + "Instances")[0].PartitionKey)
			}
			s, err := client.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if s.Status != tt.status || !tt.input(string(s.Input)) || tt.output != nil && !tt.output(string(s.Output)) || s.Reason != tt.reason {
				t.Errorf("status: %.300v", s)
			}
			events, err := client.History(t.Context(), id)
			if err != nil || len(events) == 0 || events[0].Kind() != history.KindOrchestratorStarted {
				t.Errorf("history: %d events, %v", len(events), err)
			}
			if strings.HasPrefix(tt.scenario, "large") {
				if _, err := taskhub.Attach[string](client, id).Wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestHistory_OfPendingInstance(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	start(t, client, "x", taskhub.InstanceID("one"))
	if events, err := client.History(t.Context(), "one"); err != nil || len(events) != 0 {
		t.Errorf("got %v, %v", events, err)
	}
}
