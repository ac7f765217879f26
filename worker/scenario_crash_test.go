package worker_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// The programs that are cut off at every storage request.
var (
	crashWork   = activity.Declare[string, string]("CrashWork")
	crashChain  = orchestration.Declare[int, string]("CrashChain")
	crashFan    = orchestration.Declare[int, string]("CrashFan")
	crashTimer  = orchestration.Declare[struct{}, string]("CrashTimer")
	crashEvents = orchestration.Declare[struct{}, string]("CrashEvents")
	crashParent = orchestration.Declare[string, string]("CrashParent")
	crashAgain  = orchestration.Declare[string, string]("CrashAgain")
	crashEcho   = orchestration.Declare[string, string]("CrashEcho")
	crashNote   = orchestration.DeclareEvent[string]("Note")
)

func crashBindings(runs *atomic.Int64) []worker.Binding {
	return []worker.Binding{
		crashWork.With(func(_ context.Context, in string) (string, error) {
			runs.Add(1)
			return in + "!", nil
		}),
		crashChain.With(chainOf),
		crashFan.With(func(ctx *orchestration.Context, n int) (string, error) {
			tasks := make([]orchestration.Task[string], n)
			for i := range tasks {
				tasks[i] = orchestration.CallActivity(ctx, crashWork, fmt.Sprint(i))
			}
			texts, err := orchestration.All(tasks...).Await()
			return strings.Join(texts, ""), err
		}),
		crashTimer.With(func(ctx *orchestration.Context, _ struct{}) (string, error) {
			began := ctx.Now()
			_, err := ctx.Timer(2500 * time.Millisecond).Await()
			if ctx.Now().Sub(began) < 2500*time.Millisecond {
				return "early", err
			}
			return "rang", err
		}),
		crashEvents.With(collectNotes),
		crashParent.With(func(ctx *orchestration.Context, in string) (string, error) {
			return orchestration.CallSubOrchestration(ctx, crashEcho, in, orchestration.InstanceID("the-child")).Await()
		}),
		crashAgain.With(func(ctx *orchestration.Context, sofar string) (string, error) {
			ctx.SetCustomStatus(sofar)
			note, err := orchestration.WaitForEvent(ctx, crashNote).Await()
			if err != nil || note == "end" {
				return sofar, err
			}
			orchestration.ContinueAsNew(ctx, crashAgain, sofar+note)
			return "", nil
		}),
		crashEcho.With(func(ctx *orchestration.Context, in string) (string, error) {
			return orchestration.CallActivity(ctx, crashWork, in).Await()
		}),
	}
}

// chainOf calls an activity n times, each with the result of the one before.
func chainOf(ctx *orchestration.Context, n int) (string, error) {
	text := ""
	for range n {
		var err error
		if text, err = orchestration.CallActivity(ctx, crashWork, text).Await(); err != nil {
			return "", err
		}
	}
	return text, nil
}

// collectNotes shows what it has received and ends with it at the note "end".
func collectNotes(ctx *orchestration.Context, _ struct{}) (string, error) {
	for all := ""; ; {
		note, err := orchestration.WaitForEvent(ctx, crashNote).Await()
		if err != nil || note == "end" {
			return all, err
		}
		all += note
		ctx.SetCustomStatus(all)
	}
}

// crashRun is one run of a program, with what the client does in it.
type crashRun struct {
	t *testing.T
	w *fleettest.World
}

const crashID = "the-instance"

// patiently bounds each wait: a lease, a visibility and several growing delays.
const patiently = 30 * time.Minute

func (r *crashRun) until(what string, condition func(s *wire.Instance) bool) {
	r.t.Helper()
	r.eventually(what, func() bool {
		row, err := r.w.Hub.Store().ReadInstance(r.w.Context(), crashID, false)
		r.must(err)
		return condition(&row.Instance)
	})
}

// eventually looks often at first and then ever less, since most of the time nobody is there to
// work.
func (r *crashRun) eventually(what string, condition func() bool) {
	r.t.Helper()
	began := time.Now()
	for looks := 1; !condition(); looks++ {
		if time.Since(began) > patiently {
			r.t.Fatalf("not within %v: %s", patiently, what)
		}
		run.Sleep(r.w.Context(), run.Backoff(looks, 10*time.Millisecond, 2*time.Second))
	}
}

func (r *crashRun) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func startCrash[In, Out any](r *crashRun, o orchestration.Orchestrator[In, Out], in In) {
	r.t.Helper()
	_, err := taskhub.Start(r.w.Context(), r.w.Client, o, in, taskhub.InstanceID(crashID))
	r.must(err)
}

func (r *crashRun) running() {
	r.t.Helper()
	r.until("the instance runs", func(s *wire.Instance) bool { return s.Status == history.Running })
}

// notes raises events, each when the one before has taken effect; want is what shows already.
func (r *crashRun) notes(want string, all ...string) {
	r.t.Helper()
	for _, note := range all {
		r.must(taskhub.RaiseEvent(r.w.Context(), r.w.Client, crashID, crashNote, note))
		want += note
		r.until("the note "+note+" shows", func(s *wire.Instance) bool {
			return note == "end" || history.TextOr(s.CustomStatus, "") == `"`+want+`"`
		})
	}
}

type crashFlow struct {
	name string
	// drive starts the instance and does what its client does.
	drive  func(r *crashRun)
	status history.Status
	output string
	// activities is how many activity runs there are without a crash.
	activities int64
}

// large does not compress to a size below the limits of queues and tables.
var large = incompressible(100 << 10)

func incompressible(n int) string {
	var b strings.Builder
	for seed := uint64(1); b.Len() < n; {
		seed = seed*6364136223846793005 + 1442695040888963407
		b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[seed>>58])
	}
	return b.String()
}

func crashFlows() []crashFlow {
	return []crashFlow{
		{"one activity", func(r *crashRun) { startCrash(r, crashChain, 1) }, history.Completed, `"!"`, 1},
		{"chain of two", func(r *crashRun) { startCrash(r, crashChain, 2) }, history.Completed, `"!!"`, 2},
		{"fan-out of three", func(r *crashRun) { startCrash(r, crashFan, 3) }, history.Completed, `"0!1!2!"`, 3},
		{"timer", func(r *crashRun) { startCrash(r, crashTimer, struct{}{}) }, history.Completed, `"rang"`, 0},
		{"events", func(r *crashRun) {
			startCrash(r, crashEvents, struct{}{})
			r.running()
			r.notes("", "a", "b", "end")
		}, history.Completed, `"ab"`, 0},
		{"child", func(r *crashRun) { startCrash(r, crashParent, "x") }, history.Completed, `"x!"`, 1},
		{"continue as new", func(r *crashRun) {
			startCrash(r, crashAgain, "")
			r.running()
			r.notes("", "a", "b", "end")
		}, history.Completed, `"ab"`, 0},
		{"terminate", func(r *crashRun) {
			startCrash(r, crashEvents, struct{}{})
			r.running()
			r.must(r.w.Client.Terminate(r.w.Context(), crashID, "enough"))
		}, history.Terminated, "enough", 0},
		{"suspend and resume", func(r *crashRun) {
			startCrash(r, crashEvents, struct{}{})
			r.running()
			r.must(r.w.Client.Suspend(r.w.Context(), crashID, "wait"))
			r.until("the instance is suspended", func(s *wire.Instance) bool { return s.Status == history.Suspended })
			r.must(taskhub.RaiseEvent(r.w.Context(), r.w.Client, crashID, crashNote, "a"))
			r.must(r.w.Client.Resume(r.w.Context(), crashID, "go on"))
			r.running()
			r.notes("a", "b", "end")
		}, history.Completed, `"ab"`, 0},
		{"large payload", func(r *crashRun) { startCrash(r, crashEcho, large) }, history.Completed, `"` + large + `!"`, 1},
	}
}

// crashPoint kills a worker at its n-th request, before or after it takes effect.
type crashPoint struct {
	n     int
	after bool

	mu     sync.Mutex
	seen   int
	victim *fleettest.Member
	what   string
	killed chan struct{}
}

// hook counts requests. Polls that find a queue empty change nothing and are not counted.
func (p *crashPoint) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	if call.Kind == storage.QueueGet {
		err := next(ctx)
		if !call.Empty && p.due() {
			p.kill(call)
		}
		return err
	}
	due := p.due()
	if due && !p.after {
		p.kill(call)
	}
	err := next(ctx)
	if due && p.after {
		p.kill(call)
	}
	return err
}

// arm begins to count; before it, the worker is not yet running.
func (p *crashPoint) arm(victim *fleettest.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.victim = victim
}

func (p *crashPoint) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.victim == nil {
		return false
	}
	p.seen++
	return p.seen == p.n
}

func (p *crashPoint) kill(call *storage.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = fmt.Sprintf("%s %s %s", call.Kind, call.Target, call.Key)
	p.victim.Kill()
	close(p.killed)
}

// A worker that is killed at any request, before or after it took effect, leaves an instance that
// another worker brings to the same end.
func TestCrash_AtEveryRequest(t *testing.T) {
	t.Parallel()
	for _, flow := range crashFlows() {
		for _, noCache := range []bool{false, true} {
			mode := map[bool]string{false: "cached", true: "uncached"}[noCache]
			t.Run(flow.name+"/"+mode, func(t *testing.T) {
				if testing.Short() && noCache && flow.name == "large payload" {
					t.Skip("packs and unpacks for seconds; -short is set")
				}
				t.Parallel()
				points := 0
				for n := 1; crashBoth(t, &flow, noCache, n); n++ {
					points++
				}
				if points < 10 {
					t.Errorf("only %d requests were cut off", points)
				}
			})
		}
	}
}

// crashBoth cuts a flow off at its n-th request and reports whether it had so many.
func crashBoth(t *testing.T, flow *crashFlow, noCache bool, n int) bool {
	t.Helper()
	more := false
	for _, after := range []bool{false, true} {
		point := &crashPoint{n: n, after: after}
		ok := t.Run(fmt.Sprintf("%d,after=%t", n, after), func(t *testing.T) {
			fleettest.Virtual(t, noCache, func(t *testing.T, w *fleettest.World) { crashOnce(t, w, flow, point) })
		})
		more = more || point.what != "" && ok
	}
	return more
}

func crashOptions() *worker.Options {
	if os.Getenv("DURAFLEET_TEST_LOG") != "" {
		return logTo(os.Stderr)
	}
	return quietOptions()
}

func crashOnce(t *testing.T, w *fleettest.World, flow *crashFlow, point *crashPoint) {
	var runs atomic.Int64
	point.killed = make(chan struct{})
	victim := w.StartHooked(point.hook, crashOptions(), crashBindings(&runs)...)
	point.arm(victim)
	ctx, cancel := context.WithCancel(w.Context())
	var second run.Group
	second.Go(ctx, "test: replace the worker", func(ctx context.Context) {
		select {
		case <-point.killed:
			w.Start(crashOptions(), crashBindings(&runs)...)
		case <-ctx.Done():
		}
	})
	defer func() {
		cancel()
		second.Wait()
		if t.Failed() {
			t.Logf("the worker was killed at request %d, after=%t: %s", point.n, point.after, point.what)
		}
	}()
	r := &crashRun{t: t, w: w}
	flow.drive(r)
	r.until("the instance ends", func(s *wire.Instance) bool { return s.Status.Terminal() })
	r.eventually("all queues are empty", func() bool { return w.MessagesLeft() == 0 })
	cancel()
	second.Wait()
	r.check(flow, runs.Load(), point.what != "")
}

// check compares the end of the run with what it would be without a crash.
func (r *crashRun) check(flow *crashFlow, runs int64, crashed bool) {
	r.t.Helper()
	status, err := r.w.Client.Get(r.w.Context(), crashID)
	r.must(err)
	output := string(status.Output)
	if status.Status == history.Terminated {
		output = status.Reason
	}
	if status.Status != flow.status || output != flow.output {
		r.t.Errorf("the instance is %s with %.100q, want %s with %.100q", status.Status, output, flow.status, flow.output)
	}
	if runs < flow.activities || !crashed && runs > flow.activities {
		r.t.Errorf("%d activities ran, want %d", runs, flow.activities)
	}
	ids := []string{crashID}
	if flow.name == "child" {
		ids = append(ids, "the-child")
	}
	for _, id := range ids {
		checkHistory(r.t, r.w, id)
		r.must(r.w.Client.Purge(r.w.Context(), id))
		if rows := r.w.HistoryRows(id); len(rows) > 0 {
			r.t.Errorf("%d rows of %s are left after a purge", len(rows), id)
		}
	}
	if blobs := r.w.Blobs(); len(blobs) > 0 {
		r.t.Errorf("blobs that belong to nothing: %q", blobs)
	}
}

// checkHistory checks that a history is whole: no event twice, no answer before its question,
// every episode ended, the end where the status says.
func checkHistory(t *testing.T, w *fleettest.World, id string) {
	t.Helper()
	loaded, err := w.Hub.Store().LoadHistory(w.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Rows != loaded.State.Len() {
		t.Errorf("history of %s: %d of %d rows repeat another", id, loaded.Rows-loaded.State.Len(), loaded.Rows)
	}
	if !loaded.Complete {
		t.Errorf("history of %s: its last checkpoint was cut off", id)
	}
	asked := &history.State{}
	for i, e := range loaded.State.Events() {
		if history.IsAnswer(e) && asked.Request(e) == nil {
			t.Errorf("history of %s: event %d, %s, answers nothing", id, i, e.Kind())
		}
		if err := asked.Append(e); err != nil {
			t.Errorf("history of %s: event %d: %v", id, i, err)
		}
	}
	if end := loaded.State.Completed(); end == nil || loaded.State.Events()[loaded.State.Len()-1].Kind() != history.KindOrchestratorCompleted {
		t.Errorf("history of %s has no proper end: %v", id, end)
	}
}
