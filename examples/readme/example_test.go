package readme_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// The contract: names and types, shared by callers and workers.
var (
	CountWords = activity.Declare[string, int]("CountWords")
	CountAll   = orchestration.Declare[[]string, int]("CountAll")
)

// An activity does real work. It runs on any worker, and again if that worker dies.
func countWords(_ context.Context, text string) (int, error) {
	return len(strings.Fields(text)), nil
}

// An orchestrator decides what is done. Its progress survives every crash.
func countAll(ctx *orchestration.Context, texts []string) (int, error) {
	tasks := make([]orchestration.Task[int], len(texts))
	for i, text := range texts {
		tasks[i] = orchestration.CallActivity(ctx, CountWords, text) // starts, does not wait
	}
	counts, err := orchestration.All(tasks...).Await()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	account := taskhub.Memory() // or taskhub.ConnectionString("UseDevelopmentStorage=true")
	hub, err := taskhub.Create(ctx, account, "Words", nil)
	if err != nil {
		log.Fatal(err)
	}
	w, err := worker.New(hub, nil, CountWords.With(countWords), CountAll.With(countAll))
	if err != nil {
		log.Fatal(err)
	}
	go func() { // start as many as you like, on as many machines
		if err := w.Run(ctx); err != nil {
			log.Print(err)
		}
	}()

	texts := []string{"to be or not to be", "that is the question"}
	instance, err := taskhub.Start(ctx, taskhub.NewClient(hub), CountAll, texts)
	if err != nil {
		log.Fatal(err)
	}
	sum, err := instance.Wait(ctx)
	fmt.Println(sum, err)
	// Output: 10 <nil>
}
