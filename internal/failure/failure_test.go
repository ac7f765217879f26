package failure_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
)

// codeError chooses the name it is stored under.
type codeError struct{ code int }

func (e codeError) Error() string     { return fmt.Sprintf("code %d", e.code) }
func (e codeError) ErrorType() string { return "shop.CodeError" }

// ownError describes itself.
type ownError struct{ details *history.FailureDetails }

func (e *ownError) Error() string                           { return e.details.Message }
func (e *ownError) FailureDetails() *history.FailureDetails { return e.details }

type details = history.FailureDetails

func TestFromError(t *testing.T) {
	t.Parallel()
	errPlain := errors.New("plain")
	plain := &details{Type: "errors.errorString", Message: "plain"}
	own := &details{Type: "some.Own", Message: "own", Stack: "here", Properties: map[string]any{"code": "", "none": nil}}
	for _, tt := range []struct {
		name string
		err  error
		want *details
	}{
		{"nil", nil, nil},
		{"plain", errPlain, plain},
		{"pointer type", &fs.PathError{Op: "open", Path: "x", Err: io.EOF}, &details{
			Type: "fs.PathError", Message: "open x: EOF", Inner: &details{Type: "errors.errorString", Message: "EOF"},
		}},
		{"value type with its own name", codeError{7}, &details{Type: "shop.CodeError", Message: "code 7"}},
		{"chain", fmt.Errorf("a: %w", fmt.Errorf("b: %w", codeError{7})), &details{
			Type: "fmt.wrapError", Message: "a: b: code 7", Inner: &details{
				Type: "fmt.wrapError", Message: "b: code 7", Inner: &details{Type: "shop.CodeError", Message: "code 7"},
			},
		}},
		{"joined", errors.Join(errPlain, codeError{7}), &details{Type: "errors.joinError", Message: "plain\ncode 7", Inner: plain}},
		{"wrapping two", fmt.Errorf("%w and %w", errPlain, codeError{7}), &details{Type: "fmt.wrapErrors", Message: "plain and code 7", Inner: plain}},
		{"own details", &ownError{own}, own},
		{"own details inside", fmt.Errorf("a: %w", &ownError{own}), &details{Type: "fmt.wrapError", Message: "a: own", Inner: own}},
		{"permanent", activity.Permanent(errPlain), &details{Type: "errors.errorString", Message: "plain", NonRetriable: true}},
		{"permanent twice", activity.Permanent(activity.Permanent(codeError{7})), &details{Type: "shop.CodeError", Message: "code 7", NonRetriable: true}},
		{"permanent inside", fmt.Errorf("a: %w", activity.Permanent(errPlain)), &details{
			Type: "fmt.wrapError", Message: "a: plain", Inner: plain, NonRetriable: true,
		}},
		{"permanent and joined", errors.Join(errPlain, activity.Permanent(codeError{7})), &details{
			Type: "errors.joinError", Message: "plain\ncode 7", Inner: plain, NonRetriable: true,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, failure.FromError(tt.err)); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

// A chain is stored up to a depth.
func TestFromError_LongChain(t *testing.T) {
	t.Parallel()
	err := errors.New("root")
	for range 100 {
		err = fmt.Errorf("wrapped: %w", err)
	}
	depth := 0
	for d := failure.FromError(err); d != nil; d = d.Inner {
		depth++
	}
	if depth != 16 {
		t.Errorf("%d levels", depth)
	}
}

// The mark goes onto a copy: the details an error brings along are shared with others.
func TestFromError_DoesNotChangeTheError(t *testing.T) {
	t.Parallel()
	own := &ownError{&details{Type: "some.Own", Message: "own"}}
	if got := failure.FromError(activity.Permanent(own)); !got.NonRetriable || got.Type != "some.Own" || own.details.NonRetriable {
		t.Errorf("got %+v from %+v", got, own.details)
	}
}

func TestFromPanic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value any
		want  *details
	}{
		{"text", "oh no", &details{Type: "panic", Message: "oh no", Stack: "stack"}},
		{"number", 7, &details{Type: "panic", Message: "7", Stack: "stack"}},
		{"nil value", nil, &details{Type: "panic", Message: "<nil>", Stack: "stack"}},
		{"error", fmt.Errorf("a: %w", codeError{7}), &details{
			Type: "panic", Message: "a: code 7", Stack: "stack", Inner: &details{
				Type: "fmt.wrapError", Message: "a: code 7", Inner: &details{Type: "shop.CodeError", Message: "code 7"},
			},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, failure.FromPanic(tt.value, []byte("stack"))); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}
