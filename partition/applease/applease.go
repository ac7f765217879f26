package applease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

const (
	// maxInfo bounds the info blob, which has about 120 bytes.
	maxInfo = 64 * 1024
	// maxErrorPause bounds the pause after a storage failure.
	maxErrorPause = 30 * time.Second
	// renewRetry is the time until a renewal that failed for want of storage is tried again.
	renewRetry = 2 * time.Second
)

// Lease is one worker's share in its application's lease on a hub.
type Lease struct {
	blobs     storage.Blobs
	container string
	blob      string
	id        string
	opts      Options
	running   atomic.Bool
	held      atomic.Bool
	// now has room for one call for an early attempt.
	now chan struct{}
}

// New returns a Lease that has started nothing.
func New(blobs storage.Blobs, names wire.Names, opts *Options) (*Lease, error) {
	full, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Lease{
		blobs: blobs, container: names.AppLease(), blob: names.AppLeaseInfo(),
		id: wire.AppLeaseID(full.AppName), opts: full, now: make(chan struct{}, 1),
	}, nil
}

// ID returns the lease id of the application.
func (l *Lease) ID() string { return l.id }

// Held reports whether the application holds the lease, as far as this worker knows.
func (l *Lease) Held() bool { return l.held.Load() }

// Run calls gated while the lease is held. The context it passes ends with ctx; and with the cause
// ErrNotPrimary when the lease is lost, or can no longer be proven to be held. Run then waits until
// gated has returned, and tries to get the lease again. So gated is called any number of times, one
// at a time, and what it starts has to be made anew in each call.
//
// The lease is renewed until gated has returned, also after ctx has ended; it is not released. Run
// returns nil when ctx has ended without a call of gated, and otherwise what the last call has
// returned. When gated returns by itself, Run returns its result at once.
func (l *Lease) Run(ctx context.Context, gated func(ctx context.Context) error) error {
	if !l.running.CompareAndSwap(false, true) {
		return ErrRun
	}
	defer l.running.Store(false)
	failures := 0
	for ctx.Err() == nil {
		deadline, err := l.acquire(ctx)
		pause := l.opts.AcquireInterval
		switch {
		case err == nil:
			failures = 0
			over, err := l.hold(ctx, deadline, gated)
			if over {
				return err
			}
			continue
		case heldByAnother(err):
			failures = 0
			l.opts.Logger.Info("another application processes the hub", "lease", l.id, "again in", pause)
		case ctx.Err() == nil:
			failures++
			pause = min(pause, run.Backoff(failures, time.Second, maxErrorPause))
			l.opts.Logger.Warn("acquiring the app lease", "error", err, "again in", pause)
		}
		l.opts.OnChange()
		run.SleepOr(ctx, pause, l.now, nil)
	}
	return nil
}

// Force makes this application the one that processes the hub. If another one holds the lease, the
// wish is recorded, and the next attempt of any worker of this application takes the lease over;
// a Run of this Lease tries at once. Force may be called with or without a Run, and repeated.
func (l *Lease) Force(ctx context.Context) error {
	info, err := l.readInfo(ctx)
	if err != nil {
		return fmt.Errorf("force app lease: %w", err)
	}
	err = l.take(ctx, wire.AppLeaseInfo{})
	switch {
	case err == nil:
		// It was free, or ours already. A wish would only come back to life later.
		err = l.record(ctx, info)
	case heldByAnother(err):
		info.DesiredSwapID = l.id
		err = l.writeInfo(ctx, info)
	}
	if err != nil {
		return fmt.Errorf("force app lease: %w", err)
	}
	select {
	case l.now <- struct{}{}:
	default:
	}
	return nil
}

// acquire takes the lease and returns the local time at which it can no longer be proven to be
// held. A change of the id does not extend a lease, so it is renewed at once.
func (l *Lease) acquire(ctx context.Context) (time.Time, error) {
	info, err := l.readInfo(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if err := l.take(ctx, info); err != nil {
		return time.Time{}, err
	}
	if err := l.record(ctx, info); err != nil {
		return time.Time{}, err
	}
	return l.renew(ctx, l.opts.RequestTimeout)
}

func (l *Lease) take(ctx context.Context, info wire.AppLeaseInfo) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.RequestTimeout)
	defer cancel()
	if l.wants(info) && info.OwnerID != "" && !l.owns(info) {
		err := l.blobs.ChangeLease(ctx, l.container, info.OwnerID, l.id)
		if !heldByAnother(err) {
			return err
		}
		// The recorded owner does not hold it any more. Perhaps nobody does.
	}
	return l.blobs.AcquireLease(ctx, l.container, l.id, l.opts.LeaseDuration)
}

// record writes who holds the lease, if that is news. The wish of another application stays.
func (l *Lease) record(ctx context.Context, info wire.AppLeaseInfo) error {
	after := wire.AppLeaseInfo{OwnerID: l.id, DesiredSwapID: info.DesiredSwapID}
	if l.wants(info) {
		after.DesiredSwapID = ""
	}
	if after == info {
		return nil
	}
	return l.writeInfo(ctx, after)
}

func (l *Lease) wants(info wire.AppLeaseInfo) bool {
	return strings.EqualFold(info.DesiredSwapID, l.id)
}

func (l *Lease) owns(info wire.AppLeaseInfo) bool { return strings.EqualFold(info.OwnerID, l.id) }

// renew extends the lease and returns its new deadline.
func (l *Lease) renew(ctx context.Context, timeout time.Duration) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sent := time.Now()
	if err := l.blobs.RenewLease(ctx, l.container, l.id); err != nil {
		return time.Time{}, err
	}
	return sent.Add(l.opts.LeaseDuration - l.opts.Margin), nil
}

// readInfo reads the info blob. One that does not exist is empty, and so is one that holds garbage:
// the lease itself tells who may work, and the blob is written anew once it is held.
func (l *Lease) readInfo(ctx context.Context) (wire.AppLeaseInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.RequestTimeout)
	defer cancel()
	data, err := l.blobs.GetBlob(ctx, l.container, l.blob, maxInfo)
	if errors.Is(err, storage.ErrNotFound) {
		return wire.AppLeaseInfo{}, nil
	}
	var info wire.AppLeaseInfo
	if err == nil {
		info, err = wire.DecodeAppLeaseInfo(string(data))
	}
	if errors.Is(err, storage.ErrTooLarge) || errors.Is(err, wire.ErrMalformed) {
		l.opts.Logger.Warn("the app lease does not say who holds it", "lease", l.id, "error", err)
		return wire.AppLeaseInfo{}, nil
	}
	return info, err
}

func (l *Lease) writeInfo(ctx context.Context, info wire.AppLeaseInfo) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.RequestTimeout)
	defer cancel()
	return l.blobs.PutBlob(ctx, l.container, l.blob, []byte(wire.EncodeAppLeaseInfo(info)), false)
}

func heldByAnother(err error) bool {
	return errors.Is(err, storage.ErrLeaseHeld) || errors.Is(err, storage.ErrPrecondition)
}
