package activity

import (
	"context"
	"time"

	"github.com/durafleet/durafleet/internal/payload"
)

// Activity is the declaration of an activity: a name and two types, no code. The zero value is
// not usable; see Declare.
type Activity[In, Out any] struct{ name string }

// Declare declares an activity. The name is what is stored and matched; it must not change while
// instances that call it are alive. Use struct{} as In or Out for "nothing".
func Declare[In, Out any](name string) Activity[In, Out] {
	return Activity[In, Out]{name: name}
}

// Name returns the declared name.
func (a Activity[In, Out]) Name() string { return a.name }

// With binds the activity to fn for a worker. The context of fn ends when the worker stops, when
// the time limit is reached and when the instance no longer needs the result; see FromContext
// for what it tells. A panic in fn becomes a failure of the activity.
func (a Activity[In, Out]) With(fn func(context.Context, In) (Out, error), options ...Option) Binding {
	binding := Binding{Name: a.name}
	for _, option := range options {
		option(&binding)
	}
	binding.Run = func(ctx context.Context, input *string) (*string, error) {
		in, err := payload.Decode[In](payload.UnwrapActivityInput(input))
		if err != nil {
			return nil, Permanent(err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		result, err := payload.Encode(out)
		if err != nil {
			return nil, Permanent(err)
		}
		return result, nil
	}
	return binding
}

// Binding ties an activity's name to code. Build it with Activity.With.
type Binding struct {
	// Name is the activity's name.
	Name string
	// Limit is how many calls may run at once in one worker, 0 for no limit of its own.
	Limit int
	// Timeout ends the context of a call after this time, 0 for no time limit.
	Timeout time.Duration
	// Run decodes the stored input, runs the function and encodes its result.
	Run func(ctx context.Context, input *string) (*string, error)
}

// BindingName returns the name the binding answers to; it makes a Binding fit for worker.New.
func (b Binding) BindingName() string { return b.Name }

// Option adjusts a Binding.
type Option func(*Binding)

// Limit lets at most n calls of this activity run at once in one worker.
func Limit(n int) Option { return func(b *Binding) { b.Limit = n } }

// Timeout ends the context of a call after d, counted from the start of the function. The call
// then fails unless the function returns a result all the same.
func Timeout(d time.Duration) Option { return func(b *Binding) { b.Timeout = d } }
