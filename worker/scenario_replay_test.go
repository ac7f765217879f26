package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

var (
	replaySteps  = orchestration.Declare[struct{}, struct{}]("ReplaySteps")
	replayParent = orchestration.Declare[struct{}, string]("ReplayParent")
	replayChild  = orchestration.Declare[struct{}, string]("ReplayChild")
	replayGo     = orchestration.DeclareEvent[struct{}]("Go")
	replayA      = activity.Declare[string, string]("ReplayA")
)

// noted is a list that orchestrators write and tests read.
type noted[T any] struct {
	mu   sync.Mutex
	list []T
}

func (g *noted[T]) add(values ...T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = append(g.list, values...)
}

func (g *noted[T]) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = nil
}

func (g *noted[T]) all() []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.list)
}

// Y01: the last run of the code replays all but its last part; code that stays in memory never
// replays.
func TestReplay_IsReplaying_Y01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var seen noted[bool]
		w.Start(&worker.Options{NoInline: true}, replaySteps.With(func(ctx *orchestration.Context, _ struct{}) (struct{}, error) {
			seen.reset()
			seen.add(ctx.IsReplaying())
			for range 2 {
				if _, err := ctx.Timer(0).Await(); err != nil {
					return struct{}{}, err
				}
				seen.add(ctx.IsReplaying())
			}
			return struct{}{}, nil
		}))
		resultOf(t, w, launch(t, w, replaySteps, struct{}{}))
		want := []bool{w.NoCache, w.NoCache, false}
		if got := seen.all(); !slices.Equal(got, want) {
			t.Errorf("replaying: %v, want %v", got, want)
		}
	})
}

// rightCode calls an activity and waits; wrongCode does something else where the history says
// activity.
func rightCode(ctx *orchestration.Context, _ struct{}) (string, error) {
	first, err := orchestration.CallActivity(ctx, replayA, "a").Await()
	if err != nil {
		return "", err
	}
	_, err = orchestration.WaitForEvent(ctx, replayGo).Await()
	return first, err
}

func wrongCode(ctx *orchestration.Context, _ struct{}) (string, error) {
	_, err := ctx.Timer(time.Hour).Await()
	return "", err
}

func replayActivity() worker.Binding {
	return replayA.With(func(_ context.Context, in string) (string, error) { return in + "!", nil })
}

// storedState is everything stored about an instance.
func storedState(w *fleettest.World, id string) string {
	row, _ := w.Row(id)
	var b strings.Builder
	for _, row := range append([]storage.Row{row}, w.HistoryRows(id)...) {
		fmt.Fprintf(&b, "%s %s:", row.RowKey, row.ETag)
		for _, column := range slices.Sorted(maps.Keys(row.Values)) {
			fmt.Fprintf(&b, " %s=%v", column, row.Values[column])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Y02 (ours): by default an instance whose code was changed is held. Nothing stored changes, and
// with the right code it goes on.
func TestReplay_DivergenceHolds_Y02(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		first := w.Start(nil, replayActivity(), replayChild.With(rightCode))
		instance := launch(t, w, replayChild, struct{}{})
		w.Eventually(soon, "the activity is done", func() bool {
			return kinds(eventsOf(t, w, instance.ID()))[history.KindTaskCompleted] == 1
		})
		w.DrainedWithin(soon)
		check(t, first.Stop())
		before := storedState(w, instance.ID())
		wrong := w.Start(quietOptions(), replayActivity(), replayChild.With(wrongCode))
		raise(t, w, instance.ID(), replayGo, struct{}{})
		w.Eventually(soon, "the instance is held", func() bool { return wrong.Stats().Held[instance.ID()] != "" })
		for _, part := range []string{"ReplayA", "timer", "0"} {
			if held := wrong.Stats().Held[instance.ID()]; !strings.Contains(held, part) {
				t.Errorf("the reason %q does not name %q", held, part)
			}
		}
		<-time.After(10 * time.Minute)
		if after := storedState(w, instance.ID()); after != before {
			t.Errorf("what is stored has changed from\n%s\nto\n%s", before, after)
		}
		check(t, wrong.Stop())
		w.Start(nil, replayActivity(), replayChild.With(rightCode))
		if got, err := instance.Wait(w.Timeout(time.Hour)); err != nil || got != "a!" {
			t.Errorf("with the right code the end is %q, %v", got, err)
		}
	})
}

func quietOptions() *worker.Options {
	return &worker.Options{Logger: slog.New(slog.DiscardHandler)}
}

// Y02: with the policy "fail" such an instance fails, says what differs, and its parent sees it.
func TestReplay_DivergenceFails_Y02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		parent := replayParent.With(func(ctx *orchestration.Context, _ struct{}) (string, error) {
			_, err := orchestration.CallSubOrchestration(ctx, replayChild, struct{}{}, orchestration.InstanceID("diverging")).Await()
			var failed *orchestration.TaskError
			if errors.As(err, &failed) {
				return failed.Details.Message, nil
			}
			return "", err
		})
		first := w.Start(nil, replayActivity(), replayChild.With(rightCode), parent)
		instance := launch(t, w, replayParent, struct{}{})
		w.Eventually(soon, "the child waits", func() bool {
			loaded, err := w.Hub.Store().LoadHistory(w.Context(), "diverging")
			return err == nil && kinds(loaded.State.Events())[history.KindTaskCompleted] == 1
		})
		check(t, first.Stop())
		options := quietOptions()
		options.FailDivergent = true
		w.Start(options, replayActivity(), replayChild.With(wrongCode), parent)
		raise(t, w, "diverging", replayGo, struct{}{})
		got := resultOf(t, w, instance)
		end := endOf(t, w, "diverging")
		if end.Status != history.Failed || !strings.Contains(end.Failure, got) {
			t.Errorf("the child is %s with %q, the parent saw %q", end.Status, end.Failure, got)
		}
		for _, part := range []string{"activity", "ReplayA", "timer", "0", "changed"} {
			if !strings.Contains(got, part) {
				t.Errorf("the failure %q does not name %q", got, part)
			}
		}
	})
}

// Y03: ids made by the code are all different, and the same in every replay.
func TestReplay_UUIDs_Y03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var runs noted[string]
		w.Start(nil, replaySteps.With(func(ctx *orchestration.Context, _ struct{}) (struct{}, error) {
			for step := range 3 {
				for call := range 2 {
					id := ctx.NewUUID()
					runs.add(fmt.Sprintf("%d.%d %s", step, call, id))
					if id.Version() != 5 {
						return struct{}{}, fmt.Errorf("version %d", id.Version())
					}
				}
				if _, err := ctx.Timer(0).Await(); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, nil
		}))
		resultOf(t, w, launch(t, w, replaySteps, struct{}{}))
		distinct, ids := map[string]bool{}, map[string]bool{}
		for _, line := range runs.all() {
			distinct[line], ids[line[4:]] = true, true
		}
		if len(distinct) != 6 || len(ids) != 6 {
			t.Errorf("the ids are %q", runs.all())
		}
	})
}

// lockedBuffer collects the lines of a logger.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), text)
}

// Y04: the logger of the context writes each line once, at any level, and is off during replays.
func TestReplay_Logger_Y04(t *testing.T) {
	t.Parallel()
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		var out lockedBuffer
		var wrong noted[string]
		options := &worker.Options{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		w.Start(options, replaySteps.With(func(ctx *orchestration.Context, _ struct{}) (struct{}, error) {
			for step := range 3 {
				if on := ctx.Logger().Enabled(context.Background(), slog.LevelError); on == ctx.IsReplaying() {
					wrong.add(fmt.Sprintf("step %d: on %t, replaying %t", step, on, ctx.IsReplaying()))
				}
				for _, level := range levels {
					ctx.Logger().Log(context.Background(), level, fmt.Sprintf("step-%d-%s", step, level))
				}
				if _, err := ctx.Timer(0).Await(); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, nil
		}))
		resultOf(t, w, launch(t, w, replaySteps, struct{}{}))
		for step := range 3 {
			for _, level := range levels {
				if line := fmt.Sprintf("step-%d-%s", step, level); out.count(line) != 1 {
					t.Errorf("%s was logged %d times", line, out.count(line))
				}
			}
		}
		if w := wrong.all(); len(w) > 0 {
			t.Errorf("the logger was on or off at the wrong time: %q", w)
		}
	})
}
