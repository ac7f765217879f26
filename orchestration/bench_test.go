package orchestration_test

import (
	"fmt"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// chainOf calls one activity after the other, for ever.
func chainOf() orchestration.Binding {
	return jobOf(func(ctx *orchestration.Context) (string, error) {
		for {
			if _, err := call(ctx, "a").Await(); err != nil {
				return "", err
			}
		}
	})
}

// BenchmarkAdvance_Step is one turn of a live execution: a result comes in, an activity goes out.
func BenchmarkAdvance_Step(b *testing.B) {
	x := orchestration.NewExecution(chainOf(), orchestration.Options{})
	defer x.Close()
	if _, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`)}); err != nil {
		b.Fatal(err)
	}
	result := `"result"`
	turn, answer := turnStarted(epoch), &history.TaskCompleted{Header: noID, Result: &result}
	batch := []history.Event{turn, answer}
	b.ReportAllocs()
	for b.Loop() {
		decision, err := x.Advance(batch)
		if err != nil || len(decision.Actions) != 1 {
			b.Fatalf("%d actions, %v", len(decision.Actions), err)
		}
		answer.TaskID++
	}
}

// chainHistory is the history of a chain, four events for each step.
func chainHistory(steps int) []history.Event {
	events := []history.Event{turnStarted(epoch), started("Job", `""`)}
	for i := range int32(steps) {
		events = append(events, &history.TaskScheduled{Header: head(i, epoch), Name: "Work"},
			&history.OrchestratorCompleted{Header: noID}, turnStarted(epoch), done(i, `"result"`))
	}
	return events
}

// BenchmarkReplay_Chain replays about 1,000 events of a chain, close included.
func BenchmarkReplay_Chain(b *testing.B) {
	benchmarkReplay(b, chainOf(), chainHistory(250))
}

// BenchmarkReplay_FanOut replays about 1,000 events of a fan-out, close included.
func BenchmarkReplay_FanOut(b *testing.B) {
	const n = 500
	binding := jobOf(func(ctx *orchestration.Context) (string, error) {
		tasks := make([]orchestration.Task[string], n)
		for i := range tasks {
			tasks[i] = call(ctx, "a")
		}
		_, err := orchestration.All(tasks...).Await()
		return "", err
	})
	events := []history.Event{turnStarted(epoch), started("Job", `""`)}
	for i := range int32(n) {
		events = append(events, &history.TaskScheduled{Header: head(i, epoch), Name: "Work"})
	}
	for i := range int32(n) {
		events = append(events, done(i, fmt.Sprintf(`"result %d"`, i)))
	}
	benchmarkReplay(b, binding, events)
}

func benchmarkReplay(b *testing.B, binding orchestration.Binding, events []history.Event) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		x := orchestration.NewExecution(binding, orchestration.Options{})
		if err := x.Replay(events); err != nil {
			b.Fatal(err)
		}
		x.Close()
	}
	b.ReportMetric(float64(len(events))*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
