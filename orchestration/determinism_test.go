package orchestration_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Y01: whether code is replayed is known at every point.
func TestIsReplaying_Y01(t *testing.T) {
	t.Parallel()
	var last []bool
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		run := []bool{ctx.IsReplaying()}
		for range 2 {
			if _, err := ctx.Timer(sec).Await(); err != nil {
				return "", err
			}
			run = append(run, ctx.IsReplaying())
		}
		last = run
		return "", nil
	}), orchestration.Options{})
	d.turn(started("Job", `""`))
	d.turn(fired(0))
	d.advanceReplayed(fired(1))
	if !slices.Equal(last, []bool{true, true, false}) {
		t.Errorf("replaying: %v", last)
	}
}

// advanceReplayed gives the events to a replayed execution only.
func (d *driver) advanceReplayed(events ...history.Event) {
	d.t.Helper()
	x := d.fresh()
	if err := x.Replay(d.log); err != nil {
		d.t.Fatal(err)
	}
	if _, err := x.Advance(append([]history.Event{turnStarted(d.now.Add(sec))}, events...)); err != nil {
		d.t.Fatal(err)
	}
}

// Y02, Y07: code that does not do what the history says is told apart by the first difference.
func TestNonDeterminism_Y02_Y07(t *testing.T) {
	t.Parallel()
	code := jobOf(func(ctx *orchestration.Context) (string, error) {
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		if _, err := ctx.Timer(sec).Await(); err != nil {
			return "", err
		}
		if err := orchestration.SendEvent(ctx, "other", note, "x"); err != nil {
			return "", err
		}
		return orchestration.CallSubOrchestration(ctx, job, "x").Await()
	})
	h0, h1, h2, h3 := head(0, epoch), head(1, epoch), head(2, epoch), head(3, epoch)
	task := &history.TaskScheduled{Header: h0, Name: "Work"}
	timer := &history.TimerCreated{Header: h1, FireAt: epoch.Add(sec)}
	sent := &history.EventSent{Header: h2, Name: "Note", InstanceID: "other"}
	child := &history.SubOrchestrationCreated{Header: h3, Name: "Job", InstanceID: "exec:3"}
	completed := &history.ExecutionCompleted{Header: head(4, epoch), Status: history.Completed}
	for _, tt := range []struct {
		name     string
		events   []history.Event
		id       int32
		recorded string
		produced string
	}{
		{"as recorded", []history.Event{task, done(0, `""`), timer, fired(1), sent, child, childDone(3, `""`), completed}, -1, "", ""},
		{"case of names", []history.Event{&history.TaskScheduled{Header: h0, Name: "WORK"}}, -1, "", ""},
		{"split timer", []history.Event{&history.TimerCreated{Header: head(history.SplitTimerID, epoch)}, &history.TimerFired{Header: noID, TimerID: history.SplitTimerID}, task}, -1, "", ""},
		{"other name", []history.Event{&history.TaskScheduled{Header: h0, Name: "Rest"}}, 0, `activity "Rest"`, `activity "Work"`},
		{"other kind", []history.Event{&history.TimerCreated{Header: h0, FireAt: epoch}}, 0, "timer for 2026-01-02T03:04:05Z", `activity "Work"`},
		{"too early", []history.Event{task, timer}, 1, "timer for 2026-01-02T03:04:06Z", "nothing yet"},
		{"unknown id", []history.Event{&history.TaskScheduled{Header: head(7, epoch), Name: "Work"}}, 7, `activity "Work"`, "nothing yet"},
		{"recorded twice", []history.Event{task, task}, 0, `activity "Work"`, "nothing yet"},
		{"other event", []history.Event{task, done(0, `""`), timer, fired(1), &history.EventSent{Header: h2, Name: "Tock", InstanceID: "a"}}, 2, `event "Tock" to instance "a"`, `event "Note" to instance "other"`},
		{"other child", []history.Event{task, done(0, `""`), timer, fired(1), sent, &history.SubOrchestrationCreated{Header: h3, Name: "Play", InstanceID: "c"}}, 3, `sub-orchestration "Play" as instance "c"`, `sub-orchestration "Job" as instance "exec:3"`},
		{"ended too early", []history.Event{task, completed}, 4, "end of the orchestration (Completed)", "the orchestrator still waits"},
		{"other end", []history.Event{task, failed(0, "no"), completed}, 4, "end of the orchestration (Completed)", "end of the orchestration (Failed)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := orchestration.NewExecution(code, orchestration.Options{})
			t.Cleanup(x.Close)
			err := x.Replay(append([]history.Event{turnStarted(epoch), started("Job", `""`)}, tt.events...))
			if tt.id < 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var differs *orchestration.NonDeterminismError
			if !errors.As(err, &differs) || !errors.Is(err, orchestration.ErrNonDeterminism) {
				t.Fatalf("error: %v", err)
			}
			if differs.EventID != tt.id || differs.Recorded != tt.recorded || !strings.HasPrefix(differs.Produced, tt.produced) {
				t.Errorf("difference: %+v", differs)
			}
			if message := err.Error(); !strings.Contains(message, `instance "inst"`) || !strings.Contains(message, "code changed") {
				t.Errorf("message: %s", message)
			}
		})
	}
}

// Y02: a difference is also found when the rest of the history arrives as new events.
func TestNonDeterminism_InAdvance_Y02(t *testing.T) {
	t.Parallel()
	x := orchestration.NewExecution(waiting(), orchestration.Options{})
	t.Cleanup(x.Close)
	_, err := x.Advance([]history.Event{turnStarted(epoch), started("Job", `""`), &history.TaskScheduled{Header: head(0, epoch), Name: "Rest"}})
	if !errors.Is(err, orchestration.ErrNonDeterminism) {
		t.Errorf("error: %v", err)
	}
}

// A history that begins without an episode is corrupt.
func TestReplay_CorruptHistory(t *testing.T) {
	t.Parallel()
	x := orchestration.NewExecution(waiting(), orchestration.Options{})
	t.Cleanup(x.Close)
	if err := x.Replay([]history.Event{started("Job", `""`)}); !errors.Is(err, orchestration.ErrCorruptHistory) {
		t.Errorf("error: %v", err)
	}
}

// Y03: ids differ from call to call and are the same in every replay.
func TestNewUUID_Y03(t *testing.T) {
	t.Parallel()
	var runs [][]string
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		run := []string{ctx.NewUUID().String(), ctx.NewUUID().String()}
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		id := ctx.NewUUID()
		runs = append(runs, append(run, id.String()))
		return id.Version().String(), nil
	}), orchestration.Options{})
	d.turn(started("Job", `""`))
	d.expect([]string{`1 Completed "VERSION_5"`}, done(0, `""`))
	if len(runs) != 2 {
		t.Fatalf("%d runs", len(runs))
	}
	if diff := cmp.Diff(runs[0], runs[1]); diff != "" {
		t.Errorf("replay has other ids:\n%s", diff)
	}
	if ids := slices.Compact(slices.Sorted(slices.Values(runs[0]))); len(ids) != 3 {
		t.Errorf("ids: %v", runs[0])
	}
}

// Y04: a line is logged once, whatever the replays, with who said it.
func TestLogger_Y04(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	options := orchestration.Options{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	x := orchestration.NewExecution(logging(), options)
	t.Cleanup(x.Close)
	recorded := []history.Event{
		turnStarted(epoch), started("Job", `""`), &history.TaskScheduled{Header: head(0, epoch), Name: "Work"},
	}
	if err := x.Replay(recorded); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("logged in replay: %s", out.String())
	}
	if _, err := x.Advance([]history.Event{turnStarted(epoch), done(0, `""`)}); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=after") || !strings.Contains(got, "instance=inst") ||
		!strings.Contains(got, "orchestration=Job") || !strings.Contains(got, "step=1") || !strings.Contains(got, "g.n=2") {
		t.Errorf("logged: %s", got)
	}
}

func logging() orchestration.Binding {
	return jobOf(func(ctx *orchestration.Context) (string, error) {
		log := ctx.Logger().With("step", 1).WithGroup("g")
		log.Info("before", "n", 1)
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		log.Debug("too fine")
		log.Info("after", "n", 2)
		return "", nil
	})
}

// Y05: actions come in the order of their ids, the end last.
func TestAdvance_OrderedActions_Y05(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		for i := range 50 {
			call(ctx, fmt.Sprint(i))
		}
		return "", nil
	}), orchestration.Options{})
	decision := d.turn(started("Job", `""`))
	for i, action := range decision.Actions {
		if action.ActionID() != int32(i) {
			t.Fatalf("action %d has id %d", i, action.ActionID())
		}
	}
	if len(decision.Actions) != 51 || decision.Complete() == nil {
		t.Errorf("%d actions, end %v", len(decision.Actions), decision.Complete())
	}
}

// Actions that were decided but never recorded come up again in the next turn, first.
func TestAdvance_OwedActions(t *testing.T) {
	t.Parallel()
	x := orchestration.NewExecution(waiting(), orchestration.Options{})
	t.Cleanup(x.Close)
	recorded := []history.Event{turnStarted(epoch), started("Job", `""`), &history.TimerCreated{Header: head(1, epoch)}}
	if err := x.Replay(recorded); err != nil || !x.Pending() {
		t.Fatalf("replay: %v, pending %v", err, x.Pending())
	}
	decision, err := x.Advance([]history.Event{turnStarted(epoch), raised("Tick", "1")})
	if got := render(decision.Actions, epoch); err != nil || len(got) != 1 || got[0] != `0 activity Work ["a"]` || x.Pending() {
		t.Errorf("actions %q, %v, pending %v", got, err, x.Pending())
	}
}
