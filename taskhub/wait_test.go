package taskhub_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/taskhub"
)

func TestWait_Outcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status history.Status
		text   *string
		want   string
		err    string
	}{
		{history.Completed, history.Text(`"done"`), "done", ""},
		{history.Completed, nil, "", ""},
		{history.Failed, history.Text("E: broken"), "", `instance "one" ended as Failed: E: broken`},
		{history.Terminated, history.Text("enough"), "", `instance "one" ended as Terminated: enough`},
		{history.Canceled, nil, "", `instance "one" ended as Canceled`},
	} {
		t.Run(string(tt.status), func(t *testing.T) {
			t.Parallel()
			hub := newHub(t, taskhub.Memory())
			instance := start(t, taskhub.NewClient(hub), "x", taskhub.InstanceID("one"))
			set(t, hub, "one", tt.status, tt.text)
			got, err := instance.Wait(t.Context())
			if tt.err == "" {
				if got != tt.want || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			var ended *taskhub.EndedError
			if !errors.As(err, &ended) || err.Error() != tt.err || ended.Status != tt.status {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestWait_ResultOfAnotherType(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	start(t, client, "x", taskhub.InstanceID("one"))
	set(t, hub, "one", history.Completed, history.Text(`"text"`))
	if _, err := taskhub.Attach[int](client, "one").Wait(t.Context()); !errors.Is(err, payload.ErrDecode) {
		t.Errorf("error: %v", err)
	}
}

func TestWait_Replaced(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	client := taskhub.NewClient(hub)
	first := start(t, client, "x", taskhub.InstanceID("one"))
	second := start(t, client, "y", taskhub.InstanceID("one"), taskhub.ReplaceLive)
	if _, err := first.Wait(t.Context()); !errors.Is(err, taskhub.ErrReplaced) {
		t.Errorf("first: %v", err)
	}
	set(t, hub, "one", history.Completed, history.Text(`"y"`))
	for name, instance := range map[string]*taskhub.Instance[string]{"second": second, "attached": taskhub.Attach[string](client, "one")} {
		if got, err := instance.Wait(t.Context()); got != "y" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestWait_Polls measures the pauses in virtual time.
func TestWait_Polls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options []taskhub.WaitOption
		looks   int64
	}{
		// Pauses of 50, 100, 200, 400 and 800 ms, then of 1 s: 58 more looks, the last at 59.55 s.
		{"default", nil, 1 + 5 + 58},
		// Pauses of 50 to 6400 ms, then of 10 s: 4 more looks, the last at 52.75 s.
		{"10 s", []taskhub.WaitOption{taskhub.PollInterval(10 * time.Second)}, 1 + 8 + 4},
		{"20 ms", []taskhub.WaitOption{taskhub.PollInterval(20 * time.Millisecond)}, 3001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hub := newHub(t, taskhub.Memory())
				client := taskhub.NewClient(hub)
				start(t, client, "x", taskhub.InstanceID("one"))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Millisecond)
				defer cancel()
				looks := requestsOf(hub, func() {
					_, err := client.Wait(ctx, "one", tt.options...)
					if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Pending") {
						t.Errorf("error: %v", err)
					}
				})
				if looks != tt.looks {
					t.Errorf("%d looks, want %d", looks, tt.looks)
				}
			})
		})
	}
}

func TestWait_SeesTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, taskhub.Memory())
		client := taskhub.NewClient(hub)
		instance := start(t, client, "x", taskhub.InstanceID("one"))
		began := time.Now()
		time.AfterFunc(10*time.Second, func() { set(t, hub, "one", history.Running, nil) })
		time.AfterFunc(20*time.Second, func() { set(t, hub, "one", history.Completed, history.Text(`"done"`)) })
		s, err := client.WaitForStart(t.Context(), "one")
		if err != nil || s.Status != history.Running || time.Since(began) > 11*time.Second {
			t.Errorf("start: %+v, %v after %v", s, err, time.Since(began))
		}
		got, err := instance.Wait(t.Context())
		if err != nil || got != "done" || time.Since(began) > 21*time.Second {
			t.Errorf("end: %q, %v after %v", got, err, time.Since(began))
		}
	})
}
