package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
)

// The types of this file read simple JSON values with the tolerance of .NET's reader: null is the
// same as absent, texts may be written as numbers, numbers as texts.

// valueError is a problem with one JSON value; its text shows no more than a prefix of it.
type valueError struct{ problem string }

func (e *valueError) Error() string { return e.problem }

func badValue(raw []byte, want string) error {
	return &valueError{fmt.Sprintf("%s is not %s", prefix(string(raw)), want)}
}

// problemOf describes an error of encoding/json without showing the content.
func problemOf(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var value *valueError
	switch {
	case errors.As(err, &value):
		return value.problem
	case errors.As(err, &syntax):
		return fmt.Sprintf("invalid JSON at byte %d", syntax.Offset)
	case errors.As(err, &mismatch):
		found, _, _ := strings.Cut(mismatch.Value, " ")
		return fmt.Sprintf("found JSON %s at byte %d where it cannot be", found, mismatch.Offset)
	default:
		return "invalid JSON"
	}
}

func isNull(raw []byte) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// parseText reads a string; numbers and booleans become their text.
func parseText(raw []byte) (*string, error) {
	if isNull(raw) {
		return nil, nil //nolint:nilnil // null is a value of its own
	}
	switch raw[0] {
	case '{', '[':
		return nil, badValue(raw, "a text")
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		return &s, nil
	default:
		return history.Text(string(raw)), nil
	}
}

// parseInteger reads a whole number of the given size, which may be written as a text.
func parseInteger(raw []byte, bits int) (v int64, ok bool, err error) {
	text, err := parseText(raw)
	if err != nil || text == nil {
		return 0, false, err
	}
	v, err = strconv.ParseInt(*text, 10, bits)
	if err != nil {
		return 0, false, badValue(raw, fmt.Sprintf("a %d-bit integer", bits))
	}
	return v, true, nil
}

func parseFlag(raw []byte) (bool, error) {
	text, err := parseText(raw)
	if err != nil || text == nil {
		return false, err
	}
	switch strings.ToLower(*text) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	default:
		return false, badValue(raw, "a boolean")
	}
}

func parseTime(raw []byte) (*time.Time, error) {
	text, err := parseText(raw)
	if err != nil || text == nil {
		return nil, err
	}
	t, err := ParseTime(*text)
	if err != nil {
		return nil, badValue(raw, "an ISO 8601 time")
	}
	return &t, nil
}

// looseText is a text that may be null.
type looseText struct{ value *string }

// UnmarshalJSON implements json.Unmarshaler.
func (l *looseText) UnmarshalJSON(raw []byte) (err error) {
	l.value, err = parseText(raw)
	return err
}

func (l looseText) String() string { return history.TextOr(l.value, "") }

// looseInteger is an integer that may be null or absent.
type looseInteger struct {
	value int64
	set   bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *looseInteger) UnmarshalJSON(raw []byte) (err error) {
	l.value, l.set, err = parseInteger(raw, 64)
	return err
}

// looseInt32 is a 32-bit integer that may be null or absent.
type looseInt32 struct {
	value int32
	set   bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *looseInt32) UnmarshalJSON(raw []byte) error {
	v, set, err := parseInteger(raw, 32)
	l.value, l.set = int32(v), set
	return err
}

func (l looseInt32) pointer() *int32 {
	if !l.set {
		return nil
	}
	return &l.value
}

// looseFlag is a boolean; null and absent are false.
type looseFlag bool

// UnmarshalJSON implements json.Unmarshaler.
func (l *looseFlag) UnmarshalJSON(raw []byte) error {
	v, err := parseFlag(raw)
	*l = looseFlag(v)
	return err
}

// looseOffset is a time with offset. The DataContract form of one is an object.
type looseOffset struct{ value *time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (l *looseOffset) UnmarshalJSON(raw []byte) (err error) {
	if raw[0] == '{' {
		var o struct{ DateTime looseText }
		if err := json.Unmarshal(raw, &o); err != nil {
			return err
		}
		// The value is informative and its other spelling, /Date(…)/, is not worth a parser.
		if t, err := ParseTime(o.DateTime.String()); err == nil {
			l.value = &t
		}
		return nil
	}
	l.value, err = parseTime(raw)
	return err
}
