package child

import (
	"bufio"
	"io"
)

// maxLine bounds a line; the longest ones hold an error's text.
const maxLine = 1 << 20

// readLines calls take for each line until the input ends. It fails if take does, unless that is at
// the last line, which the end of its writer may have cut off.
func readLines(in io.Reader, take func([]byte) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var broken error
	for lines.Scan() {
		if broken != nil {
			return broken
		}
		broken = take(lines.Bytes())
	}
	return lines.Err()
}
