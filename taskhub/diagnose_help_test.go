package taskhub_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// The orchestrations of the tests about diagnoses.
var (
	dxAdd    = activity.Declare[int, int]("DxAdd")
	dxSlow   = activity.Declare[int, int]("DxSlow")
	dxGo     = orchestration.DeclareEvent[int]("Go")
	dxCall   = orchestration.Declare[int, int]("DxCall")
	dxTimer  = orchestration.Declare[int, int]("DxTimer")
	dxChild  = orchestration.Declare[int, int]("DxChild")
	dxParent = orchestration.Declare[int, int]("DxParent")
	dxWait   = orchestration.Declare[int, int]("DxWait")
	dxMixed  = orchestration.Declare[int, int]("DxMixed")
	dxAgain  = orchestration.Declare[int, int]("DxAgain")
	dxBrief  = orchestration.Declare[int, int]("DxBrief")
	dxLarge  = orchestration.Declare[string, string]("DxLarge")
)

// dxOrchestrations are bindings of all of them.
func dxOrchestrations() []worker.Binding {
	return []worker.Binding{
		dxCall.With(func(ctx *orchestration.Context, n int) (int, error) {
			return orchestration.CallActivity(ctx, dxAdd, n).Await()
		}),
		dxTimer.With(func(ctx *orchestration.Context, n int) (int, error) {
			_, err := ctx.Timer(time.Hour).Await()
			return n + 1, err
		}),
		dxChild.With(func(ctx *orchestration.Context, n int) (int, error) {
			m, err := orchestration.CallActivity(ctx, dxAdd, n).Await()
			return m + 1, err
		}),
		dxParent.With(func(ctx *orchestration.Context, n int) (int, error) {
			return orchestration.CallSubOrchestration(ctx, dxChild, n, orchestration.InstanceID(ctx.InstanceID()+"-child")).Await()
		}),
		dxWait.With(func(ctx *orchestration.Context, n int) (int, error) {
			m, err := orchestration.WaitForEvent(ctx, dxGo).Await()
			return n + m, err
		}),
		dxMixed.With(dxMix),
		dxBrief.With(func(ctx *orchestration.Context, n int) (int, error) {
			for i := range 5 {
				if _, err := ctx.Timer(2 * time.Second).Await(); err != nil {
					return 0, err
				}
				if _, err := orchestration.CallActivity(ctx, dxSlow, i%2).Await(); err != nil {
					return 0, err
				}
			}
			return n, nil
		}),
		dxAgain.With(func(ctx *orchestration.Context, n int) (int, error) {
			if _, err := ctx.Timer(20 * time.Second).Await(); err != nil || n == 0 {
				return n, err
			}
			orchestration.ContinueAsNew(ctx, dxAgain, n-1)
			return 0, nil
		}),
		dxLarge.With(func(ctx *orchestration.Context, s string) (string, error) {
			_, err := orchestration.WaitForEvent(ctx, dxGo).Await()
			return s, err
		}),
	}
}

// dxMix does a bit of everything.
func dxMix(ctx *orchestration.Context, n int) (int, error) {
	var calls []orchestration.Task[int]
	for i := range 5 {
		calls = append(calls, orchestration.CallActivity(ctx, dxSlow, i))
	}
	sum := 0
	for _, call := range calls {
		m, err := call.Await()
		if err != nil {
			return 0, err
		}
		sum += m
	}
	if _, err := ctx.Timer(30 * time.Second).Await(); err != nil {
		return 0, err
	}
	m, err := orchestration.CallSubOrchestration(ctx, dxChild, n).Await()
	return sum + m, err
}

func dxActivities() []worker.Binding {
	return []worker.Binding{
		dxAdd.With(func(_ context.Context, n int) (int, error) { return n + 1, nil }),
		dxSlow.With(func(ctx context.Context, n int) (int, error) {
			run.Sleep(ctx, time.Duration(n+1)*5*time.Second)
			return n, nil
		}),
	}
}

func dxAll() []worker.Binding { return append(dxOrchestrations(), dxActivities()...) }

// loses returns a hook that loses the first n messages whose text contains all the words: they are
// taken for sent.
func loses(n int, words ...string) storage.Hook {
	var mu sync.Mutex
	return func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if posted, ok := call.Content.(storage.Posted); ok && call.Kind == storage.QueuePut && containsAll(posted.Text, words) {
			mu.Lock()
			defer mu.Unlock()
			if n > 0 {
				n--
				return nil
			}
		}
		return next(ctx)
	}
}

func containsAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

func dxStart(t *testing.T, w *fleettest.World, o orchestration.Orchestrator[int, int], options ...taskhub.StartOption) *taskhub.Instance[int] {
	t.Helper()
	instance, err := taskhub.Start(w.Context(), w.Client, o, 1, options...)
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

func dxPass(w *fleettest.World, d time.Duration) { run.Sleep(w.Context(), d) }

func dxDiagnose(t *testing.T, w *fleettest.World, id string) *taskhub.Diagnosis {
	t.Helper()
	d, err := w.Client.Diagnose(w.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dxOnly returns the only finding of the code.
func dxOnly(t *testing.T, findings []taskhub.Finding, code taskhub.Code) *taskhub.Finding {
	t.Helper()
	var found *taskhub.Finding
	for i := range findings {
		if findings[i].Code != code {
			continue
		}
		if found != nil {
			t.Fatalf("%s is found twice: %+v", code, findings)
		}
		found = &findings[i]
	}
	if found == nil {
		t.Fatalf("no %s in %+v", code, findings)
	}
	return found
}

// dxNone fails the test if anything is found.
func dxNone(t *testing.T, what string, findings []taskhub.Finding) {
	t.Helper()
	for i := range findings {
		t.Errorf("%s: %+v", what, findings[i])
	}
}

// dxFix fixes the only finding of the code.
func dxFix(t *testing.T, w *fleettest.World, findings []taskhub.Finding, code taskhub.Code) string {
	t.Helper()
	f := dxOnly(t, findings, code)
	done, err := w.Client.Fix(w.Context(), f)
	if err != nil {
		t.Fatalf("fix %+v: %v", f, err)
	}
	return done
}

// dxWaits returns the texts of what an instance waits for.
func dxWaits(t *testing.T, d *taskhub.Diagnosis, kind taskhub.WaitKind, texts ...string) taskhub.Wait {
	t.Helper()
	if len(d.Waits) != 1 || d.Waits[0].Kind != kind || !containsAll(d.Waits[0].Text, texts) {
		t.Fatalf("waits %+v, want a %s with %q", d.Waits, kind, texts)
	}
	return d.Waits[0]
}

func dxResult(t *testing.T, w *fleettest.World, instance *taskhub.Instance[int], want int) {
	t.Helper()
	ctx := w.Timeout(2 * time.Hour)
	if got, err := instance.Wait(ctx); err != nil || got != want {
		t.Fatalf("result %d, %v; want %d", got, err, want)
	}
	w.Settled(time.Hour, instance.ID())
	dxNone(t, "afterwards", dxDiagnose(t, w, instance.ID()).Findings)
}

// dxReach waits until the instance has a status and nothing of it is under way.
func dxReach(t *testing.T, w *fleettest.World, id string, want history.Status) {
	t.Helper()
	w.Eventually(time.Minute, "the instance is "+string(want), func() bool {
		status, err := w.Client.Get(w.Context(), id)
		return err == nil && status.Status == want
	})
	dxPass(w, 2*time.Second)
}

// dxTake deletes the visible messages of a queue that contain all the words.
func dxTake(t *testing.T, w *fleettest.World, queue string, words ...string) {
	t.Helper()
	batch, err := w.Account.Queues.Get(w.Context(), queue, storage.MaxMessagesPerGet, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for _, m := range batch.Messages {
		if containsAll(m.Text, words) {
			deleted++
			if err := w.Account.Queues.Delete(w.Context(), queue, m.ID, m.PopReceipt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if deleted == 0 {
		t.Fatalf("no message with %q in %s", words, queue)
	}
	dxPass(w, 2*time.Second)
}

func dxQueue(w *fleettest.World, id string) string { return w.Hub.Store().ControlQueueOf(id) }
