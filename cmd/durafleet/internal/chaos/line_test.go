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
	for text := range bytes.Lines(out.Bytes()) {
		l, err := parseLine(text)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, l)
	}
	if !reflect.DeepEqual(read, said) {
		t.Errorf("got %+v, want %+v", read, said)
	}
}

func TestParseLine_Broken(t *testing.T) {
	t.Parallel()
	if l, err := parseLine([]byte("panic: no")); err == nil || !strings.Contains(err.Error(), `line "panic: no" of a worker`) {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.take("a", line{Kind: lineBegun, Call: "1"})
	l.take("b", line{Kind: lineBegun, Call: "1"})
	l.take("b", line{Kind: lineBegun, Call: "2"})
	if runs, calls, repeated := l.activities(); runs != 3 || calls != 2 || repeated != 1 {
		t.Errorf("%d runs of %d calls, %d repeated", runs, calls, repeated)
	}
	for range 2 { // the latest counts take the place of those before
		l.take("a", line{Kind: lineRequests, Counts: map[string]int64{"queue.put": 2}})
	}
	l.take("b", line{Kind: lineRequests, Counts: map[string]int64{"queue.put": 3}})
	if got := l.requestsByKind(map[string]int64{"queue.put": 1})["queue.put"]; got != 6 {
		t.Errorf("%d requests, want 6", got)
	}
}
