package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var (
	sayHello = activity.Declare[string, string]("SayHello")
	greetAll = orchestration.Declare[[]string, []string]("GreetAll")
)

func hello(_ context.Context, name string) (string, error) { return "Hello " + name, nil }

func greet(ctx *orchestration.Context, names []string) ([]string, error) {
	greetings := []string{}
	for _, name := range names {
		greeting, err := orchestration.CallActivity(ctx, sayHello, name).Await()
		if err != nil {
			return nil, err
		}
		greetings = append(greetings, greeting)
	}
	return greetings, nil
}

// A02: a chain of activities on a whole fleet member.
func TestWorker_Chain(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, sayHello.With(hello), greetAll.With(greet))
		instance, err := taskhub.Start(w.Context(), w.Client, greetAll, []string{"a", "b", "c"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := instance.Wait(w.Timeout(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[2] != "Hello c" {
			t.Errorf("the greetings are %q", got)
		}
	})
}
