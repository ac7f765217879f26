package worker_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	garbageSeed  = flag.Uint64("garbage-seed", 1, "the first seed of the random damages")
	garbageSeeds = flag.Int("garbage-seeds", 0, "how many seeds of random damages to run; 0 means as many as the test runs usually")
)

var (
	garbageMix   = orchestration.Declare[string, int]("GarbageMix")
	garbageChild = orchestration.Declare[int, int]("GarbageChild")
)

// garbageBindings are an orchestration in which everything occurs that a history may hold, and what
// it calls.
func garbageBindings() []worker.Binding {
	return []worker.Binding{
		ruleWork.With(func(_ context.Context, in string) (string, error) { return in + "!", nil }),
		garbageChild.With(func(ctx *orchestration.Context, n int) (int, error) {
			note, err := orchestration.WaitForEvent(ctx, crashNote).Await()
			return n + len(note), err
		}),
		garbageMix.With(func(ctx *orchestration.Context, in string) (int, error) {
			ctx.SetCustomStatus("begun")
			out, err := orchestration.CallActivity(ctx, ruleWork, in).Await()
			if err != nil {
				return 0, err
			}
			if _, err := ctx.Timer(2 * time.Second).Await(); err != nil {
				return 0, err
			}
			child := orchestration.CallSubOrchestration(ctx, garbageChild, len(out), orchestration.InstanceID(ctx.InstanceID()+"-child"))
			for n := 0; ; n++ {
				note, err := orchestration.WaitForEvent(ctx, crashNote).Await()
				if err != nil {
					return 0, err
				}
				if note == "end" {
					m, err := child.Await()
					return n + m, err
				}
			}
		}),
	}
}

// Whatever is damaged of one instance, at whatever moment of its life: the worker lives, the instance
// beside it on the partition ends as if nothing was wrong, nothing circulates, and the damaged one ends
// or says what is wrong with it; it can be purged. The seed decides what is damaged:
//
//	go test ./worker -run TestGarbage_Random -garbage-seed=S -garbage-seeds=N
func TestGarbage_Random(t *testing.T) {
	t.Parallel()
	seeds := *garbageSeeds
	if seeds == 0 {
		if seeds = 60; testing.Short() {
			seeds = 8
		}
	}
	for i := range seeds {
		seed := *garbageSeed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) { randomGarbage(t, w, seed) })
		})
	}
}

func randomGarbage(t *testing.T, w *fleettest.World, seed uint64) {
	t.Helper()
	v := &vandal{t: t, w: w, r: rand.New(rand.NewPCG(seed, 7))}
	good := garbageLives(t, v)
	for range 1 + v.r.IntN(3) {
		v.strike()
	}
	options := lazyOptions()
	options.MaxDeliveries = 3
	w.Start(options, garbageBindings()...)
	pass(t, w, time.Minute)
	for _, id := range []string{"bad", good} {
		garbageNote(w, id, "end")
		garbageNote(w, id+"-child", "fin")
	}
	fail := func(format string, arguments ...any) {
		t.Helper()
		t.Errorf("seed %d: %s\n   %s", seed, fmt.Sprintf(format, arguments...), strings.Join(v.done, "\n   "))
	}
	if s, err := w.Client.Wait(w.Timeout(time.Hour), good); err != nil || s.Status != history.Completed {
		fail("the other instance is %+v, %v", s, err)
	}
	for hours := 0; hours < 16 && w.MessagesLeft() > 0; hours++ {
		pass(t, w, time.Hour/2)
	}
	garbageTold(t, w, fail)
	if err := w.Client.Purge(w.Context(), "bad", taskhub.Force{}); err != nil && !errors.Is(err, taskhub.ErrNotFound) {
		fail("it cannot be purged: %v", err)
	}
	if _, found := w.Row("bad"); found || len(w.HistoryRows("bad")) > 1 { // the sentinel may stay
		fail("a purge leaves something")
	}
}

// garbageLives lets the instance "bad", and one beside it on its partition, live up to some moment,
// and returns the other one.
func garbageLives(t *testing.T, v *vandal) (good string) {
	t.Helper()
	w, r := v.w, v.r
	var mu sync.Mutex
	listen := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if posted, ok := call.Content.(storage.Posted); ok && call.Kind == storage.QueuePut && strings.Contains(posted.Text, `"bad`) {
			mu.Lock()
			v.sent = append(v.sent, posted.Text)
			mu.Unlock()
		}
		return next(ctx)
	}
	first := w.StartHooked(listen, &worker.Options{Logger: quietOptions().Logger, NoInline: r.IntN(2) == 0}, garbageBindings()...)
	good = besideBad(w)
	input := "x"
	if r.IntN(2) == 0 {
		input = incompressible(50_000)
	}
	for _, id := range []string{"bad", good} {
		launch(t, w, garbageMix, input, taskhub.InstanceID(id))
	}
	pass(t, w, time.Duration(r.IntN(8000))*time.Millisecond)
	garbageNote(w, "bad", "hello")
	if r.IntN(2) == 0 {
		garbageNote(w, "bad", incompressible(40_000))
	}
	pass(t, w, time.Duration(r.IntN(3000))*time.Millisecond)
	if r.IntN(2) == 0 {
		first.Kill()
	}
	check(t, first.Stop())
	v.sent = append(v.sent, rawMessage(`"$type":"DurableTask.Core.History.EventRaisedEvent","Name":"Number","Input":"1"`))
	return good
}

// garbageNote raises an event, if there is still somebody to raise it to.
func garbageNote(w *fleettest.World, id, text string) {
	_ = taskhub.RaiseEvent(w.Context(), w.Client, id, crashNote, text, taskhub.Unchecked{})
}

// garbageTold checks that the damaged instance has ended or says what is wrong, that no message
// circulates without that being said, and that nothing that looks at the hub fails.
func garbageTold(t *testing.T, w *fleettest.World, fail func(string, ...any)) {
	t.Helper()
	d, err := w.Client.Diagnose(w.Context(), "bad")
	if err != nil {
		fail("diagnose: %v", err)
		return
	}
	if len(d.Findings) == 0 && (d.Status == nil || !d.Status.Status.Terminal()) {
		fail("nothing says what is wrong: %+v; it waits for %+v", d.Status, d.Waits)
	}
	status, codes := "no row", []taskhub.Code{}
	if d.Status != nil {
		status = string(d.Status.Status)
	}
	for _, f := range d.Findings {
		codes = append(codes, f.Code)
	}
	t.Logf("%s %v", status, codes)
	doctor, err := w.Client.Doctor(w.Context(), nil)
	if err != nil {
		fail("doctor: %v", err)
		return
	}
	waits := false // for code that fits, or for a name: messages are put back then until there is some
	for _, f := range append(d.Findings, doctor.Findings...) {
		waits = waits || f.Code == taskhub.CodeHeld || f.Code == taskhub.CodeNameUnknown
	}
	if left := w.MessagesLeft(); left > 0 && !waits {
		fail("%d messages circulate; diagnose says %+v, doctor %+v%s", left, d.Findings, doctor.Findings, garbageLeft(t, w))
	}
	if _, err := w.Client.List(w.Context(), taskhub.Query{Payloads: true}); err != nil {
		fail("list: %v", err)
	}
	if _, err := w.Hub.Health(w.Context()); err != nil {
		fail("health: %v", err)
	}
}

// garbageLeft shows the messages that are visible.
func garbageLeft(t *testing.T, w *fleettest.World) string {
	t.Helper()
	var b strings.Builder
	for _, queue := range w.Queues() {
		head, err := w.Account.Queues.Peek(w.Context(), queue, storage.MaxMessagesPerGet)
		check(t, err)
		for _, m := range head {
			fmt.Fprintf(&b, "\n   left in %s after %d deliveries: %.900s", queue, m.DequeueCount, m.Text)
		}
	}
	return b.String()
}
