package orchestration

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
)

// CallSubOrchestration starts another orchestration as a child and returns the task of its
// result. A child that fails or is terminated fails the task with a *TaskError.
func CallSubOrchestration[In, Out any](
	ctx *Context, o Orchestrator[In, Out], in In, options ...SubOrchestrationOption,
) Task[Out] {
	return typed[Out](ctx.callSubOrchestration(o.Name(), in, options))
}

// CallSubOrchestrationByName is the untyped twin of CallSubOrchestration.
func CallSubOrchestrationByName(
	ctx *Context, name string, input any, options ...SubOrchestrationOption,
) Task[json.RawMessage] {
	return typed[json.RawMessage](ctx.callSubOrchestration(name, input, options))
}

// StartDetached starts another orchestration without waiting for it and returns its instance
// id. Nothing comes back: neither its result nor its failure concerns the caller.
func StartDetached[In, Out any](
	ctx *Context, o Orchestrator[In, Out], in In, options ...SubOrchestrationOption,
) (string, error) {
	return StartDetachedByName(ctx, o.Name(), in, options...)
}

// StartDetachedByName is the untyped twin of StartDetached. The error says that the input cannot
// be stored.
func StartDetachedByName(
	ctx *Context, name string, input any, options ...SubOrchestrationOption,
) (string, error) {
	ctx.x.enter()
	o, text, err := ctx.prepareChild(name, input, options)
	if err != nil {
		return "", err
	}
	action := ctx.child(name, text, o)
	action.Detached = true
	action.Tags[history.FireAndForget] = ""
	ctx.x.actions[action.ID] = &pendingAction{action: action}
	return action.InstanceID, nil
}

func (c *Context) callSubOrchestration(name string, in any, options []SubOrchestrationOption) *future {
	c.x.enter()
	o, text, err := c.prepareChild(name, in, options)
	if err != nil {
		return c.x.failed(err)
	}
	return c.x.retrying(o.retry, func(int) *future {
		return c.x.request(history.KindSubOrchestrationCreated, name, c.child(name, text, o))
	})
}

func (c *Context) prepareChild(name string, in any, options []SubOrchestrationOption) (callOptions, *string, error) {
	var o callOptions
	for _, option := range options {
		option.applySubOrchestration(&o)
	}
	text, err := payload.Encode(in)
	if err != nil {
		return o, nil, fmt.Errorf("start orchestration %q: %w", name, err)
	}
	return o, text, nil
}

// child makes the action that starts a child. Its tags are its own and those of the parent that
// they do not override.
func (c *Context) child(name string, input *string, o callOptions) *SubOrchestrationAction {
	id := c.x.takeID()
	instanceID := o.instanceID
	if instanceID == "" {
		instanceID = fmt.Sprintf("%s:%d", c.ExecutionID(), id)
	}
	tags := c.Tags()
	if tags == nil {
		tags = map[string]string{}
	}
	delete(tags, history.FireAndForget)
	maps.Copy(tags, o.tags)
	return &SubOrchestrationAction{
		ID: id, Name: name, Version: o.version, InstanceID: instanceID, Input: input, Tags: tags,
	}
}
