package azurite

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// tailLines is how much output is kept for error texts.
const tailLines = 20

// listening matches the line with which a service of Azurite says that it is ready.
var listening = regexp.MustCompile(`Azurite (Blob|Queue|Table) service is successfully listening at (http://127\.0\.0\.1:\d+)`)

// output takes what a child prints. Its zero value is ready for use.
type output struct {
	// log gets every line; nil means nobody does.
	log *slog.Logger
	// ready is closed when all three services listen, unless it is nil.
	ready chan struct{}

	mu       sync.Mutex
	partial  []byte
	lines    []string
	services map[string]string // "Blob" to "http://127.0.0.1:10000"
}

// Write implements io.Writer.
func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, data...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			return len(data), nil
		}
		o.partial = rest
		o.add(strings.TrimRight(string(line), "\r "))
	}
}

func (o *output) add(line string) {
	if line == "" {
		return
	}
	if o.log != nil {
		o.log.Debug("azurite", "output", line)
	}
	o.lines = append(o.lines, line)
	if surplus := len(o.lines) - tailLines; surplus > 0 {
		o.lines = o.lines[surplus:]
	}
	match := listening.FindStringSubmatch(line)
	if match == nil || o.ready == nil || len(o.services) == 3 {
		return
	}
	if o.services == nil {
		o.services = map[string]string{}
	}
	o.services[match[1]] = match[2]
	if len(o.services) == 3 {
		close(o.ready)
	}
}

// url returns where the service listens, once ready is closed.
func (o *output) url(service string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.services[service]
}

// tail returns the end of the output as the end of an error text.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := o.lines
	if len(o.partial) > 0 {
		lines = append(lines[:len(lines):len(lines)], string(o.partial))
	}
	if len(lines) == 0 {
		return " (no output)"
	}
	return "; its last output:\n  " + strings.Join(lines, "\n  ")
}
