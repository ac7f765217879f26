package orchestration_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// epoch is when the first turn of every test begins.
var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

const (
	instanceID  = "inst"
	executionID = "exec"
)

// sameDecision compares decisions of two executions of the same code. Stacks differ by nature.
var sameDecision = cmp.Options{
	cmpopts.IgnoreFields(history.FailureDetails{}, "Stack"),
	cmpopts.EquateEmpty(),
}

// tb is what testing.TB and *rapid.T have in common.
type tb interface {
	Helper()
	Cleanup(f func())
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// driver plays the engine: it gives an execution its turns and keeps the history that an engine
// would record. Each turn is also run by a second execution that replays the history first, as
// after an eviction, and has to decide the same (Y06).
type driver struct {
	t       tb
	binding orchestration.Binding
	options orchestration.Options
	x       *orchestration.Execution
	now     time.Time
	log     []history.Event
}

func drive(t tb, binding orchestration.Binding, options orchestration.Options) *driver {
	t.Helper()
	d := &driver{t: t, binding: binding, options: options, now: epoch.Add(-time.Second)}
	d.x = d.fresh()
	return d
}

func (d *driver) fresh() *orchestration.Execution {
	x := orchestration.NewExecution(d.binding, d.options)
	d.t.Cleanup(x.Close)
	return x
}

// turn runs one episode that begins a second after the last one.
func (d *driver) turn(events ...history.Event) orchestration.Decision {
	d.t.Helper()
	return d.turnAfter(time.Second, events...)
}

// turnAfter runs one episode that begins pause after the last one.
func (d *driver) turnAfter(pause time.Duration, events ...history.Event) orchestration.Decision {
	d.t.Helper()
	decision, err := d.try(pause, events...)
	if err != nil {
		d.t.Fatalf("turn at %s: %v", d.now, err)
	}
	return decision
}

func (d *driver) try(pause time.Duration, events ...history.Event) (orchestration.Decision, error) {
	d.t.Helper()
	d.now = d.now.Add(pause)
	batch := append([]history.Event{turnStarted(d.now)}, events...)
	again := d.fresh()
	if err := again.Replay(d.log); err != nil {
		return orchestration.Decision{}, fmt.Errorf("replay: %w", err)
	}
	replayed, replayErr := again.Advance(batch)
	waits := again.EventWaits()
	again.Close()
	decision, err := d.x.Advance(batch)
	if (err == nil) != (replayErr == nil) {
		d.t.Fatalf("cached execution: %v; replayed execution: %v", err, replayErr)
	}
	if err != nil {
		return decision, err
	}
	if diff := cmp.Diff(decision, replayed, sameDecision); diff != "" {
		d.t.Fatalf("a replayed execution decides otherwise (-cached +replayed):\n%s", diff)
	}
	if diff := cmp.Diff(d.x.EventWaits(), waits); diff != "" {
		d.t.Fatalf("a replayed execution waits for other events (-cached +replayed):\n%s", diff)
	}
	d.log = append(d.log, batch...)
	for _, action := range decision.Actions {
		d.log = append(d.log, recordOf(action, d.now)...)
	}
	d.log = append(d.log, &history.OrchestratorCompleted{Header: head(history.NoEventID, d.now)})
	return decision, nil
}

// expect runs a turn and compares its actions, as texts.
func (d *driver) expect(want []string, events ...history.Event) {
	d.t.Helper()
	d.expectAfter(time.Second, want, events...)
}

func (d *driver) expectAfter(pause time.Duration, want []string, events ...history.Event) {
	d.t.Helper()
	got := render(d.turnAfter(pause, events...).Actions, d.now)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		d.t.Fatalf("turn at +%s (-want +got):\n%s", d.now.Sub(epoch), diff)
	}
}

// recordOf returns the event that records an action; a continue-as-new leaves none.
func recordOf(action orchestration.Action, now time.Time) []history.Event {
	h := head(action.ActionID(), now)
	switch a := action.(type) {
	case *orchestration.ActivityAction:
		return []history.Event{&history.TaskScheduled{Header: h, Name: a.Name, Version: a.Version, Tags: a.Tags}}
	case *orchestration.TimerAction:
		return []history.Event{&history.TimerCreated{Header: h, FireAt: a.FireAt}}
	case *orchestration.SubOrchestrationAction:
		return []history.Event{&history.SubOrchestrationCreated{Header: h, Name: a.Name, InstanceID: a.InstanceID}}
	case *orchestration.EventAction:
		return []history.Event{&history.EventSent{Header: h, InstanceID: a.InstanceID, Name: a.Name, Input: a.Input}}
	case *orchestration.CompleteAction:
		if a.ContinueAsNew != nil {
			return nil
		}
		return []history.Event{&history.ExecutionCompleted{Header: h, Status: a.Status, Result: a.Result, Failure: a.Failure}}
	default:
		panic(fmt.Sprintf("unknown action %T", action))
	}
}

// render describes actions in short texts; times are relative to now.
func render(actions []orchestration.Action, now time.Time) []string {
	texts := make([]string, 0, len(actions))
	for _, action := range actions {
		texts = append(texts, fmt.Sprintf("%d %s", action.ActionID(), renderAction(action, now)))
	}
	return texts
}

func renderAction(action orchestration.Action, now time.Time) string {
	switch a := action.(type) {
	case *orchestration.ActivityAction:
		return "activity " + a.Name + text(a.Input) + renderTags(a.Tags)
	case *orchestration.TimerAction:
		return "timer +" + a.FireAt.Sub(now).String()
	case *orchestration.SubOrchestrationAction:
		kind := "child "
		if a.Detached {
			kind = "detached "
		}
		return kind + a.Name + " as " + a.InstanceID + text(a.Input) + renderTags(a.Tags)
	case *orchestration.EventAction:
		return "event " + a.Name + " to " + a.InstanceID + text(a.Input)
	case *orchestration.CompleteAction:
		return renderEnd(a)
	default:
		return fmt.Sprintf("%T", action)
	}
}

func renderEnd(a *orchestration.CompleteAction) string {
	if a.ContinueAsNew == nil {
		return string(a.Status) + text(a.Result)
	}
	end := "again" + text(a.ContinueAsNew.Input)
	for _, carried := range a.ContinueAsNew.Carried {
		end += " +" + carried.Name + text(carried.Input)
	}
	if a.ContinueAsNew.Suspended != nil {
		end += " suspended"
	}
	return end
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return " " + *p
}

func renderTags(tags map[string]string) string {
	out := ""
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out += fmt.Sprintf(" #%s=%s", key, tags[key])
	}
	return out
}

func head(id int32, at time.Time) history.Header { return history.Header{EventID: id, Timestamp: at} }

var noID = history.Header{EventID: history.NoEventID, Timestamp: epoch}

func turnStarted(at time.Time) *history.OrchestratorStarted {
	return &history.OrchestratorStarted{Header: head(history.NoEventID, at)}
}

// started is the start of an execution; no input is no value.
func started(name string, input ...string) *history.ExecutionStarted {
	e := &history.ExecutionStarted{
		Header: noID, Name: name,
		Instance: history.Instance{InstanceID: instanceID, ExecutionID: executionID},
	}
	if len(input) > 0 {
		e.Input = &input[0]
	}
	return e
}

func done(id int32, result string) *history.TaskCompleted {
	return &history.TaskCompleted{Header: noID, TaskID: id, Result: &result}
}

func failed(id int32, message string) *history.TaskFailed {
	return failedWith(id, &history.FailureDetails{Type: "some.Error", Message: message})
}

func failedWith(id int32, details *history.FailureDetails) *history.TaskFailed {
	return &history.TaskFailed{Header: noID, TaskID: id, Reason: &details.Message, Failure: details}
}

func fired(id int32) *history.TimerFired { return &history.TimerFired{Header: noID, TimerID: id} }

func childDone(id int32, result string) *history.SubOrchestrationCompleted {
	return &history.SubOrchestrationCompleted{Header: noID, TaskID: id, Result: &result}
}

func childFailed(id int32, message string) *history.SubOrchestrationFailed {
	return &history.SubOrchestrationFailed{
		Header: noID, TaskID: id, Reason: &message,
		Failure: &history.FailureDetails{Type: "some.Error", Message: message},
	}
}

// raised is an external event; no input is no value.
func raised(name string, input ...string) *history.EventRaised {
	e := &history.EventRaised{Header: noID, Name: name}
	if len(input) > 0 {
		e.Input = &input[0]
	}
	return e
}

func suspend() *history.ExecutionSuspended {
	return &history.ExecutionSuspended{Header: noID, Reason: history.Text("hold")}
}

func resume() *history.ExecutionResumed { return &history.ExecutionResumed{Header: noID} }

func terminated(reason string) *history.ExecutionTerminated {
	return &history.ExecutionTerminated{Header: noID, Reason: &reason}
}
