package storage

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Refusal returns the error of a request that is refused with an explanation.
func Refusal(op Kind, target string, sentinel error, format string, args ...any) *Error {
	return &Error{Op: op, Target: target, Sentinel: sentinel, Detail: fmt.Sprintf(format, args...)}
}

// WholeSeconds returns d in whole seconds, a fraction rounded up.
func WholeSeconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second)
}

// CheckVisibility refuses a delay or visibility outside least to MaxVisibility, with
// ErrInvalid.
func CheckVisibility(op Kind, queue string, d, least time.Duration) error {
	if d < least || d > MaxVisibility {
		return Refusal(op, queue, ErrInvalid, "visibility of %v, must be %v to %v", d, least, MaxVisibility)
	}
	return nil
}

// CheckBatch refuses a number of messages outside 1 to MaxMessagesPerGet, with ErrInvalid.
func CheckBatch(op Kind, queue string, limit int) error {
	if limit < 1 || limit > MaxMessagesPerGet {
		return Refusal(op, queue, ErrInvalid, "%d messages, must be 1 to %d", limit, MaxMessagesPerGet)
	}
	return nil
}

// CheckText refuses a message text that is too large (ErrTooLarge) or that XML cannot carry
// (ErrInvalid): the service would replace such characters without a word.
func CheckText(op Kind, queue, text string) error {
	if len(text) > MaxMessageBytes {
		return Refusal(op, queue, ErrTooLarge, "message of %d bytes, at most %d", len(text), MaxMessageBytes)
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return Refusal(op, queue, ErrInvalid, "message text is not UTF-8 at byte %d", i)
			}
		}
		if !inXML(r) {
			return Refusal(op, queue, ErrInvalid, "message text holds %U at byte %d, which XML cannot carry", r, i)
		}
	}
	return nil
}

func inXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r != 0xFFFE && r != 0xFFFF
}

// CheckQueueName refuses a name that no queue can have, with ErrInvalid.
func CheckQueueName(op Kind, queue string) error {
	if !dashedName(queue) {
		return Refusal(op, queue, ErrInvalid, "queue name %q, must be 3 to 63 of a-z, 0-9 and single dashes", queue)
	}
	return nil
}

// CheckContainerName refuses a name that no container can have, with ErrInvalid.
func CheckContainerName(op Kind, container string) error {
	if !dashedName(container) {
		return Refusal(op, container, ErrInvalid, "container name %q, must be 3 to 63 of a-z, 0-9 and single dashes", container)
	}
	return nil
}

// CheckTableName refuses a name that no table can have, with ErrInvalid.
func CheckTableName(op Kind, table string) error {
	valid := len(table) >= 3 && len(table) <= 63
	for i, r := range table {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		valid = valid && (letter || i > 0 && r >= '0' && r <= '9')
	}
	if !valid {
		return Refusal(op, table, ErrInvalid, "table name %q, must be 3 to 63 of A-Z, a-z and 0-9, a letter first", table)
	}
	return nil
}

func dashedName(name string) bool {
	if len(name) < 3 || len(name) > 63 {
		return false
	}
	dash := true // no dash at the start
	for _, r := range name {
		switch {
		case r == '-' && dash:
			return false
		case r == '-':
			dash = true
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			dash = false
		default:
			return false
		}
	}
	return !dash
}

// CheckLease refuses a lease id that is no GUID, with ErrInvalid.
func CheckLease(container, id string) error {
	valid := len(id) == 36
	for i, r := range id {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			valid = valid && r == '-'
		} else {
			valid = valid && unicode.Is(unicode.ASCII_Hex_Digit, r)
		}
	}
	if !valid {
		return Refusal(BlobLease, container, ErrInvalid, "lease id %q is no GUID", id)
	}
	return nil
}

// CheckLeaseDuration refuses a duration outside 15 to 60 s, with ErrInvalid.
func CheckLeaseDuration(container string, d time.Duration) error {
	if d < 15*time.Second || d > 60*time.Second {
		return Refusal(BlobLease, container, ErrInvalid, "lease duration of %v, must be 15s to 60s", d)
	}
	return nil
}

// CheckBlobName refuses a name that no blob can have, with ErrInvalid.
func CheckBlobName(op Kind, container, name string) error {
	if name == "" || textUnits(name) > 1024 || !utf8.ValidString(name) {
		return Refusal(op, container, ErrInvalid, "blob name %q, must be 1 to 1024 characters of UTF-8", name)
	}
	return nil
}
