package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrHubName reports a task hub name that breaks the naming rule.
	ErrHubName = errors.New("wire: invalid task hub name")

	// ErrMalformed reports stored content that cannot be understood. Trying again reads the same
	// content; only a different reader or writer can help.
	ErrMalformed = errors.New("wire: malformed content")

	// ErrUnknownEvent reports an event type this package does not know. A history holding one
	// must not be replayed: skipping the event would change the outcome.
	ErrUnknownEvent = errors.New("wire: unknown event type")

	// ErrNotWritable reports an event that the format has no place for: history-only events
	// cannot be messages, and some event types are only ever read.
	ErrNotWritable = errors.New("wire: event cannot be written")

	// ErrBlobTooLarge reports a blob that unpacks to more than the caller allows.
	ErrBlobTooLarge = errors.New("wire: unpacked blob exceeds limit")

	// ErrBlobCorrupt reports a blob that is not exactly one complete gzip member. A blob that is
	// being written at this moment looks like that too.
	ErrBlobCorrupt = errors.New("wire: blob is cut off or corrupt")
)

// DecodeError says which part of stored content could not be understood, and why. It matches
// ErrMalformed. Its text holds at most a short prefix of the content, so that it can be logged.
type DecodeError struct {
	// Part names the message member or the table column.
	Part string
	// Problem says what is wrong with it.
	Problem string
	// Cause is a more specific sentinel such as ErrUnknownEvent, or nil.
	Cause error
}

// Error implements error.
func (e *DecodeError) Error() string { return "wire: " + e.Part + ": " + e.Problem }

// Is reports that every DecodeError is an ErrMalformed.
func (e *DecodeError) Is(target error) bool { return target == ErrMalformed }

// Unwrap returns the more specific sentinel, if there is one.
func (e *DecodeError) Unwrap() error { return e.Cause }

func malformed(part, format string, args ...any) *DecodeError {
	return &DecodeError{Part: part, Problem: fmt.Sprintf(format, args...)}
}

// prefixLength bounds how much of a payload an error may show.
const prefixLength = 24

// prefix returns the quoted beginning of a text.
func prefix(text string) string {
	n := 0
	for i := range text {
		if n == prefixLength {
			return fmt.Sprintf("%q…", text[:i])
		}
		n++
	}
	return fmt.Sprintf("%q", text)
}
