package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var (
	lifeEmpty = orchestration.Declare[struct{}, struct{}]("LifeEmpty")
	lifeNext  = orchestration.Declare[int, int]("LifeNext")
	lifeWait  = orchestration.Declare[string, int]("LifeWait")
	lifeNap   = orchestration.Declare[time.Duration, string]("LifeNap")
	lifeRaw   = orchestration.Declare[json.RawMessage, json.RawMessage]("LifeRaw")
	lifeChild = orchestration.Declare[json.RawMessage, json.RawMessage]("LifeChild")
	lifeEcho  = activity.Declare[json.RawMessage, json.RawMessage]("LifeEcho")
)

// awaitSignal returns the number in the first Signal.
func awaitSignal(ctx *orchestration.Context, _ string) (int, error) {
	return orchestration.WaitForEvent(ctx, progSignal).Await()
}

func napDurably(ctx *orchestration.Context, d time.Duration) (string, error) {
	_, err := ctx.Timer(d).Await()
	return ctx.InstanceID(), err
}

// L01: an orchestrator that does nothing starts, runs once and completes with nothing.
func TestLifecycle_Empty_L01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs atomic.Int64
		w.Start(nil, lifeEmpty.With(func(*orchestration.Context, struct{}) (struct{}, error) {
			runs.Add(1)
			return struct{}{}, nil
		}))
		instance := launch(t, w, lifeEmpty, struct{}{})
		ended(t, w, instance.ID())
		status := statusOf(t, w, instance.ID())
		if status.InstanceID != instance.ID() || status.Name != "LifeEmpty" || status.Status != history.Completed || runs.Load() != 1 {
			t.Errorf("instance %s, name %s, %s after %d runs", status.InstanceID, status.Name, status.Status, runs.Load())
		}
		if status.Input != nil || status.Output != nil || status.RawOutput != nil || status.CustomStatus != nil || status.Failure != "" {
			t.Errorf("something where there should be nothing: %+v", status)
		}
		row, _ := w.Row(instance.ID())
		for _, column := range []string{"Input", "Output"} {
			if value, ok := row.Values[column]; ok {
				t.Errorf("the row has the %s %q", column, value)
			}
		}
	})
}

// L02: the input is still to be read after the end.
func TestLifecycle_Hello_L02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, progHello.With(sayHelloTo))
		instance := launch(t, w, progHello, "World")
		if got := resultOf(t, w, instance); got != "Hello, World!" {
			t.Errorf("the result is %q", got)
		}
		ended(t, w, instance.ID())
		if s := statusOf(t, w, instance.ID()); string(s.Input) != `"World"` || string(s.Output) != `"Hello, World!"` {
			t.Errorf("input %s, output %s", s.Input, s.Output)
		}
	})
}

// L03: numbers stay numbers.
func TestLifecycle_Numbers_L03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, lifeNext.With(func(_ *orchestration.Context, n int) (int, error) { return n + 1, nil }))
		instance := launch(t, w, lifeNext, 15)
		ended(t, w, instance.ID())
		if s := statusOf(t, w, instance.ID()); string(s.Input) != "15" || string(s.Output) != "16" || *s.RawOutput != "16" {
			t.Errorf("input %s, output %s", s.Input, s.Output)
		}
	})
}

// L04: values that look like nothing pass unchanged through every channel there is.
func TestLifecycle_FalsyValues_L04(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var seen noted[string]
		w.Start(nil,
			lifeEcho.With(func(_ context.Context, v json.RawMessage) (json.RawMessage, error) {
				seen.add(string(v))
				return v, nil
			}),
			lifeChild.With(func(_ *orchestration.Context, v json.RawMessage) (json.RawMessage, error) {
				seen.add(string(v))
				return v, nil
			}),
			lifeRaw.With(passRaw))
		values := []string{"0", `""`, "false", "null"}
		for _, value := range values {
			seen.reset()
			instance := launch(t, w, lifeRaw, json.RawMessage(`{"then":`+value+`}`))
			if got := resultOf(t, w, instance); string(got) != value {
				t.Errorf("%s came back as %q", value, got)
			}
			if got := seen.all(); len(got) < 2 || got[0] != value || got[len(got)-1] != value {
				t.Errorf("activity and child saw %q instead of %s", got, value)
			}
			w.Settled(soon, instance.ID())
			if s := statusOf(t, w, instance.ID()); string(s.Input) != value || string(s.Output) != value {
				t.Errorf("%s: input %q, output %q", value, s.Input, s.Output)
			}
		}
	})
}

// passRaw continues as new with what is in its input, and then passes that through an activity
// and a child.
func passRaw(ctx *orchestration.Context, in json.RawMessage) (json.RawMessage, error) {
	var wrapped struct {
		Then json.RawMessage `json:"then"`
	}
	if bytes.HasPrefix(in, []byte("{")) {
		if err := json.Unmarshal(in, &wrapped); err != nil {
			return nil, err
		}
		orchestration.ContinueAsNew(ctx, lifeRaw, wrapped.Then)
		return nil, nil
	}
	out, err := orchestration.CallActivity(ctx, lifeEcho, in).Await()
	if err != nil || !bytes.Equal(in, out) {
		return out, fmt.Errorf("activity: %q became %q: %w", in, out, err)
	}
	out, err = orchestration.CallSubOrchestration(ctx, lifeChild, out).Await()
	if err != nil || !bytes.Equal(in, out) {
		return out, fmt.Errorf("child: %q became %q: %w", in, out, err)
	}
	return out, nil
}

// L05: text of all scripts survives, and so does a reason.
func TestLifecycle_Unicode_L05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, progHello.With(sayHelloTo), lifeWait.With(awaitSignal))
		instance := launch(t, w, progHello, "世界")
		if got := resultOf(t, w, instance); got != "Hello, 世界!" {
			t.Errorf("the result is %q", got)
		}
		if s := statusOf(t, w, instance.ID()); string(s.Input) != `"世界"` || string(s.Output) != `"Hello, 世界!"` {
			t.Errorf("input %s, output %s", s.Input, s.Output)
		}
		doomed := launch(t, w, lifeWait, "")
		check(t, w.Client.Terminate(w.Context(), doomed.ID(), "sayōnara"))
		if end := endOf(t, w, doomed.ID()); end.Status != history.Terminated || end.Reason != "sayōnara" {
			t.Errorf("%s with the reason %q", end.Status, end.Reason)
		}
	})
}

// L06: a wait for the start that ends too early leaves the instance alone.
func TestLifecycle_WaitForStartTimesOut_L06(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) { // the first turn takes 5 s
		w.Start(nil, progHello.With(func(_ *orchestration.Context, name string) (string, error) {
			run.Sleep(w.Context(), 5*time.Second) // an orchestrator must not do this
			return name, nil
		}))
		instance := launch(t, w, progHello, "slow")
		_, err := w.Client.WaitForStart(w.Timeout(time.Second), instance.ID())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ended with %v", err)
		}
		if got := resultOf(t, w, instance); got != "slow" {
			t.Errorf("the result is %q", got)
		}
		w.Settled(soon, instance.ID())
	})
}

// L07: waiting for what has ended returns at once, waiting for what does not exist fails at once.
func TestLifecycle_Wait_L07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, progHello.With(sayHelloTo))
		instance := launch(t, w, progHello, "again")
		endOf(t, w, instance.ID())
		began := time.Now()
		end, err := w.Client.Wait(w.Context(), instance.ID())
		if err != nil || end.Status != history.Completed || string(end.Output) != `"Hello, again!"` {
			t.Errorf("a second wait: %+v, %v", end, err)
		}
		var missing *taskhub.NotFoundError
		if _, err := w.Client.Wait(w.Context(), "nobody"); !errors.As(err, &missing) || missing.InstanceID != "nobody" {
			t.Errorf("waiting for nobody: %v", err)
		}
		if _, err := taskhub.Attach[string](w.Client, "nobody").Wait(w.Context()); !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("waiting for nobody by a handle: %v", err)
		}
		if took := time.Since(began); w.Virtual && took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// L08: Pending, Running, Completed; the row's times move with each write of it.
func TestLifecycle_Statuses_L08(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		instance := launch(t, w, lifeWait, "x")
		pending := statusOf(t, w, instance.ID())
		run.Sleep(w.Context(), 10*time.Millisecond)
		w.Start(nil, lifeWait.With(awaitSignal))
		running := reach(t, w, instance.ID(), history.Running)
		raise(t, w, instance.ID(), progSignal, 7)
		completed := endOf(t, w, instance.ID())
		if pending.Status != history.Pending || completed.Status != history.Completed || string(completed.Output) != "7" {
			t.Errorf("%s first, %s with %s at last", pending.Status, completed.Status, completed.Output)
		}
		if pending.LastUpdated.Before(pending.Created) || !running.LastUpdated.After(pending.LastUpdated) ||
			!completed.LastUpdated.After(running.LastUpdated) {
			t.Errorf("created %v, updated %v, %v, %v", pending.Created, pending.LastUpdated, running.LastUpdated, completed.LastUpdated)
		}
		if !running.Created.Equal(pending.Created) || !completed.Created.Equal(pending.Created) {
			t.Errorf("created %v, %v, %v", pending.Created, running.Created, completed.Created)
		}
		if pending.Completed != nil || running.Completed != nil || completed.Completed == nil {
			t.Errorf("completed %v, %v, %v", pending.Completed, running.Completed, completed.Completed)
		}
		w.Settled(soon, instance.ID())
	})
}

// startOfHistory returns the times of the first episode and of the start in a history.
func startOfHistory(t *testing.T, events []history.Event) (episode, started time.Time) {
	t.Helper()
	if len(events) < 2 || events[0].Kind() != history.KindOrchestratorStarted {
		t.Fatalf("the history does not begin properly: %v", kinds(events))
	}
	return events[0].Head().Timestamp, eventsOfKind[*history.ExecutionStarted](events)[0].Timestamp
}

// L09, in virtual time: there is no start time before a worker picks the instance up; afterwards
// it is the time of that, and after a continue-as-new that of the latest generation.
func TestLifecycle_StartTime_L09(t *testing.T) {
	t.Parallel()
	twice := orchestration.Declare[int, int]("LifeTwice")
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		scheduled := time.Now()
		instance := launch(t, w, twice, 0)
		run.Sleep(w.Context(), time.Minute)
		if events := eventsOf(t, w, instance.ID()); len(events) != 0 || statusOf(t, w, instance.ID()).Status != history.Pending {
			t.Fatalf("without a worker there are %d events", len(events))
		}
		w.Start(nil, twice.With(func(ctx *orchestration.Context, generation int) (int, error) {
			_, err := ctx.Timer(20 * time.Second).Await()
			if generation == 0 && err == nil {
				orchestration.ContinueAsNew(ctx, twice, 1)
			}
			return generation, err
		}))
		reach(t, w, instance.ID(), history.Running)
		episode, started := startOfHistory(t, eventsOf(t, w, instance.ID()))
		if episode.Before(scheduled.Add(time.Minute)) || episode.After(time.Now()) || started.Before(scheduled) || started.After(episode) {
			t.Errorf("scheduled %v, started %v, first episode %v", scheduled, started, episode)
		}
		if got, err := instance.Wait(w.Timeout(10 * time.Minute)); err != nil || got != 1 {
			t.Errorf("the result is %d, %v", got, err)
		}
		secondEpisode, second := startOfHistory(t, eventsOf(t, w, instance.ID()))
		if second.Before(episode.Add(20*time.Second)) || secondEpisode.Before(second) || secondEpisode.After(time.Now()) {
			t.Errorf("the second generation started %v, first episode %v", second, secondEpisode)
		}
		w.Settled(soon, instance.ID())
	})
}

// L10: an unknown instance is reported as one, not as an empty record.
func TestLifecycle_Unknown_L10(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		status, err := w.Client.Get(w.Context(), "nobody")
		var missing *taskhub.NotFoundError
		if status != nil || !errors.Is(err, taskhub.ErrNotFound) || !errors.As(err, &missing) || missing.InstanceID != "nobody" {
			t.Errorf("status %+v, %v", status, err)
		}
		if events, err := w.Client.History(w.Context(), "nobody"); events != nil || !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("history %v, %v", events, err)
		}
	})
}

// L12: instances wait side by side.
func TestLifecycle_SideBySide_L12(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, lifeNap.With(napDurably))
		began, pause := time.Now(), pick(w, 10*time.Second, time.Second)
		var instances []*taskhub.Instance[string]
		for range 10 {
			instances = append(instances, launch(t, w, lifeNap, pause))
		}
		for _, instance := range instances {
			resultOf(t, w, instance)
		}
		if took := time.Since(began); took < pause || w.Virtual && took > 15*time.Second {
			t.Errorf("10 naps of %v took %v", pause, took)
		}
		for _, instance := range instances {
			w.Settled(soon, instance.ID())
		}
	})
}

// L13: 40 starts at once are 40 instances.
func TestLifecycle_ManyStarts_L13(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, lifeNext.With(func(_ *orchestration.Context, n int) (int, error) { return n + 1, nil }))
		const n = 40
		instances := make([]*taskhub.Instance[int], n)
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				var err error
				if instances[i], err = taskhub.Start(w.Context(), w.Client, lifeNext, i); err != nil {
					t.Errorf("start %d: %v", i, err)
				}
			})
		}
		group.Wait()
		distinct := map[string]bool{}
		for i, instance := range instances {
			if got := resultOf(t, w, instance); got != i+1 {
				t.Errorf("instance %d: result %d", i, got)
			}
			status := statusOf(t, w, instance.ID())
			if string(status.Input) != fmt.Sprint(i) || status.ExecutionID != instance.ExecutionID() {
				t.Errorf("instance %d: input %s, execution %s, want %s", i, status.Input, status.ExecutionID, instance.ExecutionID())
			}
			distinct[instance.ID()], distinct["execution "+instance.ExecutionID()] = true, true
			w.Settled(soon, instance.ID())
		}
		if len(distinct) != 2*n {
			t.Errorf("%d distinct ids of instances and executions, want %d", len(distinct), 2*n)
		}
	})
}

// L14: 40 starts of one id at once, all content with an existing instance, are one instance, and
// one execution runs.
func TestLifecycle_RacingStarts_L14(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var executions noted[string]
		w.Start(nil, lifeNext.With(func(ctx *orchestration.Context, n int) (int, error) {
			if !ctx.IsReplaying() {
				executions.add(ctx.ExecutionID())
			}
			return n + 1, nil
		}))
		const n = 40
		instances := make([]*taskhub.Instance[int], n)
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				var err error
				instances[i], err = taskhub.Start(w.Context(), w.Client, lifeNext, i, taskhub.InstanceID("one"), taskhub.UseExisting)
				if err != nil {
					t.Errorf("start %d: %v", i, err)
				}
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
		first := resultOf(t, w, instances[0])
		record, _ := w.Row("one")
		for i, instance := range instances {
			if got := resultOf(t, w, instance); got != first || instance.ID() != "one" || instance.ExecutionID() != instances[0].ExecutionID() {
				t.Errorf("handle %d: result %d of %s in %s", i, got, instance.ID(), instance.ExecutionID())
			}
		}
		w.Settled(soon, "one")
		if after, _ := w.Row("one"); after.ETag != record.ETag {
			t.Error("the record changed after the end")
		}
		if ran := executions.all(); len(ran) != 1 || ran[0] != statusOf(t, w, "one").ExecutionID {
			t.Errorf("the executions %q ran", ran)
		}
	})
}

// lifeError is an error with a type name and a cause of its own.
type lifeError struct{ cause error }

func (e *lifeError) Error() string     { return "out of order: " + e.cause.Error() }
func (e *lifeError) Unwrap() error     { return e.cause }
func (e *lifeError) ErrorType() string { return "Life.Disorder" }

func panicDeep() { panic("the sky is falling") }

// L18: an error or a panic of the orchestrator fails the instance, with type, message, causes
// and, for a panic, the stack.
func TestLifecycle_Failure_L18(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, progHello.With(func(_ *orchestration.Context, how string) (string, error) {
			switch how {
			case "panic":
				panicDeep()
			case "typed":
				return "ignored", &lifeError{errors.New("lift")}
			}
			return "ignored", fmt.Errorf("plain: %w", errors.New("root"))
		}))
		for _, tt := range []struct{ how, kind, message, inner, stack string }{
			{"plain", "fmt.wrapError", "plain: root", "root", ""},
			{"typed", "Life.Disorder", "out of order: lift", "lift", ""},
			{"panic", "panic", "the sky is falling", "", "panicDeep"},
		} {
			instance := launch(t, w, progHello, tt.how)
			end := endOf(t, w, instance.ID())
			if end.Status != history.Failed || end.Failure != tt.kind+": "+tt.message || end.Output != nil {
				t.Errorf("%s: %s with failure %q and output %q", tt.how, end.Status, end.Failure, end.Output)
			}
			var ended *taskhub.EndedError
			if _, err := instance.Wait(w.Context()); !errors.As(err, &ended) || ended.Status != history.Failed || ended.Failure != end.Failure {
				t.Errorf("%s: Wait returns %v", tt.how, err)
			}
			w.Settled(soon, instance.ID())
			failed := eventsOfKind[*history.ExecutionCompleted](eventsOf(t, w, instance.ID()))[0].Failure
			if failed == nil || failed.Type != tt.kind || failed.Message != tt.message || !strings.Contains(failed.Stack, tt.stack) {
				t.Fatalf("%s: the details are %+v", tt.how, failed)
			}
			if tt.inner != "" && (failed.Inner == nil || failed.Inner.Message != tt.inner) {
				t.Errorf("%s: the cause is %+v", tt.how, failed.Inner)
			}
		}
	})
}
