package storage

import (
	"cmp"
	"unicode/utf8"
)

// CompareText orders strings by their UTF-16 code units, as the table service does. This differs
// from Go's order where characters beyond U+FFFF meet those from U+E000 to U+FFFF.
func CompareText(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n {
		return cmp.Compare(len(a), len(b))
	}
	for i > 0 && !utf8.RuneStart(a[i]) {
		i--
	}
	ra, _ := utf8.DecodeRuneInString(a[i:])
	rb, _ := utf8.DecodeRuneInString(b[i:])
	return cmp.Compare(unitOrder(ra), unitOrder(rb))
}

// unitOrder maps a rune to a number that orders like its UTF-16 encoding: what needs surrogates
// sorts below U+E000.
func unitOrder(r rune) rune {
	switch {
	case r > 0xFFFF:
		return r
	case r >= 0xE000:
		return r + utf8.MaxRune
	default:
		return r
	}
}

// textUnits returns the length of s in UTF-16 code units.
func textUnits(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
