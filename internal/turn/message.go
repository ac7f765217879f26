package turn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Message is a message to send.
type Message struct {
	// Event is what the message carries.
	Event history.Event
	// Target is the execution the event is for, or, for a TaskScheduled, the one it came from.
	Target history.Instance
	// Activity says that the message goes to the work-item queue; all others go to the control
	// queue of the target.
	Activity bool
	// Tags are the sender's tags if the message carries an execution context, else nil.
	Tags map[string]string
	// VisibleAt delays the message; the zero time means at once.
	VisibleAt time.Time
	// Episode is the number of the sender's episode.
	Episode int32
	// Attempt and CallID travel with an activity; see activity.Info.
	Attempt int
	CallID  string
}

// act records an action of the current generation and adds its message.
func (r *runner) act(action orchestration.Action) {
	switch a := action.(type) {
	case *orchestration.ActivityAction:
		r.schedule(a)
	case *orchestration.TimerAction:
		r.setTimer(a)
	case *orchestration.SubOrchestrationAction:
		r.startChild(a)
	case *orchestration.EventAction:
		r.sendEvent(a)
	case *orchestration.CompleteAction:
		r.complete(a)
	}
}

func (r *runner) send(m Message) {
	m.Episode = r.out.State.Episodes()
	r.out.Messages = append(r.out.Messages, m)
}

func (r *runner) self() history.Instance { return r.out.State.Started().Instance }

// contextTags are the tags in an execution context, which is there even if there are none.
func contextTags(self *history.ExecutionStarted) map[string]string {
	if self.Tags != nil {
		return self.Tags
	}
	return map[string]string{}
}

func (r *runner) schedule(a *orchestration.ActivityAction) {
	// The history holds no inputs.
	r.record(&history.TaskScheduled{Header: r.header(a.ID), Name: a.Name, Version: a.Version, Tags: a.Tags})
	r.send(workItem(r.out.State.Started(), a, r.at))
}

// workItem is the message that asks for an activity, as asked at the given time.
func workItem(self *history.ExecutionStarted, a *orchestration.ActivityAction, at time.Time) Message {
	return Message{
		Event: &history.TaskScheduled{
			Header: history.Header{EventID: a.ID, Timestamp: at}, Name: a.Name, Version: a.Version, Tags: a.Tags, Input: a.Input,
		},
		Target: self.Instance, Activity: true, Tags: contextTags(self), Attempt: a.Attempt, CallID: a.CallID,
	}
}

func (r *runner) setTimer(a *orchestration.TimerAction) {
	r.record(&history.TimerCreated{Header: r.header(a.ID), FireAt: a.FireAt})
	r.send(timer(r.self(), a.ID, a.FireAt, r.at))
}

// timer is the message that fires a timer, as set at the given time.
func timer(self history.Instance, id int32, fireAt, at time.Time) Message {
	fired := &history.TimerFired{Header: unnumbered(at), TimerID: id, FireAt: fireAt}
	return Message{Event: fired, Target: self, VisibleAt: fireAt}
}

func unnumbered(at time.Time) history.Header {
	return history.Header{EventID: history.NoEventID, Timestamp: at}
}

func (r *runner) startChild(a *orchestration.SubOrchestrationAction) {
	tags := a.Tags
	if len(tags) == 0 {
		tags = nil
	}
	r.record(&history.SubOrchestrationCreated{
		Header: r.header(a.ID), Name: a.Name, Version: a.Version, InstanceID: a.InstanceID, Tags: tags,
	})
	r.send(childStart(r.out.State.Started(), a, tags, r.at))
}

// childStart is the message that starts a child, as asked at the given time.
func childStart(self *history.ExecutionStarted, a *orchestration.SubOrchestrationAction, tags map[string]string, at time.Time) Message {
	child := history.Instance{InstanceID: a.InstanceID, ExecutionID: childExecutionID(self.Instance, a)}
	return Message{
		Event: &history.ExecutionStarted{
			Header:   unnumbered(at),
			Instance: child,
			Parent:   &history.Parent{Name: self.Name, Version: self.Version, Instance: self.Instance, TaskID: a.ID},
			Name:     a.Name,
			Version:  a.Version,
			Input:    a.Input,
			Tags:     tags,
		},
		Target: child,
		Tags:   contextTags(self),
	}
}

// childExecutionID makes the child's execution id from what defines the call, so that a start
// that is sent twice is recognised as one.
func childExecutionID(parent history.Instance, a *orchestration.SubOrchestrationAction) string {
	text := fmt.Sprintf("%q %q %d %q %q %q %q",
		parent.InstanceID, parent.ExecutionID, a.ID, a.InstanceID, a.Name, a.Version, history.TextOr(a.Input, ""))
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func (r *runner) sendEvent(a *orchestration.EventAction) {
	r.record(&history.EventSent{Header: r.header(a.ID), InstanceID: a.InstanceID, Name: a.Name, Input: a.Input})
	raised := &history.EventRaised{Header: r.header(history.NoEventID), Name: a.Name, Input: a.Input}
	r.send(Message{Event: raised, Target: history.Instance{InstanceID: a.InstanceID}})
}

func (r *runner) complete(a *orchestration.CompleteAction) {
	r.record(&history.ExecutionCompleted{
		Header: r.header(a.ID), Status: a.Status, Result: a.Result, Failure: a.Failure,
	})
	self := r.out.State.Started()
	if self.Parent == nil || detached(self) {
		return
	}
	r.send(Message{Event: report(self.Parent.TaskID, r.at, a), Target: self.Parent.Instance})
}

func detached(child *history.ExecutionStarted) bool {
	_, ok := child.Tags[history.FireAndForget]
	return ok
}

// report is what a child tells its parent about its end.
func report(taskID int32, at time.Time, a *orchestration.CompleteAction) history.Event {
	if a.Status == history.Completed {
		return &history.SubOrchestrationCompleted{
			Header: unnumbered(at), TaskID: taskID, Result: a.Result,
		}
	}
	return &history.SubOrchestrationFailed{
		Header: unnumbered(at), TaskID: taskID, Reason: a.Result, Failure: a.Failure,
	}
}
