package turn_test

import (
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/orchestration"
)

// twoThenOne calls two activities side by side and then one with their results.
func twoThenOne(ctx *orchestration.Context, in string) (string, error) {
	texts, err := orchestration.All(
		orchestration.CallActivity(ctx, work, in+"a"), orchestration.CallActivity(ctx, work, in+"b")).Await()
	if err != nil {
		return "", err
	}
	return orchestration.CallActivity(ctx, work, strings.Join(texts, "")).Await()
}

func holdAll(orchestration.Action) bool { return true }

func answered(h turn.Held, result string) turn.Answered {
	return turn.Answered{Held: h, Answer: &history.TaskCompleted{
		Header: none(), TaskID: h.Action.ActionID(), Result: history.Text(result),
	}}
}

func kindsOf(events []history.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, strings.TrimPrefix(string(e.Kind()), "Orchestrator"))
	}
	return strings.Join(all, " ")
}

// goOn is the input of the turn after another one.
func goOn(after *turn.Outcome, answers ...turn.Answered) turn.Input {
	return turn.Input{
		State: after.State, Execution: after.Execution, Now: now.Add(time.Second), Hold: holdAll, Answered: answers, Open: after.Open,
		NewID: func() string { return "next" },
	}
}

// Actions that are held are neither recorded nor sent, and are recorded with their answers, in the episode that decided on them.
func TestRun_Held(t *testing.T) {
	t.Parallel()
	in := input(twoThenOne)
	in.Hold = holdAll
	first := run(t, in)
	if got := kindsOf(first.New); got != "Started ExecutionStarted" || len(first.Messages) != 0 || len(first.Held) != 2 || !first.Open {
		t.Fatalf("recorded are %q, %d messages are sent, %d actions held, open is %v", got, len(first.Messages), len(first.Held), first.Open)
	}
	// One of the two is there. Nothing new is decided, and the other one is still held by the caller.
	second := run(t, goOn(first, answered(first.Held[0], `"A"`)))
	if got := kindsOf(append(second.Settled, second.New...)); got != "TaskScheduled Completed Started TaskCompleted Completed" || len(second.Held) != 0 {
		t.Fatalf("after one answer %q, %d held", got, len(second.Held))
	}
	third := run(t, goOn(second, answered(first.Held[1], `"B"`)))
	if got := kindsOf(append(third.Settled, third.New...)); got != "TaskScheduled Completed Started TaskCompleted" {
		t.Errorf("after the second answer %q", got)
	}
	if len(third.Held) != 1 || third.Held[0].Action.ActionID() != 2 {
		t.Fatalf("held is %v", third.Held)
	}
	last := run(t, goOn(third, answered(third.Held[0], `"C"`)))
	if last.Completed == nil || history.TextOr(last.Completed.Result, "") != `"C"` {
		t.Fatalf("the end is %+v", last.Completed)
	}
	// Whatever way it came about, the history replays.
	exec := orchestration.NewExecution(job.With(twoThenOne), orchestration.Options{})
	defer exec.Close()
	if err := exec.Replay(last.State.Events()); err != nil {
		t.Errorf("the history does not replay: %v\n%s", err, kindsOf(last.State.Events()))
	}
}

// What is not carried out ahead after all is recorded and sent as if it never had been held.
func TestSend(t *testing.T) {
	t.Parallel()
	in := input(twoThenOne)
	in.Hold = holdAll
	first := run(t, in)
	events, messages := turn.Send(first.State, first.Held)
	if got := kindsOf(events); got != "TaskScheduled TaskScheduled Completed" || len(messages) != 2 {
		t.Fatalf("recorded are %q, sent %d", got, len(messages))
	}
	classic := run(t, input(twoThenOne))
	if got, want := kindsOf(first.State.Events()), kindsOf(classic.State.Events()); got != want {
		t.Errorf("the history is %q, without holding %q", got, want)
	}
	for i, m := range messages {
		want := classic.Messages[i]
		got, _ := m.Event.(*history.TaskScheduled)
		scheduled, _ := want.Event.(*history.TaskScheduled)
		if m.Episode != want.Episode || m.CallID != want.CallID || *got.Input != *scheduled.Input || !got.Timestamp.Equal(scheduled.Timestamp) {
			t.Errorf("sent is %+v, want %+v", m, want)
		}
	}
	if len(turn.Close(first.State)) != 0 {
		t.Error("a closed episode was closed again")
	}
}

// Close ends the episode that was left open, once.
func TestClose(t *testing.T) {
	t.Parallel()
	in := input(twoThenOne)
	in.Hold = holdAll
	first := run(t, in)
	if got := kindsOf(turn.Close(first.State)); got != "Completed" || !first.State.AtRest() {
		t.Errorf("it is closed with %q", got)
	}
	if len(turn.Close(first.State)) != 0 {
		t.Error("it is closed twice")
	}
}

// Answers come in groups that fit into a transaction, each with the records of its actions.
func TestRun_HeldGroups(t *testing.T) {
	t.Parallel()
	in := input(func(ctx *orchestration.Context, _ string) (string, error) {
		calls := make([]orchestration.Task[string], 100)
		for i := range calls {
			calls[i] = orchestration.CallActivity(ctx, work, "")
		}
		texts, err := orchestration.All(calls...).Await()
		return strings.Join(texts, ""), err
	})
	in.Hold = holdAll
	first := run(t, in)
	answers := make([]turn.Answered, len(first.Held))
	for i, h := range first.Held {
		answers[i] = answered(h, `"x"`)
	}
	out := run(t, goOn(first, answers...))
	if out.Completed == nil || len(history.TextOr(out.Completed.Result, "")) != 102 {
		t.Fatalf("the end is %+v", out.Completed)
	}
	size, pending := 0, map[int32]bool{}
	for _, e := range out.State.Events() {
		size++
		switch id := e.Head().EventID; {
		case id != history.NoEventID && e.Kind() == history.KindTaskScheduled:
			pending[id] = true
		case history.AnswerTo(e) != history.NoEventID:
			delete(pending, history.AnswerTo(e))
		}
		if len(pending) == 0 {
			size = 0
		}
		if size > 99 {
			t.Fatalf("%d rows cannot be cut apart", size)
		}
	}
}
