package wire

import "github.com/durafleet/durafleet/history"

// member is one named value of an event. The value has one of the types that jsonWriter.value and
// columnOf understand.
type member struct {
	name  string
	value any
}

// tagMap is a dictionary of strings.
type tagMap map[string]string

// fieldsOf returns the members that .NET declares as fields; they precede EventType.
func fieldsOf(e history.Event) []member {
	switch e := e.(type) {
	case *history.ExecutionStarted:
		return []member{{"OrchestrationInstance", e.Instance}}
	case *history.GenericEvent:
		return []member{{"Data", e.Data}}
	default:
		return nil
	}
}

// membersOf returns the members between EventType and EventId in the order .NET emits them. Event
// types that are only ever read have none.
func membersOf(e history.Event) []member {
	switch e := e.(type) {
	case *history.ExecutionStarted:
		return startedMembers(e)
	case *history.ExecutionCompleted:
		return []member{{"OrchestrationStatus", e.Status}, {"Result", e.Result}, {"FailureDetails", e.Failure}}
	case *history.ExecutionTerminated:
		return []member{{"Input", e.Reason}}
	case *history.ExecutionSuspended:
		return []member{{"Reason", e.Reason}}
	case *history.ExecutionResumed:
		return []member{{"Reason", e.Reason}}
	case *history.TaskScheduled:
		return []member{
			{"Name", e.Name},
			{"Version", e.Version},
			{"Input", e.Input},
			{"ParentTraceContext", e.ParentTrace},
			{"Tags", tagMap(e.Tags)},
		}
	case *history.TaskCompleted:
		return []member{{"TaskScheduledId", e.TaskID}, {"Result", e.Result}}
	case *history.TaskFailed:
		return failedMembers(e.TaskID, e.Reason, e.Details, e.Failure)
	default:
		return otherMembers(e)
	}
}

func otherMembers(e history.Event) []member {
	switch e := e.(type) {
	case *history.SubOrchestrationCreated:
		return []member{
			{"Name", e.Name},
			{"Version", e.Version},
			{"InstanceId", e.InstanceID},
			{"Input", e.Input},
			{"ClientSpanId", e.ClientSpanID},
			{"Tags", tagMap(e.Tags)},
		}
	case *history.SubOrchestrationCompleted:
		return []member{{"TaskScheduledId", e.TaskID}, {"Result", e.Result}}
	case *history.SubOrchestrationFailed:
		return failedMembers(e.TaskID, e.Reason, e.Details, e.Failure)
	case *history.TimerCreated:
		return []member{{"FireAt", e.FireAt}}
	case *history.TimerFired:
		return []member{{"TimerId", e.TimerID}, {"FireAt", e.FireAt}}
	case *history.EventSent:
		return []member{{"InstanceId", e.InstanceID}, {"Name", e.Name}, {"Input", e.Input}}
	case *history.EventRaised:
		return []member{{"Name", e.Name}, {"Input", e.Input}, {"ParentTraceContext", e.ParentTrace}}
	default:
		return nil
	}
}

func startedMembers(e *history.ExecutionStarted) []member {
	return []member{
		{"ParentInstance", e.Parent},
		{"Name", e.Name},
		{"Version", e.Version},
		{"Input", e.Input},
		{"Tags", tagMap(e.Tags)},
		{"Correlation", e.Correlation},
		{"ParentTraceContext", e.ParentTrace},
		{"ScheduledStartTime", e.ScheduledStart},
		{"Generation", e.Generation},
		{"GenerateNewTrace", e.GenerateNewTrace},
	}
}

func failedMembers(id int32, reason, details *string, failure *history.FailureDetails) []member {
	return []member{
		{"TaskScheduledId", id}, {"Reason", reason}, {"Details", details}, {"FailureDetails", failure},
	}
}
