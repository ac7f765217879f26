package applease_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition/applease"
)

// world is a hub whose app lease is contended for.
type world struct {
	t       *testing.T
	account storage.Account
	names   wire.Names
	changed chan struct{}
}

func newWorld(t *testing.T, account storage.Account, hub string) *world {
	t.Helper()
	names, err := wire.NewNames(hub)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, account: account, names: names, changed: make(chan struct{}, 1)}
	if err := account.Blobs.CreateContainer(t.Context(), names.AppLease()); err != nil {
		t.Fatal(err)
	}
	err = account.Blobs.PutBlob(t.Context(), names.AppLease(), names.AppLeaseInfo(), []byte("{}"), true)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *world) await(within time.Duration, what string, condition func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	timer := time.NewTimer(within)
	defer timer.Stop()
	for !condition() {
		select {
		case <-w.changed:
		case <-time.After(50 * time.Millisecond):
		case <-timer.C:
			w.t.Fatalf("after %v still not: %s; info %s", within, what, w.info())
		}
	}
	return time.Since(start)
}

func (w *world) info() string {
	w.t.Helper()
	data, err := w.account.Blobs.GetBlob(context.Background(), w.names.AppLease(), w.names.AppLeaseInfo(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// worker is one worker of an application.
type worker struct {
	*applease.Lease
	w      *world
	hook   atomic.Pointer[storage.Hook]
	runs   atomic.Int64
	active atomic.Bool
	cause  atomic.Value
	// finish is how long the gated function takes to end.
	finish time.Duration
	stop   context.CancelFunc
	result chan error
}

func (w *world) start(app string, opts applease.Options) *worker {
	w.t.Helper()
	o := &worker{w: w, result: make(chan error, 1), finish: 10 * time.Millisecond}
	account := storage.WithHook(w.account, func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		if hook := o.hook.Load(); hook != nil {
			return (*hook)(ctx, call, next)
		}
		return next(ctx)
	})
	opts.AppName, opts.OnChange = app, w.notify
	var err error
	if o.Lease, err = applease.New(account.Blobs, w.names, &opts); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	over := make(chan struct{})
	go func() {
		defer close(over)
		o.result <- o.Run(ctx, o.gated)
		w.notify()
	}()
	w.t.Cleanup(func() {
		stop()
		<-over
	})
	return o
}

func (o *worker) gated(ctx context.Context) error {
	o.runs.Add(1)
	o.active.Store(true)
	o.w.notify()
	<-ctx.Done()
	o.cause.Store(context.Cause(ctx))
	<-time.After(o.finish)
	o.active.Store(false)
	o.w.notify()
	return nil
}

func (o *worker) is(active bool) func() bool {
	return func() bool { return o.active.Load() == active && o.Held() == active }
}

func (o *worker) fault(hook storage.Hook) { o.hook.Store(&hook) }

func cutOff(ctx context.Context, call *storage.Call, _ func(context.Context) error) error {
	<-ctx.Done()
	return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: ctx.Err()}
}

const (
	infoOne   = `{"OwnerId":"ba2719ef-0000-0000-0000-000000000000","DesiredSwapId":null}`
	infoTwo   = `{"OwnerId":"be248829-0000-0000-0000-000000000000","DesiredSwapId":null}`
	infoWants = `{"OwnerId":"ba2719ef-0000-0000-0000-000000000000","DesiredSwapId":"be248829-0000-0000-0000-000000000000"}`
)

func TestRun_OneApplicationAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		if got := w.info(); got != infoOne {
			t.Errorf("info %s", got)
		}
		again := w.start("one", applease.Options{})
		w.await(time.Second, "so is another worker of the application", again.is(true))
		b := w.start("two", applease.Options{})
		<-time.After(20 * time.Minute)
		if !a.active.Load() || !again.active.Load() || b.active.Load() || a.runs.Load() != 1 {
			t.Errorf("a %v, again %v, b %v", a.active.Load(), again.active.Load(), b.active.Load())
		}
		a.stop()
		again.stop()
		w.await(6*time.Minute+5*time.Second, "b is primary", b.is(true))
		if got := w.info(); got != infoTwo {
			t.Errorf("info %s", got)
		}
	})
}

// A forced swap, and back: unlike the .NET engine, an application that lost the lease can get it
// again.
func TestForce_ThereAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		b := w.start("two", applease.Options{})
		<-time.After(time.Second)
		if err := b.Force(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.await(time.Second, "b is primary", b.is(true))
		if got := w.info(); got != infoTwo {
			t.Errorf("info %s", got)
		}
		w.await(26*time.Second, "a has noticed", a.is(false))
		if cause, _ := a.cause.Load().(error); !errors.Is(cause, applease.ErrNotPrimary) {
			t.Errorf("cause %v", cause)
		}
		<-time.After(10 * time.Second)
		if err := a.Force(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.await(time.Second, "a is primary again", a.is(true))
		w.await(26*time.Second, "b has noticed", b.is(false))
		<-time.After(20 * time.Minute)
		if !a.active.Load() || a.runs.Load() != 2 || b.active.Load() {
			t.Errorf("a %v (%d runs), b %v", a.active.Load(), a.runs.Load(), b.active.Load())
		}
	})
}

// The wish of an application without a Run is taken up by its next attempt, and survives that a
// worker of the owner starts meanwhile.
func TestForce_WithoutRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		tool, err := applease.New(w.account.Blobs, w.names, &applease.Options{AppName: "two"})
		if err != nil {
			t.Fatal(err)
		}
		if err := tool.Force(t.Context()); err != nil {
			t.Fatal(err)
		}
		late := w.start("one", applease.Options{})
		w.await(time.Second, "another worker of a's is primary", late.is(true))
		if got := w.info(); got != infoWants {
			t.Errorf("info %s", got)
		}
		b := w.start("two", applease.Options{})
		w.await(time.Second, "b is primary", b.is(true))
		w.await(26*time.Second, "a has noticed", a.is(false))
	})
}

// A wish for what one has already leaves no trace.
func TestForce_ByTheOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		if err := a.Force(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.info(); got != infoOne {
			t.Errorf("info %s", got)
		}
	})
}

// The recorded owner has died and its lease has run out, so there is nothing to change.
func TestForce_AfterTheOwnerDied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		data := []byte(infoWants)
		if err := w.account.Blobs.PutBlob(t.Context(), w.names.AppLease(), w.names.AppLeaseInfo(), data, false); err != nil {
			t.Fatal(err)
		}
		b := w.start("two", applease.Options{})
		w.await(time.Second, "b is primary", b.is(true))
		if got := w.info(); got != infoTwo {
			t.Errorf("info %s", got)
		}
	})
}

func TestRun_Crash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		b := w.start("two", applease.Options{AcquireInterval: time.Second})
		a.fault(cutOff)
		ended := w.await(time.Minute, "a has given up", a.is(false))
		if b.active.Load() {
			t.Error("b is primary before a has ended")
		}
		took := w.await(time.Minute, "b is primary", b.is(true))
		t.Logf("a ended after %v, b began %v later", ended, took)
		a.hook.Store(nil)
		<-time.After(10 * time.Minute)
		if a.active.Load() || !b.active.Load() {
			t.Error("a has come back")
		}
	})
}

func TestRun_Outage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		outage time.Duration
		runs   int64
	}{{"short", 25 * time.Second, 1}, {"long", 3 * time.Minute, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, memory.New().Account(), "hub")
				a := w.start("one", applease.Options{})
				w.await(time.Second, "a is primary", a.is(true))
				<-time.After(24 * time.Second)
				a.fault(cutOff)
				<-time.After(tt.outage)
				a.hook.Store(nil)
				w.await(time.Minute, "a is primary", a.is(true))
				if got := a.runs.Load(); got != tt.runs {
					t.Errorf("%d runs, want %d", got, tt.runs)
				}
			})
		})
	}
}

// Every third reply is lost after its request took effect.
func TestRun_LostReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		b := w.start("two", applease.Options{})
		<-time.After(time.Second)
		var calls atomic.Int64
		b.fault(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			err := next(ctx)
			if err == nil && call.Kind != storage.BlobGet && calls.Add(1)%3 == 2 {
				return &storage.Error{Op: call.Kind, Target: call.Target, Sentinel: storage.ErrUnavailable, Ambiguous: true}
			}
			return err
		})
		if err := b.Force(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.await(time.Minute, "b is primary", b.is(true))
		<-time.After(10 * time.Minute)
		if !b.active.Load() || b.runs.Load() != 1 || a.active.Load() {
			t.Errorf("b %v (%d runs), a %v", b.active.Load(), b.runs.Load(), a.active.Load())
		}
	})
}

// The lease is kept while the gated function drains.
func TestRun_StopKeepsTheLeaseDuringTheDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		a := w.start("one", applease.Options{})
		w.await(time.Second, "a is primary", a.is(true))
		a.finish = 5 * time.Minute
		b := w.start("two", applease.Options{AcquireInterval: time.Second})
		a.stop()
		w.await(6*time.Minute, "a has ended", func() bool {
			if a.active.Load() && b.active.Load() {
				t.Fatal("both are primary")
			}
			return len(a.result) == 1
		})
		if err := <-a.result; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRun_GatedReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), "hub")
		lease, err := applease.New(w.account.Blobs, w.names, nil)
		if err != nil {
			t.Fatal(err)
		}
		if lease.ID() != "811c9dc5-0000-0000-0000-000000000000" {
			t.Errorf("id %s", lease.ID())
		}
		broken := errors.New("broken")
		err = lease.Run(t.Context(), func(ctx context.Context) error {
			if err := lease.Run(ctx, nil); !errors.Is(err, applease.ErrRun) {
				t.Errorf("second Run: %v", err)
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := lease.Run(ctx, nil); err != nil {
			t.Errorf("Run after the end: %v", err)
		}
	})
}

func TestNew_Validates(t *testing.T) {
	t.Parallel()
	names, err := wire.NewNames("hub")
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []applease.Options{
		{LeaseDuration: 2 * time.Minute},
		{LeaseDuration: time.Second},
		{RenewInterval: 31 * time.Second},
		{AcquireInterval: -1},
		{Margin: 21 * time.Second},
	} {
		if _, err := applease.New(memory.New().Account().Blobs, names, &opts); err == nil {
			t.Errorf("options %+v were accepted", opts)
		}
	}
}

func TestForce_OnAzurite(t *testing.T) {
	t.Parallel()
	account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, account, fmt.Sprintf("Force%d", time.Now().UnixNano()))
	opts := applease.Options{RenewInterval: time.Second, LeaseDuration: 15 * time.Second}
	a := w.start("one", opts)
	w.await(10*time.Second, "a is primary", a.is(true))
	b := w.start("two", opts)
	for i, next := range []*worker{b, a, b} {
		if err := next.Force(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.await(10*time.Second, "the next is primary", next.is(true))
		previous := []*worker{a, b, a}[i]
		w.await(10*time.Second, "the previous has noticed", previous.is(false))
	}
	if got := w.info(); got != infoTwo {
		t.Errorf("info %s", got)
	}
}
