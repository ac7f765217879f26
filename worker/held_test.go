package worker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/store"
)

const heldQueue = "held-queue"

// heldFixture is a queue with one message, and a keeper.
type heldFixture struct {
	t      *testing.T
	queues storage.Queues
	keeper *keeper
}

// withHeld runs a test in virtual time. The hook stands between keeper and queue; it may be nil.
func withHeld(t *testing.T, hook storage.Hook, f func(x *heldFixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		account := memory.New().Account()
		x := &heldFixture{t: t, queues: account.Queues}
		if hook != nil {
			account = storage.WithHook(account, hook)
		}
		x.keeper = newKeeper(account.Queues, 45*time.Second, slog.New(slog.DiscardHandler))
		x.must(x.queues.CreateQueue(t.Context(), heldQueue))
		_, err := x.queues.Put(t.Context(), heldQueue, "text", 0)
		x.must(err)
		f(x)
	})
}

func (x *heldFixture) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// receive takes the message from the queue.
func (x *heldFixture) receive() store.Received {
	x.t.Helper()
	batch, err := x.queues.Get(x.t.Context(), heldQueue, 1, 45*time.Second)
	x.must(err)
	if len(batch.Messages) != 1 {
		x.t.Fatalf("%d messages received", len(batch.Messages))
	}
	return store.Received{Message: batch.Messages[0], Queue: heldQueue}
}

func (x *heldFixture) left() int {
	x.t.Helper()
	n, err := x.queues.Count(x.t.Context(), heldQueue)
	x.must(err)
	return n
}

// A held message is renewed for as long as it is held, and its delivery ends with its deletion.
func TestHeld_RenewedUntilRemoved(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		ctx, stop := context.WithCancel(x.t.Context())
		defer stop()
		var keeping run.Group
		keeping.Go(ctx, "test: renewals", x.keeper.run)
		var renewals atomic.Int64
		h := x.keeper.take(x.receive(), time.Now())
		h.watch(func(context.Context) { renewals.Add(1) })
		for range 10 {
			<-time.After(30 * time.Second)
			if seen, _ := x.queues.Peek(ctx, heldQueue, 1); len(seen) > 0 {
				x.t.Fatal("the message is visible")
			}
		}
		if n := renewals.Load(); n < 15 || n > 20 {
			x.t.Errorf("it was renewed %d times in 300 s", n)
		}
		if !h.remove(ctx) || x.left() != 0 {
			x.t.Errorf("%d messages are left", x.left())
		}
		stop()
		keeping.Wait()
	})
}

// A renewal takes place when a third of the visibility has passed since the last one, counted from
// when the request was sent, and not before.
func TestHeld_RenewedAtAThird(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		began := time.Now()
		h := x.keeper.take(x.receive(), began)
		if due := x.keeper.due(began.Add(15*time.Second - 1)); len(due) > 0 {
			x.t.Error("due before a third of the visibility has passed")
		}
		if due := x.keeper.due(began.Add(15 * time.Second)); len(due) != 1 || due[0] != h {
			x.t.Errorf("%d messages are due after a third", len(due))
		}
		<-time.After(40 * time.Second)
		h.renew(x.t.Context())
		if due := x.keeper.due(began.Add(55*time.Second - 1)); len(due) > 0 {
			x.t.Error("due too early after a renewal")
		}
		<-time.After(44 * time.Second)
		if seen, _ := x.queues.Peek(x.t.Context(), heldQueue, 1); len(seen) > 0 {
			x.t.Error("the message is visible within the renewed visibility")
		}
		h.forget()
		if due := x.keeper.due(began.Add(time.Hour)); len(due) > 0 {
			x.t.Error("a forgotten message is renewed")
		}
	})
}

// A deletion that fails because the message was delivered to us again meanwhile is tried once more
// with the newer receipt.
func TestHeld_DeliveredDuringRemoval(t *testing.T) {
	var during func()
	deletions := 0
	hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Kind == storage.QueueDelete {
			if deletions++; deletions == 1 {
				during()
			}
		}
		return next(ctx)
	}
	withHeld(t, hook, func(x *heldFixture) {
		h := x.keeper.take(x.receive(), time.Now())
		during = func() {
			<-time.After(50 * time.Second)
			if x.keeper.take(x.receive(), time.Now()) != nil {
				x.t.Error("the message is held twice")
			}
		}
		if !h.remove(x.t.Context()) || x.left() != 0 || deletions != 2 {
			x.t.Errorf("%d messages are left after %d deletions", x.left(), deletions)
		}
	})
}

// H1: a second delivery replaces the receipt of the first; the message is worked on once.
func TestHeld_SecondDelivery(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		h := x.keeper.take(x.receive(), time.Now())
		<-time.After(50 * time.Second)
		if again := x.keeper.take(x.receive(), time.Now()); again != nil {
			x.t.Error("the message is held twice")
		}
		if !h.remove(x.t.Context()) || x.left() != 0 {
			x.t.Errorf("%d messages are left", x.left())
		}
	})
}

// A message that was put hidden for this worker, and was delivered to it before the reply was here, is
// held under the receipt of the delivery.
func TestHeld_DeliveredBeforeItWasTaken(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		h := x.keeper.take(x.receive(), time.Now())
		put := store.Received{Message: storage.Message{ID: h.ID, PopReceipt: "older"}, Queue: heldQueue}
		if x.keeper.take(put, time.Now()) != nil || h.currentReceipt() == "older" {
			x.t.Errorf("receipt %q", h.currentReceipt())
		}
	})
}

// A renewal that fails because the message was delivered to us again meanwhile does not end the
// holding.
func TestHeld_DeliveredDuringRenewal(t *testing.T) {
	var during func()
	hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if call.Kind == storage.QueueUpdate && during != nil {
			during()
		}
		return next(ctx)
	}
	withHeld(t, hook, func(x *heldFixture) {
		h := x.keeper.take(x.receive(), time.Now())
		during = func() {
			during = nil
			<-time.After(50 * time.Second)
			if x.keeper.take(x.receive(), time.Now()) != nil {
				x.t.Error("the message is held twice")
			}
		}
		h.renew(x.t.Context())
		h.renew(x.t.Context())
		if !h.remove(x.t.Context()) || x.left() != 0 {
			x.t.Errorf("%d messages are left", x.left())
		}
	})
}

// What somebody else has taken is given up, and its deletion is not taken for certain.
func TestHeld_TakenByAnother(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		h := x.keeper.take(x.receive(), time.Now())
		<-time.After(50 * time.Second)
		x.receive()
		h.renew(x.t.Context())
		if h.remove(x.t.Context()) || x.left() != 1 {
			x.t.Errorf("deletion confirmed although %d messages are left", x.left())
		}
	})
}

// What is gone counts as deleted.
func TestHeld_Gone(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		received := x.receive()
		h := x.keeper.take(received, time.Now())
		x.must(x.queues.Delete(x.t.Context(), heldQueue, received.ID, received.PopReceipt))
		if !h.remove(x.t.Context()) {
			x.t.Error("a message that is gone is not confirmed as deleted")
		}
	})
}

// What is put back is visible after its delay, and not before.
func TestHeld_PutBack(t *testing.T) {
	withHeld(t, nil, func(x *heldFixture) {
		x.keeper.take(x.receive(), time.Now()).putBack(x.t.Context(), 8*time.Second)
		<-time.After(7900 * time.Millisecond)
		if seen, _ := x.queues.Peek(x.t.Context(), heldQueue, 1); len(seen) > 0 {
			x.t.Error("the message is visible too early")
		}
		<-time.After(200 * time.Millisecond)
		if got := x.receive(); got.DequeueCount != 2 || got.Text != "text" {
			x.t.Errorf("the message came back as %+v", got)
		}
	})
}

// A message that is put back and delivered to this worker again before the reply of the put-back
// has come is held anew: dropped with the old holding, it would stay hidden until its visibility
// ends. A renewal that waited for the put-back asks nothing.
func TestHeld_DeliveredDuringPutBack(t *testing.T) {
	var (
		x       *heldFixture
		again   *held
		updates int
	)
	hook := func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		err := next(ctx)
		if call.Kind == storage.QueueUpdate && updates == 0 {
			updates++
			again = x.keeper.take(x.receive(), time.Now())
		} else if call.Kind == storage.QueueUpdate {
			updates++
		}
		return err
	}
	withHeld(t, hook, func(fixture *heldFixture) {
		x = fixture
		h := x.keeper.take(x.receive(), time.Now())
		h.putBack(x.t.Context(), 0)
		h.renew(x.t.Context())
		if updates != 1 {
			x.t.Errorf("%d updates", updates)
		}
		if again == nil {
			x.t.Fatal("the second delivery went to the holding that was ending")
		}
		if x.keeper.held[again.ID] != again {
			x.t.Error("the second delivery is not held")
		}
		again.putBack(x.t.Context(), 0)
		x.receive()
	})
}

func TestPutBackDelay(t *testing.T) {
	t.Parallel()
	for deliveries, want := range map[int]time.Duration{
		1: 2 * time.Second, 2: 4 * time.Second, 5: 32 * time.Second, 9: 512 * time.Second, 10: 600 * time.Second, 1000: 600 * time.Second,
	} {
		if got := putBackDelay(deliveries); got != want {
			t.Errorf("after %d deliveries: %v, want %v", deliveries, got, want)
		}
	}
}
