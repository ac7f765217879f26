package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// tenure is one time of owning a partition, from the claim until its Serve has returned for good.
// Its context ends once and is never revived: a partition that was lost is served again under a
// new tenure.
type tenure struct {
	id    string
	opts  *Options
	log   *slog.Logger
	since time.Time
	beat  Heartbeat
	// stalls counts what the watchdog finds, and reach knows whether the leases can be reached; both
	// outlive the tenure.
	stalls *stalls
	reach  *reach
	// wake makes the manager look at once.
	wake func()

	own context.Context
	end context.CancelCauseFunc
	// drain is closed by startDrain, under mu.
	drain chan struct{}

	mu sync.Mutex
	// deadline is the local time at which ownership cannot be proven any more.
	deadline time.Time
	// sent is the last renewal that was sent, and what it is worth if it took effect.
	sent struct{ expiresAt, deadline time.Time }
	// drainUntil is when the drain times out; zero before the drain.
	drainUntil time.Time
	// serving says that a Serve runs.
	serving bool
	// cutAt is when the running Serve's context ended; zero before.
	cutAt time.Time
	// stalled says that the running Serve was found to hang, stuck that it did not return either.
	stalled, stuck bool
}

func newTenure(ctx context.Context, opts *Options, id string, deadline time.Time) *tenure {
	own, end := context.WithCancelCause(ctx)
	return &tenure{
		id: id, opts: opts, log: opts.Logger.With("partition", id), since: time.Now(),
		own: own, end: end, drain: make(chan struct{}), deadline: deadline,
		stalls: &stalls{}, reach: &reach{}, wake: func() {},
	}
}

// extend moves the end of the tenure after a renewal. One that is over stays over.
func (t *tenure) extend(deadline time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if deadline.After(t.deadline) && time.Now().Before(t.deadline) {
		t.deadline = deadline
	}
}

// renewed returns when the renewal that counts was sent, at the latest.
func (t *tenure) renewed() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deadline.Add(t.opts.Margin - t.opts.LeaseDuration)
}

// sending notes a renewal that is about to be sent.
func (t *tenure) sending(expiresAt, deadline time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent.expiresAt, t.sent.deadline = expiresAt, deadline
}

// settle makes up for the reply to a renewal that was lost: the row, as read, shows that the
// renewal took effect.
func (t *tenure) settle(expiresAt time.Time) {
	t.mu.Lock()
	sent := t.sent
	t.mu.Unlock()
	if sent.expiresAt.Equal(expiresAt) {
		t.extend(sent.deadline)
	}
}

// lose ends the tenure because the partition is, or may be, somebody else's.
func (t *tenure) lose(why string) {
	t.mu.Lock()
	ended := t.finish(ErrLost)
	t.mu.Unlock()
	if ended {
		t.note(slog.LevelWarn, why)
	}
}

// finish ends the tenure's context, and with it Serve's, and reports whether it was still open.
// The caller holds mu.
func (t *tenure) finish(cause error) bool {
	if t.own.Err() != nil {
		return false
	}
	t.end(cause)
	if t.cutAt.IsZero() {
		t.cutAt = time.Now()
	}
	return true
}

// note tells people and tests what has happened. The caller does not hold mu.
func (t *tenure) note(level slog.Level, what string) {
	t.log.Log(context.Background(), level, what, "cause", context.Cause(t.own))
	t.opts.OnChange()
}

// startDrain tells Serve to finish. Further calls do nothing.
func (t *tenure) startDrain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drainFor(t.opts.DrainTimeout)
}

// drainFor tells Serve to finish within some time. The caller holds mu.
func (t *tenure) drainFor(limit time.Duration) {
	if t.drainUntil.IsZero() {
		t.drainUntil = time.Now().Add(limit)
		close(t.drain)
	}
}

func (t *tenure) hold() Hold {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.stuck:
		return Stuck
	case t.own.Err() != nil:
		return Ending
	case !t.drainUntil.IsZero():
		return Draining
	}
	return Serving
}

// run serves the partition until the tenure is over and Serve has returned. ctx is the caller's own.
func (t *tenure) run(ctx context.Context, group *run.Group) {
	defer t.end(errReturned)
	for failures := 0; !t.over(); {
		started := time.Now()
		err := t.serve(ctx, group)
		if t.over() {
			t.logReturn(err)
			return
		}
		if time.Since(started) >= t.opts.StallAfter {
			failures = 0
		}
		failures++
		pause := run.Backoff(failures, 250*time.Millisecond, 15*time.Second)
		t.log.Error("reader returned without being asked to, it is started again",
			"error", err, "failures", failures, "pause", pause)
		run.SleepOr(ctx, pause, t.own.Done(), t.drain)
	}
}

// logReturn reports an error of a Serve that was asked to return. That its context ended is none.
func (t *tenure) logReturn(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(t.own)) {
		return
	}
	t.log.Error("reader failed while it ended", "error", err)
}

// over reports whether Serve is not to be started again.
func (t *tenure) over() bool {
	if run.Ready(t.drain) {
		return true
	}
	t.check(time.Now())
	return t.own.Err() != nil
}

// serve runs Serve once and watches over it until it returns.
func (t *tenure) serve(ctx context.Context, group *run.Group) error {
	t.beat.Beat()
	t.setServing(true)
	defer t.setServing(false)
	returned := make(chan error, 1)
	group.Go(t.own, "partition "+t.id, func(ctx context.Context) {
		returned <- t.protect(ctx)
	})
	timer := time.NewTimer(t.check(time.Now()))
	defer timer.Stop()
	for {
		select {
		case err := <-returned:
			run.Resume(ctx)
			return err
		case <-timer.C:
			timer.Reset(t.check(time.Now()))
		}
	}
}

// protect turns a panic of Serve into an error.
func (t *tenure) protect(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return t.opts.Serve(ctx, t.drain, t.id, &t.beat)
}

func (t *tenure) setServing(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serving = on
}

// check ends what is due to end and returns when to check again: at the deadline, but at least
// every second.
func (t *tenure) check(now time.Time) time.Duration {
	t.mu.Lock()
	stalled := t.watch(now)
	events := t.expire(now)
	wait := time.Second
	if t.own.Err() == nil {
		wait = max(min(t.deadline.Sub(now), wait), time.Millisecond)
	}
	t.mu.Unlock()
	if stalled {
		since, err := t.beat.Trouble()
		t.log.Warn("reader has stalled, its partition is dropped", "since", since, "error", err)
		t.opts.OnStall(t.id)
		t.opts.OnChange()
		t.wake() // so that others see soon that they can have it
	}
	for _, event := range events {
		t.note(slog.LevelError, event)
	}
	return wait
}

// stallDrain is how long a reader that has stalled may take to finish what it can.
const stallDrain = 15 * time.Second

// watch drops the partition, in order, if its reader has stalled, and reports whether it has just found that.
// It goes by what the reader does, so it does not matter why nothing is read. The caller holds mu.
func (t *tenure) watch(now time.Time) bool {
	if !t.serving || !t.drainUntil.IsZero() || t.own.Err() != nil || !t.silent(now) {
		return false
	}
	t.stalled = true
	t.stalls.add(t.id)
	t.stalls.drop(t.id, now)
	t.drainFor(min(t.opts.DrainTimeout, stallDrain))
	return true
}

// silent reports that there was no beat for too long. While not even the leases can be reached, that says
// nothing about the partition: there is nobody who could read it, and the lease ends by itself.
func (t *tenure) silent(now time.Time) bool {
	since, ok := t.reach.since()
	last := t.beat.Last()
	if since.After(last) {
		last = since
	}
	return ok && now.Sub(last) >= t.opts.StallAfter
}

// expire does the work of check and returns what there is to tell. The caller holds mu.
func (t *tenure) expire(now time.Time) []string {
	var events []string
	switch {
	case !now.Before(t.deadline):
		if t.finish(ErrLost) {
			events = append(events, "lease was not renewed in time, partition is given up")
		}
	case !t.drainUntil.IsZero() && !now.Before(t.drainUntil):
		cause := ErrDrainTimeout
		if t.stalled {
			cause = ErrStalled
		}
		if t.finish(cause) {
			events = append(events, "reader did not finish in time, its context is ended")
		}
	}
	if t.serving && !t.stuck && !t.cutAt.IsZero() && now.Sub(t.cutAt) >= t.opts.ReturnGrace {
		t.stuck = true
		t.finish(ErrStalled)
		if !t.stalled { // the same hang counts once
			t.stalls.add(t.id)
		}
		events = append(events, "reader ignores the end of its context, its lease is left to expire")
	}
	return events
}
