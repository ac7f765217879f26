package memory

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

type container struct {
	blobs map[string][]byte
	// written is when each blob was last written.
	written map[string]time.Time
	lease   lease
}

// lease is a container's lease; id is empty if nobody ever took it or it was released.
type lease struct {
	id       string
	duration time.Duration
	until    time.Time
}

func (l lease) active() bool { return l.id != "" && time.Now().Before(l.until) }

type blobs struct{ store *Store }

// open locks the store and finds the container. The caller unlocks if there is no error.
func (p blobs) open(ctx context.Context, op storage.Kind, name string) (*container, error) {
	if err := storage.CheckContainerName(op, name); err != nil {
		return nil, err
	}
	if err := p.store.lock(ctx, op, name); err != nil {
		return nil, err
	}
	c, ok := p.store.containers[name]
	if !ok {
		p.store.mu.Unlock()
		return nil, notFound(op, name, "ContainerNotFound")
	}
	return c, nil
}

// CreateContainer implements storage.Blobs.
func (p blobs) CreateContainer(ctx context.Context, name string) error {
	if err := storage.CheckContainerName(storage.BlobAdmin, name); err != nil {
		return err
	}
	if err := p.store.lock(ctx, storage.BlobAdmin, name); err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if _, ok := p.store.containers[name]; !ok {
		p.store.containers[name] = &container{blobs: map[string][]byte{}, written: map[string]time.Time{}}
	}
	return nil
}

// DeleteContainer implements storage.Blobs.
func (p blobs) DeleteContainer(ctx context.Context, name string) error {
	c, err := p.open(ctx, storage.BlobAdmin, name)
	if err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if c.lease.active() {
		return &storage.Error{Op: storage.BlobAdmin, Target: name, Sentinel: storage.ErrPrecondition, Code: "LeaseIdMissing"}
	}
	delete(p.store.containers, name)
	return nil
}

// ListContainers implements storage.Blobs.
func (p blobs) ListContainers(ctx context.Context, prefix string) ([]string, error) {
	if err := p.store.lock(ctx, storage.BlobAdmin, prefix); err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	return namesWith(p.store.containers, prefix), nil
}

// PutBlob implements storage.Blobs.
func (p blobs) PutBlob(ctx context.Context, name, blob string, data []byte, onlyNew bool) error {
	if err := storage.CheckBlobName(storage.BlobPut, name, blob); err != nil {
		return err
	}
	c, err := p.open(ctx, storage.BlobPut, name)
	if err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if _, ok := c.blobs[blob]; ok && onlyNew {
		return &storage.Error{Op: storage.BlobPut, Target: name, Sentinel: storage.ErrExists, Code: "BlobAlreadyExists", Detail: blob}
	}
	c.blobs[blob] = append([]byte{}, data...)
	c.written[blob] = wholeSecond(time.Now())
	return nil
}

// GetBlob implements storage.Blobs.
func (p blobs) GetBlob(ctx context.Context, name, blob string, limit int64) ([]byte, error) {
	if err := storage.CheckBlobName(storage.BlobGet, name, blob); err != nil {
		return nil, err
	}
	c, err := p.open(ctx, storage.BlobGet, name)
	if err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	data, ok := c.blobs[blob]
	if !ok {
		return nil, notFound(storage.BlobGet, name, "BlobNotFound")
	}
	if limit > 0 && int64(len(data)) > limit {
		return nil, storage.Refusal(storage.BlobGet, name, storage.ErrTooLarge, "blob %s of %d bytes, at most %d", blob, len(data), limit)
	}
	return bytes.Clone(data), nil
}

// BlobTime implements storage.Blobs.
func (p blobs) BlobTime(ctx context.Context, name, blob string) (time.Time, error) {
	if err := storage.CheckBlobName(storage.BlobGet, name, blob); err != nil {
		return time.Time{}, err
	}
	c, err := p.open(ctx, storage.BlobGet, name)
	if err != nil {
		return time.Time{}, err
	}
	defer p.store.mu.Unlock()
	written, ok := c.written[blob]
	if !ok {
		return time.Time{}, notFound(storage.BlobGet, name, "BlobNotFound")
	}
	return written, nil
}

// DeleteBlob implements storage.Blobs.
func (p blobs) DeleteBlob(ctx context.Context, name, blob string) error {
	if err := storage.CheckBlobName(storage.BlobDelete, name, blob); err != nil {
		return err
	}
	c, err := p.open(ctx, storage.BlobDelete, name)
	if err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if _, ok := c.blobs[blob]; !ok {
		return notFound(storage.BlobDelete, name, "BlobNotFound")
	}
	delete(c.blobs, blob)
	delete(c.written, blob)
	return nil
}

// ListBlobs implements storage.Blobs.
func (p blobs) ListBlobs(ctx context.Context, name, prefix string) ([]string, error) {
	c, err := p.open(ctx, storage.BlobList, name)
	if err != nil {
		return nil, err
	}
	defer p.store.mu.Unlock()
	return namesWith(c.blobs, prefix), nil
}

// ContainerURL implements storage.Blobs.
func (p blobs) ContainerURL(name string) string {
	return "https://memory.blob.core.windows.net/" + name
}

// AcquireLease implements storage.Blobs.
func (p blobs) AcquireLease(ctx context.Context, name, id string, duration time.Duration) error {
	if err := storage.CheckLeaseDuration(name, duration); err != nil {
		return err
	}
	return p.lease(ctx, name, id, func(l *lease) bool {
		if l.active() && !l.holds(id) {
			return false
		}
		d := hiddenFor(duration)
		*l = lease{id: id, duration: d, until: time.Now().Add(d)}
		return true
	})
}

// RenewLease implements storage.Blobs.
func (p blobs) RenewLease(ctx context.Context, name, id string) error {
	return p.lease(ctx, name, id, func(l *lease) bool {
		if !l.holds(id) {
			return false
		}
		// Also after it lapsed, as long as nobody else took it.
		l.until = time.Now().Add(l.duration)
		return true
	})
}

// ChangeLease implements storage.Blobs.
func (p blobs) ChangeLease(ctx context.Context, name, id, newID string) error {
	if err := storage.CheckLease(name, newID); err != nil {
		return err
	}
	return p.lease(ctx, name, id, func(l *lease) bool {
		if !l.active() || !l.holds(id) && !l.holds(newID) {
			return false
		}
		l.id = newID
		return true
	})
}

// ReleaseLease implements storage.Blobs.
func (p blobs) ReleaseLease(ctx context.Context, name, id string) error {
	return p.lease(ctx, name, id, func(l *lease) bool {
		if !l.holds(id) {
			return false
		}
		*l = lease{}
		return true
	})
}

func (l *lease) holds(id string) bool { return strings.EqualFold(l.id, id) }

// lease lets change work on the lease of a container; false means that another id holds it.
func (p blobs) lease(ctx context.Context, name, id string, change func(*lease) bool) error {
	if err := storage.CheckLease(name, id); err != nil {
		return err
	}
	c, err := p.open(ctx, storage.BlobLease, name)
	if err != nil {
		return err
	}
	defer p.store.mu.Unlock()
	if !change(&c.lease) {
		return &storage.Error{Op: storage.BlobLease, Target: name, Sentinel: storage.ErrLeaseHeld, Code: "LeaseIdMismatchWithLeaseOperation"}
	}
	return nil
}
