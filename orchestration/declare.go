package orchestration

import (
	"github.com/durafleet/durafleet/internal/payload"
)

// Orchestrator is the declaration of an orchestration: a name and two types, no code. The zero
// value is not usable; see Declare.
type Orchestrator[In, Out any] struct{ name string }

// Declare declares an orchestration. The name is what is stored and matched; it must not change
// while instances are alive. Use struct{} as In or Out for "nothing".
func Declare[In, Out any](name string) Orchestrator[In, Out] {
	return Orchestrator[In, Out]{name: name}
}

// Name returns the declared name.
func (o Orchestrator[In, Out]) Name() string { return o.name }

// With binds the orchestration to fn for a worker. fn is replayed: it must be deterministic,
// which it is as long as it learns about the world only through its arguments. A returned error
// or a panic ends the instance as Failed.
func (o Orchestrator[In, Out]) With(fn func(*Context, In) (Out, error)) Binding {
	return Binding{Name: o.name, Run: func(ctx *Context, input *string) (*string, error) {
		in, err := payload.Decode[In](input)
		if err != nil {
			return nil, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return payload.Encode(out)
	}}
}

// Binding ties an orchestration's name to code. Build it with Orchestrator.With.
type Binding struct {
	// Name is the orchestration's name.
	Name string
	// Run decodes the stored input, runs the function and encodes its result.
	Run func(ctx *Context, input *string) (*string, error)
}

// BindingName returns the name the binding answers to; it makes a Binding fit for worker.New.
func (b Binding) BindingName() string { return b.Name }

// Event is the declaration of an external event: a name and the type of its data.
type Event[T any] struct{ name string }

// DeclareEvent declares an external event. Names of events are compared without regard to case.
func DeclareEvent[T any](name string) Event[T] { return Event[T]{name: name} }

// Name returns the declared name.
func (e Event[T]) Name() string { return e.name }
