package orchestration

import (
	"fmt"

	"github.com/durafleet/durafleet/history"
)

// match checks the record of an action against what the code produced under the same id.
func (x *Execution) match(recorded history.Event) error {
	id := recorded.Head().EventID
	if id == history.SplitTimerID {
		return nil
	}
	if x.outcome != nil && x.outcome.Status == history.Terminated {
		return nil // what had been decided before the end by request has no effect any more
	}
	produced, ok := x.actions[id]
	if !ok {
		return x.mismatch(id, recorded, "nothing yet: the orchestrator did not get there, or waits for something else")
	}
	if !matches(recorded, produced.action) {
		return x.mismatch(id, recorded, produced.action.describe())
	}
	delete(x.actions, id)
	return nil
}

// matchCompletion checks the recorded end of the execution.
func (x *Execution) matchCompletion(recorded *history.ExecutionCompleted) error {
	if x.outcome == nil {
		return x.mismatch(recorded.EventID, recorded, "the orchestrator still waits")
	}
	if x.outcome.Status != recorded.Status {
		return x.mismatch(recorded.EventID, recorded, x.outcome.describe())
	}
	delete(x.actions, x.outcome.ID)
	return nil
}

func (x *Execution) mismatch(id int32, recorded history.Event, produced string) error {
	failure := &NonDeterminismError{EventID: id, Recorded: describeEvent(recorded), Produced: produced}
	if x.started != nil {
		failure.InstanceID, failure.Name = x.started.Instance.InstanceID, x.started.Name
	}
	return failure
}

// matches tells whether the recorded event is the record of the action. Versions, inputs and
// times are not compared, as in the rest of the Durable Task family.
func matches(recorded history.Event, action Action) bool {
	switch e := recorded.(type) {
	case *history.TaskScheduled:
		a, ok := action.(*ActivityAction)
		return ok && sameName(a.Name, e.Name)
	case *history.TimerCreated:
		_, ok := action.(*TimerAction)
		return ok
	case *history.SubOrchestrationCreated:
		a, ok := action.(*SubOrchestrationAction)
		return ok && sameName(a.Name, e.Name)
	case *history.EventSent:
		a, ok := action.(*EventAction)
		return ok && sameName(a.Name, e.Name)
	default:
		return false
	}
}

func describeEvent(recorded history.Event) string {
	switch e := recorded.(type) {
	case *history.TaskScheduled:
		return (&ActivityAction{Name: e.Name}).describe()
	case *history.TimerCreated:
		return (&TimerAction{FireAt: e.FireAt}).describe()
	case *history.SubOrchestrationCreated:
		return (&SubOrchestrationAction{Name: e.Name, InstanceID: e.InstanceID}).describe()
	case *history.EventSent:
		return (&EventAction{Name: e.Name, InstanceID: e.InstanceID}).describe()
	case *history.ExecutionCompleted:
		return (&CompleteAction{Status: e.Status}).describe()
	default:
		return fmt.Sprintf("%s #%d", recorded.Kind(), recorded.Head().EventID)
	}
}
