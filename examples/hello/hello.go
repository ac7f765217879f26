// Package hello holds the two smallest useful orchestrations: a chain of activities, and a wait
// for somebody's answer.
package hello

import (
	"context"
	"fmt"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

// The contract: names and types, which callers and workers share.
var (
	// SayHello greets one person.
	SayHello = activity.Declare[string, string]("SayHello")
	// Greet greets people one after the other.
	Greet = orchestration.Declare[[]string, []string]("Greet")
	// Ask waits for an Answer and returns it.
	Ask = orchestration.Declare[string, string]("Ask")
	// Answer is the event that ends an Ask.
	Answer = orchestration.DeclareEvent[string]("Answer")
)

// Bindings returns the code behind the contract, for a worker.
func Bindings() []worker.Binding {
	return []worker.Binding{SayHello.With(sayHello), Greet.With(greet), Ask.With(ask)}
}

func sayHello(_ context.Context, name string) (string, error) {
	return fmt.Sprintf("Hello, %s!", name), nil
}

func greet(ctx *orchestration.Context, names []string) ([]string, error) {
	greetings := make([]string, 0, len(names))
	for _, name := range names {
		greeting, err := orchestration.CallActivity(ctx, SayHello, name).Await()
		if err != nil {
			return nil, err
		}
		greetings = append(greetings, greeting)
	}
	return greetings, nil
}

func ask(ctx *orchestration.Context, question string) (string, error) {
	ctx.SetCustomStatus(question)
	return orchestration.WaitForEvent(ctx, Answer).Await()
}
