package orchestration

import (
	"errors"
	"fmt"
	"strings"

	"github.com/durafleet/durafleet/history"
)

var (
	// ErrCanceled is the result of a task that was cancelled.
	ErrCanceled = errors.New("orchestration: task cancelled")
	// ErrTimeout is the result of a wait for an event that lasted too long.
	ErrTimeout = errors.New("orchestration: no event within the time limit")
	// ErrNonDeterminism is matched by every *NonDeterminismError.
	ErrNonDeterminism = errors.New("orchestration: code does not match the recorded history")
	// ErrCorruptHistory reports a history that no engine can have written.
	ErrCorruptHistory = errors.New("orchestration: history is corrupt")
)

// TaskKind says what a TaskError is about.
type TaskKind string

// The kinds of tasks that can fail.
const (
	ActivityTask         TaskKind = "activity"
	SubOrchestrationTask TaskKind = "sub-orchestration"
)

// The type names under which the failures of tasks are stored; peers of the Durable Task family
// match on them.
const (
	activityFailureType         = "DurableTask.Core.Exceptions.TaskFailedException"
	subOrchestrationFailureType = "DurableTask.Core.Exceptions.SubOrchestrationFailedException"
)

// TaskError is the failure of an activity or a sub-orchestration.
type TaskError struct {
	// Task says what failed, Name is the name it was called by.
	Task TaskKind
	Name string
	// ID is the id of the call within the execution.
	ID int32
	// Details describes the failure as the task reported it; never nil.
	Details *history.FailureDetails
}

// Error implements error.
func (e *TaskError) Error() string {
	return fmt.Sprintf("%s %q (#%d) failed: %s", e.Task, e.Name, e.ID, e.Details.Message)
}

// FailureDetails returns the description under which an orchestration that ends with this error
// is stored: the failure of a task, with the task's own failure as the cause.
func (e *TaskError) FailureDetails() *history.FailureDetails {
	kind := activityFailureType
	if e.Task == SubOrchestrationTask {
		kind = subOrchestrationFailureType
	}
	return &history.FailureDetails{
		Type:         kind,
		Message:      e.Error(),
		Inner:        e.Details,
		NonRetriable: e.Details.NonRetriable,
	}
}

// NonDeterminismError reports that the code did not do what the history says it once did. It
// matches ErrNonDeterminism.
type NonDeterminismError struct {
	// InstanceID and Name identify the orchestration.
	InstanceID string
	Name       string
	// EventID is the id of the first action that differs.
	EventID int32
	// Recorded describes the action in the history, Produced what the code did instead.
	Recorded string
	Produced string
}

// Error implements error.
func (e *NonDeterminismError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "orchestrator %q is not deterministic: instance %q differs from its history at action #%d\n",
		e.Name, e.InstanceID, e.EventID)
	fmt.Fprintf(&b, "  recorded: %s\n", e.Recorded)
	fmt.Fprintf(&b, "  code now: %s\n", e.Produced)
	b.WriteString("was the code changed after the instance was started?")
	return b.String()
}

// Is makes the error match ErrNonDeterminism.
func (e *NonDeterminismError) Is(target error) bool { return target == ErrNonDeterminism }

// ErrorType is the type name under which the failure is stored.
func (e *NonDeterminismError) ErrorType() string { return "orchestration.NonDeterminismError" }

// NonRetriable says that starting again cannot help.
func (e *NonDeterminismError) NonRetriable() bool { return true }

// PanicError is the failure of a branch, or of a function of a retry policy, that panicked.
type PanicError struct{ Details *history.FailureDetails }

// Error implements error.
func (e *PanicError) Error() string { return "panic: " + e.Details.Message }

// FailureDetails returns the description of the panic.
func (e *PanicError) FailureDetails() *history.FailureDetails { return e.Details }
