package orchestration

import (
	"fmt"

	"github.com/durafleet/durafleet/internal/payload"
)

// ContinueOption adjusts a continue-as-new: DropEvents, Version.
type ContinueOption interface{ applyContinue(*continueOptions) }

type continueOptions struct {
	drop    bool
	version *string
}

// DropEvents makes a continue-as-new forget the external events that were received but not
// consumed. By default they are carried over to the new execution, in order.
type DropEvents struct{}

func (DropEvents) applyContinue(o *continueOptions) { o.drop = true }

func (v Version) applyContinue(o *continueOptions) { o.version = (*string)(&v) }

// ContinueAsNew asks for the instance to start over with a new input and an empty history, once
// the orchestrator function returns; what the function returns without an error is ignored then.
// The last call counts.
func ContinueAsNew[In, Out any](ctx *Context, o Orchestrator[In, Out], in In, options ...ContinueOption) {
	ctx.continueAsNew(o.Name(), in, options)
}

// ContinueAsNewWith is the untyped twin of ContinueAsNew.
func ContinueAsNewWith(ctx *Context, input any, options ...ContinueOption) {
	ctx.continueAsNew(ctx.Name(), input, options)
}

func (c *Context) continueAsNew(name string, in any, options []ContinueOption) {
	c.x.enter()
	if !sameName(name, c.Name()) {
		c.x.abort(fmt.Errorf("continue as new: orchestrator %q cannot go on as %q", c.Name(), name))
	}
	var o continueOptions
	for _, option := range options {
		option.applyContinue(&o)
	}
	text, err := payload.Encode(in)
	if err != nil {
		c.x.abort(fmt.Errorf("continue as new: %w", err))
	}
	c.x.cont = &Continuation{Input: text, Version: o.version}
	c.x.dropEvents = o.drop
}
