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

var (
	execution = history.Instance{InstanceID: "order-1001", ExecutionID: "5d0c1f7e9b3a4c0f8e21aa64b7c3d9e2"}
	created   = time.Date(2025, 3, 4, 10, 20, 30, 445566700, time.UTC)
)

const activityID = "7a1f0c52-6c1e-4f0e-9b7b-2d6a8c9e1f30"

func head(id int32) history.Header { return history.Header{EventID: id, Timestamp: created} }

func messageOf(e history.Event) *wire.Message {
	return &wire.Message{ActivityID: activityID, Event: e, Target: execution, SequenceNumber: 7, Sender: &history.Instance{}}
}

func encode(t testing.TB, m *wire.Message) string {
	t.Helper()
	text, err := wire.EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t testing.TB, text string) *wire.Message {
	t.Helper()
	m, blob, err := wire.DecodeMessage(text)
	if err != nil || blob != "" {
		t.Fatalf("decode: blob %q, error %v", blob, err)
	}
	return m
}

// eventJSON cuts the event out of a message.
func eventJSON(t *testing.T, text string) string {
	t.Helper()
	_, rest, _ := strings.Cut(text, `"Event":`)
	event, _, found := strings.Cut(rest, `,"SequenceNumber":0`)
	if !found {
		t.Fatalf("no event in %s", text)
	}
	return strings.ReplaceAll(strings.ReplaceAll(event, `"$type":"DurableTask.Core.`, `"$":"`), `"`, `'`)
}

func TestEncodeMessage_Events(t *testing.T) {
	t.Parallel()
	generation := int32(3)
	started := created.Add(time.Second)
	inner := &history.FailureDetails{Type: "T.Inner", Message: "deep", NonRetriable: true}
	const tail = `,'EventId':-1,'IsPlayed':false,'Timestamp':'2025-03-04T10:20:30.4455667Z'}`
	for _, tt := range []struct {
		name  string
		event history.Event
		want  string
	}{
		{
			"start of a child", &history.ExecutionStarted{
				Header: head(-1), Instance: execution, Name: "Ship", Version: "2.1", Input: history.Text(`"A7"`),
				Parent: &history.Parent{Name: "Order", Instance: history.Instance{InstanceID: "p", ExecutionID: "e"}, TaskID: 4},
				Tags:   map[string]string{"team": "blue"}, Generation: &generation, ScheduledStart: &started,
				ParentTrace: &history.TraceContext{TraceParent: "00-1-2-01", ActivityStartTime: &started},
			},
			`{'$':'History.ExecutionStartedEvent','OrchestrationInstance':{'$':'OrchestrationInstance',` +
				`'InstanceId':'order-1001','ExecutionId':'5d0c1f7e9b3a4c0f8e21aa64b7c3d9e2'},'EventType':0,` +
				`'ParentInstance':{'$':'ParentInstance','Name':'Order','OrchestrationInstance':{'$':'OrchestrationInstance',` +
				`'InstanceId':'p','ExecutionId':'e'},'TaskScheduleId':4,'Version':''},'Name':'Ship','Version':'2.1',` +
				`'Input':'\'A7\'','Tags':{'team':'blue'},'Correlation':null,'ParentTraceContext':` +
				`{'$':'Tracing.DistributedTraceContext','TraceParent':'00-1-2-01','TraceState':null,'Id':null,'SpanId':null,` +
				`'ActivityStartTime':'2025-03-04T10:20:31.4455667+00:00'},'ScheduledStartTime':'2025-03-04T10:20:31.4455667Z',` +
				`'Generation':3,'GenerateNewTrace':false` + tail,
		},
		{
			"failure", &history.TaskFailed{
				Header: head(-1), TaskID: 2, Reason: history.Text("declined"),
				Failure: &history.FailureDetails{
					Type: "T.Outer", Message: "declined", Stack: "at f", Inner: inner,
					Properties: map[string]any{"z": 51, "a": []any{true, nil, map[string]any{"b": 1.5}}},
				},
			},
			`{'$':'History.TaskFailedEvent','EventType':6,'TaskScheduledId':2,'Reason':'declined','Details':null,` +
				`'FailureDetails':{'$':'FailureDetails','ErrorType':'T.Outer','ErrorMessage':'declined','StackTrace':'at f',` +
				`'InnerFailure':{'$':'FailureDetails','ErrorType':'T.Inner','ErrorMessage':'deep','StackTrace':null,` +
				`'InnerFailure':null,'IsNonRetriable':true,'Properties':null},'IsNonRetriable':false,` +
				`'Properties':{'a':[true,null,{'b':1.5}],'z':51}}` + tail,
		},
		{
			"timer", &history.TimerFired{Header: head(-1), TimerID: 5, FireAt: started},
			`{'$':'History.TimerFiredEvent','EventType':11,'TimerId':5,'FireAt':'2025-03-04T10:20:31.4455667Z'` + tail,
		},
		{
			"generic", &history.GenericEvent{Header: head(-1), Data: history.Text("fixed")},
			`{'$':'History.GenericEvent','Data':'fixed','EventType':17` + tail,
		},
		{
			"suspension", &history.ExecutionSuspended{Header: head(-1)},
			`{'$':'History.ExecutionSuspendedEvent','EventType':19,'Reason':null` + tail,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := encode(t, messageOf(tt.event))
			if got := eventJSON(t, text); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestEncodeMessage_Envelope(t *testing.T) {
	t.Parallel()
	episode := int32(2)
	m := messageOf(&history.EventRaised{Header: head(-1), Name: "e"})
	m.Target.ExecutionID = ""
	m.Context = &wire.ExecutionContext{}
	m.Episode = &episode
	m.Sender = &history.Instance{InstanceID: "@c@k"}
	m.Trace = history.Text("w3c")
	m.Private = &wire.Private{TaskName: "T", ScheduledAt: created, Attempt: 2, CallID: "c"}
	_, got, _ := strings.Cut(encode(t, m), `},"SequenceNumber":0,`)
	const want = `"OrchestrationInstance":{"$type":"DurableTask.Core.OrchestrationInstance","InstanceId":"order-1001",` +
		`"ExecutionId":null},"OrchestrationExecutionContext":{"$type":"DurableTask.Core.OrchestrationExecutionContext",` +
		`"OrchestrationTags":{}}},"CompressedBlobName":null,"SequenceNumber":7,"Episode":2,` +
		`"Sender":{"InstanceId":"@c@k","ExecutionId":null},"SerializableTraceContext":"w3c",` +
		`"Durafleet":{"task":"T","at":"2025-03-04T10:20:30.4455667Z","try":2,"call":"c"}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m.Context.Tags = map[string]string{}
	if diff := cmp.Diff(m, decode(t, encode(t, m))); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestEncodeMessage_ClientSender(t *testing.T) {
	t.Parallel()
	m := messageOf(&history.EventRaised{Header: head(-1)})
	m.Sender = nil
	if text := encode(t, m); !strings.Contains(text, `"Sender":{"InstanceId":"","ExecutionId":""},`) {
		t.Errorf("a nil sender is not a client's: %s", text)
	}
}

func TestEncodeMessage_Refusals(t *testing.T) {
	t.Parallel()
	for _, e := range []history.Event{
		nil, &history.TimerCreated{}, &history.OrchestratorStarted{}, &history.EventSent{}, &history.ExecutionCompleted{},
		&history.SubOrchestrationCreated{}, &history.ContinueAsNew{}, &history.HistoryState{}, &history.ExecutionRewound{},
	} {
		if _, err := wire.EncodeMessage(messageOf(e)); !errors.Is(err, wire.ErrNotWritable) {
			t.Errorf("%T: got error %v, want ErrNotWritable", e, err)
		}
	}
	m := messageOf(&history.EventRaised{})
	m.ActivityID = "no GUID"
	if _, err := wire.EncodeMessage(m); err == nil {
		t.Error("no error for a bad activity ID")
	}
	m = messageOf(&history.TaskFailed{Failure: &history.FailureDetails{Properties: map[string]any{"f": func() {}}}})
	if _, err := wire.EncodeMessage(m); err == nil || !strings.Contains(err.Error(), "TaskFailed") {
		t.Errorf("unencodable property: got error %v", err)
	}
}

// Z02: the limit of messages counts UTF-8, the limit of columns UTF-16.
func TestZ02_Limits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		input           string
		message, column bool
	}{
		{name: "three-byte characters", input: strings.Repeat("語", 25_000), message: true},
		{name: "ASCII", input: strings.Repeat("x", 32_000), column: true},
		{name: "small", input: "x"},
		{name: "large", input: strings.Repeat("x", 60_000), message: true, column: true},
	} {
		e := &history.EventRaised{Header: head(-1), Input: &tt.input}
		if got := len(encode(t, messageOf(e))) > wire.InlineLimit; got != tt.message {
			t.Errorf("%s: message is too long: %t", tt.name, got)
		}
		c, err := wire.EncodeEvent(e, "e")
		if err != nil {
			t.Fatal(err)
		}
		if got := len(wire.LargeColumnsOf(c)) > 0; got != tt.column {
			t.Errorf("%s: column is too long: %t", tt.name, got)
		}
	}
}

func TestMessageBlobName(t *testing.T) {
	t.Parallel()
	const want = "order-1001/message-7a1f0c526c1e4f0e9b7b2d6a8c9e1f30-ExecutionStarted.json.gz"
	if got := wire.MessageBlobName(messageOf(&history.ExecutionStarted{})); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPointer(t *testing.T) {
	t.Parallel()
	const blob = `a/"b"/message-1-X.json.gz`
	m, got, err := wire.DecodeMessage(wire.EncodePointer(blob))
	if m != nil || got != blob || err != nil {
		t.Errorf("got message %v, blob %q, error %v", m, got, err)
	}
}
