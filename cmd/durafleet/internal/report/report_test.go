package report_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
)

func TestReport_RoundTrip(t *testing.T) {
	t.Parallel()
	out := &bytes.Buffer{}
	w := report.NewWriter(out, "w1")
	w.Say(report.Started)
	w.Activity(activity.Info{Name: "A", CallID: "x:1", Attempt: 2, Delivery: 3}, errors.New("broken"))
	w.Requests(map[string]int64{"queue.put": 4})
	var got []report.Line
	if err := report.Read(out, func(line report.Line) { got = append(got, line) }); err != nil {
		t.Fatal(err)
	}
	want := []report.Line{
		{Kind: report.Started, Worker: "w1"},
		{Kind: report.Run, Worker: "w1", Activity: "A", CallID: "x:1", Attempt: 2, Delivery: 3, Error: "broken"},
		{Kind: report.Requests, Worker: "w1", Counts: map[string]int64{"queue.put": 4}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRead_Broken(t *testing.T) {
	t.Parallel()
	const line = `{"kind":"started","worker":"w1"}` + "\n"
	for _, tt := range []struct {
		name, in string
		lines    int
		fails    bool
	}{
		{"cut off at the end", line + `{"kind":"ru`, 1, false},
		{"garbage in between", line + "panic: no\n" + line, 1, true},
		{"a line without end", line + strings.Repeat("x", 2<<20), 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := 0
			err := report.Read(strings.NewReader(tt.in), func(report.Line) { lines++ })
			if lines != tt.lines || (err != nil) != tt.fails {
				t.Errorf("%d lines, %v", lines, err)
			}
		})
	}
}
