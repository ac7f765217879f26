package wire_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

func TestInstance_ClientRow(t *testing.T) {
	t.Parallel()
	start := created.Add(time.Hour)
	in := wire.Instance{
		InstanceID: "a/b", ExecutionID: "e", Name: "N", Version: "1", Input: history.Text("[1]"), Created: created,
		LastUpdated: created.Add(time.Second), ScheduledStart: &start, Status: history.Pending, Generation: 2,
		HasGeneration: true, Tags: map[string]string{"team": "blue"}, TaskHubName: "MyHub",
	}
	c := wire.EncodeNewInstance(in)
	want := wire.Columns{
		"ExecutionId": "e", "Name": "N", "Version": "1", "Input": "[1]", "CreatedTime": created,
		"LastUpdatedTime": created.Add(time.Second), "ScheduledStartTime": start, "RuntimeStatus": "Pending",
		"Generation": int32(2), "Tags": `{"team":"blue"}`, "TaskHubName": "MyHub",
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	got, err := wire.DecodeInstance("a^0b", c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if c := wire.EncodeNewInstance(wire.Instance{}); c["RuntimeStatus"] != "Pending" || c["Tags"] != "null" {
		t.Errorf("empty row %v", c)
	}
}

func TestInstanceUpdate(t *testing.T) {
	t.Parallel()
	always := wire.Columns{"CustomStatus": "null", "ExecutionId": "e", "LastUpdatedTime": created, "TaskHubName": "H"}
	u := wire.InstanceUpdate{ExecutionID: "e", LastUpdated: created, TaskHubName: "H"}
	if diff := cmp.Diff(always, u.Encode()); diff != "" {
		t.Errorf("plain checkpoint (-want +got):\n%s", diff)
	}
	u.CustomStatus = history.Text(`"half"`)
	u.Start = &wire.InstanceStart{Name: "N", Created: created}
	u.Status = history.Completed
	u.Completed = &created
	u.Output = history.Text("1")
	want := wire.Columns{
		"CustomStatus": `"half"`, "ExecutionId": "e", "LastUpdatedTime": created, "TaskHubName": "H", "Name": "N", "Version": "",
		"CreatedTime": created, "Tags": "null", "RuntimeStatus": "Completed", "CompletedTime": created, "Output": "1",
	}
	if diff := cmp.Diff(want, u.Encode()); diff != "" {
		t.Errorf("single-turn execution (-want +got):\n%s", diff)
	}
}

func TestInstance_PartialMerges(t *testing.T) {
	t.Parallel()
	want := wire.Columns{"RuntimeStatus": "Terminated", "LastUpdatedTime": created, "CompletedTime": created, "Output": "r"}
	if diff := cmp.Diff(want, wire.EncodeEarlyTermination(history.Text("r"), created, created)); diff != "" {
		t.Errorf("early termination (-want +got):\n%s", diff)
	}
	want = wire.Columns{"RuntimeStatus": "Pending", "LastUpdatedTime": created}
	if diff := cmp.Diff(want, wire.EncodeRewound(created)); diff != "" {
		t.Errorf("rewind (-want +got):\n%s", diff)
	}
}

func TestDecodeInstance_Old(t *testing.T) {
	t.Parallel()
	got, err := wire.DecodeInstance("i", wire.Columns{
		"Name": "N", "RuntimeStatus": "Novel", "CreatedTime": created, "CustomStatus": "null", "Input": "",
		"InputBlobName": "i/history--Input-1A2B3C4D-Input.json.gz", "Tags": "", "TagsBlobName": "t", "Shoe": 4.5,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Instance{
		InstanceID: "i", Name: "N", Status: "Novel", Created: created, Input: history.Text(""),
		InputBlob: "i/history--Input-1A2B3C4D-Input.json.gz",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err = wire.DecodeInstance("i", wire.Columns{"Input": "1", "InputBlobName": "stale", "CustomStatus": "0"})
	if err != nil || got.InputBlob != "" || history.TextOr(got.CustomStatus, "") != "0" {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestDecodeInstance_Errors(t *testing.T) {
	t.Parallel()
	for column, value := range map[string]any{
		"Generation": int64(1), "Name": int32(1), "CreatedTime": "now", "Tags": "[", "Output": true, "CompletedTime": 1.0,
	} {
		_, err := wire.DecodeInstance("i", wire.Columns{column: value})
		if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), column) {
			t.Errorf("%s %v: got error %v", column, value, err)
		}
	}
}

func TestInstanceColumns(t *testing.T) {
	t.Parallel()
	slim, full := wire.InstanceColumns(false), wire.InstanceColumns(true)
	for _, name := range []string{"Input", "Output"} {
		if slices.Contains(slim, name) || !slices.Contains(full, name) {
			t.Errorf("%s is in %q or not in %q", name, slim, full)
		}
	}
	row := wire.InstanceUpdate{Start: &wire.InstanceStart{}, Status: "x", Completed: &created}.Encode()
	for name := range row {
		if !slices.Contains(slim, name) {
			t.Errorf("%s is not selected", name)
		}
	}
}

func TestFailedOutput(t *testing.T) {
	t.Parallel()
	failure := &history.FailureDetails{Type: "T", Message: "m"}
	long := strings.Repeat("😀", 20_000)
	for _, tt := range []struct {
		result  *string
		failure *history.FailureDetails
		want    *string
	}{
		{nil, nil, nil},
		{history.Text("m"), nil, history.Text("m")},
		{history.Text("m"), failure, history.Text("T: m")},
		{nil, failure, history.Text("T: m")},
		{history.Text("http://host/"), nil, history.Text(" http://host/")},
		{nil, &history.FailureDetails{Type: "T", Message: long}, history.Text("T: " + strings.Repeat("😀", 16_382))},
	} {
		if diff := cmp.Diff(tt.want, wire.FailedOutput(tt.result, tt.failure)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestSafeOutput(t *testing.T) {
	t.Parallel()
	for text, changed := range map[string]bool{
		"": false, "done": false, `"http://host/"`: false, `{"a":"b:c"}`: false, "null": false, "[1]": false, "3": false,
		"no longer needed: see http://host/": false, "T.Error: message": false, ":x": false, "1a:x": false, `c:\dir`: false,
		"http://host/": true, "urn:x": true, "HTTPS://h": true, "mailto:a@b": true, "a+b.c-1:x": true, "x:": true,
		"http://host/ä": true, "http://host/ ": true,
	} {
		want := text
		if changed {
			want = " " + text
		}
		if got := wire.SafeOutput(text); got != want {
			t.Errorf("SafeOutput(%q) = %q, want %q", text, got, want)
		}
	}
}
