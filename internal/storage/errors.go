package storage

import (
	"errors"
	"fmt"
)

// The conditions a caller branches on. Every error returned by a port matches exactly one of
// them with errors.Is, except context errors, which match context.Canceled or
// context.DeadlineExceeded (and, when the request may have been sent, are Ambiguous).
var (
	// ErrNotFound: the queue, message, table, row, container or blob does not exist (404).
	ErrNotFound = errors.New("not found")
	// ErrExists: a conditional create found the thing already there (409).
	ErrExists = errors.New("already exists")
	// ErrPrecondition: the ETag or lease condition did not hold (412).
	ErrPrecondition = errors.New("condition not met")
	// ErrReceipt: the pop receipt is no longer valid; somebody else has dequeued the message (400).
	ErrReceipt = errors.New("pop receipt mismatch")
	// ErrLeaseHeld: the lease is held under another lease id (409), or the given id lost it.
	ErrLeaseHeld = errors.New("lease held by another")
	// ErrBeingDeleted: the queue, table or container was deleted moments ago (409).
	ErrBeingDeleted = errors.New("being deleted")
	// ErrTooLarge: a limit of size was exceeded (413, or found before sending).
	ErrTooLarge = errors.New("too large")
	// ErrInvalid: the service refuses a name, key or value (400, or found before sending).
	ErrInvalid = errors.New("invalid request")
	// ErrUnauthorized: the credential was refused or lacks a role (401, 403).
	ErrUnauthorized = errors.New("not authorized")
	// ErrUnavailable: the service could not be reached or answered 5xx until retries ran out.
	ErrUnavailable = errors.New("storage unavailable")
)

// Error is the failure of one storage operation. Its text never contains a key or a SAS token.
type Error struct {
	// Op is the operation and Target what it was about, e.g. "queue.put" and "hub-control-00".
	Op     Kind
	Target string
	// Sentinel is one of the Err values of this package, or a context error.
	Sentinel error
	// Code is the service's error code, e.g. "UpdateConditionNotSatisfied", if there was one.
	Code string
	// Detail is a short explanation without secrets, possibly empty.
	Detail string
	// Ambiguous says that the request may have taken effect although an error came back: the
	// reply was lost, or an earlier try whose reply was lost may have met its own change.
	Ambiguous bool
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s %s: %v", e.Op, e.Target, e.Sentinel)
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Sentinel }

// LostRace reports whether a conditional write found the thing in another state than expected: it
// exists, has changed, or is gone.
func LostRace(err error) bool {
	return errors.Is(err, ErrExists) || errors.Is(err, ErrPrecondition) || errors.Is(err, ErrNotFound)
}

// Ambiguous reports whether err says that the operation may have taken effect nevertheless.
func Ambiguous(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && failure.Ambiguous
}
