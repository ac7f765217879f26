package orchestration

import (
	"encoding/json"
	"fmt"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
)

// ActivityOption adjusts the call of an activity: Retry, Tags, Version, Local.
type ActivityOption interface{ applyActivity(*callOptions) }

// SubOrchestrationOption adjusts the call of a sub-orchestration: InstanceID, Retry, Tags,
// Version.
type SubOrchestrationOption interface{ applySubOrchestration(*callOptions) }

type callOptions struct {
	retry      *Retry
	tags       map[string]string
	version    string
	instanceID string
	local      bool
}

// Tags are given to an activity call or a sub-orchestration and can be read there.
type Tags map[string]string

// Version selects the version of an activity or orchestration; most know only "".
type Version string

// InstanceID chooses the instance id of a sub-orchestration. Without it, the id is made of the
// parent's execution id and the number of the call.
type InstanceID string

// Local lets an activity run in the worker that runs the orchestration, and its result have an effect
// before it is stored: a chain of local activities is stored at once when it ends, when anything else
// follows on it, when it has about 90 events, or after a second. After a crash all of the chain that was
// not stored runs again, which may give other results; nothing has been done on the former ones. It is
// meant for short work that may be repeated: lookups, calculations.
//
// It is a permission: a worker that has not bound the activity, or that runs nothing inline, makes a
// work item of it, as of any other activity.
type Local struct{}

func (Local) applyActivity(o *callOptions) { o.local = true }

func (t Tags) applyActivity(o *callOptions)         { o.tags = cloneTags(t) }
func (t Tags) applySubOrchestration(o *callOptions) { o.tags = cloneTags(t) }

func (v Version) applyActivity(o *callOptions)         { o.version = string(v) }
func (v Version) applySubOrchestration(o *callOptions) { o.version = string(v) }

func (i InstanceID) applySubOrchestration(o *callOptions) { o.instanceID = string(i) }

// CallActivity schedules an activity and returns the task of its result. The activity runs at
// least once, on any worker of the hub that has bound its name.
func CallActivity[In, Out any](ctx *Context, a activity.Activity[In, Out], in In, options ...ActivityOption) Task[Out] {
	f := ctx.callActivity(a.Name(), in, options)
	return typed[Out](f)
}

// CallActivityByName is the untyped twin of CallActivity, for activities that are known only by
// name or implemented elsewhere. input is any JSON-serialisable value.
func CallActivityByName(ctx *Context, name string, input any, options ...ActivityOption) Task[json.RawMessage] {
	return typed[json.RawMessage](ctx.callActivity(name, input, options))
}

func (c *Context) callActivity(name string, in any, options []ActivityOption) *future {
	c.x.enter()
	var o callOptions
	for _, option := range options {
		option.applyActivity(&o)
	}
	input, err := payload.EncodeActivityInput(in)
	if err != nil {
		return c.x.failed(fmt.Errorf("call activity %q: %w", name, err))
	}
	callID := fmt.Sprintf("%s:%d", c.ExecutionID(), c.x.nextID)
	return c.x.retrying(o.retry, func(attempt int) *future {
		action := &ActivityAction{
			ID: c.x.takeID(), Name: name, Version: o.version, Input: input, Tags: o.tags,
			Attempt: attempt, CallID: callID, Local: o.local,
		}
		return c.x.request(history.KindTaskScheduled, name, action)
	})
}

// typed makes a Task of a future that is settled with a stored text.
func typed[T any](f *future) Task[T] {
	return Task[T]{f: f, decode: func() (T, error) {
		if f.err != nil {
			var zero T
			return zero, f.err
		}
		return payload.Decode[T](f.value)
	}}
}
