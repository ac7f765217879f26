package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// slowly makes every storage request take its time, in virtual time.
func slowly(ctx context.Context, _ *storage.Call, next func(context.Context) error) error {
	run.Sleep(ctx, 10*time.Millisecond)
	return next(ctx)
}

// Hundreds of messages for names that nobody knows do not slow the others down: not while they wait,
// and hardly while all of them come at once.
func TestPoison_FloodOfUnknownNames(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		member := w.StartHooked(slowly, quietOptions(), poisonWork.With(func(_ context.Context, in string) (string, error) { return in, nil }),
			poisonCaller.With(func(ctx *orchestration.Context, in string) (string, error) {
				return orchestration.CallActivity(ctx, poisonWork, in).Await()
			}))
		// Work that goes on for a while: each instance a little after the one before.
		work := func(name string) time.Duration {
			began := time.Now()
			var all []*taskhub.Instance[string]
			for i := range 50 {
				all = append(all, launch(t, w, poisonCaller, "x", taskhub.InstanceID(fmt.Sprintf("%s-%d", name, i))))
				pass(t, w, 20*time.Millisecond)
			}
			for _, instance := range all {
				resultOf(t, w, instance)
			}
			return time.Since(began)
		}
		pass(t, w, 5*time.Second)
		alone := work("alone")
		for i := range 500 {
			launch(t, w, poisonOther, "y", taskhub.InstanceID(fmt.Sprint("unknown-", i)))
			item := unknownItem(i)
			w.Put(item, 0)
		}
		began := time.Now()
		slowest := work("arriving")
		// All of them come back at the same time, again and again.
		for _, at := range []int{6, 30, 126, 510, 1022} {
			pass(t, w, time.Until(began.Add(time.Duration(at)*time.Second-200*time.Millisecond)))
			slowest = max(slowest, work(fmt.Sprint("meanwhile-", at)))
		}
		pass(t, w, time.Minute)
		unknown := member.Stats().Unknown
		t.Logf("50 instances took %v alone, at most %v with 1000 messages that nobody knows; seen %v", alone, slowest, unknown)
		if slowest > 2*alone {
			t.Errorf("%v alone, %v with messages that nobody knows", alone, slowest)
		}
		if unknown[poisonOther.Name()] != 5000 || unknown["Nobody"] != 5000 {
			t.Errorf("seen %v", unknown)
		}
		untouched(t, w)
	})
}

// unknownItem is a work item of an activity that nobody knows, for an instance that is alive.
func unknownItem(i int) *wire.Message {
	self := history.Instance{InstanceID: fmt.Sprint("unknown-", i), ExecutionID: "e"}
	return &wire.Message{
		Event:  &history.TaskScheduled{Header: history.Header{EventID: 0, Timestamp: time.Now()}, Name: "Nobody"},
		Target: self, Sender: &self,
	}
}
