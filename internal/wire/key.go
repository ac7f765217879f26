package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SentinelKey is the RowKey of the sentinel row. It sorts after every event row.
const SentinelKey = "sentinel"

const (
	// keyEscape introduces an escaped character in a table key.
	keyEscape = '^'
	// keyControlBase is added to a control character to make it printable.
	keyControlBase = 0xC0
)

// RowKey returns the RowKey of the event at an index of an execution's history.
func RowKey(index int) string { return fmt.Sprintf("%016X", index) }

// EscapeKey returns the table PartitionKey of an instance ID. It is not idempotent.
func EscapeKey(instanceID string) string {
	if !needsEscape(instanceID) {
		return instanceID
	}
	var b strings.Builder
	b.Grow(len(instanceID) + 8)
	for i := 0; i < len(instanceID); {
		r, size := utf8.DecodeRuneInString(instanceID[i:])
		switch e := escapeOf(r); {
		case r == utf8.RuneError && size == 1, e == 0:
			b.WriteString(instanceID[i : i+size])
		default:
			b.WriteByte(keyEscape)
			b.WriteRune(e)
		}
		i += size
	}
	return b.String()
}

func needsEscape(id string) bool {
	for _, r := range id {
		if escapeOf(r) != 0 {
			return true
		}
	}
	return false
}

// escapeOf returns what follows the escape character in place of r, 0 if r stands for itself.
func escapeOf(r rune) rune {
	switch {
	case r == keyEscape:
		return keyEscape
	case r == '/':
		return '0'
	case r == '\\':
		return '1'
	case r == '#':
		return '2'
	case r == '?':
		return '3'
	case r <= 0x1F, r >= 0x7F && r <= 0x9F:
		return r + keyControlBase
	default:
		return 0
	}
}

// UnescapeKey returns the instance ID of a table PartitionKey. Keys that EscapeKey cannot have
// produced are undone as far as possible; it never fails.
func UnescapeKey(key string) string {
	if strings.IndexByte(key, keyEscape) < 0 {
		return key
	}
	var b strings.Builder
	b.Grow(len(key))
	for i := 0; i < len(key); {
		if key[i] != keyEscape || i+1 == len(key) {
			b.WriteByte(key[i])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(key[i+1:])
		if plain := unescapeOf(r); r == utf8.RuneError && size == 1 || plain == r {
			b.WriteString(key[i+1 : i+1+size])
		} else {
			b.WriteRune(plain)
		}
		i += 1 + size
	}
	return b.String()
}

// unescapeOf undoes escapeOf. Characters that never follow the escape character stay as they are.
func unescapeOf(r rune) rune {
	switch r {
	case '0':
		return '/'
	case '1':
		return '\\'
	case '2':
		return '#'
	case '3':
		return '?'
	}
	plain := r - keyControlBase
	if r < keyControlBase || !utf8.ValidRune(plain) {
		return r
	}
	return plain
}

// EscapePrefixRange returns the keys from (inclusive) and to (exclusive) between which the keys of
// all instance IDs with a prefix lie. An empty to means that there is no upper bound. The range may
// hold other keys where UTF-16 order and code point order differ, so callers check what they get.
func EscapePrefixRange(prefix string) (from, to string) {
	from = EscapeKey(prefix)
	for rest := from; rest != ""; {
		r, size := utf8.DecodeLastRuneInString(rest)
		rest = rest[:len(rest)-size]
		if next, ok := nextRune(r); ok && (r != utf8.RuneError || size > 1) {
			return from, rest + string(next)
		}
	}
	return from, ""
}

// nextRune returns the character after r in the order of both code points and UTF-16 units. The
// last character of the basic plane has none: in UTF-16 all others sort before it.
func nextRune(r rune) (rune, bool) {
	const lastBeforeSurrogates, firstAfterSurrogates = 0xD7FF, 0xE000
	switch r {
	case 0xFFFF, utf8.MaxRune:
		return 0, false
	case lastBeforeSurrogates:
		return firstAfterSurrogates, true
	default:
		return r + 1, true
	}
}
