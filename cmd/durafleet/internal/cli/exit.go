package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/bench"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

// The exit codes. They do not change.
const (
	ExitOK          = 0
	ExitOther       = 1 // what has no code of its own, an instance that failed among it
	ExitUsage       = 2 // the command line is wrong
	ExitNotFound    = 3 // there is no such hub, instance or poison message
	ExitConflict    = 4 // it exists already, or is in the wrong state
	ExitTimeout     = 5 // what was waited for did not happen in time
	ExitAuth        = 6 // the credential was refused
	ExitUnavailable = 8 // the storage account could not be reached
	ExitProblems    = 9 // diagnose or doctor found problems that are left, or something of an instance cannot be read
)

// usageError reports a command line that breaks a rule.
type usageError struct{ text string }

// Error implements error.
func (e *usageError) Error() string { return e.text }

func usagef(format string, arguments ...any) error {
	return &usageError{fmt.Sprintf(format, arguments...)}
}

// errTimeout is the cause of a wait that lasted longer than --timeout.
var errTimeout = errors.New("timed out")

// exitCode returns the exit code that tells of err.
func exitCode(err error) int {
	var (
		usage    *usageError
		argument *taskhub.ArgumentError
		name     *taskhub.NameError
		count    *taskhub.PartitionCountError
		problems *problemsError
	)
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage), errors.As(err, &argument), errors.As(err, &name):
		return ExitUsage
	case errors.As(err, &problems), errors.Is(err, taskhub.ErrUnreadable):
		return ExitProblems
	case errors.Is(err, errTimeout), errors.Is(err, bench.ErrTimeout):
		return ExitTimeout
	case errors.Is(err, taskhub.ErrNotFound), errors.Is(err, taskhub.ErrHubNotFound), errors.Is(err, taskhub.ErrPoisonNotFound):
		return ExitNotFound
	case errors.Is(err, taskhub.ErrExists), errors.Is(err, taskhub.ErrLive), errors.Is(err, taskhub.ErrNotLive),
		errors.Is(err, taskhub.ErrReplaced), errors.Is(err, taskhub.ErrBlobManaged), errors.As(err, &count),
		errors.Is(err, storage.ErrBeingDeleted), errors.Is(err, taskhub.ErrPoisonUnreadable):
		return ExitConflict
	case errors.Is(err, taskhub.ErrUnauthorized):
		return ExitAuth
	case errors.Is(err, taskhub.ErrUnavailable):
		return ExitUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	}
	return ExitOther
}
