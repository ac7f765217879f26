package readme_test

import (
	"os"
	"strings"
	"testing"
)

// The program in the README is the one that is compiled and run here.
func TestReadme_IsThisProgram(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```go\n")
	program, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no Go program")
	}
	for _, change := range []struct{ readme, example string }{
		{"package main", "package readme_test"},
		{"func main() {", "func Example() {"},
		{" // 10 <nil>\n", "\n\t// Output: 10 <nil>\n"},
	} {
		if !strings.Contains(program, change.readme) {
			t.Errorf("the README's program lacks %q", change.readme)
		}
		program = strings.Replace(program, change.readme, change.example, 1)
	}
	if program != string(example) {
		t.Errorf("the README's program differs from example_test.go; it would have to be\n%s", program)
	}
}
