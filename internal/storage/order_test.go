package storage

import (
	"cmp"
	"slices"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

func TestCompareText_LikeUTF16(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab\u00e9\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0001F600")))
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		want := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
		if got := CompareText(a, b); got != cmp.Compare(want, 0) {
			t.Fatalf("CompareText(%q, %q) = %d, want %d", a, b, got, want)
		}
		if got, want := textUnits(a), len(utf16.Encode([]rune(a))); got != want {
			t.Fatalf("textUnits(%q) = %d, want %d", a, got, want)
		}
	})
}
