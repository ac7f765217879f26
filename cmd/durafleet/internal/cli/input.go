package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// data is a JSON value that the command line gives.
type data struct {
	flag   string
	text   string
	string bool
}

// define defines the flags of the value.
func (d *data) define(c *cobra.Command, flag, what string) {
	d.flag = "--" + flag
	c.Flags().StringVar(&d.text, flag, "", what+": JSON, @FILE, or - for standard input")
	c.Flags().BoolVar(&d.string, "string", false, "take "+d.flag+" as a text, not as JSON")
}

// value returns the value as JSON, or struct{}{}, which stands for none.
func (d *data) value(c *cobra.Command) (any, error) {
	if !c.Flags().Changed(strings.TrimPrefix(d.flag, "--")) {
		if d.string {
			return nil, usagef("--string: %s is missing", d.flag)
		}
		return struct{}{}, nil
	}
	text, err := d.read(c.InOrStdin())
	if err != nil {
		return nil, err
	}
	if d.string {
		return text, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, usagef("%s %q: must be JSON; use @FILE or - to read it, --string to give a text", d.flag, excerpt(text))
	}
	return json.RawMessage(strings.TrimSpace(text)), nil
}

func (d *data) read(in io.Reader) (string, error) {
	name, isFile := strings.CutPrefix(d.text, "@")
	switch {
	case d.text == "-":
		text, err := io.ReadAll(in)
		if err != nil {
			return "", fmt.Errorf("%s: read standard input: %w", d.flag, err)
		}
		return string(text), nil
	case isFile:
		text, err := os.ReadFile(name)
		if err != nil {
			return "", usagef("%s: %v", d.flag, err)
		}
		return string(text), nil
	}
	return d.text, nil
}
