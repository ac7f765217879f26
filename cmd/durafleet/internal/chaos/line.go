package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// lineKind says what a line is about.
type lineKind string

const (
	// lineStarted is the first line: the worker begins to work.
	lineStarted lineKind = "started"
	// lineStep says that an orchestrator has got further than ever before, in a turn that may not be
	// stored yet.
	lineStep lineKind = "step"
	// lineBegun and lineRan enclose each run of an activity.
	lineBegun lineKind = "begun"
	lineRan   lineKind = "ran"
	// lineRequests holds the numbers of storage requests so far, lineFigures those of the process.
	lineRequests lineKind = "requests"
	lineFigures  lineKind = "figures"
)

// line is what a worker tells the process that started it: one JSON object a line on its standard
// output.
type line struct {
	Kind     lineKind `json:"kind"`
	Instance string   `json:"instance,omitempty"`
	// Call is the call that an activity runs for; attempts of a retry policy are calls of their own.
	Call   string           `json:"call,omitempty"`
	Failed bool             `json:"failed,omitempty"`
	Counts map[string]int64 `json:"counts,omitempty"`
}

// narrator writes lines. It may be used concurrently. A reader that has gone away is ignored: there
// is nobody left to tell.
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

// parseLine reads one line.
func parseLine(text []byte) (line, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return line{}, fmt.Errorf("line %.80q of a worker: %w", text, err)
	}
	return l, nil
}
