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
	for text := range bytes.Lines(out.Bytes()) {
		line, err := report.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
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

func TestParse_Broken(t *testing.T) {
	t.Parallel()
	if line, err := report.Parse([]byte("panic: no")); err == nil || !strings.Contains(err.Error(), `report "panic: no"`) {
		t.Errorf("%+v, %v", line, err)
	}
}
