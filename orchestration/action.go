package orchestration

import (
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
)

// Action is something an orchestrator decided to do. The concrete types are the pointers to the
// structs of this file.
type Action interface {
	// ActionID is the position of the action in the program order of its execution.
	ActionID() int32
	// describe names the kind of action and what it is about, for people.
	describe() string
}

type (
	// ActivityAction asks for an activity to be run.
	ActivityAction struct {
		ID      int32
		Name    string
		Version string
		Input   *string
		Tags    map[string]string
		// Attempt counts the attempts of a retry policy from 1; CallID names the call itself.
		Attempt int
		CallID  string
		// Local says that the activity may run beside its orchestration; see Local.
		Local bool
	}

	// TimerAction asks for a durable timer.
	TimerAction struct {
		ID     int32
		FireAt time.Time
	}

	// SubOrchestrationAction asks for another orchestration to be started.
	SubOrchestrationAction struct {
		ID         int32
		Name       string
		Version    string
		InstanceID string
		Input      *string
		Tags       map[string]string
		// Detached children report nothing to the parent.
		Detached bool
	}

	// EventAction asks for an event to be raised to another instance.
	EventAction struct {
		ID         int32
		InstanceID string
		Name       string
		Input      *string
	}

	// CompleteAction ends the execution. With ContinueAsNew set, the instance goes on as a new
	// execution.
	CompleteAction struct {
		ID            int32
		Status        history.Status
		Result        *string
		Failure       *history.FailureDetails
		ContinueAsNew *Continuation
	}
)

// Continuation says how an instance goes on as a new execution.
type Continuation struct {
	Input *string
	// Version replaces the version of the execution if it is not nil.
	Version *string
	// Carried holds the external events that were received but not consumed, in order.
	Carried []*history.EventRaised
	// Suspended is set if the instance was suspended after it asked to continue as new.
	Suspended *history.ExecutionSuspended
}

// ActionID implements Action.
func (a *ActivityAction) ActionID() int32 { return a.ID }

// ActionID implements Action.
func (a *TimerAction) ActionID() int32 { return a.ID }

// ActionID implements Action.
func (a *SubOrchestrationAction) ActionID() int32 { return a.ID }

// ActionID implements Action.
func (a *EventAction) ActionID() int32 { return a.ID }

// ActionID implements Action.
func (a *CompleteAction) ActionID() int32 { return a.ID }

func (a *ActivityAction) describe() string { return fmt.Sprintf("activity %q", a.Name) }

func (a *TimerAction) describe() string {
	return "timer for " + a.FireAt.UTC().Format(time.RFC3339Nano)
}

func (a *SubOrchestrationAction) describe() string {
	return fmt.Sprintf("sub-orchestration %q as instance %q", a.Name, a.InstanceID)
}

func (a *EventAction) describe() string {
	return fmt.Sprintf("event %q to instance %q", a.Name, a.InstanceID)
}

func (a *CompleteAction) describe() string {
	if a.ContinueAsNew != nil {
		return "continue as new"
	}
	return fmt.Sprintf("end of the orchestration (%s)", a.Status)
}
