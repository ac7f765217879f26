package storage

import (
	"context"
	"time"
)

// hookedBlobs passes every request of a blob port through a hook.
type hookedBlobs struct {
	next Blobs
	hook Hook
}

func (h *hookedBlobs) CreateContainer(ctx context.Context, container string) error {
	return h.hook(ctx, &Call{Kind: BlobAdmin, Target: container}, func(ctx context.Context) error {
		return h.next.CreateContainer(ctx, container)
	})
}

func (h *hookedBlobs) DeleteContainer(ctx context.Context, container string) error {
	return h.hook(ctx, &Call{Kind: BlobAdmin, Target: container}, func(ctx context.Context) error {
		return h.next.DeleteContainer(ctx, container)
	})
}

func (h *hookedBlobs) ListContainers(ctx context.Context, prefix string) ([]string, error) {
	return through(ctx, h.hook, &Call{Kind: BlobAdmin, Target: prefix}, func(ctx context.Context) ([]string, error) {
		return h.next.ListContainers(ctx, prefix)
	})
}

func (h *hookedBlobs) PutBlob(ctx context.Context, container, name string, data []byte, onlyNew bool) error {
	return h.hook(ctx, &Call{Kind: BlobPut, Target: container, Key: name, Content: data}, func(ctx context.Context) error {
		return h.next.PutBlob(ctx, container, name, data, onlyNew)
	})
}

func (h *hookedBlobs) GetBlob(ctx context.Context, container, name string, limit int64) ([]byte, error) {
	call := &Call{Kind: BlobGet, Target: container, Key: name}
	return through(ctx, h.hook, call, func(ctx context.Context) ([]byte, error) {
		return h.next.GetBlob(ctx, container, name, limit)
	})
}

func (h *hookedBlobs) BlobTime(ctx context.Context, container, name string) (time.Time, error) {
	call := &Call{Kind: BlobGet, Target: container, Key: name}
	return through(ctx, h.hook, call, func(ctx context.Context) (time.Time, error) {
		return h.next.BlobTime(ctx, container, name)
	})
}

func (h *hookedBlobs) DeleteBlob(ctx context.Context, container, name string) error {
	return h.hook(ctx, &Call{Kind: BlobDelete, Target: container, Key: name}, func(ctx context.Context) error {
		return h.next.DeleteBlob(ctx, container, name)
	})
}

func (h *hookedBlobs) ListBlobs(ctx context.Context, container, prefix string) ([]string, error) {
	return through(ctx, h.hook, &Call{Kind: BlobList, Target: container}, func(ctx context.Context) ([]string, error) {
		return h.next.ListBlobs(ctx, container, prefix)
	})
}

// ContainerURL is no request.
func (h *hookedBlobs) ContainerURL(container string) string { return h.next.ContainerURL(container) }

func (h *hookedBlobs) lease(ctx context.Context, container string, request func(context.Context) error) error {
	return h.hook(ctx, &Call{Kind: BlobLease, Target: container}, request)
}

func (h *hookedBlobs) AcquireLease(ctx context.Context, container, id string, duration time.Duration) error {
	return h.lease(ctx, container, func(ctx context.Context) error {
		return h.next.AcquireLease(ctx, container, id, duration)
	})
}

func (h *hookedBlobs) RenewLease(ctx context.Context, container, id string) error {
	return h.lease(ctx, container, func(ctx context.Context) error {
		return h.next.RenewLease(ctx, container, id)
	})
}

func (h *hookedBlobs) ChangeLease(ctx context.Context, container, id, newID string) error {
	return h.lease(ctx, container, func(ctx context.Context) error {
		return h.next.ChangeLease(ctx, container, id, newID)
	})
}

func (h *hookedBlobs) ReleaseLease(ctx context.Context, container, id string) error {
	return h.lease(ctx, container, func(ctx context.Context) error {
		return h.next.ReleaseLease(ctx, container, id)
	})
}
