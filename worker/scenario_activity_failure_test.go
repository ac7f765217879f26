package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/orchestration"
)

// A14: five failures, each handled.
func TestActivity_HandledFailures_A14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			actNumber.With(func(context.Context, int) (int, error) { return 0, errors.New("never") }),
			actFlow.With(func(ctx *orchestration.Context, n int) (int, error) {
				caught := 0
				for range n {
					if _, err := callNumber(ctx, 0); err != nil {
						caught++
					}
				}
				return caught, nil
			}))
		instance := launch(t, w, actFlow, 5)
		if got := resultOf(t, w, instance); got != 5 {
			t.Errorf("the result is %d", got)
		}
		if counts := kinds(eventsOf(t, w, instance.ID())); counts[history.KindTaskFailed] != 5 {
			t.Errorf("the history: %v", counts)
		}
		w.Settled(soon, instance.ID())
	})
}

// A15: a failure is made up for by two compensations; the instance completes.
func TestActivity_Compensation_A15(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var undone atomic.Int64
		w.Start(nil,
			actText.With(func(_ context.Context, in string) (string, error) {
				if in == "undo" {
					undone.Add(1)
					return in, nil
				}
				return "", errors.New("no seats left")
			}),
			actStory.With(func(ctx *orchestration.Context, _ string) (string, error) {
				_, failed := orchestration.CallActivity(ctx, actText, "do").Await()
				if failed == nil {
					return "", nil
				}
				for range 2 {
					if _, err := orchestration.CallActivity(ctx, actText, "undo").Await(); err != nil {
						return "", err
					}
				}
				return failed.Error(), nil
			}))
		instance := launch(t, w, actStory, "")
		if got := resultOf(t, w, instance); !strings.HasSuffix(got, "no seats left") || undone.Load() != 2 {
			t.Errorf("the result is %q after %d compensations", got, undone.Load())
		}
		if status := statusOf(t, w, instance.ID()); status.Failure != "" || endIn(t, w, instance.ID()).Failure != nil {
			t.Errorf("the completed instance has the failure %q", status.Failure)
		}
		w.Settled(soon, instance.ID())
	})
}

// endIn returns the end in the history of an instance.
func endIn(t *testing.T, w *fleettest.World, id string) *history.ExecutionCompleted {
	t.Helper()
	for _, e := range eventsOf(t, w, id) {
		if end, ok := e.(*history.ExecutionCompleted); ok {
			return end
		}
	}
	t.Fatalf("the history of %s has no end", id)
	return nil
}

// seatError is a failure with a type of its own.
type seatError struct{ row int }

func (e *seatError) Error() string { return fmt.Sprintf("row %d is full", e.row) }

// A16: an uncaught failure fails the instance; its details name the activity, its task id and the
// cause, and keep the original failure with its own causes. Ours: an error in Go carries no stack.
func TestActivity_Uncaught_A16(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			actNumber.With(func(_ context.Context, n int) (int, error) {
				return 0, fmt.Errorf("book: %w", &seatError{n})
			}),
			actFlow.With(callNumber))
		instance := launch(t, w, actFlow, 12)
		status := endOf(t, w, instance.ID())
		const message = `activity "ActNumber" (#0) failed: book: row 12 is full`
		if status.Status != history.Failed || !strings.Contains(status.Failure, message) {
			t.Errorf("the instance is %s: %q", status.Status, status.Failure)
		}
		details := endIn(t, w, instance.ID()).Failure
		if details == nil || details.Inner == nil || details.Inner.Inner == nil {
			t.Fatalf("the failure is %+v", details)
		}
		if details.Type != "DurableTask.Core.Exceptions.TaskFailedException" || details.Message != message {
			t.Errorf("the failure is %v", details)
		}
		if inner := details.Inner; inner.Type != "fmt.wrapError" || inner.Message != "book: row 12 is full" {
			t.Errorf("its cause is %v", inner)
		}
		if root := details.Inner.Inner; root.Type != "worker_test.seatError" || root.Message != "row 12 is full" || root.Inner != nil {
			t.Errorf("the first cause is %v", root)
		}
		w.Settled(soon, instance.ID())
	})
}

// A17: the orchestrator sees an activity's panic as a failure; the worker goes on.
func TestActivity_Panic_A17(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil,
			actText.With(func(_ context.Context, in string) (string, error) {
				if in == "panic" {
					panic("out of paper")
				}
				return in, nil
			}),
			actStory.With(func(ctx *orchestration.Context, in string) (string, error) {
				_, err := orchestration.CallActivity(ctx, actText, in).Await()
				var failed *orchestration.TaskError
				if errors.As(err, &failed) {
					return failed.Details.String() + fmt.Sprintf(" %t", strings.Contains(failed.Details.Stack, "TestActivity_Panic_A17")), nil
				}
				return in, err
			}))
		bad := launch(t, w, actStory, "panic")
		if got := resultOf(t, w, bad); got != "panic: out of paper true" {
			t.Errorf("the failure is %q", got)
		}
		good := launch(t, w, actStory, "fine")
		if got := resultOf(t, w, good); got != "fine" {
			t.Errorf("after it: %q", got)
		}
		w.Settled(soon, bad.ID(), good.ID())
	})
}
