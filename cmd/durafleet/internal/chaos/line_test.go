package chaos

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	t.Parallel()
	said := []line{
		{Kind: lineStarted},
		{Kind: lineBegun, Instance: "x", Call: "x:1 attempt 2"},
		{Kind: lineRequests, Counts: map[string]int64{"queue.put": 4}},
	}
	out := &bytes.Buffer{}
	tell := &narrator{out: out}
	for _, l := range said {
		tell.say(l)
	}
	var read []line
	if err := readLines(out, func(l line) { read = append(read, l) }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, said) {
		t.Errorf("got %+v, want %+v", read, said)
	}
}

func TestReadLines_Broken(t *testing.T) {
	t.Parallel()
	const whole = `{"kind":"started"}` + "\n"
	for _, tt := range []struct {
		name, in string
		fails    bool
	}{
		{"cut off at the end", whole + `{"kind":"ru`, false},
		{"garbage in between", whole + "panic: no\n" + whole, true},
		{"a line without end", whole + strings.Repeat("x", 2<<20), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := 0
			err := readLines(strings.NewReader(tt.in), func(line) { lines++ })
			if lines != 1 || (err != nil) != tt.fails {
				t.Errorf("%d lines, %v", lines, err)
			}
		})
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	l := newLedger()
	a, b := &member{id: "a"}, &member{id: "b"}
	l.take(a, line{Kind: lineBegun, Call: "1"})
	l.take(b, line{Kind: lineBegun, Call: "1"})
	l.take(b, line{Kind: lineBegun, Call: "2"})
	if runs, calls, repeated := l.activities(); runs != 3 || calls != 2 || repeated != 1 {
		t.Errorf("%d runs of %d calls, %d repeated", runs, calls, repeated)
	}
	for range 2 { // the latest counts take the place of those before
		l.take(a, line{Kind: lineRequests, Counts: map[string]int64{"queue.put": 2}})
	}
	l.take(b, line{Kind: lineRequests, Counts: map[string]int64{"queue.put": 3}})
	if got := l.requestsByKind(map[string]int64{"queue.put": 1})["queue.put"]; got != 6 {
		t.Errorf("%d requests, want 6", got)
	}
}
