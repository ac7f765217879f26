package store

import (
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

var (
	// ErrRefused is matched by every *RefusedError.
	ErrRefused = errors.New("the history has moved on")
	// ErrUnstored reports that nothing at all of a history write took effect: its first transaction was
	// refused, or surely not carried out, at its first and only attempt. What was sent for the write may
	// be taken back.
	ErrUnstored = errors.New("nothing was stored")
	// ErrUnclear reports a history write of which it is not known whether it took effect. The
	// instance has to be loaded again; nothing that was sent for the write may be undone.
	ErrUnclear = errors.New("outcome of the history write is unclear")
	// ErrCorrupt reports rows that no engine can have written.
	ErrCorrupt = errors.New("corrupt history")
	// ErrPayload reports a payload blob that is missing, cut off, too large or no payload at all.
	ErrPayload = errors.New("unreadable payload")
	// ErrNoHub reports that the task hub does not exist.
	ErrNoHub = errors.New("task hub does not exist")
	// ErrPartitionCount reports that the task hub has another number of partitions than asked for.
	ErrPartitionCount = errors.New("task hub has another partition count")
	// ErrBlobManaged reports a task hub whose partitions are managed by blob leases, which cannot
	// be shared with workers that use the Partitions table.
	ErrBlobManaged = errors.New("task hub is managed by blob leases")
)

// RefusedError reports that another writer has changed or removed the instance since its history
// was loaded. Nothing more of the write took effect.
type RefusedError struct {
	InstanceID string
	Err        error
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("commit history of instance %q: %v", e.InstanceID, e.Err)
}

// Unwrap returns the storage error.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is makes the error match ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// InData reports whether the reason of a failure lies in what is stored, or is to be stored, so that
// trying again meets it again.
func InData(err error) bool {
	for _, reason := range []error{
		ErrCorrupt, ErrPayload, wire.ErrMalformed, wire.ErrNotWritable, storage.ErrInvalid, storage.ErrTooLarge,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}
