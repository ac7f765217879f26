package taskhub

import (
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

var (
	// ErrNotFound is matched by every *NotFoundError.
	ErrNotFound = errors.New("instance not found")
	// ErrExists is matched by every *ExistsError.
	ErrExists = errors.New("instance already exists")
	// ErrNotLive is matched by every *NotLiveError.
	ErrNotLive = errors.New("instance has ended")
	// ErrLive is matched by every *LiveError.
	ErrLive = errors.New("instance has not ended")
	// ErrReplaced reports that an instance was started anew under its id since the handle was
	// obtained, so that its result is not to be had any more.
	ErrReplaced = errors.New("instance was replaced by another start")
	// ErrUnreadable is matched by every *UnreadableError.
	ErrUnreadable = errors.New("instance cannot be read in full")
	// ErrUnclear reports a request whose reply was lost: it may have taken effect or not.
	ErrUnclear = errors.New("outcome is unclear")

	// ErrHubNotFound reports that the account holds no task hub of the name.
	ErrHubNotFound = store.ErrNoHub
	// ErrBlobManaged reports a task hub whose partitions are shared out through blob leases. It
	// cannot be used: its workers would not see ours.
	ErrBlobManaged = store.ErrBlobManaged

	// ErrUnavailable reports that the storage account could not be reached or kept failing.
	ErrUnavailable = storage.ErrUnavailable
	// ErrUnauthorized reports that the credential was refused or lacks a role.
	ErrUnauthorized = storage.ErrUnauthorized
)

// ArgumentError reports an argument that breaks a rule. Nothing was sent.
type ArgumentError struct {
	// Argument names the argument, Value is what it was, perhaps shortened, Rule what it must be.
	Argument string
	Value    string
	Rule     string
}

// Error implements error.
func (e *ArgumentError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Argument, e.Value, e.Rule)
}

// NameError reports a task hub name that breaks the naming rule.
type NameError struct {
	Name string
	Rule string
}

// Error implements error.
func (e *NameError) Error() string { return fmt.Sprintf("task hub name %q: %s", e.Name, e.Rule) }

// PartitionCountError reports that a task hub exists with another number of partitions than asked
// for. The number is fixed when a hub is created.
type PartitionCountError struct {
	Hub    string
	Actual int
	Asked  int
}

// Error implements error.
func (e *PartitionCountError) Error() string {
	return fmt.Sprintf("task hub %s has %d partitions, not %d", e.Hub, e.Actual, e.Asked)
}

// NotFoundError reports an instance that does not exist. It matches ErrNotFound.
type NotFoundError struct{ InstanceID string }

// Error implements error.
func (e *NotFoundError) Error() string { return fmt.Sprintf("instance %q not found", e.InstanceID) }

// Is makes the error match ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// UnreadableError reports an instance of which something stored is missing or damaged. It comes together
// with the Status, which holds all that can be read, and says what cannot. It matches ErrUnreadable.
type UnreadableError struct {
	InstanceID string
	// Err says what cannot be read, and why.
	Err error
}

// Error implements error.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("instance %q cannot be read in full: %v", e.InstanceID, e.Err)
}

// Unwrap returns what is wrong.
func (e *UnreadableError) Unwrap() error { return e.Err }

// Is makes the error match ErrUnreadable.
func (e *UnreadableError) Is(target error) bool { return target == ErrUnreadable }

// ExistsError reports that a start was refused because the id is in use. It matches ErrExists.
type ExistsError struct {
	InstanceID string
	// Status is the status of the existing instance.
	Status history.Status
}

// Error implements error.
func (e *ExistsError) Error() string {
	return fmt.Sprintf("instance %q already exists and is %s", e.InstanceID, e.Status)
}

// Is makes the error match ErrExists.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// NotLiveError reports that an instance has ended and takes no events and commands any more. It
// matches ErrNotLive.
type NotLiveError struct {
	InstanceID string
	Status     history.Status
}

// Error implements error.
func (e *NotLiveError) Error() string {
	return fmt.Sprintf("instance %q has ended: it is %s", e.InstanceID, e.Status)
}

// Is makes the error match ErrNotLive.
func (e *NotLiveError) Is(target error) bool { return target == ErrNotLive }

// LiveError reports that an instance was not purged because it has not ended. It matches ErrLive.
type LiveError struct {
	InstanceID string
	Status     history.Status
}

// Error implements error.
func (e *LiveError) Error() string {
	return fmt.Sprintf("instance %q has not ended: it is %s", e.InstanceID, e.Status)
}

// Is makes the error match ErrLive.
func (e *LiveError) Is(target error) bool { return target == ErrLive }

// EndedError reports that an instance that was waited for ended without a result.
type EndedError struct {
	InstanceID string
	// Status is Failed, Terminated or Canceled.
	Status history.Status
	// Failure describes the failure of a failed instance, Reason says why another one ended.
	Failure string
	Reason  string
}

// Error implements error.
func (e *EndedError) Error() string {
	text := fmt.Sprintf("instance %q ended as %s", e.InstanceID, e.Status)
	if why := e.Failure + e.Reason; why != "" {
		text += ": " + why
	}
	return text
}

// explain makes an error of storage recognizable for users: that its outcome is unclear is told
// by ErrUnclear.
func explain(err error) error {
	if err == nil || !storage.Ambiguous(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnclear, err)
}
