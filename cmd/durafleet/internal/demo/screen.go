package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// screen prints lines that stay and a progress that changes. On a terminal the progress is one
// line that is written over; elsewhere it is printed now and then. It may be used concurrently.
type screen struct {
	out      io.Writer
	terminal bool
	begun    time.Time

	mu      sync.Mutex
	width   int       // of the progress that stands on the terminal
	printed time.Time // when progress was last printed elsewhere
	last    string
}

const plainInterval = 3 * time.Second

func newScreen(out io.Writer, terminal bool) *screen {
	return &screen{out: out, terminal: terminal, begun: time.Now()}
}

// say prints a line that stays.
func (s *screen) say(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.print(fmt.Sprintf(format, arguments...))
}

// text prints lines without the time.
func (s *screen) text(lines string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprint(s.out, lines)
}

// progress shows how far things are.
func (s *screen) progress(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, arguments...)
	if s.terminal {
		s.clear()
		line := s.stamp() + text
		fmt.Fprint(s.out, line)
		s.width = utf8.RuneCountInString(line)
		return
	}
	if text != s.last && time.Since(s.printed) >= plainInterval {
		s.printed, s.last = time.Now(), text
		s.print(text)
	}
}

// end leaves the cursor at the beginning of a line.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *screen) print(text string) { fmt.Fprintln(s.out, s.stamp()+text) }

func (s *screen) stamp() string { return fmt.Sprintf("%5.1fs  ", time.Since(s.begun).Seconds()) }

// clear removes the progress that stands on the terminal.
func (s *screen) clear() {
	if s.width > 0 {
		fmt.Fprint(s.out, "\r"+strings.Repeat(" ", s.width)+"\r")
		s.width = 0
	}
}
