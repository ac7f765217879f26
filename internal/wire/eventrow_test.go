package wire_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

func TestEncodeEvent(t *testing.T) {
	t.Parallel()
	fire := created.Add(time.Minute)
	for _, tt := range []struct {
		event history.Event
		want  wire.Columns
	}{
		{
			&history.TaskScheduled{Header: head(2), Name: "A"},
			wire.Columns{"EventType": "TaskScheduled", "EventId": int32(2), "Name": "A", "Version": "", "ParentTraceContext": "null", "Tags": "null"},
		},
		{
			&history.SubOrchestrationFailed{
				Header: head(-1), TaskID: 1, Reason: history.Text("r"),
				Failure: &history.FailureDetails{Type: "T", Message: "m"},
			},
			wire.Columns{
				"EventType": "SubOrchestrationInstanceFailed", "EventId": int32(-1), "TaskScheduledId": int32(1), "Reason": "r",
				"FailureDetails": `{"ErrorType":"T","ErrorMessage":"m","StackTrace":null,"InnerFailure":null,"IsNonRetriable":false,"Properties":null}`,
			},
		},
		{
			&history.ExecutionCompleted{Header: head(3), Status: history.Completed, Result: history.Text("1")},
			wire.Columns{"EventType": "ExecutionCompleted", "EventId": int32(3), "OrchestrationStatus": "Completed", "Result": "1", "FailureDetails": "null"},
		},
		{
			&history.TimerCreated{Header: head(0), FireAt: fire},
			wire.Columns{"EventType": "TimerCreated", "EventId": int32(0), "FireAt": fire},
		},
		{
			&history.ExecutionTerminated{Header: history.Header{EventID: -1, Timestamp: created, IsPlayed: true}, Reason: history.Text("r")},
			wire.Columns{"EventType": "ExecutionTerminated", "EventId": int32(-1), "Input": "r"},
		},
		{
			&history.GenericEvent{Header: head(-1), Reason: history.Text("Rewound: X")},
			wire.Columns{"EventType": "GenericEvent", "EventId": int32(-1), "Reason": "Rewound: X"},
		},
	} {
		maps.Copy(tt.want, wire.Columns{"IsPlayed": false, "_Timestamp": created, "ExecutionId": "e"})
		got, err := wire.EncodeEvent(tt.event, "e")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.event.Kind(), diff)
		}
	}
}

func TestEncodeEvent_Refusals(t *testing.T) {
	t.Parallel()
	for _, e := range []history.Event{&history.ContinueAsNew{}, &history.HistoryState{}, &history.ExecutionRewound{}} {
		if _, err := wire.EncodeEvent(e, "e"); !errors.Is(err, wire.ErrNotWritable) {
			t.Errorf("%s: got error %v, want ErrNotWritable", e.Kind(), err)
		}
	}
	e := &history.TaskFailed{Failure: &history.FailureDetails{Properties: map[string]any{"c": make(chan int)}}}
	if _, err := wire.EncodeEvent(e, "e"); err == nil || !strings.Contains(err.Error(), "FailureDetails") {
		t.Errorf("unencodable property: got error %v", err)
	}
}

// A time that tables cannot hold must not make an instance unsavable.
func TestEncodeEvent_AncientTime(t *testing.T) {
	t.Parallel()
	c, err := wire.EncodeEvent(&history.TimerCreated{}, "e")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_Timestamp", "FireAt"} {
		if at := c[name].(time.Time); at.Year() != 1601 {
			t.Errorf("%s is %v", name, at)
		}
	}
}

func startRow() wire.Columns {
	return wire.Columns{
		"EventType": "ExecutionStarted", "EventId": int32(-1), "_Timestamp": created, "ExecutionId": "e",
		"OrchestrationInstance": `{"InstanceId":"i","ExecutionId":"e"}`, "Name": "N",
	}
}

// What 1.x wrote: no columns for null objects, no Generation.
func TestDecodeEvent_Old(t *testing.T) {
	t.Parallel()
	want := &history.ExecutionStarted{Header: head(-1), Instance: history.Instance{InstanceID: "i", ExecutionID: "e"}, Name: "N"}
	for name, c := range map[string]wire.Columns{
		"absent":  {},
		"null":    {"ParentInstance": "null", "Tags": "null", "ParentTraceContext": "null"},
		"empty":   {"ParentInstance": "", "Tags": "", "ParentTraceContext": ""},
		"nil":     {"ParentInstance": nil, "Generation": nil},
		"foreign": {"Shoe": int64(43), "Timestamp": created},
		"$type":   {"OrchestrationInstance": `{"$type":"DurableTask.Core.OrchestrationInstance","ExecutionId":"e","instanceid":"i"}`},
	} {
		row := startRow()
		maps.Copy(row, c)
		got, err := wire.DecodeEvent(row)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(history.Event(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDecodeEvent_Errors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		column string
		value  any
		want   string
	}{
		{"EventId", int64(1), "column EventId: found a 64-bit number (Edm.Int64) instead of a 32-bit number (Edm.Int32)"},
		{"EventType", true, "column EventType: found a truth value (Edm.Boolean) instead of a text (Edm.String)"},
		{"EventType", "Novelty", `unknown event type "Novelty"`},
		{"EventType", "DurableTask.Core.History.NoveltyEvent", `unknown event type "DurableTask.Core.History.NoveltyEvent"`},
		{"EventType", strings.Repeat("a", 60) + strings.Repeat("b", 1000) + strings.Repeat("c", 40), `unknown event type "` + strings.Repeat("a", 60) + `…` + strings.Repeat("c", 40) + `"`},
		{"EventType", nil, `unknown event type ""`},
		{"_Timestamp", "2025-03-04T10:20:30Z", "column _Timestamp: found a text (Edm.String) instead of a time (Edm.DateTime)"},
		{"IsPlayed", "false", "column IsPlayed: found a text (Edm.String) instead of a truth value (Edm.Boolean)"},
		{"Generation", 1.5, "column Generation: found a fraction (Edm.Double) instead of a 32-bit number (Edm.Int32)"},
		{"Name", []byte("x"), "column Name: found bytes (Edm.Binary) instead of a text (Edm.String)"},
		{"ScheduledStartTime", int32(5), "column ScheduledStartTime: found a 32-bit number (Edm.Int32) instead of a time (Edm.DateTime)"},
		{"Input", struct{}{}, "column Input: found struct {} instead of a text (Edm.String)"},
		{"Tags", `{"a":`, "column Tags: invalid JSON at byte"},
		{"Tags", `{"a":{}}`, "column Tags:"},
		{"OrchestrationInstance", `"x"`, "column OrchestrationInstance: found JSON string"},
		{"ParentTraceContext", `{"ActivityStartTime":"soon"}`, "is not an ISO 8601 time"},
	} {
		row := startRow()
		row[tt.column] = tt.value
		e, err := wire.DecodeEvent(row)
		if e != nil || !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %v: got event %v, error %v; want %q", tt.column, tt.value, e, err, tt.want)
		}
	}
	row := startRow()
	row["EventType"] = "Novelty"
	if _, err := wire.DecodeEvent(row); !errors.Is(err, wire.ErrUnknownEvent) {
		t.Errorf("got error %v, want ErrUnknownEvent", err)
	}
}

// Events of other back ends are readable, though never written.
func TestDecodeEvent_ReadOnly(t *testing.T) {
	t.Parallel()
	h := wire.Columns{"EventId": int32(-1), "_Timestamp": created}
	for _, tt := range []struct {
		columns wire.Columns
		want    history.Event
	}{
		{
			wire.Columns{"EventType": "ExecutionRewound", "Reason": "r", "ParentExecutionId": "p", "InstanceId": "i", "ParentTraceContext": `{"TraceParent":"t"}`},
			&history.ExecutionRewound{
				Header: head(-1), Reason: history.Text("r"), ParentExecutionID: history.Text("p"),
				InstanceID: history.Text("i"), ParentTrace: &history.TraceContext{TraceParent: "t"},
			},
		},
		{
			wire.Columns{"EventType": "ContinueAsNew", "OrchestrationStatus": "ContinuedAsNew", "Result": "2"},
			&history.ContinueAsNew{Header: head(-1), Status: history.ContinuedAsNew, Result: history.Text("2")},
		},
		{
			wire.Columns{"EventType": "HistoryState", "State": `{"Name":"x"}`},
			&history.HistoryState{Header: head(-1), State: history.Text(`{"Name":"x"}`)},
		},
		{wire.Columns{"EventType": "HistoryState", "State": "null"}, &history.HistoryState{Header: head(-1)}},
		{
			wire.Columns{"EventType": "ExecutionCompleted", "OrchestrationStatus": "Novel"},
			&history.ExecutionCompleted{Header: head(-1), Status: "Novel"},
		},
	} {
		maps.Copy(tt.columns, h)
		got, err := wire.DecodeEvent(tt.columns)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestLargeColumns(t *testing.T) {
	t.Parallel()
	limit := strings.Repeat("x", wire.LargeLimit/2)
	emoji := strings.Repeat("😀", wire.LargeLimit/4)
	c := wire.Columns{
		"Input": limit, "Result": limit + "x", "Output": emoji, "Reason": emoji + "x", "Details": limit + "é",
		"CustomStatus": limit + "x", "Data": limit + "x", "Tags": int32(1), "Correlation": "", "FailureDetails": nil,
	}
	if diff := cmp.Diff([]string{"Result", "Reason", "Details"}, wire.LargeColumnsOf(c)); diff != "" {
		t.Errorf("large columns (-want +got):\n%s", diff)
	}
	wire.SetBlob(c, "Result", "b1")
	wire.SetBlob(c, "Reason", "b2")
	wire.SetBlob(c, "Details", "b3")
	want := map[string]string{"Result": "b1", "Reason": "b2", "Details": "b3"}
	if diff := cmp.Diff(want, wire.BlobColumns(c)); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if got := wire.EstimateBytes(c); c["Result"] != "" || got != 1024+2*wire.LargeLimit {
		t.Errorf("estimate %d", got)
	}
	if names := wire.LargeColumns(); len(names) != 9 {
		t.Errorf("large columns %q", names)
	}
}

func TestHistoryBlobName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{
			wire.HistoryBlobName("order-1001", wire.RowKey(10), "TaskCompleted", "3E3CB99E", "Result"),
			"order-1001/history-000000000000000A-TaskCompleted-3E3CB99E-Result.json.gz",
		},
		{wire.HistoryBlobName("x/y", "", "Input", "1A2B3C4D", "Input"), "x^0y/history--Input-1A2B3C4D-Input.json.gz"},
	} {
		if tt.got != tt.want || wire.IsStartMessageBlob(tt.got) {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}
