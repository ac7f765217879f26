package wire_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/internal/wire"
)

// F04: keys hold no character that tables forbid, and lead back to the ID.
func TestF04_EscapeKey(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"":             "",
		"abc":          "abc",
		"a/b":          "a^0b",
		`a\b`:          "a^1b",
		"a#b":          "a^2b",
		"a?b":          "a^3b",
		"a^b":          "a^^b",
		"^^":           "^^^^",
		"a^^/b":        "a^^^^^0b",
		"a/b#c?d":      "a^0b^2c^3d",
		"a\tb":         "a^Éb",
		"a\nb":         "a^Êb",
		"\x00x":        "^Àx",
		"\u007F":       "^Ŀ",
		"\u009F":       "^ş",
		"a%b":          "a%b",
		"a'b":          "a'b",
		`a"b`:          `a"b`,
		"ünïcode":      "ünïcode",
		"@counter@k1":  "@counter@k1",
		"x\uFFFFy":     "x\uFFFFy",
		"🚀 rocket":     "🚀 rocket",
		"bad\xFFutf8/": "bad\xFFutf8^0",
	} {
		if got := wire.EscapeKey(id); got != want {
			t.Errorf("EscapeKey(%q) = %q, want %q", id, got, want)
		}
		if got := wire.UnescapeKey(want); got != id {
			t.Errorf("UnescapeKey(%q) = %q, want %q", want, got, id)
		}
	}
}

func TestUnescapeKey_Unexpected(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"a^":        "a^",
		"^^^":       "^^",
		"a^x":       "ax",
		"a^4":       "a4",
		"a^\xFF":    "a\xFF",
		"a^\uE000b": "a\uE000b", // would become a surrogate
	} {
		if got := wire.UnescapeKey(key); got != want {
			t.Errorf("UnescapeKey(%q) = %q, want %q", key, got, want)
		}
	}
}

func anyID() *rapid.Generator[string] {
	return rapid.StringOf(rapid.OneOf(
		rapid.Rune(),
		rapid.RuneFrom([]rune(`^/\#?%'"@: `)),
		rapid.RuneFrom(nil, unicode.Cc),
		rapid.RuneFrom([]rune{0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x10FFFF, 0xC0, 0x15F}),
	))
}

// F04: the round trip on random IDs.
func TestF04_KeyRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := anyID().Draw(t, "id")
		key := wire.EscapeKey(id)
		if got := wire.UnescapeKey(key); got != id {
			t.Fatalf("%q became key %q and %q", id, key, got)
		}
		if strings.ContainsFunc(key, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`/\#?`, r) }) {
			t.Fatalf("key %q of %q holds a forbidden character", key, id)
		}
	})
}

func TestEscapePrefixRange(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string][2]string{
		"":              {"", ""},
		"order-":        {"order-", "order."},
		"a/":            {"a^0", "a^1"},
		"\x1F":          {"^ß", "^à"},
		"x\uD7FF":       {"x\uD7FF", "x\uE000"},
		"x\uFFFF":       {"x\uFFFF", "y"},
		"\U0010FFFF":    {"\U0010FFFF", ""},
		"x\U0010FFFF":   {"x\U0010FFFF", "y"},
		"😀":             {"😀", "😁"},
		"half\xC3":      {"half\xC3", "halg"},
		"\uFFFF\uFFFF":  {"\uFFFF\uFFFF", ""},
		"@counter@key1": {"@counter@key1", "@counter@key2"},
	} {
		from, to := wire.EscapePrefixRange(prefix)
		if from != want[0] || to != want[1] {
			t.Errorf("EscapePrefixRange(%q) = %q, %q; want %q", prefix, from, to, want)
		}
	}
}

// lessUTF16 compares as the table service may: by UTF-16 units.
func lessUTF16(a, b string) bool {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

// The range holds every ID with the prefix, whichever way keys are compared.
func TestEscapePrefixRange_HoldsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := anyID().Draw(t, "prefix")
		key := wire.EscapeKey(prefix + anyID().Draw(t, "rest"))
		from, to := wire.EscapePrefixRange(prefix)
		for name, less := range map[string]func(a, b string) bool{
			"code points": func(a, b string) bool { return a < b },
			"UTF-16":      lessUTF16,
		} {
			if less(key, from) || to != "" && !less(key, to) {
				t.Fatalf("key %q is outside of %q to %q by %s", key, from, to, name)
			}
		}
	})
}

func TestRowKey(t *testing.T) {
	t.Parallel()
	for index, want := range map[int]string{0: "0000000000000000", 10: "000000000000000A", 1 << 20: "0000000000100000"} {
		if got := wire.RowKey(index); got != want || got >= wire.SentinelKey {
			t.Errorf("RowKey(%d) = %s, want %s", index, got, want)
		}
	}
}
