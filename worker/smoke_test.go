package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	sayHello = activity.Declare[string, string]("SayHello")
	greetAll = orchestration.Declare[[]string, []string]("GreetAll")
)

func greet(ctx *orchestration.Context, names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		s, err := orchestration.CallActivity(ctx, sayHello, n).Await()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		hub, err := taskhub.Create(ctx, taskhub.Memory(), "Smoke", nil)
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w, err := worker.New(hub, &worker.Options{Logger: log}, sayHello.With(func(_ context.Context, s string) (string, error) { return "Hello " + s, nil }), greetAll.With(greet))
		if err != nil {
			t.Fatal(err)
		}
		var group run.Group
		group.Go(ctx, "w", func(ctx context.Context) { _ = w.Run(ctx) })
		inst, err := taskhub.Start(ctx, taskhub.NewClient(hub), greetAll, []string{"a", "b", "c", "d", "e"})
		if err != nil {
			t.Fatal(err)
		}
		wctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		out, err := inst.Wait(wctx)
		fmt.Printf("%v %v %v\n%+v\n",out, err, hub.Requests(), w.Stats())
		stop()
		group.Wait()
	})
}
