package worker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var (
	eventFlow   = orchestration.Declare[int, []int]("EventFlow")
	eventText   = orchestration.Declare[string, string]("EventText")
	eventRelay  = orchestration.Declare[string, string]("EventRelay")
	eventNumber = orchestration.DeclareEvent[int]("EventNumber")
	eventDone   = orchestration.DeclareEvent[string]("EventDone")
	eventRaw    = orchestration.DeclareEvent[json.RawMessage]("EventRaw")
)

// takeNumbers takes n numbers, one after the other.
func takeNumbers(ctx *orchestration.Context, n int) ([]int, error) {
	all := []int{}
	for len(all) < n {
		number, err := orchestration.WaitForEvent(ctx, eventNumber).Await()
		if err != nil {
			return nil, err
		}
		all = append(all, number)
	}
	return all, nil
}

// V01, V02: ten events that come while no worker runs, before the instance has begun, are
// received in order, each once, under names of any case.
func TestEvent_WhileNobodyRuns_V01_V02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		instance := launch(t, w, eventFlow, 10)
		want := []int{}
		for i := range 10 {
			name := []string{"EventNumber", "eventnumber", "EVENTNUMBER"}[i%3]
			check(t, w.Client.RaiseEventByName(w.Context(), instance.ID(), name, i))
			want = append(want, i)
		}
		run.Sleep(w.Context(), pick(w, time.Hour, 0))
		w.Start(nil, eventFlow.With(takeNumbers))
		if got := resultOf(t, w, instance); !slices.Equal(got, want) {
			t.Errorf("the events are %v", got)
		}
		if n := len(eventsOfKind[*history.EventRaised](ended(t, w, instance.ID()))); n != 10 {
			t.Errorf("the history has %d events", n)
		}
	})
}

// V04: two names in a loop, until the second one ends it.
func TestEvent_Loop_V04(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, eventText.With(func(ctx *orchestration.Context, _ string) (string, error) {
			sum, done := 0, orchestration.WaitForEvent(ctx, eventDone)
			for {
				number := orchestration.WaitForEvent(ctx, eventNumber)
				first, err := orchestration.FirstOf(number, done).Await()
				if err != nil {
					return "", err
				}
				if first == 1 {
					text, err := done.Await()
					return fmt.Sprint(sum, " ", text), err
				}
				n, err := number.Await()
				if err != nil {
					return "", err
				}
				sum += n
			}
		}))
		instance := launch(t, w, eventText, "")
		reach(t, w, instance.ID(), history.Running)
		for range 2 {
			raise(t, w, instance.ID(), eventNumber, 1)
		}
		w.Eventually(soon, "both numbers are in the history", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindEventRaised] == 2
		})
		raise(t, w, instance.ID(), eventDone, "done")
		if got := resultOf(t, w, instance); got != "2 done" {
			t.Errorf("the result is %q", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// V05, V06: of six waits for one name the first is cancelled; the five others get one event each,
// the oldest wait the oldest event.
func TestEvent_FairShare_V05_V06(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, eventFlow.With(func(ctx *orchestration.Context, n int) ([]int, error) {
			cancelled := orchestration.WaitForEvent(ctx, eventNumber)
			waits := make([]orchestration.Task[int], n)
			for i := range waits {
				waits[i] = orchestration.WaitForEvent(ctx, eventNumber)
			}
			if _, err := ctx.Timer(0).Await(); err != nil {
				return nil, err
			}
			cancelled.Cancel()
			ctx.SetCustomStatus("cancelled")
			return orchestration.All(waits...).Await()
		}))
		instance := launch(t, w, eventFlow, 5)
		w.Eventually(soon, "the first wait is cancelled", func() bool {
			return statusOf(t, w, instance.ID()).CustomStatus != nil
		})
		for i := range 5 {
			raise(t, w, instance.ID(), eventNumber, i)
			w.Eventually(soon, "the event is taken", func() bool {
				return kinds(eventsOf(t, w, instance.ID()))[history.KindEventRaised] == i+1
			})
		}
		if got := resultOf(t, w, instance); !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
			t.Errorf("the waits got %v", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// V07: a wait whose event has come already needs no timer; one that runs out has one and fails
// the instance as a timeout; a default takes the place of the failure.
func TestEvent_TimeLimit_V07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		instances := map[string]*taskhub.Instance[string]{}
		for _, how := range []string{"in time", "too late", "default"} {
			instances[how] = launch(t, w, eventText, how)
		}
		raise(t, w, instances["in time"].ID(), eventDone, "event")
		limit := pick(w, 40*time.Second, time.Second)
		w.Start(nil, eventText.With(func(ctx *orchestration.Context, how string) (string, error) {
			text, err := orchestration.WaitForEventFor(ctx, eventDone, limit).Await()
			if how == "default" && errors.Is(err, orchestration.ErrTimeout) {
				return "otherwise", nil
			}
			return text, err
		}))
		for _, tt := range []struct {
			how, output, failure string
			timers               int
		}{
			{"in time", `"event"`, "", 0},
			{"too late", "", "errors.errorString: " + orchestration.ErrTimeout.Error(), 1},
			{"default", `"otherwise"`, "", 1},
		} {
			id := instances[tt.how].ID()
			counts := kinds(ended(t, w, id))
			status := statusOf(t, w, id)
			if string(status.Output) != tt.output || status.Failure != tt.failure {
				t.Errorf("%s: %s with output %s, failure %q", tt.how, status.Status, status.Output, status.Failure)
			}
			if counts[history.KindTimerCreated] != tt.timers || counts[history.KindTimerFired] != tt.timers {
				t.Errorf("%s: the history has %v", tt.how, counts)
			}
		}
	})
}

// V10: one event, and a hundred back to back, arrive, each once.
func TestEvent_Counts_V10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, eventFlow.With(takeNumbers))
		for _, n := range []int{1, 100} {
			instance := launch(t, w, eventFlow, n)
			want := []int{}
			for i := range n {
				raise(t, w, instance.ID(), eventNumber, i)
				want = append(want, i)
			}
			got := resultOf(t, w, instance)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("of %d events came %v", n, got)
			}
			w.Settled(soon, instance.ID())
		}
	})
}

// V13: an event to an instance that has ended, in any way, changes neither its row nor its
// history, and starts nothing.
func TestEvent_AfterAnyEnd_V13(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, eventText.With(func(ctx *orchestration.Context, how string) (string, error) {
			switch how {
			case "fail":
				return "", errors.New("no")
			case "wait":
				return orchestration.WaitForEvent(ctx, eventDone).Await()
			}
			return how, nil
		}))
		for _, how := range []string{"complete", "fail", "wait"} {
			id := launch(t, w, eventText, how).ID()
			if how == "wait" {
				check(t, w.Client.Terminate(w.Context(), id, "enough"))
			}
			ended(t, w, id)
			row, _ := w.Row(id)
			rows := w.HistoryRows(id)
			if err := taskhub.RaiseEvent(w.Context(), w.Client, id, eventDone, "late"); !errors.Is(err, taskhub.ErrNotLive) {
				t.Errorf("%s: the client says %v", how, err)
			}
			check(t, taskhub.RaiseEvent(w.Context(), w.Client, id, eventDone, "late", taskhub.Unchecked{}))
			w.Settled(soon, id)
			if after, _ := w.Row(id); after.ETag != row.ETag {
				t.Errorf("%s: the row was written", how)
			}
			after := w.HistoryRows(id)
			if len(after) != len(rows) || after[len(after)-1].ETag != rows[len(rows)-1].ETag {
				t.Errorf("%s: the history was written", how)
			}
		}
	})
}

// V14: an event that an orchestration sends arrives once, though the sender goes on in later
// turns, and what a client raises then comes after it.
func TestEvent_Relay_V14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, eventFlow.With(takeNumbers),
			eventRelay.With(func(ctx *orchestration.Context, target string) (string, error) {
				for i := range 3 {
					if err := orchestration.SendEvent(ctx, target, eventNumber, i); err != nil {
						return "", err
					}
					if _, err := ctx.Timer(0).Await(); err != nil {
						return "", err
					}
				}
				return "sent", nil
			}))
		receiver := launch(t, w, eventFlow, 4)
		reach(t, w, receiver.ID(), history.Running)
		sender := launch(t, w, eventRelay, receiver.ID())
		if got := resultOf(t, w, sender); got != "sent" {
			t.Errorf("the sender returned %q", got)
		}
		w.Eventually(soon, "what was sent has arrived", func() bool {
			return kinds(eventsOf(t, w, receiver.ID()))[history.KindEventRaised] == 3
		})
		raise(t, w, receiver.ID(), eventNumber, 3)
		if got := resultOf(t, w, receiver); !slices.Equal(got, []int{0, 1, 2, 3}) {
			t.Errorf("the receiver got %v", got)
		}
		w.Settled(soon, sender.ID(), receiver.ID())
		if got := kinds(eventsOf(t, w, sender.ID()))[history.KindEventSent]; got != 3 {
			t.Errorf("the sender's history has %d sent events", got)
		}
	})
}

// V18: no data, null and data are three things.
func TestEvent_Data_V18(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, eventText.With(func(ctx *orchestration.Context, _ string) (string, error) {
			got := []string{}
			for range 3 {
				raw, err := orchestration.WaitForEvent(ctx, eventRaw).Await()
				if err != nil {
					return "", err
				}
				got = append(got, string(raw))
			}
			return fmt.Sprintf("%q", got), nil
		}))
		instance := launch(t, w, eventText, "")
		for i, data := range []any{struct{}{}, nil, map[string]int{"a": 1}} {
			check(t, w.Client.RaiseEventByName(w.Context(), instance.ID(), eventRaw.Name(), data))
			w.Eventually(soon, "the event is taken", func() bool {
				return kinds(eventsOf(t, w, instance.ID()))[history.KindEventRaised] == i+1
			})
		}
		if got, want := resultOf(t, w, instance), `["" "null" "{\"a\":1}"]`; got != want {
			t.Errorf("the data is %s, want %s", got, want)
		}
		raised := eventsOfKind[*history.EventRaised](ended(t, w, instance.ID()))
		if raised[0].Input != nil || history.TextOr(raised[1].Input, "") != "null" {
			t.Errorf("stored are %v and %v", raised[0].Input, raised[1].Input)
		}
	})
}
