package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

// resultMessage is a message that the cases of these tests distort.
const resultMessage = `{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":"4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05",` +
	`"TaskMessage":{"$type":"DurableTask.Core.TaskMessage","Event":{"$type":"DurableTask.Core.History.TaskCompletedEvent",` +
	`"EventType":5,"TaskScheduledId":2,"Result":"\"ok\"","EventId":-1,"IsPlayed":false,"Timestamp":"2025-03-04T10:20:33.5Z"},` +
	`"SequenceNumber":0,"OrchestrationInstance":{"$type":"DurableTask.Core.OrchestrationInstance","InstanceId":"i",` +
	`"ExecutionId":"e"},"OrchestrationExecutionContext":null},"CompressedBlobName":null,"SequenceNumber":5,"Episode":1,` +
	`"Sender":{"InstanceId":"i","ExecutionId":"e"},"SerializableTraceContext":null}`

func resultOf(change func(*wire.Message, *history.TaskCompleted)) *wire.Message {
	episode := int32(1)
	e := &history.TaskCompleted{
		Header: history.Header{EventID: -1, Timestamp: time.Date(2025, 3, 4, 10, 20, 33, 5e8, time.UTC)},
		TaskID: 2, Result: history.Text(`"ok"`),
	}
	m := &wire.Message{
		ActivityID: "4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05", Event: e, SequenceNumber: 5, Episode: &episode,
		Target: history.Instance{InstanceID: "i", ExecutionID: "e"},
		Sender: &history.Instance{InstanceID: "i", ExecutionID: "e"},
	}
	if change != nil {
		change(m, e)
	}
	return m
}

func TestDecodeMessage_Tolerance(t *testing.T) {
	t.Parallel()
	result := func(text string) func(*wire.Message, *history.TaskCompleted) {
		return func(_ *wire.Message, e *history.TaskCompleted) { e.Result = &text }
	}
	at := func(at time.Time) func(*wire.Message, *history.TaskCompleted) {
		return func(_ *wire.Message, e *history.TaskCompleted) { e.Timestamp = at }
	}
	const eventType = `"$type":"DurableTask.Core.History.TaskCompletedEvent",`
	for _, tt := range []struct {
		name     string
		old, new string
		change   func(*wire.Message, *history.TaskCompleted)
	}{
		{name: "as it is"},
		{name: "no $type on the event", old: eventType},
		{name: "$type not first", old: eventType + `"EventType":5,`, new: `"EventType":5,` + eventType},
		{name: "$type with assembly", old: `TaskCompletedEvent"`, new: `TaskCompletedEvent, DurableTask.Core"`},
		{name: "$type missing elsewhere", old: `"$type":"DurableTask.Core.OrchestrationInstance",`},
		{name: "unknown member", old: `"EventId"`, new: `"Shoe":{"size":[9]},"EventId"`},
		{name: "members in another case", old: `"TaskScheduledId":2,"Result"`, new: `"taskscheduledid":2,"RESULT"`},
		{name: "envelope in another case", old: `"TaskMessage"`, new: `"taskMessage"`},
		{name: "event type as name", old: `"EventType":5`, new: `"EventType":"TaskCompleted"`},
		{name: "event type of another event", old: `"EventType":5`, new: `"EventType":6`},
		{name: "name only", old: eventType + `"EventType":5`, new: `"EventType":"TaskCompleted"`},
		{name: "no event ID", old: `"EventId":-1,`},
		{name: "no played flag", old: `"IsPlayed":false,`},
		{name: "played", old: `"IsPlayed":false`, new: `"IsPlayed":"True"`, change: func(_ *wire.Message, e *history.TaskCompleted) { e.IsPlayed = true }},
		{name: "number as text", old: `"TaskScheduledId":2`, new: `"TaskScheduledId":"2"`},
		{name: "no task ID", old: `"TaskScheduledId":2,`, change: func(_ *wire.Message, e *history.TaskCompleted) { e.TaskID = 0 }},
		{name: "result as number", old: `"\"ok\""`, new: `4.20`, change: result("4.20")},
		{name: "result as boolean", old: `"\"ok\""`, new: `true`, change: result("true")},
		{name: "result that looks like a date", old: `\"ok\"`, new: `2025-03-04T10:20:33`, change: result("2025-03-04T10:20:33")},
		{name: "null result", old: `"\"ok\""`, new: `null`, change: func(_ *wire.Message, e *history.TaskCompleted) { e.Result = nil }},
		{name: "no timestamp", old: `,"Timestamp":"2025-03-04T10:20:33.5Z"`, change: at(time.Time{})},
		{name: "nine digits", old: `33.5Z`, new: `33.500000050Z`, change: at(time.Date(2025, 3, 4, 10, 20, 33, 500000100, time.UTC))},
		{name: "offset", old: `10:20:33.5Z`, new: `12:20:33.5+02:00`},
		{name: "no zone", old: `33.5Z`, new: `33.5`},
		{name: "no activity ID", old: `"ActivityId":"4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05",`, change: func(m *wire.Message, _ *history.TaskCompleted) {
			m.ActivityID = "00000000-0000-0000-0000-000000000000"
		}},
		{name: "null sender", old: `{"InstanceId":"i","ExecutionId":"e"},"Ser`, new: `null,"Ser`, change: func(m *wire.Message, _ *history.TaskCompleted) { m.Sender = nil }},
		{name: "foreign trace context", old: `TraceContext":null}`, new: `TraceContext":{"a":1}}`},
		{name: "unreadable private part", old: `TraceContext":null}`, new: `TraceContext":null,"Durafleet":[1]}`},
		{name: "private part of a later version", old: `TraceContext":null}`, new: `TraceContext":null,"Durafleet":{"task":"T","new":{}}}`, change: func(m *wire.Message, _ *history.TaskCompleted) {
			m.Private = &wire.Private{TaskName: "T"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := resultMessage
			if tt.old != "" {
				if text = strings.Replace(text, tt.old, tt.new, 1); text == resultMessage {
					t.Fatal("the case changes nothing")
				}
			}
			for _, form := range []string{text, wire.Base64(text), "\uFEFF \n" + text, wire.Base64(text) + "\n"} {
				if diff := cmp.Diff(resultOf(tt.change), decode(t, form)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestDecodeMessage_Malformed(t *testing.T) {
	t.Parallel()
	const secret = "a-very-long-payload-text-that-must-not-be-logged"
	for _, tt := range []struct {
		name     string
		old, new string
		want     string
	}{
		{"unknown class", "TaskCompletedEvent", "TaskLostEvent", "unknown event type"},
		{"unknown number", `"$type":"DurableTask.Core.History.TaskCompletedEvent","EventType":5`, `"EventType":99`, "unknown event type"},
		{"result as object", `"\"ok\""`, `{"a":"` + secret + `"}`, "Event.Result"},
		{"task ID too large", `"TaskScheduledId":2`, `"TaskScheduledId":3000000000`, "32-bit integer"},
		{"task ID no number", `"TaskScheduledId":2`, `"TaskScheduledId":"` + secret + `"`, "Event.TaskScheduledId"},
		{"flag no boolean", `"IsPlayed":false`, `"IsPlayed":"` + secret + `"`, "boolean"},
		{"time no time", `2025-03-04T10:20:33.5Z`, secret, "ISO 8601"},
		{"event no object", `"Event":{`, `"Event":7,"X":{`, "JSON number"},
		{"activity ID no GUID", "4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05", secret, "GUID"},
		{"no instance ID", `"InstanceId":"i"`, `"InstanceId":""`, "no instance ID"},
		{"no task message", `"TaskMessage":{`, `"TaskMassage":{`, "TaskMessage: missing"},
		{"no event", `"Event":{`, `"Evenk":{`, "TaskMessage.Event: missing"},
		{"cut off", `,"CompressedBlobName"`, `;"CompressedBlobName"`, "invalid JSON at byte"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(resultMessage, tt.old, tt.new, 1)
			if text == resultMessage {
				t.Fatal("the case changes nothing")
			}
			checkMalformed(t, text, tt.want)
		})
	}
	for text, want := range map[string]string{
		"":                        "empty",
		"  ":                      "empty",
		"%%%":                     "neither JSON nor Base64",
		secret:                    "neither JSON nor Base64",
		wire.Base64(secret):       "holds no JSON object",
		wire.Base64(""):           "empty",
		`{}`:                      "TaskMessage: missing",
		`{"TaskMessage":` + `[]}`: "JSON array",
	} {
		checkMalformed(t, text, want)
	}
}

func checkMalformed(t *testing.T, text, want string) {
	t.Helper()
	m, blob, err := wire.DecodeMessage(text)
	var typed *wire.DecodeError
	switch {
	case !errors.Is(err, wire.ErrMalformed) || !errors.As(err, &typed) || m != nil || blob != "":
		t.Errorf("got message %v, blob %q, error %v; want a DecodeError", m, blob, err)
	case !strings.Contains(err.Error(), want):
		t.Errorf("error %q does not contain %q", err, want)
	case strings.Contains(err.Error(), "must-not-be-logged"):
		t.Errorf("error %q shows the payload", err)
	}
}

func TestDecodeMessage_UnknownEvent(t *testing.T) {
	t.Parallel()
	_, _, err := wire.DecodeMessage(strings.Replace(resultMessage, "TaskCompletedEvent", "NewEvent", 1))
	if !errors.Is(err, wire.ErrUnknownEvent) {
		t.Errorf("got error %v, want ErrUnknownEvent", err)
	}
}

// A start message names its instance twice; one of the two suffices.
func TestDecodeMessage_StartTarget(t *testing.T) {
	t.Parallel()
	text := encode(t, messageOf(&history.ExecutionStarted{Header: head(-1), Instance: execution, Name: "N"}))
	instance := `{"$type":"DurableTask.Core.OrchestrationInstance","InstanceId":"order-1001",` +
		`"ExecutionId":"5d0c1f7e9b3a4c0f8e21aa64b7c3d9e2"}`
	first := strings.Replace(text, instance, "null", 1)
	i := strings.LastIndex(text, instance)
	second := text[:i] + "null" + text[i+len(instance):]
	for _, incomplete := range []string{first, second} {
		m := decode(t, incomplete)
		if m.Target != execution || m.Event.(*history.ExecutionStarted).Instance != execution {
			t.Errorf("target %v of %s", m.Target, incomplete)
		}
	}
}

func TestDecodeMessage_TaskScheduledWithoutEventID(t *testing.T) {
	t.Parallel()
	text := encode(t, messageOf(&history.TaskScheduled{Header: head(0), Name: "A"}))
	m := decode(t, strings.Replace(text, `"EventId":0,`, "", 1))
	if id := m.Event.Head().EventID; id != 0 {
		t.Errorf("event ID %d, want 0", id)
	}
}

// Events that are no messages are readable all the same, with statuses in both spellings.
func TestDecodeMessage_Status(t *testing.T) {
	t.Parallel()
	text := strings.Replace(resultMessage, "TaskCompletedEvent", "ExecutionCompletedEvent", 1)
	for spelling, want := range map[string]history.Status{
		"0": history.Running, "7": history.Suspended, `"Failed"`: history.Failed, `"3"`: history.Failed,
	} {
		m := decode(t, strings.Replace(text, `"TaskScheduledId":2`, `"OrchestrationStatus":`+spelling, 1))
		if got := m.Event.(*history.ExecutionCompleted).Status; got != want {
			t.Errorf("%s: got %s, want %s", spelling, got, want)
		}
	}
	for _, spelling := range []string{"8", "-1", `"Novel"`, "null", "{}"} {
		checkMalformed(t, strings.Replace(text, `"TaskScheduledId":2`, `"OrchestrationStatus":`+spelling, 1), "OrchestrationStatus")
	}
}

// The DataContract form of .NET spells dictionaries and times with offset in other ways.
func TestDecodeMessage_DataContract(t *testing.T) {
	t.Parallel()
	const text = `{"ActivityId":"4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05","TaskMessage":{"Event":{` +
		`"__type":"TaskScheduledEvent:#DurableTask.Core.History","EventId":3,"EventType":4,"IsPlayed":false,` +
		`"Timestamp":"2025-03-04T10:20:30.4455667Z","Input":"[1]","Name":"A",` +
		`"ParentTraceContext":{"ActivityStartTime":{"DateTime":"2025-03-04T10:20:30.4455667Z","OffsetMinutes":0},"TraceParent":"p"},` +
		`"Tags":[{"Key":"team","Value":"blue"}],"Version":""},"OrchestrationExecutionContext":{"OrchestrationTags":[]},` +
		`"OrchestrationInstance":{"ExecutionId":"e","InstanceId":"i"},"SequenceNumber":0},"Sender":{"ExecutionId":"","InstanceId":""}}`
	want := &history.TaskScheduled{
		Header: head(3), Name: "A", Input: history.Text("[1]"), Tags: map[string]string{"team": "blue"},
		ParentTrace: &history.TraceContext{TraceParent: "p", ActivityStartTime: &created},
	}
	m := decode(t, text)
	if diff := cmp.Diff(history.Event(want), m.Event); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if m.Context == nil || m.Context.Tags == nil {
		t.Errorf("context %v", m.Context)
	}
}

// Failure properties keep their values and lose the $type members of dictionaries at any depth.
func TestDecodeMessage_Properties(t *testing.T) {
	t.Parallel()
	text := encode(t, messageOf(&history.TaskFailed{Failure: &history.FailureDetails{Properties: map[string]any{"x": "y"}}}))
	for spelling, want := range map[string]map[string]any{
		`{"$type":"D","a":{"$type":"D","b":[{"$type":"D","c":1}]}}`: {"a": map[string]any{"b": []any{map[string]any{"c": 1.0}}}},
		`[{"Key":"code","Value":51}]`:                               {"code": 51.0},
		`{}`:                                                        {},
		`null`:                                                      nil,
	} {
		m := decode(t, strings.Replace(text, `{"x":"y"}`, spelling, 1))
		if diff := cmp.Diff(want, m.Event.(*history.TaskFailed).Failure.Properties); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spelling, diff)
		}
	}
}

func TestDecodeMessage_DeepFailure(t *testing.T) {
	t.Parallel()
	const depth = 3000
	failure := &history.FailureDetails{Type: "T"}
	for range depth {
		failure = &history.FailureDetails{Type: "T", Inner: failure}
	}
	m := decode(t, encode(t, messageOf(&history.TaskFailed{Failure: failure})))
	n := 0
	for f := m.Event.(*history.TaskFailed).Failure; f.Inner != nil; f = f.Inner {
		n++
	}
	if n != depth {
		t.Errorf("depth %d, want %d", n, depth)
	}
}

func TestCheckMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		event    history.Event
		workItem bool
		want     string
	}{
		{&history.TaskScheduled{Name: "A"}, true, ""},
		{&history.TaskScheduled{}, true, "missing"},
		{&history.TaskScheduled{Name: "A"}, false, "does not belong"},
		{&history.ExecutionStarted{Name: "O"}, false, ""},
		{&history.ExecutionStarted{}, false, "missing"},
		{&history.ExecutionStarted{Name: "O"}, true, "does not belong"},
		{&history.EventRaised{}, false, ""},
		{&history.TimerFired{}, true, "does not belong"},
		{&history.ExecutionCompleted{}, false, "never a message"},
		{&history.ExecutionRewound{}, false, "never a message"},
	} {
		err := wire.CheckMessage(messageOf(tt.event), tt.workItem)
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s, work item %t: %v, want %q", tt.event.Kind(), tt.workItem, err, tt.want)
		}
	}
}
