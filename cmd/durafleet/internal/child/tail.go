package child

import (
	"strings"
	"sync"
)

// tail keeps the end of what is written to it. Its zero value is ready for use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4096

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, data...)
	if surplus := len(t.text) - tailBytes; surplus > 0 {
		t.text = t.text[surplus:]
	}
	return len(data), nil
}

// String returns the end.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
