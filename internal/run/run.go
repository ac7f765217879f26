// Package run owns goroutines. Every goroutine of Durafleet is started through a Group, has a
// name, and has ended when the Group's Wait returns.
package run

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// Group starts goroutines and waits for them. Its zero value is ready for use.
type Group struct {
	wg sync.WaitGroup
}

// Go runs f in a goroutine labelled with name for profiles and dumps. A panic in f is a bug of
// ours; it is not recovered here.
func (g *Group) Go(ctx context.Context, name string, f func(ctx context.Context)) {
	gate, gated := ctx.Value(gateKey{}).(Gate)
	if !gated {
		g.wg.Go(func() {
			pprof.Do(ctx, pprof.Labels("durafleet", name), f)
		})
		return
	}
	pass := gate(name)
	g.wg.Go(func() {
		pass()
		f(context.WithValue(ctx, passKey{}, pass))
	})
}

// Gate holds goroutines back before they begin: it is called where one is started, and what it
// returns is called by the new goroutine first, and again whenever it has waited, see Resume. The
// simulation lets them go on one at a time.
type Gate func(name string) (pass func())

type gateKey struct{}

type passKey struct{}

// Resume has to be called by a goroutine that has waited for something that may wake others, too, before
// it does anything else. ctx is its own.
func Resume(ctx context.Context) {
	if pass, ok := ctx.Value(passKey{}).(func()); ok {
		pass()
	}
}

// WithGate returns a context whose goroutines, and theirs, begin through gate.
func WithGate(ctx context.Context, gate Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, gate)
}

// Wait blocks until every goroutine of the group has ended.
func (g *Group) Wait() { g.wg.Wait() }

// Loop calls step until ctx ends. A step that fails or panics is logged and the loop goes on
// after a pause that grows with every failure in a row, up to a limit; a loop never ends silently.
func Loop(ctx context.Context, log *slog.Logger, name string, step func(ctx context.Context) error) {
	failures := 0
	for ctx.Err() == nil {
		err := guard(ctx, step)
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		failures++
		pause := Backoff(failures, 250*time.Millisecond, 15*time.Second)
		log.Error("loop goes on after an error", "loop", name, "error", err, "failures", failures, "pause", pause)
		Sleep(ctx, pause)
	}
}

func guard(ctx context.Context, step func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return step(ctx)
}

// Backoff returns the pause after the given number of failures in a row (1 is the first): floor,
// doubled with every further failure, at most ceiling.
func Backoff(failures int, floor, ceiling time.Duration) time.Duration {
	if failures > 30 {
		return ceiling
	}
	return min(ceiling, floor<<max(failures-1, 0))
}

// Sleep waits for d or until ctx ends and reports whether the full time has passed.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	Resume(ctx)
	return ctx.Err() == nil
}

// SleepOr waits for d, for a signal on wake, until stop is closed, or until ctx ends, whatever comes first.
// wake and stop may be nil. It reports whether there was a signal, which is used up then.
func SleepOr(ctx context.Context, d time.Duration, wake, stop <-chan struct{}) (woken bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
		woken = true
	case <-stop:
	case <-ctx.Done():
	}
	Resume(ctx)
	return Ready(wake) || woken // what has come meanwhile counts as well, and once, whatever the first choice was
}

// Ready reports whether c is closed or has a signal, which is used up then. It does not wait.
func Ready(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Each calls f for 0 to n−1, at most limit at a time, and returns when all calls have. A single
// call is made by the caller's own goroutine.
func Each(ctx context.Context, name string, n, limit int, f func(ctx context.Context, i int)) {
	if n == 1 {
		f(ctx, 0)
		return
	}
	var group Group
	var next atomic.Int64
	for range min(n, limit) {
		group.Go(ctx, name, func(ctx context.Context) {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(ctx, i)
			}
		})
	}
	group.Wait()
}
