package taskhub_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

func TestCommands_SendWhatDotNetSends(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		for _, tt := range []struct {
			name string
			call func(c *taskhub.Client, id string) error
			want func(e history.Event) bool
		}{
			{"raise", func(c *taskhub.Client, id string) error {
				return taskhub.RaiseEvent(t.Context(), c, id, approved, true)
			}, func(e history.Event) bool {
				raised, ok := e.(*history.EventRaised)
				return ok && raised.Name == "Approved" && *raised.Input == "true"
			}},
			{"raise nothing", func(c *taskhub.Client, id string) error {
				return c.RaiseEventByName(t.Context(), id, "Go", struct{}{})
			}, func(e history.Event) bool {
				raised, ok := e.(*history.EventRaised)
				return ok && raised.Name == "Go" && raised.Input == nil
			}},
			{"raise much", func(c *taskhub.Client, id string) error {
				return c.RaiseEventByName(t.Context(), id, "Much", strings.Repeat("x", 200_000))
			}, func(e history.Event) bool {
				raised, ok := e.(*history.EventRaised)
				return ok && len(*raised.Input) == 200_002
			}},
			{"terminate", func(c *taskhub.Client, id string) error {
				return c.Terminate(t.Context(), id, "enough")
			}, func(e history.Event) bool {
				event, ok := e.(*history.ExecutionTerminated)
				return ok && *event.Reason == "enough"
			}},
			{"suspend", func(c *taskhub.Client, id string) error {
				return c.Suspend(t.Context(), id, "lunch")
			}, func(e history.Event) bool {
				event, ok := e.(*history.ExecutionSuspended)
				return ok && *event.Reason == "lunch"
			}},
			{"resume", func(c *taskhub.Client, id string) error {
				return c.Resume(t.Context(), id, "")
			}, func(e history.Event) bool {
				event, ok := e.(*history.ExecutionResumed)
				return ok && *event.Reason == ""
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				hub := newHub(t, account)
				client := taskhub.NewClient(hub)
				start(t, client, "x", taskhub.InstanceID("one"))
				messages(t, hub)
				if err := tt.call(client, "one"); err != nil {
					t.Fatal(err)
				}
				all := messages(t, hub)
				if len(all) != 1 || !tt.want(all[0].Event) {
					t.Fatalf("messages: %v", all)
				}
				m := all[0]
				if m.Target != (history.Instance{InstanceID: "one"}) || *m.Sender != (history.Instance{}) || m.Event.Head().EventID != history.NoEventID {
					t.Errorf("message: %+v", m)
				}
			})
		}
	})
}

func TestCommands_NeedALiveInstance(t *testing.T) {
	t.Parallel()
	for _, status := range history.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			hub := newHub(t, taskhub.Memory())
			client := taskhub.NewClient(hub)
			start(t, client, "x", taskhub.InstanceID("one"))
			set(t, hub, "one", status, nil)
			for name, call := range map[string]func(...taskhub.CommandOption) error{
				"raise": func(o ...taskhub.CommandOption) error {
					return taskhub.RaiseEvent(t.Context(), client, "one", approved, true, o...)
				},
				"terminate": func(o ...taskhub.CommandOption) error { return client.Terminate(t.Context(), "one", "r", o...) },
				"suspend":   func(o ...taskhub.CommandOption) error { return client.Suspend(t.Context(), "one", "r", o...) },
				"resume":    func(o ...taskhub.CommandOption) error { return client.Resume(t.Context(), "one", "r", o...) },
			} {
				messages(t, hub)
				err := call()
				var ended *taskhub.NotLiveError
				if refused := errors.As(err, &ended) && errors.Is(err, taskhub.ErrNotLive) && ended.Status == status; refused != status.Terminal() {
					t.Errorf("%s: %v", name, err)
				}
				if sent := len(messages(t, hub)) == 1; sent == status.Terminal() {
					t.Errorf("%s: sent %v", name, sent)
				}
				if err := call(taskhub.Unchecked{}); err != nil || len(messages(t, hub)) != 1 {
					t.Errorf("%s unchecked: %v", name, err)
				}
			}
		})
	}
}

func TestRaiseEvent_LostReply(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, "x", taskhub.InstanceID("one"))
	withFaults(hub).plans[storage.QueuePut] = []fault{lostReply, refusal}
	if err := taskhub.RaiseEvent(t.Context(), client, "one", approved, true); !errors.Is(err, taskhub.ErrUnclear) {
		t.Errorf("lost reply: %v", err)
	}
	err := taskhub.RaiseEvent(t.Context(), client, "one", approved, true)
	if !errors.Is(err, taskhub.ErrUnauthorized) || errors.Is(err, taskhub.ErrUnclear) {
		t.Errorf("refusal: %v", err)
	}
}
