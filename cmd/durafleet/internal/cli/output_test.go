package cli

import (
	"strings"
	"testing"
)

// Of a long text that says what is wrong, the beginning and the end are shown.
func TestGist(t *testing.T) {
	t.Parallel()
	long := "history row 4 of instance \"i\": " + strings.Repeat("x", 5000) + ": the blob is missing"
	for text, want := range map[string]string{
		"":                       "",
		"two\nlines\x1b[1m":      "two lines [1m",
		strings.Repeat("日", 500): strings.Repeat("日", 500),
		long:                     long[:300] + " … " + long[len(long)-200:],
	} {
		if got := gist(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
