package wire

import (
	"errors"
	"fmt"
	"strconv"
)

var (
	// ErrHubName reports a task hub name that breaks the naming rule.
	ErrHubName = errors.New("invalid task hub name")

	// ErrMalformed reports stored content that cannot be understood. Trying again reads the same
	// content; only a different reader or writer can help.
	ErrMalformed = errors.New("malformed content")

	// ErrUnknownEvent reports an event type this package does not know. A history holding one
	// must not be replayed: skipping the event would change the outcome.
	ErrUnknownEvent = errors.New("unknown event type")

	// ErrNotWritable reports an event that the format has no place for: history-only events
	// cannot be messages, and some event types are only ever read.
	ErrNotWritable = errors.New("event cannot be written")

	// ErrBlobTooLarge reports a blob that unpacks to more than the caller allows.
	ErrBlobTooLarge = errors.New("unpacked blob exceeds limit")

	// ErrBlobCorrupt reports a blob that is not exactly one complete gzip member. A blob that is
	// being written at this moment looks like that too.
	ErrBlobCorrupt = errors.New("blob is cut off or corrupt")
)

// DecodeError says which part of stored content could not be understood, and why. It matches
// ErrMalformed. Its text holds at most a short part of the content, so that it can be logged.
type DecodeError struct {
	// Part names the message member or the table column.
	Part string
	// Problem says what is wrong with it.
	Problem string
	// Cause is a more specific sentinel such as ErrUnknownEvent, or nil.
	Cause error
}

// Error implements error.
func (e *DecodeError) Error() string { return e.Part + ": " + e.Problem }

// Is reports that every DecodeError is an ErrMalformed.
func (e *DecodeError) Is(target error) bool { return target == ErrMalformed }

// Unwrap returns the more specific sentinel, if there is one.
func (e *DecodeError) Unwrap() error { return e.Cause }

func malformed(part, format string, args ...any) *DecodeError {
	return &DecodeError{Part: part, Problem: fmt.Sprintf(format, args...)}
}

// The most that an error shows of a name, at its beginning and at its end.
const (
	nameHead = 60
	nameTail = 40
)

// quotedName returns a name in quotes. The middle of a long one is left out: names of classes tell
// most at their end.
func quotedName(name string) string {
	if runes := []rune(name); len(runes) > nameHead+nameTail {
		name = string(runes[:nameHead]) + "…" + string(runes[len(runes)-nameTail:])
	}
	return strconv.Quote(name)
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
