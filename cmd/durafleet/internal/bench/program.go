package bench

import (
	"context"
	"fmt"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

// The programs.
var (
	greet = activity.Declare[string, string]("BenchGreet")

	// greetings greets so many cities, one after the other.
	greetings = orchestration.Declare[int, []string]("BenchGreetings")
)

// bindings returns everything that a worker of the bench runs.
func bindings() []worker.Binding {
	return []worker.Binding{
		greet.With(func(_ context.Context, name string) (string, error) { return greetingOf(name), nil }),
		greetings.With(runGreetings),
	}
}

// cityNames are as many as the classic sample greets.
var cityNames = [...]string{"Tokyo", "Seattle", "London", "Amsterdam", "Mumbai"}

// city returns the i-th name: after the first five they have numbers.
func city(i int) string {
	name := cityNames[i%len(cityNames)]
	if round := i / len(cityNames); round > 0 {
		return fmt.Sprintf("%s %d", name, round+1)
	}
	return name
}

func greetingOf(name string) string { return "Hello " + name + "!" }

// allGreetings is the result of greetings.
func allGreetings(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = greetingOf(city(i))
	}
	return all
}

func runGreetings(ctx *orchestration.Context, n int) ([]string, error) {
	all := make([]string, n)
	for i := range all {
		greeting, err := orchestration.CallActivity(ctx, greet, city(i)).Await()
		if err != nil {
			return nil, err
		}
		all[i] = greeting
	}
	return all, nil
}
