package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// The values of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputJSONL = "jsonl"
)

// print prints a value as JSON, or calls table if people are to read it.
func (p *program) print(value any, table func()) error {
	if p.output == outputTable {
		table()
		return nil
	}
	return p.printJSON(value)
}

// printJSON prints a value as one JSON document, on one line for jsonl.
func (p *program) printJSON(value any) error {
	encoder := json.NewEncoder(p.Out)
	encoder.SetEscapeHTML(false)
	if p.output == outputJSON {
		encoder.SetIndent("", "  ")
	}
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// columns prints rows of cells under headings.
func (p *program) columns(headings []string, rows [][]string) {
	table := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(headings, "\t"))
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush() // a reader that has gone away wants no more
}

// fields prints names with values, one pair a line, without the pairs that have no value.
func (p *program) fields(pairs ...[2]string) {
	table := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	for _, pair := range pairs {
		if pair[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", pair[0], pair[1])
		}
	}
	_ = table.Flush() // as in columns
}

const excerptRunes = 72

// excerpt returns the beginning of a text, fit for a cell: no terminal obeys what is in it.
func excerpt(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > excerptRunes {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// The most that is shown of a text that says what is wrong, at its beginning and at its end.
const (
	gistHead = 300
	gistTail = 200
)

// gist returns a text that says what is wrong, on one line that no terminal obeys. The middle of a long
// one is left out: the beginning says what failed, the end why.
func gist(text string) string {
	runes := []rune(clean(text))
	if len(runes) > gistHead+gistTail {
		return string(runes[:gistHead]) + " … " + string(runes[len(runes)-gistTail:])
	}
	return string(runes)
}

// clean returns a text on one line that no terminal obeys, without cutting it.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// clock returns a time as tables show it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// clockOr returns a time that may be missing.
func clockOr(t *time.Time, otherwise string) string {
	if t == nil {
		return otherwise
	}
	return clock(*t)
}
