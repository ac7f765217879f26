package storage

import (
	"context"
	"time"
)

// Blobs is the blob port, for small block blobs that are written and read whole. All methods may
// be called concurrently.
type Blobs interface {
	// CreateContainer creates the container if it does not exist. A container deleted a moment
	// ago answers ErrBeingDeleted.
	CreateContainer(ctx context.Context, container string) error
	// DeleteContainer deletes the container with its blobs. ErrNotFound if there is none,
	// ErrPrecondition or ErrLeaseHeld while somebody holds its lease.
	DeleteContainer(ctx context.Context, container string) error
	// ListContainers returns the names of all containers that begin with prefix.
	ListContainers(ctx context.Context, prefix string) ([]string, error)

	// PutBlob writes the blob in one request, with content type application/octet-stream.
	// ErrExists if onlyNew is set and there is one; ErrNotFound without the container.
	PutBlob(ctx context.Context, container, name string, data []byte, onlyNew bool) error
	// GetBlob returns the content. ErrNotFound if the blob or the container does not exist,
	// ErrTooLarge if it holds more than limit bytes (0: no limit).
	GetBlob(ctx context.Context, container, name string, limit int64) ([]byte, error)
	// BlobTime returns when the blob was last written, by the service's clock and in whole seconds.
	// ErrNotFound if the blob or the container does not exist.
	BlobTime(ctx context.Context, container, name string) (time.Time, error)
	// DeleteBlob removes the blob. ErrNotFound if there is none.
	DeleteBlob(ctx context.Context, container, name string) error
	// ListBlobs returns the names of all blobs that begin with prefix. ErrNotFound without the
	// container.
	ListBlobs(ctx context.Context, container, prefix string) ([]string, error)
	// ContainerURL returns the container's URL without a trailing slash and without credentials.
	ContainerURL(container string) string

	// AcquireLease takes or extends the container's lease under the given id (a GUID) for a
	// duration of 15 to 60 s. ErrLeaseHeld if another id holds it.
	AcquireLease(ctx context.Context, container, id string, duration time.Duration) error
	// RenewLease extends a lease held under id. ErrLeaseHeld or ErrPrecondition if it was lost.
	RenewLease(ctx context.Context, container, id string) error
	// ChangeLease hands a lease held under id over to newID. ErrLeaseHeld if id does not hold it.
	ChangeLease(ctx context.Context, container, id, newID string) error
	// ReleaseLease gives the lease up. ErrLeaseHeld or ErrPrecondition if it was lost.
	ReleaseLease(ctx context.Context, container, id string) error
}
