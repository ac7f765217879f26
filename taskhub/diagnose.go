package taskhub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
)

// Diagnosis says how an instance is, what it waits for, and what is wrong with it.
type Diagnosis struct {
	InstanceID string
	// At is when this was so, by the storage service's clock.
	At time.Time
	// Status is the instance's, without payloads; nil if there is no status row that can be read.
	Status *Status
	// Summary says in a line how the instance is.
	Summary string
	// Waits are what the instance waits for, in the order in which it asked.
	Waits []Wait
	// Findings are what is wrong with it, and with the children that it waits for. There are none
	// about a healthy instance, whatever it is doing.
	Findings []Finding
}

// Wait is something an instance waits for.
type Wait struct {
	Kind WaitKind
	// Name is the name of the activity, orchestration or event, InstanceID the child's id, TaskID the number
	// of the call.
	Name       string
	InstanceID string
	TaskID     int32
	Since      time.Time
	// Due is when it will be over, zero if that cannot be known.
	Due time.Time
	// Text says it in a line, and where its message is, as far as that can be seen.
	Text string
}

// WaitKind says what an instance waits for.
type WaitKind string

// What instances wait for.
const (
	// WaitStart: a worker has to begin with it.
	WaitStart = WaitKind(diagnosis.WaitStart)
	// WaitActivity: the result of an activity.
	WaitActivity = WaitKind(diagnosis.WaitActivity)
	// WaitTimer: a timer.
	WaitTimer = WaitKind(diagnosis.WaitTimer)
	// WaitChild: the result of a sub-orchestration.
	WaitChild = WaitKind(diagnosis.WaitChild)
	// WaitEvent: an external event. Without a Name, it has asked for nothing, so it waits for an event or for
	// nothing: a worker of another kind did its last turn, and has not noted for which event.
	WaitEvent = WaitKind(diagnosis.WaitEvent)
	// WaitMessage: a message for it that a worker has put back for a while. Name is what Wait.Text names, Since
	// when the message was sent, and Due when it comes again.
	WaitMessage = WaitKind(diagnosis.WaitMessage)
	// WaitResume: it is suspended.
	WaitResume = WaitKind(diagnosis.WaitResume)
	// WaitWorker: a worker was cut off in a turn, and one has to complete it.
	WaitWorker = WaitKind(diagnosis.WaitWorker)
)

// Diagnose looks at everything that is stored about an instance, and at the queues, owners and
// workers that it depends on, and says what it waits for and what is wrong. It changes nothing. An
// unknown instance is a *NotFoundError.
//
// Messages that workers hold, that were put back or that are not due yet cannot be seen in a queue.
// What cannot be concluded for sure because of them is a finding that is Likely, or none.
func (c *Client) Diagnose(ctx context.Context, id string) (*Diagnosis, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("diagnose: %w", err)
	}
	e, err := c.examine(ctx, []string{id}, childDepth)
	if err != nil {
		return nil, fmt.Errorf("diagnose instance %q: %w", id, explain(err))
	}
	in := e.instances[id]
	if !e.exists(id) {
		return nil, fmt.Errorf("diagnose: %w", &NotFoundError{InstanceID: id})
	}
	if err := e.findOrphans(ctx, in); err != nil {
		return nil, fmt.Errorf("diagnose instance %q: %w", id, explain(err))
	}
	if err := e.diagnose(ctx); err != nil {
		return nil, fmt.Errorf("diagnose instance %q: %w", id, explain(err))
	}
	return e.diagnosisOf(in), nil
}

func (e *examiner) diagnosisOf(in *diagnosis.Instance) *Diagnosis {
	result := e.results[in.ID]
	d := &Diagnosis{InstanceID: in.ID, At: e.hub.Now, Summary: result.Summary, Findings: findingsOf(result.Findings)}
	for _, wait := range append(slices.Clone(result.Waits), e.hub.Hidden(in.ID)...) {
		d.Waits = append(d.Waits, Wait{
			Kind: WaitKind(wait.Kind), Name: wait.Name, InstanceID: wait.InstanceID, TaskID: wait.TaskID,
			Since: wait.Since, Due: wait.Due, Text: wait.Text,
		})
	}
	if in.Row != nil {
		d.Status = statusOf(&in.Row.Instance, false)
	}
	for _, child := range e.order {
		if child != in.ID {
			for _, f := range findingsOf(e.results[child].Findings) {
				if f.Problem() && !f.ofHub {
					d.Findings = append(d.Findings, f)
				}
			}
		}
	}
	return d
}

// Problems returns how many findings are more than notes.
func (d *Diagnosis) Problems() int { return problems(d.Findings) }

func problems(findings []Finding) int {
	n := 0
	for i := range findings {
		if findings[i].Problem() {
			n++
		}
	}
	return n
}
