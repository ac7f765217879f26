package activity

import "errors"

// ErrTimeout is the cause of an activity context that ended at its time limit.
var ErrTimeout = errors.New("activity: time limit reached")

// ErrStopping is the cause of an activity context that ended because the worker stops; the call
// runs again elsewhere.
var ErrStopping = errors.New("activity: worker is stopping")

// ErrUnwanted is the cause of an activity context that ended because the instance no longer
// waits for the result: it was terminated, purged or replaced, or it has ended.
var ErrUnwanted = errors.New("activity: result is no longer wanted")

// Permanent marks err as one that a retry policy must not retry. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error it wraps, was marked by Permanent.
func IsPermanent(err error) bool {
	var permanent *permanentError
	return errors.As(err, &permanent)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }

func (e *permanentError) Unwrap() error { return e.err }

// NonRetriable marks the failure for retry policies.
func (e *permanentError) NonRetriable() bool { return true }

// Transparent says that the mark adds nothing to the error's own description.
func (e *permanentError) Transparent() bool { return true }
