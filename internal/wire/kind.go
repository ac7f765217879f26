package wire

import (
	"strings"

	"github.com/durafleet/durafleet/history"
)

const (
	coreNamespace    = "DurableTask.Core."
	historyNamespace = coreNamespace + "History."
)

// kindInfo is what the format knows about an event type.
type kindInfo struct {
	kind   history.Kind
	number int32
	class  string
	// travels says that the event may be a queue message, stored that it may be a history row.
	travels, stored bool
}

// kindTable lists the event types in the order of their numbers. Number 2 has no class.
var kindTable = [...]kindInfo{
	{history.KindExecutionStarted, 0, "ExecutionStartedEvent", true, true},
	{history.KindExecutionCompleted, 1, "ExecutionCompletedEvent", false, true},
	{history.KindExecutionTerminated, 3, "ExecutionTerminatedEvent", true, true},
	{history.KindTaskScheduled, 4, "TaskScheduledEvent", true, true},
	{history.KindTaskCompleted, 5, "TaskCompletedEvent", true, true},
	{history.KindTaskFailed, 6, "TaskFailedEvent", true, true},
	{history.KindSubOrchestrationCreated, 7, "SubOrchestrationInstanceCreatedEvent", false, true},
	{history.KindSubOrchestrationCompleted, 8, "SubOrchestrationInstanceCompletedEvent", true, true},
	{history.KindSubOrchestrationFailed, 9, "SubOrchestrationInstanceFailedEvent", true, true},
	{history.KindTimerCreated, 10, "TimerCreatedEvent", false, true},
	{history.KindTimerFired, 11, "TimerFiredEvent", true, true},
	{history.KindOrchestratorStarted, 12, "OrchestratorStartedEvent", false, true},
	{history.KindOrchestratorCompleted, 13, "OrchestratorCompletedEvent", false, true},
	{history.KindEventSent, 14, "EventSentEvent", false, true},
	{history.KindEventRaised, 15, "EventRaisedEvent", true, true},
	{history.KindContinueAsNew, 16, "ContinueAsNewEvent", false, false},
	{history.KindGenericEvent, 17, "GenericEvent", true, true},
	{history.KindHistoryState, 18, "HistoryStateEvent", false, false},
	{history.KindExecutionSuspended, 19, "ExecutionSuspendedEvent", true, true},
	{history.KindExecutionResumed, 20, "ExecutionResumedEvent", true, true},
	{history.KindExecutionRewound, 21, "ExecutionRewoundEvent", false, false},
}

func findKind(match func(*kindInfo) bool) (kindInfo, bool) {
	for i := range kindTable {
		if match(&kindTable[i]) {
			return kindTable[i], true
		}
	}
	return kindInfo{}, false
}

func kindOf(kind history.Kind) (kindInfo, bool) {
	return findKind(func(k *kindInfo) bool { return k.kind == kind })
}

func kindByNumber(number int32) (kindInfo, bool) {
	return findKind(func(k *kindInfo) bool { return k.number == number })
}

// kindByType finds the event type of a $type or __type value. Only the class name counts: the
// namespace before it and an assembly or DataContract namespace behind it differ between versions.
func kindByType(name string) (kindInfo, bool) {
	name, _, _ = strings.Cut(name, ",")
	name, _, _ = strings.Cut(name, ":")
	class := strings.TrimSpace(name[strings.LastIndexByte(name, '.')+1:])
	return findKind(func(k *kindInfo) bool { return k.class == class })
}

// statusNumbers gives the status names in the order of their .NET numbers.
var statusNumbers = [...]history.Status{
	history.Running, history.Completed, history.ContinuedAsNew, history.Failed,
	history.Canceled, history.Terminated, history.Pending, history.Suspended,
}
