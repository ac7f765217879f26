package turn_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	work  = activity.Declare[string, string]("Work")
	job   = orchestration.Declare[string, string]("Job")
	child = orchestration.Declare[string, string]("Child")
	ping  = orchestration.DeclareEvent[string]("Ping")
	now   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// input returns the input of the first turn of a program.
func input(program func(*orchestration.Context, string) (string, error), events ...history.Event) turn.Input {
	ids := 0
	fresh := func() *orchestration.Execution {
		return orchestration.NewExecution(job.With(program), orchestration.Options{})
	}
	return turn.Input{
		State: &history.State{}, Execution: fresh(), NewExecution: fresh, Now: now,
		Events: append([]history.Event{start()}, events...),
		NewID:  func() string { ids++; return fmt.Sprintf("next-%d", ids) },
	}
}

func start() *history.ExecutionStarted {
	return &history.ExecutionStarted{
		Header:   history.Header{EventID: history.NoEventID, Timestamp: now.Add(-time.Second)},
		Instance: history.Instance{InstanceID: "i", ExecutionID: "first"},
		Name:     "Job", Input: history.Text(`"in"`), Generation: new(int32), Tags: map[string]string{"team": "blue"},
	}
}

func raised(data string) *history.EventRaised {
	return &history.EventRaised{Header: history.Header{EventID: history.NoEventID}, Name: "ping", Input: &data}
}

func run(t *testing.T, in turn.Input) *turn.Outcome {
	t.Helper()
	out, err := turn.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Execution.Close)
	return out
}

func kinds(events []history.Event) string {
	var names []string
	for _, e := range events {
		names = append(names, string(e.Kind()))
	}
	return strings.Join(names, " ")
}

// Every kind of action becomes a row and, but for the end of a parentless instance, a message.
func TestRun_ActionsBecomeRowsAndMessages(t *testing.T) {
	t.Parallel()
	out := run(t, input(func(ctx *orchestration.Context, in string) (string, error) {
		orchestration.CallActivity(ctx, work, in, orchestration.Tags{"call": "one"})
		orchestration.CallSubOrchestration(ctx, child, in, orchestration.InstanceID("kid"))
		ctx.Timer(time.Minute)
		return "", errors.Join(orchestration.SendEvent(ctx, "other", ping, "hi"))
	}))
	want := "OrchestratorStarted ExecutionStarted TaskScheduled SubOrchestrationInstanceCreated TimerCreated EventSent " +
		"ExecutionCompleted OrchestratorCompleted"
	if got := kinds(out.New); got != want {
		t.Errorf("rows are\n%s, want\n%s", got, want)
	}
	if len(out.Messages) != 4 {
		t.Fatalf("%d messages", len(out.Messages))
	}
	scheduled, _ := out.Messages[0].Event.(*history.TaskScheduled)
	if !out.Messages[0].Activity || history.TextOr(scheduled.Input, "") != `["in"]` || scheduled.Tags["call"] != "one" {
		t.Errorf("the activity's message is %+v", out.Messages[0])
	}
	if row, _ := out.New[2].(*history.TaskScheduled); row.Input != nil || !row.Timestamp.Equal(scheduled.Timestamp) {
		t.Errorf("the activity's row is %+v: it has no input, and the message's time", row)
	}
	begun, _ := out.Messages[1].Event.(*history.ExecutionStarted)
	if begun.Parent == nil || begun.Parent.TaskID != 1 || begun.Parent.Instance.ExecutionID != "first" || begun.Tags["team"] != "blue" {
		t.Errorf("the child's start is %+v", begun)
	}
	if out.Messages[2].VisibleAt != now.Add(time.Minute) {
		t.Errorf("the timer is visible at %v", out.Messages[2].VisibleAt)
	}
	if target := out.Messages[3].Target; target != (history.Instance{InstanceID: "other"}) {
		t.Errorf("the event goes to %v", target)
	}
	for _, m := range out.Messages {
		if m.Episode != 1 {
			t.Errorf("%s has episode %d", m.Event.Kind(), m.Episode)
		}
	}
}

// H6: a start that is sent twice, because its turn was computed twice, names one execution; starts
// that differ in anything name different ones.
func TestRun_ChildExecutionIsDerived(t *testing.T) {
	t.Parallel()
	childOf := func(in turn.Input) string {
		started, _ := run(t, in).Messages[0].Event.(*history.ExecutionStarted)
		return started.Instance.ExecutionID
	}
	program := func(input string) func(*orchestration.Context, string) (string, error) {
		return func(ctx *orchestration.Context, _ string) (string, error) {
			return orchestration.CallSubOrchestration(ctx, child, input, orchestration.InstanceID("kid")).Await()
		}
	}
	one, later := input(program("x")), input(program("x"))
	later.Now = now.Add(time.Hour)
	if a, b := childOf(one), childOf(later); a != b || len(a) != 32 {
		t.Errorf("the executions are %q and %q", a, b)
	}
	if a, b := childOf(input(program("x"))), childOf(input(program("y"))); a == b {
		t.Error("children with different inputs share an execution")
	}
}

// H14: the time of an episode is later than that of the one before, and not before a timer that is
// taken as due, whatever the clock says.
func TestRun_TimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	in := input(func(ctx *orchestration.Context, _ string) (string, error) {
		_, err := ctx.Timer(time.Minute).Await()
		return "", err
	})
	out := run(t, in)
	due := now.Add(time.Minute)
	next := in
	next.State, next.Execution, next.Now = out.State, out.Execution, now.Add(-time.Hour)
	next.Events = []history.Event{raised(`"x"`)}
	second := run(t, next)
	if began := second.New[0].Head().Timestamp; began != now.Add(history.Tick) {
		t.Errorf("with a clock that went back the episode begins at %v", began)
	}
	next.Events = []history.Event{&history.TimerFired{Header: history.Header{EventID: history.NoEventID}, FireAt: due}}
	third := run(t, next)
	if began := third.New[0].Head().Timestamp; began != due || third.Completed == nil {
		t.Errorf("the episode of the timer begins at %v", began)
	}
}

// An instance that continues as new replaces its history, keeps what it is, and carries over what
// it did not consume; what earlier generations sent is sent.
func TestRun_ContinueAsNew(t *testing.T) {
	t.Parallel()
	out := run(t, input(func(ctx *orchestration.Context, in string) (string, error) {
		data, err := orchestration.WaitForEvent(ctx, ping).Await()
		if err == nil && data != "end" {
			err = orchestration.SendEvent(ctx, "log", ping, in)
			orchestration.ContinueAsNew(ctx, job, in+data)
		}
		return in, err
	}, raised(`"a"`), raised(`"b"`)))
	if !out.Replaced || out.Instance().ExecutionID != "next-2" {
		t.Errorf("replaced %v by %v", out.Replaced, out.Instance())
	}
	started := out.State.Started()
	if history.TextOr(started.Input, "") != `"inab"` || started.Generation != nil || started.Tags["team"] != "blue" {
		t.Errorf("the last generation starts as %+v", started)
	}
	if got := kinds(out.New); got != "OrchestratorStarted ExecutionStarted OrchestratorCompleted" {
		t.Errorf("rows are %s", got)
	}
	if len(out.Messages) != 2 {
		t.Errorf("%d messages", len(out.Messages))
	}
}

// C03: events that nobody consumed reach the next generation in order, behind a suspension that
// came after the decision to continue.
func TestRun_CarriesEventsAndSuspension(t *testing.T) {
	t.Parallel()
	suspended := &history.ExecutionSuspended{Header: history.Header{EventID: history.NoEventID}}
	out := run(t, input(func(ctx *orchestration.Context, in string) (string, error) {
		if in == "in" {
			_, err := orchestration.WaitForEvent(ctx, ping).Await()
			orchestration.ContinueAsNew(ctx, job, "again")
			return "", err
		}
		_, err := orchestration.CallActivity(ctx, work, "x").Await()
		return "", err
	}, raised(`"1"`), raised(`"2"`), suspended, raised(`"3"`)))
	want := "OrchestratorStarted ExecutionStarted EventRaised EventRaised ExecutionSuspended OrchestratorCompleted"
	if got := kinds(out.New); got != want || !out.Suspended {
		t.Errorf("suspended %v, rows are\n%s, want\n%s", out.Suspended, got, want)
	}
}

// An instance that can only go wrong for ever is stopped, and says why.
func TestRun_Limits(t *testing.T) {
	t.Parallel()
	restless := func(ctx *orchestration.Context, in string) (string, error) {
		orchestration.ContinueAsNew(ctx, job, in)
		return "", nil
	}
	lengthy := func(ctx *orchestration.Context, in string) (string, error) {
		tasks := make([]orchestration.Task[string], 20)
		for i := range tasks {
			tasks[i] = orchestration.CallActivity(ctx, work, in)
		}
		_, err := orchestration.All(tasks...).Await()
		return "", err
	}
	for name, c := range map[string]struct {
		program func(*orchestration.Context, string) (string, error)
		want    string
	}{
		"continue as new without waiting": {restless, "without ever waiting"},
		"history":                         {lengthy, "too long"},
	} {
		in := input(c.program)
		in.Limits = turn.Limits{Generations: 5, History: 10}
		out := run(t, in)
		if out.Completed == nil || out.Completed.Status != history.Failed || !strings.Contains(*out.Completed.Result, c.want) {
			t.Errorf("%s: the end is %+v", name, out.Completed)
		}
		if len(out.Messages) != 0 {
			t.Errorf("%s: %d messages", name, len(out.Messages))
		}
	}
}

// A generation that consumes an event makes progress; any number of them may follow each other.
func TestRun_ConsumingEventsIsProgress(t *testing.T) {
	t.Parallel()
	var events []history.Event
	for range 50 {
		events = append(events, raised(`"x"`))
	}
	in := input(func(ctx *orchestration.Context, in string) (string, error) {
		_, err := orchestration.WaitForEvent(ctx, ping).Await()
		orchestration.ContinueAsNew(ctx, job, in+".")
		return "", err
	}, events...)
	in.Limits = turn.Limits{Generations: 5}
	out := run(t, in)
	if got := history.TextOr(out.State.Started().Input, ""); out.Completed != nil || len(got) != len(`"in"`)+50 {
		t.Errorf("end %v, input %s", out.Completed, got)
	}
}

// Y02: code that does not match the history stores nothing, or fails the instance if that is the
// policy.
func TestRun_Divergence(t *testing.T) {
	t.Parallel()
	differs := &orchestration.NonDeterminismError{InstanceID: "i", Name: "Job", EventID: 0}
	in := input(func(*orchestration.Context, string) (string, error) { return "", nil })
	in.Execution, in.Diverged = nil, differs
	in.State = history.NewState([]history.Event{
		&history.OrchestratorStarted{Header: history.Header{Timestamp: now}}, start(),
		&history.TaskScheduled{Header: history.Header{EventID: 4}, Name: "Work"},
	})
	in.Events = []history.Event{raised(`"x"`)}
	out, err := turn.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	end := out.Completed
	if end == nil || end.Status != history.Failed || end.EventID != 5 || !errors.Is(out.Divergence, differs) {
		t.Errorf("the end is %+v, divergence %v", end, out.Divergence)
	}
	if diff := cmp.Diff("OrchestratorStarted EventRaised ExecutionCompleted OrchestratorCompleted", kinds(out.New)); diff != "" {
		t.Error(diff)
	}
}

// S15: a child tells its parent once how it ended; a detached one does not.
func TestRun_ReportsToTheParent(t *testing.T) {
	t.Parallel()
	parent := &history.Parent{Name: "P", Instance: history.Instance{InstanceID: "p", ExecutionID: "pe"}, TaskID: 7}
	terminated := &history.ExecutionTerminated{Header: history.Header{EventID: history.NoEventID}, Reason: history.Text("stop")}
	for name, c := range map[string]struct {
		program func(*orchestration.Context, string) (string, error)
		extra   []history.Event
		tags    map[string]string
		want    history.Kind
	}{
		"completed":  {program: func(*orchestration.Context, string) (string, error) { return "ok", nil }, want: history.KindSubOrchestrationCompleted},
		"failed":     {program: func(*orchestration.Context, string) (string, error) { return "", errors.New("no") }, want: history.KindSubOrchestrationFailed},
		"panicked":   {program: func(*orchestration.Context, string) (string, error) { panic("no") }, want: history.KindSubOrchestrationFailed},
		"terminated": {program: waits, extra: []history.Event{terminated, terminated}, want: history.KindSubOrchestrationFailed},
		"detached": {
			program: func(*orchestration.Context, string) (string, error) { return "ok", nil },
			tags:    map[string]string{history.FireAndForget: ""},
		},
	} {
		in := input(c.program, c.extra...)
		started := start()
		started.Parent, started.Tags = parent, c.tags
		in.Events[0] = started
		out := run(t, in)
		var got []history.Kind
		for _, m := range out.Messages {
			got = append(got, m.Event.Kind())
			if m.Target != parent.Instance || history.AnswerTo(m.Event) != 7 {
				t.Errorf("%s: the report goes to %v for %d", name, m.Target, history.AnswerTo(m.Event))
			}
		}
		var want []history.Kind
		if c.want != "" {
			want = append(want, c.want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func waits(ctx *orchestration.Context, _ string) (string, error) {
	return orchestration.WaitForEvent(ctx, ping).Await()
}
