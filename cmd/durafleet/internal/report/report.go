// Package report is what a worker process tells the process that started it: one JSON object a
// line on its standard output.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/durafleet/durafleet/activity"
)

// Kind says what a Line is about.
type Kind string

// The kinds of lines.
const (
	// Started is the first line; it names the worker.
	Started Kind = "started"
	// Run says that an activity has run. Its result is not stored yet.
	Run Kind = "run"
	// Requests holds the numbers of storage requests sent so far.
	Requests Kind = "requests"
	// Stopped is the last line of a worker that was asked to stop.
	Stopped Kind = "stopped"
)

// Line is one report.
type Line struct {
	Kind   Kind   `json:"kind"`
	Worker string `json:"worker"`

	// Of a Run.
	Activity string `json:"activity,omitempty"`
	CallID   string `json:"callId,omitempty"`
	Attempt  int    `json:"attempt,omitempty"`
	Delivery int    `json:"delivery,omitempty"`
	Error    string `json:"error,omitempty"`

	// Of Requests.
	Counts map[string]int64 `json:"counts,omitempty"`
}

// OfRun returns the report of a run.
func OfRun(info activity.Info, err error) Line {
	line := Line{
		Kind: Run, Activity: info.Name, CallID: info.CallID, Attempt: info.Attempt, Delivery: info.Delivery,
	}
	if err != nil {
		line.Error = err.Error()
	}
	return line
}

// Writer writes lines. It may be used concurrently. A reader that has gone away is ignored: there
// is nobody left to tell.
type Writer struct {
	worker string

	mu  sync.Mutex
	out io.Writer
}

// NewWriter returns a Writer for the named worker.
func NewWriter(out io.Writer, worker string) *Writer { return &Writer{worker: worker, out: out} }

// Say writes a line that needs nothing but its kind.
func (w *Writer) Say(kind Kind) { w.write(&Line{Kind: kind}) }

// Activity writes a Run; it fits worker.Options.OnActivity.
func (w *Writer) Activity(info activity.Info, err error) {
	line := OfRun(info, err)
	w.write(&line)
}

// Requests writes the numbers of requests so far.
func (w *Writer) Requests(counts map[string]int64) { w.write(&Line{Kind: Requests, Counts: counts}) }

func (w *Writer) write(line *Line) {
	line.Worker = w.worker
	text, err := json.Marshal(line)
	if err != nil {
		return // cannot be: a Line holds strings and numbers
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.out.Write(append(text, '\n')) // see Writer
}

// Parse reads one line.
func Parse(text []byte) (Line, error) {
	var line Line
	if err := json.Unmarshal(text, &line); err != nil {
		return Line{}, fmt.Errorf("report %.80q: %w", text, err)
	}
	return line, nil
}
