package applease

import (
	"context"
	"errors"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
)

// hold runs gated under the lease. It reports whether Run is over, and with what.
func (l *Lease) hold(ctx context.Context, deadline time.Time, gated func(context.Context) error) (bool, error) {
	l.setHeld(true)
	defer l.setHeld(false)
	l.opts.Logger.Info("this application processes the hub", "lease", l.id)
	primary, end := context.WithCancelCause(ctx)
	defer end(errReturned)
	var group run.Group
	returned := make(chan error, 1)
	group.Go(primary, "app lease holder", func(ctx context.Context) { returned <- gated(ctx) })
	k := keeper{lease: l, end: end, deadline: deadline, next: time.Now().Add(l.opts.RenewInterval)}
	err := k.run(context.WithoutCancel(ctx), returned)
	group.Wait()
	if !k.lost || ctx.Err() != nil {
		return true, err
	}
	if err != nil && !errors.Is(err, ErrNotPrimary) && !errors.Is(err, context.Canceled) {
		l.opts.Logger.Error("the gated function failed while it ended", "error", err)
	}
	return false, nil
}

func (l *Lease) setHeld(held bool) {
	l.held.Store(held)
	l.opts.OnChange()
}

// keeper renews the lease while the gated function runs.
type keeper struct {
	lease    *Lease
	end      context.CancelCauseFunc
	deadline time.Time
	next     time.Time
	lost     bool
}

// run renews until the gated function has returned, and returns its result.
func (k *keeper) run(ctx context.Context, returned <-chan error) error {
	timer := time.NewTimer(k.pause())
	defer timer.Stop()
	for {
		select {
		case err := <-returned:
			run.Resume(ctx)
			return err
		case <-timer.C:
		}
		run.Resume(ctx)
		select { // the end counts more than a renewal of the same moment
		case err := <-returned:
			return err
		default:
		}
		k.tick(ctx)
		if k.lost {
			return <-returned
		}
		timer.Reset(k.pause())
	}
}

func (k *keeper) pause() time.Duration {
	return max(min(time.Until(k.next), time.Until(k.deadline)), 0)
}

func (k *keeper) tick(ctx context.Context) {
	now := time.Now()
	if !now.Before(k.deadline) {
		k.lose("it was not renewed in time", nil)
		return
	}
	if now.Before(k.next) {
		return
	}
	timeout := min(k.lease.opts.RequestTimeout, k.deadline.Sub(now))
	deadline, err := k.lease.renew(ctx, timeout)
	switch {
	case err == nil:
		k.deadline, k.next = deadline, now.Add(k.lease.opts.RenewInterval)
	case heldByAnother(err), errors.Is(err, storage.ErrNotFound):
		k.lose("its renewal was refused", err)
	default:
		k.lease.opts.Logger.Warn("renewing the app lease", "error", err)
		k.next = time.Now().Add(renewRetry)
	}
}

func (k *keeper) lose(why string, err error) {
	k.lost = true
	k.end(ErrNotPrimary)
	k.lease.setHeld(false)
	k.lease.opts.Logger.Warn("the app lease is lost", "why", why, "error", err)
}
