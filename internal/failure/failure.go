// Package failure turns Go errors and panics into failure details, the stored shape of an error.
package failure

import (
	"errors"
	"fmt"
	"strings"

	"github.com/durafleet/durafleet/history"
)

// maxDepth bounds the chain of causes that is stored.
const maxDepth = 16

// detailed is implemented by errors that carry their own failure details.
type detailed interface {
	FailureDetails() *history.FailureDetails
}

// typed is implemented by errors that choose the type name they are stored under.
type typed interface{ ErrorType() string }

// nonRetriable is implemented by errors that a retry policy must not retry.
type nonRetriable interface{ NonRetriable() bool }

// transparent is implemented by wrappers that add a mark but no text of their own.
type transparent interface{ Transparent() bool }

// FromError describes err and the chain of errors it wraps. It returns nil for nil.
func FromError(err error) *history.FailureDetails {
	details := describe(err, 0)
	if details == nil {
		return nil
	}
	var mark nonRetriable
	if errors.As(err, &mark) && mark.NonRetriable() {
		marked := *details // an error's own details are not ours to change
		marked.NonRetriable = true
		return &marked
	}
	return details
}

func describe(err error, depth int) *history.FailureDetails {
	for {
		wrapper, ok := err.(transparent)
		if !ok || !wrapper.Transparent() {
			break
		}
		err = errors.Unwrap(err)
	}
	if err == nil || depth == maxDepth {
		return nil
	}
	if own, ok := err.(detailed); ok {
		return own.FailureDetails()
	}
	return &history.FailureDetails{
		Type:    typeName(err),
		Message: err.Error(),
		Inner:   describe(cause(err), depth+1),
	}
}

func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if all := joined.Unwrap(); len(all) > 0 {
			return all[0]
		}
	}
	return nil
}

func typeName(err error) string {
	if named, ok := err.(typed); ok {
		return named.ErrorType()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
}

// PanicType is the type name of a failure that began as a panic.
const PanicType = "panic"

// FromPanic describes a recovered panic value with the stack captured where it was recovered.
func FromPanic(value any, stack []byte) *history.FailureDetails {
	details := &history.FailureDetails{
		Type:    PanicType,
		Message: fmt.Sprint(value),
		Stack:   string(stack),
	}
	if err, ok := value.(error); ok {
		details.Inner = describe(err, 1)
	}
	return details
}
