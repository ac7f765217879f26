package history

import "time"

// NoEventID is the event id of every event that is not the record of an action.
const NoEventID int32 = -1

// FireAndForget is the tag that marks a child which reports nothing to its parent.
const FireAndForget = "FireAndForget"

// Tick is the resolution of every stored time.
const Tick = 100 * time.Nanosecond

// Kind names an event type as the History table does.
type Kind string

// The event types of the Durable Task model.
const (
	KindExecutionStarted          Kind = "ExecutionStarted"
	KindExecutionCompleted        Kind = "ExecutionCompleted"
	KindExecutionTerminated       Kind = "ExecutionTerminated"
	KindExecutionSuspended        Kind = "ExecutionSuspended"
	KindExecutionResumed          Kind = "ExecutionResumed"
	KindExecutionRewound          Kind = "ExecutionRewound"
	KindTaskScheduled             Kind = "TaskScheduled"
	KindTaskCompleted             Kind = "TaskCompleted"
	KindTaskFailed                Kind = "TaskFailed"
	KindSubOrchestrationCreated   Kind = "SubOrchestrationInstanceCreated"
	KindSubOrchestrationCompleted Kind = "SubOrchestrationInstanceCompleted"
	KindSubOrchestrationFailed    Kind = "SubOrchestrationInstanceFailed"
	KindTimerCreated              Kind = "TimerCreated"
	KindTimerFired                Kind = "TimerFired"
	KindOrchestratorStarted       Kind = "OrchestratorStarted"
	KindOrchestratorCompleted     Kind = "OrchestratorCompleted"
	KindEventSent                 Kind = "EventSent"
	KindEventRaised               Kind = "EventRaised"
	KindContinueAsNew             Kind = "ContinueAsNew"
	KindGenericEvent              Kind = "GenericEvent"
	KindHistoryState              Kind = "HistoryState"
)

// Event is one entry of a history. The concrete types are the pointers to the structs of this
// file; a nil pointer is never a valid event.
type Event interface {
	// Kind names the event type.
	Kind() Kind
	// Head returns the part all events share. It may be changed through the pointer.
	Head() *Header
}

// Header is what all events have in common.
type Header struct {
	// EventID is the id of the action the event records, NoEventID for all other events.
	EventID int32
	// Timestamp is when the event was created by its sender, in UTC.
	Timestamp time.Time
	// IsPlayed is true on rows that an in-process .NET executor wrote for events it had
	// processed. Durafleet always writes false.
	IsPlayed bool
}

// Head returns h itself.
func (h *Header) Head() *Header { return h }

// Instance identifies one execution of an instance. An empty ExecutionID stands for whatever
// execution is current.
type Instance struct {
	InstanceID  string
	ExecutionID string
}

// Parent identifies the orchestration that started a sub-orchestration.
type Parent struct {
	Name     string
	Version  string
	Instance Instance
	// TaskID is the event id of the parent's SubOrchestrationCreated.
	TaskID int32
}

// TraceContext is the distributed trace context that travels with an event.
type TraceContext struct {
	TraceParent       string
	TraceState        *string
	ID                *string
	SpanID            *string
	ActivityStartTime *time.Time
}

// Payload texts (inputs, results, event data) are pointers: nil is "no value", which is not the
// same as the text "null".
type (
	// ExecutionStarted begins an execution.
	ExecutionStarted struct {
		Header
		Instance         Instance
		Parent           *Parent
		Name             string
		Version          string
		Input            *string
		Tags             map[string]string
		Correlation      *string
		ParentTrace      *TraceContext
		ScheduledStart   *time.Time
		Generation       *int32
		GenerateNewTrace bool
	}

	// ExecutionCompleted ends an execution.
	ExecutionCompleted struct {
		Header
		Status  Status
		Result  *string
		Failure *FailureDetails
	}

	// ExecutionTerminated asks an execution to end at once.
	ExecutionTerminated struct {
		Header
		Reason *string
	}

	// ExecutionSuspended asks an execution to pause.
	ExecutionSuspended struct {
		Header
		Reason *string
	}

	// ExecutionResumed asks a suspended execution to go on.
	ExecutionResumed struct {
		Header
		Reason *string
	}

	// ExecutionRewound belongs to other back ends; it is decoded, never written.
	ExecutionRewound struct {
		Header
		Reason            *string
		ParentExecutionID *string
		InstanceID        *string
		ParentTrace       *TraceContext
	}

	// TaskScheduled records that an activity was scheduled; its message carries the input.
	TaskScheduled struct {
		Header
		Name        string
		Version     string
		Input       *string
		ParentTrace *TraceContext
		Tags        map[string]string
	}

	// TaskCompleted is the result of an activity.
	TaskCompleted struct {
		Header
		TaskID int32
		Result *string
	}

	// TaskFailed is the failure of an activity. Details is a serialised .NET exception, or nil.
	TaskFailed struct {
		Header
		TaskID  int32
		Reason  *string
		Details *string
		Failure *FailureDetails
	}

	// SubOrchestrationCreated records that a sub-orchestration was started.
	SubOrchestrationCreated struct {
		Header
		Name         string
		Version      string
		InstanceID   string
		Input        *string
		ClientSpanID *string
		Tags         map[string]string
	}

	// SubOrchestrationCompleted is the result of a sub-orchestration.
	SubOrchestrationCompleted struct {
		Header
		TaskID int32
		Result *string
	}

	// SubOrchestrationFailed is the failure or termination of a sub-orchestration.
	SubOrchestrationFailed struct {
		Header
		TaskID  int32
		Reason  *string
		Details *string
		Failure *FailureDetails
	}

	// TimerCreated records that a durable timer was set.
	TimerCreated struct {
		Header
		FireAt time.Time
	}

	// TimerFired says that a durable timer is due. Its Timestamp is when the timer was set.
	TimerFired struct {
		Header
		TimerID int32
		FireAt  time.Time
	}

	// OrchestratorStarted begins an episode; its Timestamp is the orchestrator's current time.
	OrchestratorStarted struct{ Header }

	// OrchestratorCompleted ends an episode.
	OrchestratorCompleted struct{ Header }

	// EventSent records that the orchestration sent an event to another instance.
	EventSent struct {
		Header
		InstanceID string
		Name       string
		Input      *string
	}

	// EventRaised is an external event.
	EventRaised struct {
		Header
		Name        string
		Input       *string
		ParentTrace *TraceContext
	}

	// ContinueAsNew is never stored by engines of this format; it is decoded for completeness.
	ContinueAsNew struct {
		Header
		Status  Status
		Result  *string
		Failure *FailureDetails
	}

	// GenericEvent has no effect on replay. Rewind turns rows into generic events with a Reason.
	GenericEvent struct {
		Header
		Data   *string
		Reason *string
	}

	// HistoryState is unused by engines of this format; it is decoded for completeness.
	HistoryState struct {
		Header
		State *string
	}
)

// Kind implements Event.
func (*ExecutionStarted) Kind() Kind { return KindExecutionStarted }

// Kind implements Event.
func (*ExecutionCompleted) Kind() Kind { return KindExecutionCompleted }

// Kind implements Event.
func (*ExecutionTerminated) Kind() Kind { return KindExecutionTerminated }

// Kind implements Event.
func (*ExecutionSuspended) Kind() Kind { return KindExecutionSuspended }

// Kind implements Event.
func (*ExecutionResumed) Kind() Kind { return KindExecutionResumed }

// Kind implements Event.
func (*ExecutionRewound) Kind() Kind { return KindExecutionRewound }

// Kind implements Event.
func (*TaskScheduled) Kind() Kind { return KindTaskScheduled }

// Kind implements Event.
func (*TaskCompleted) Kind() Kind { return KindTaskCompleted }

// Kind implements Event.
func (*TaskFailed) Kind() Kind { return KindTaskFailed }

// Kind implements Event.
func (*SubOrchestrationCreated) Kind() Kind { return KindSubOrchestrationCreated }

// Kind implements Event.
func (*SubOrchestrationCompleted) Kind() Kind { return KindSubOrchestrationCompleted }

// Kind implements Event.
func (*SubOrchestrationFailed) Kind() Kind { return KindSubOrchestrationFailed }

// Kind implements Event.
func (*TimerCreated) Kind() Kind { return KindTimerCreated }

// Kind implements Event.
func (*TimerFired) Kind() Kind { return KindTimerFired }

// Kind implements Event.
func (*OrchestratorStarted) Kind() Kind { return KindOrchestratorStarted }

// Kind implements Event.
func (*OrchestratorCompleted) Kind() Kind { return KindOrchestratorCompleted }

// Kind implements Event.
func (*EventSent) Kind() Kind { return KindEventSent }

// Kind implements Event.
func (*EventRaised) Kind() Kind { return KindEventRaised }

// Kind implements Event.
func (*ContinueAsNew) Kind() Kind { return KindContinueAsNew }

// Kind implements Event.
func (*GenericEvent) Kind() Kind { return KindGenericEvent }

// Kind implements Event.
func (*HistoryState) Kind() Kind { return KindHistoryState }
