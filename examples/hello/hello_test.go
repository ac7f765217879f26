package hello_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/durafleet/durafleet/examples/hello"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// fleet runs a worker on a store in memory for the length of a test, in its bubble.
func fleet(t *testing.T) *taskhub.Client {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	hub, err := taskhub.Create(ctx, taskhub.Memory(), "Test", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := worker.New(hub, nil, hello.Bindings()...)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return taskhub.NewClient(hub)
}

func TestGreet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		instance, err := taskhub.Start(t.Context(), fleet(t), hello.Greet, []string{"Tokyo", "Seattle"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := instance.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"Hello, Tokyo!", "Hello, Seattle!"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := fleet(t)
		instance, err := taskhub.Start(t.Context(), client, hello.Ask, "Shall we?")
		if err != nil {
			t.Fatal(err)
		}
		if err := taskhub.RaiseEvent(t.Context(), client, instance.ID(), hello.Answer, "We shall."); err != nil {
			t.Fatal(err)
		}
		if got, err := instance.Wait(t.Context()); err != nil || got != "We shall." {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
