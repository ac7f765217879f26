package wire

import (
	"encoding/json"
	"time"

	"github.com/durafleet/durafleet/history"
)

// source gives the members of an encoded event: JSON members of a message or columns of a row.
// Absent and null members read as the zero value. The first problem sticks.
type source interface {
	text(name string) *string
	integer(name string) *int32
	flag(name string) bool
	time(name string) *time.Time
	status(name string) history.Status
	// object returns the JSON of a nested object, nil if it is null.
	object(name string) []byte
	fail(name, problem string)
	failure() error
}

// nested reads a nested object of a source; nil if it is absent.
func nested[T any](s source, name string) *T {
	raw := s.object(name)
	if isNull(raw) {
		return nil
	}
	v := new(T)
	if err := json.Unmarshal(raw, v); err != nil {
		s.fail(name, problemOf(err))
		return nil
	}
	return v
}

func word(s source, name string) string { return history.TextOr(s.text(name), "") }

func number(s source, name string) int32 {
	if v := s.integer(name); v != nil {
		return *v
	}
	return 0
}

func moment(s source, name string) time.Time {
	if v := s.time(name); v != nil {
		return *v
	}
	return time.Time{}
}

func traceOf(s source) *history.TraceContext {
	return nested[traceObject](s, "ParentTraceContext").trace()
}

func failureOf(s source) *history.FailureDetails {
	return nested[failureObject](s, "FailureDetails").failure()
}

func tagsOf(s source) map[string]string {
	if tags := nested[tagObject](s, "Tags"); tags != nil {
		return *tags
	}
	return nil
}

// buildEvent reads an event of a kind from a source.
func buildEvent(kind history.Kind, h history.Header, s source) (history.Event, error) {
	e := buildExecution(kind, h, s)
	if e == nil {
		e = buildAction(kind, h, s)
	}
	if e == nil {
		e = buildOther(kind, h, s)
	}
	if err := s.failure(); err != nil {
		return nil, err
	}
	return e, nil
}

// buildExecution reads the events about an execution as a whole; nil for all others.
func buildExecution(kind history.Kind, h history.Header, s source) history.Event {
	switch kind {
	case history.KindExecutionStarted:
		return buildStarted(h, s)
	case history.KindExecutionCompleted:
		return &history.ExecutionCompleted{
			Header: h, Status: s.status("OrchestrationStatus"), Result: s.text("Result"), Failure: failureOf(s),
		}
	case history.KindContinueAsNew:
		return &history.ContinueAsNew{
			Header: h, Status: s.status("OrchestrationStatus"), Result: s.text("Result"), Failure: failureOf(s),
		}
	case history.KindExecutionTerminated:
		return &history.ExecutionTerminated{Header: h, Reason: s.text("Input")}
	case history.KindExecutionSuspended:
		return &history.ExecutionSuspended{Header: h, Reason: s.text("Reason")}
	case history.KindExecutionResumed:
		return &history.ExecutionResumed{Header: h, Reason: s.text("Reason")}
	case history.KindExecutionRewound:
		return &history.ExecutionRewound{
			Header: h, Reason: s.text("Reason"), ParentExecutionID: s.text("ParentExecutionId"),
			InstanceID: s.text("InstanceId"), ParentTrace: traceOf(s),
		}
	default:
		return nil
	}
}

func buildStarted(h history.Header, s source) history.Event {
	return &history.ExecutionStarted{
		Header:           h,
		Instance:         nested[instanceObject](s, "OrchestrationInstance").instance(),
		Parent:           nested[parentObject](s, "ParentInstance").parent(),
		Name:             word(s, "Name"),
		Version:          word(s, "Version"),
		Input:            s.text("Input"),
		Tags:             tagsOf(s),
		Correlation:      s.text("Correlation"),
		ParentTrace:      traceOf(s),
		ScheduledStart:   s.time("ScheduledStartTime"),
		Generation:       s.integer("Generation"),
		GenerateNewTrace: s.flag("GenerateNewTrace"),
	}
}

// buildAction reads the events about activities and sub-orchestrations; nil for all others.
func buildAction(kind history.Kind, h history.Header, s source) history.Event {
	switch kind {
	case history.KindTaskScheduled:
		return &history.TaskScheduled{
			Header: h, Name: word(s, "Name"), Version: word(s, "Version"), Input: s.text("Input"),
			ParentTrace: traceOf(s), Tags: tagsOf(s),
		}
	case history.KindTaskCompleted:
		return &history.TaskCompleted{Header: h, TaskID: number(s, "TaskScheduledId"), Result: s.text("Result")}
	case history.KindTaskFailed:
		return &history.TaskFailed{
			Header: h, TaskID: number(s, "TaskScheduledId"), Reason: s.text("Reason"),
			Details: s.text("Details"), Failure: failureOf(s),
		}
	case history.KindSubOrchestrationCreated:
		return &history.SubOrchestrationCreated{
			Header: h, Name: word(s, "Name"), Version: word(s, "Version"), InstanceID: word(s, "InstanceId"),
			Input: s.text("Input"), ClientSpanID: s.text("ClientSpanId"), Tags: tagsOf(s),
		}
	case history.KindSubOrchestrationCompleted:
		return &history.SubOrchestrationCompleted{
			Header: h, TaskID: number(s, "TaskScheduledId"), Result: s.text("Result"),
		}
	case history.KindSubOrchestrationFailed:
		return &history.SubOrchestrationFailed{
			Header: h, TaskID: number(s, "TaskScheduledId"), Reason: s.text("Reason"),
			Details: s.text("Details"), Failure: failureOf(s),
		}
	default:
		return nil
	}
}

// buildOther reads timers, external events and the marks of an episode.
func buildOther(kind history.Kind, h history.Header, s source) history.Event {
	switch kind {
	case history.KindTimerCreated:
		return &history.TimerCreated{Header: h, FireAt: moment(s, "FireAt")}
	case history.KindTimerFired:
		return &history.TimerFired{Header: h, TimerID: number(s, "TimerId"), FireAt: moment(s, "FireAt")}
	case history.KindOrchestratorStarted:
		return &history.OrchestratorStarted{Header: h}
	case history.KindOrchestratorCompleted:
		return &history.OrchestratorCompleted{Header: h}
	case history.KindEventSent:
		return &history.EventSent{
			Header: h, InstanceID: word(s, "InstanceId"), Name: word(s, "Name"), Input: s.text("Input"),
		}
	case history.KindEventRaised:
		return &history.EventRaised{
			Header: h, Name: word(s, "Name"), Input: s.text("Input"), ParentTrace: traceOf(s),
		}
	case history.KindGenericEvent:
		return &history.GenericEvent{Header: h, Data: s.text("Data"), Reason: s.text("Reason")}
	case history.KindHistoryState:
		state := &history.HistoryState{Header: h}
		if raw := s.object("State"); !isNull(raw) {
			state.State = history.Text(string(raw))
		}
		return state
	default:
		s.fail("EventType", "unknown event type "+quotedName(string(kind)))
		return nil
	}
}
