package run_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// A loop goes on after errors and panics, with pauses that grow, says so, and ends with its context.
func TestLoop_SurvivesErrorsAndPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var log bytes.Buffer
		var at []time.Duration
		began := time.Now()
		run.Loop(ctx, slog.New(slog.NewTextHandler(&log, nil)), "test loop", func(context.Context) error {
			at = append(at, time.Since(began))
			switch len(at) {
			case 1:
				return errors.New("no luck")
			case 2:
				panic("worse")
			case 4:
				stop()
			}
			return nil
		})
		want := []time.Duration{0, 250 * time.Millisecond, 750 * time.Millisecond, 750 * time.Millisecond}
		if len(at) != len(want) {
			t.Fatalf("steps at %v", at)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("steps at %v, want %v", at, want)
			}
		}
		for _, text := range []string{"test loop", "no luck", "panic: worse"} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("the log lacks %q:\n%s", text, log.String())
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 20 * time.Second, 31: 20 * time.Second, 1 << 30: 20 * time.Second,
	} {
		if got := run.Backoff(failures, time.Second, 20*time.Second); got != want {
			t.Errorf("after %d failures %v, want %v", failures, got, want)
		}
	}
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		wake := make(chan struct{}, 1)
		wake <- struct{}{}
		for _, step := range []struct {
			name  string
			sleep func() bool
			took  time.Duration
			want  bool
		}{
			{"no time", func() bool { return run.Sleep(ctx, -time.Second) }, 0, true},
			{"in full", func() bool { return run.Sleep(ctx, time.Second) }, time.Second, true},
			{"woken", func() bool { run.SleepOr(ctx, time.Minute, wake, nil); return true }, 0, true},
			{"not woken", func() bool { run.SleepOr(ctx, time.Second, wake, nil); return true }, time.Second, true},
			{"cut short", func() bool { return run.Sleep(ctx, time.Minute) }, 3 * time.Second, false},
			{"over", func() bool { return run.Sleep(ctx, 0) }, 0, false},
			{"over, with a wake", func() bool { run.SleepOr(ctx, time.Minute, wake, nil); return true }, 0, true},
		} {
			began := time.Now()
			if got := step.sleep(); got != step.want || time.Since(began) != step.took {
				t.Errorf("%s: %v after %v", step.name, got, time.Since(began))
			}
		}
	})
}

// Each makes every call once, no more than allowed at a time, and waits for all.
func TestEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 3, 10} {
			var now, most, sum atomic.Int64
			began := time.Now()
			run.Each(t.Context(), "test", n, 3, func(ctx context.Context, i int) {
				if running := now.Add(1); running > most.Load() {
					most.Store(running)
				}
				run.Sleep(ctx, time.Second)
				sum.Add(int64(i) + 1)
				now.Add(-1)
			})
			rounds := (n + 2) / 3
			if sum.Load() != int64(n*(n+1)/2) || most.Load() != int64(min(n, 3)) || time.Since(began) != time.Duration(rounds)*time.Second {
				t.Errorf("%d calls: sum %d, %d at a time, %v", n, sum.Load(), most.Load(), time.Since(began))
			}
		}
	})
}

// A gate sees every goroutine where it is started, those of goroutines included, and each begins
// when it is let in.
func TestGroup_Gated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var names []string
		open := make(chan struct{})
		ctx := run.WithGate(t.Context(), func(name string) func() {
			names = append(names, name)
			return func() { <-open }
		})
		var group run.Group
		var began atomic.Int64
		group.Go(ctx, "outer", func(ctx context.Context) {
			began.Add(1)
			group.Go(context.WithoutCancel(ctx), "inner", func(context.Context) { began.Add(1) })
		})
		synctest.Wait()
		if n := began.Load(); n != 0 || len(names) != 1 {
			t.Fatalf("%d goroutines began before the gate opened; the gate saw %q", n, names)
		}
		close(open)
		group.Wait()
		if n := began.Load(); n != 2 || len(names) != 2 || names[0] != "outer" || names[1] != "inner" {
			t.Errorf("%d goroutines began; the gate saw %q", n, names)
		}
	})
}
