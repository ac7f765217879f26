package orchestration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	tick = orchestration.DeclareEvent[int]("Tick")
	note = orchestration.DeclareEvent[string]("Note")
)

func gather(ctx *orchestration.Context, n int) (string, error) {
	var got []string
	for range n {
		v, err := orchestration.WaitForEvent(ctx, tick).Await()
		if err != nil {
			return "", err
		}
		got = append(got, fmt.Sprint(v))
	}
	return strings.Join(got, ","), nil
}

// V01, V10: events of one name are received in order, however many arrive in a turn.
func TestWaitForEvent_InOrder_V01_V10(t *testing.T) {
	t.Parallel()
	const n = 100
	var numbers []string
	for i := range n {
		numbers = append(numbers, fmt.Sprint(i))
	}
	want := []string{`0 Completed "` + strings.Join(numbers, ",") + `"`}
	for _, perTurn := range []int{1, 7, n} {
		d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) { return gather(ctx, n) }), orchestration.Options{})
		d.expect(nil, started("Job", `""`))
		for i := 0; i < n; i += perTurn {
			var batch []history.Event
			for j := i; j < min(i+perTurn, n); j++ {
				batch = append(batch, raised("Tick", fmt.Sprint(j)))
			}
			if i+perTurn < n {
				d.expect(nil, batch...)
			} else {
				d.expect(want, batch...)
			}
		}
	}
}

// V02: an event that comes before anybody waits, or even before the start, is kept.
func TestWaitForEvent_Buffered_V02(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		if _, err := ctx.Timer(100 * ms).Await(); err != nil {
			return "", err
		}
		return gather(ctx, 1)
	})
	for _, tt := range []struct {
		name                string
		first, second, last []history.Event
	}{
		{"before the start", []history.Event{raised("Tick", "1"), started("Job", `""`)}, nil, []history.Event{fired(0)}},
		{"with the start", []history.Event{started("Job", `""`), raised("Tick", "1")}, nil, []history.Event{fired(0)}},
		{"before the wait", []history.Event{started("Job", `""`)}, []history.Event{raised("Tick", "1")}, []history.Event{fired(0)}},
		{"in the turn of the wait", []history.Event{started("Job", `""`)}, nil, []history.Event{raised("Tick", "1"), fired(0)}},
		{"after it", []history.Event{started("Job", `""`)}, nil, []history.Event{fired(0), raised("Tick", "1")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, binding, orchestration.Options{})
			d.expect([]string{"0 timer +100ms"}, tt.first...)
			d.expect(nil, tt.second...)
			d.expect([]string{`1 Completed "1"`}, tt.last...)
		})
	}
}

// V03: case does not matter, neither for events received nor for the record of one sent.
func TestEventNames_CaseInsensitive_V03(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		if err := orchestration.SendEventByName(ctx, "other", "GO", "x"); err != nil {
			return "", err
		}
		first, err := orchestration.WaitForEventByName(ctx, "myevent").Await()
		if err != nil {
			return "", err
		}
		second, err := orchestration.WaitForEventByName(ctx, "MYEVENT").Await()
		return string(first) + string(second), err
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{`0 event GO to other "x"`}, started("Job", `""`))
	d.expect([]string{`1 Completed "12"`}, raised("MyEvent", "1"), raised("myEVENT", "2"))

	x := orchestration.NewExecution(binding, orchestration.Options{})
	t.Cleanup(x.Close)
	if err := x.Replay([]history.Event{
		turnStarted(epoch), started("Job", `""`), &history.EventSent{Header: head(0, epoch), Name: "go", InstanceID: "other"},
	}); err != nil || x.Pending() {
		t.Errorf("replay: %v, pending %v", err, x.Pending())
	}
}

// V04: waits for several names get their own events in any order.
func TestWaitForEvent_SeveralNames_V04(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"abc", "acb", "bac", "bca", "cab", "cba"} {
		d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
			var tasks []orchestration.Task[json.RawMessage]
			for _, name := range []string{"a", "b", "c"} {
				tasks = append(tasks, orchestration.WaitForEventByName(ctx, name))
			}
			texts, err := orchestration.All(tasks...).Await()
			return fmt.Sprintf("%s", texts), err
		}), orchestration.Options{})
		d.expect(nil, started("Job", `""`))
		for i, name := range strings.Split(order, "") {
			if i < 2 {
				d.expect(nil, raised(name, `1`+fmt.Sprint(name[0])))
			}
		}
		d.expect([]string{`0 Completed "[197 198 199]"`}, raised(order[2:], `1`+fmt.Sprint(order[2])))
	}
}

// An execution tells the events that it waits for, each once and the oldest first.
func TestEventWaits(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		late, early := orchestration.WaitForEventByName(ctx, "Late"), orchestration.WaitForEventByName(ctx, "early")
		orchestration.WaitForEventByName(ctx, "LATE")
		gone := orchestration.WaitForEventByName(ctx, "gone")
		gone.Cancel()
		if _, err := early.Await(); err != nil {
			return "", err
		}
		orchestration.WaitForEventByName(ctx, "another")
		_, err := late.Await()
		return "", err
	}), orchestration.Options{})
	d.expect(nil, started("Job", `""`))
	first := d.now
	if diff := cmp.Diff([]orchestration.EventWait{{Name: "Late", Since: first}, {Name: "early", Since: first}}, d.x.EventWaits()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.expect(nil, raised("Early", "1"))
	if diff := cmp.Diff([]orchestration.EventWait{{Name: "Late", Since: first}, {Name: "another", Since: d.now}}, d.x.EventWaits()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// V05: of several waits for one name the oldest gets the event, and each gets one.
func TestWaitForEvent_Fifo_V05(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		var tasks []orchestration.Task[int]
		for range 5 {
			tasks = append(tasks, orchestration.WaitForEvent(ctx, tick))
		}
		numbers, err := orchestration.All(tasks...).Await()
		return fmt.Sprint(numbers), err
	}), orchestration.Options{})
	d.expect(nil, started("Job", `""`))
	d.expect(nil, raised("Tick", "1"), raised("Tick", "2"))
	d.expect(nil, raised("Tick", "3"))
	d.expect([]string{`0 Completed "[1 2 3 4 5]"`}, raised("Tick", "4"), raised("Tick", "5"), raised("Tick", "6"))
}

// V06: a cancelled wait takes no event.
func TestWaitForEvent_Cancelled_V06(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		first, second := orchestration.WaitForEvent(ctx, tick), orchestration.WaitForEvent(ctx, tick)
		first.Cancel()
		_, gone := first.Await()
		n, err := second.Await()
		return fmt.Sprint(errors.Is(gone, orchestration.ErrCanceled), n), err
	}), orchestration.Options{})
	d.expect(nil, started("Job", `""`))
	d.expect([]string{`0 Completed "true 7"`}, raised("Tick", "7"))
}

// V07, V08: a wait with a time limit asks for one timer, ends with ErrTimeout or the event, and
// asks for none if the event is there already.
func TestWaitForEventFor_V07_V08(t *testing.T) {
	t.Parallel()
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		n, err := orchestration.WaitForEventFor(ctx, tick, 2*sec).Await()
		if err != nil && !errors.Is(err, orchestration.ErrTimeout) {
			return "", err
		}
		return fmt.Sprint(n, err), nil
	})
	d := drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 timer +2s"}, started("Job", `""`))
	d.expectAfter(2*sec, []string{`1 Completed "0 orchestration: no event within the time limit"`}, fired(0))

	d = drive(t, binding, orchestration.Options{})
	d.expect([]string{"0 timer +2s"}, started("Job", `""`))
	d.expect([]string{`1 Completed "5 <nil>"`}, raised("Tick", "5"))

	d = drive(t, binding, orchestration.Options{})
	d.expect([]string{`0 Completed "5 <nil>"`}, raised("Tick", "5"), started("Job", `""`))
}

// V07: an event after the timeout goes to the next wait.
func TestWaitForEventFor_EventAfterTimeout_V07(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, late := orchestration.WaitForEventFor(ctx, tick, 2*sec).Await()
		n, err := orchestration.WaitForEvent(ctx, tick).Await()
		return fmt.Sprint(errors.Is(late, orchestration.ErrTimeout), n), err
	}), orchestration.Options{})
	d.expect([]string{"0 timer +2s"}, started("Job", `""`))
	d.expect([]string{`1 Completed "true 5"`}, fired(0), raised("Tick", "5"))
}

// A wait with a time limit that is cancelled ends with ErrCanceled, takes its timer along and
// leaves the event to others.
func TestWaitForEventFor_Cancelled(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		atOnce := orchestration.WaitForEventFor(ctx, tick, 2*sec)
		atOnce.Cancel()
		later := orchestration.WaitForEventFor(ctx, tick, 5*sec)
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		later.Cancel()
		_, first := atOnce.Await()
		_, second := later.Await()
		n, err := orchestration.WaitForEvent(ctx, tick).Await()
		return fmt.Sprint(errors.Is(first, orchestration.ErrCanceled), errors.Is(second, orchestration.ErrCanceled), n), err
	}), short)
	d.expect([]string{"1 timer +2s", `2 activity Work ["a"]`}, started("Job", `""`))
	d.expect(nil, done(2, `"a"`))
	d.expect(nil, fired(1))
	d.expect([]string{`3 Completed "true true 9"`}, raised("Tick", "9"))
}

// V14: a sent event is one action and not repeated on replay; the sender goes on at once.
func TestSendEvent_V14(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		if err := orchestration.SendEvent(ctx, "other", note, "hi"); err != nil {
			return "", err
		}
		if _, err := ctx.Timer(time.Minute).Await(); err != nil {
			return "", err
		}
		return "sent", orchestration.SendEvent(ctx, ctx.InstanceID(), note, "self")
	}), orchestration.Options{})
	d.expect([]string{`0 event Note to other "hi"`, "1 timer +1m0s"}, started("Job", `""`))
	d.expectAfter(time.Minute, []string{`2 event Note to inst "self"`, `3 Completed "sent"`}, fired(1))

	d = drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return "", orchestration.SendEvent(ctx, "", note, "hi")
	}), orchestration.Options{})
	d.expect([]string{`0 Failed send event "Note": the instance id is empty`}, started("Job", `""`))
}

// V18: an event without data is the zero value; sent with struct{} it has none.
func TestEvent_WithoutData_V18(t *testing.T) {
	t.Parallel()
	bare := orchestration.DeclareEvent[struct{}]("Bare")
	maybe := orchestration.DeclareEvent[*int]("Maybe")
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		if err := orchestration.SendEvent(ctx, "other", bare, struct{}{}); err != nil {
			return "", err
		}
		if err := orchestration.SendEvent(ctx, "other", maybe, nil); err != nil {
			return "", err
		}
		_, err := orchestration.WaitForEvent(ctx, bare).Await()
		text, textErr := orchestration.WaitForEvent(ctx, note).Await()
		raw, rawErr := orchestration.WaitForEventByName(ctx, "Raw").Await()
		pointer, pointerErr := orchestration.WaitForEvent(ctx, maybe).Await()
		return fmt.Sprintf("%q %t %t", text, raw == nil, pointer == nil), errors.Join(err, textErr, rawErr, pointerErr)
	}), orchestration.Options{})
	d.expect([]string{"0 event Bare to other", "1 event Maybe to other null"}, started("Job", `""`))
	d.expect([]string{`2 Completed "\"\" true true"`}, raised("Bare"), raised("Note"), raised("Raw"), raised("Maybe"))
}

// An event that does not fit its type fails the wait and is taken.
func TestWaitForEvent_WrongType(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, wrong := orchestration.WaitForEvent(ctx, tick).Await()
		n, err := orchestration.WaitForEvent(ctx, tick).Await()
		return fmt.Sprint(wrong != nil, n), err
	}), orchestration.Options{})
	d.expect(nil, started("Job", `""`))
	d.expect([]string{`0 Completed "true 2"`}, raised("Tick", `"one"`), raised("Tick", "2"))
}
