package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// line is what a worker process tells: one JSON object a line on its standard output. The first one
// has no figures and says that the worker begins to work.
type line struct {
	Figures *figures `json:"figures,omitempty"`
	// Last says that these are the figures of a worker that has stopped, which nobody asks for.
	Last bool `json:"last,omitempty"`
}

// The orders that a worker process takes: to tell its figures, and to collect garbage first.
const (
	orderFigures = "figures"
	orderCollect = "collect"
	orderNone    = ""
)

// narrator writes lines. It may be used concurrently. A reader that has gone away is ignored: there is
// nobody left to tell.
type narrator struct {
	mu  sync.Mutex
	out io.Writer
}

func (n *narrator) say(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		return // cannot be: a line holds strings and numbers
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = n.out.Write(append(text, '\n')) // see narrator
}

func parseLine(text []byte) (line, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return line{}, fmt.Errorf("line %.80q of a worker: %w", text, err)
	}
	return l, nil
}
