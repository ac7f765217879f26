package wire_test

import (
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

// The generators of this file make random events and messages in the form that decoding gives.

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), anyID(), rapid.SampledFrom([]string{
		"", "null", `{"a":"b"}`, "<&>\"'\\", "\x00\b\t\n\f\r\x1F", "\u0085\u2028\u2029", "\uFFFE\uFFFF\uFFFD", "😀\U0010FFFF",
	}))
}

func anyOptionalText() *rapid.Generator[*string] { return rapid.Ptr(anyText(), true) }

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		seconds := rapid.Int64Range(-11_644_473_600, 253_402_300_799).Draw(t, "seconds") // 1601 to 9999
		ticks := rapid.Int64Range(0, 9_999_999).Draw(t, "ticks")
		return time.Unix(seconds, ticks*int64(history.Tick)).UTC()
	})
}

func anyTags() *rapid.Generator[map[string]string] {
	key := anyText().Filter(func(key string) bool { return key != "$type" })
	return rapid.OneOf(rapid.Just[map[string]string](nil), rapid.MapOfN(key, anyText(), 0, 3))
}

func anyInstance() *rapid.Generator[history.Instance] {
	return rapid.Custom(func(t *rapid.T) history.Instance {
		return history.Instance{
			InstanceID:  anyText().Filter(func(id string) bool { return id != "" }).Draw(t, "instance"),
			ExecutionID: anyText().Draw(t, "execution"),
		}
	})
}

func anyParent() *rapid.Generator[*history.Parent] {
	return rapid.Ptr(rapid.Custom(func(t *rapid.T) history.Parent {
		return history.Parent{
			Name: anyText().Draw(t, "name"), Version: anyText().Draw(t, "version"),
			Instance: anyInstance().Draw(t, "parent"), TaskID: rapid.Int32().Draw(t, "task"),
		}
	}), true)
}

func anyTrace() *rapid.Generator[*history.TraceContext] {
	return rapid.Ptr(rapid.Custom(func(t *rapid.T) history.TraceContext {
		return history.TraceContext{
			TraceParent: anyText().Draw(t, "parent"), TraceState: anyOptionalText().Draw(t, "state"),
			ID: anyOptionalText().Draw(t, "id"), SpanID: anyOptionalText().Draw(t, "span"),
			ActivityStartTime: rapid.Ptr(anyTime(), true).Draw(t, "start"),
		}
	}), true)
}

func anyFailure(depth int) *rapid.Generator[*history.FailureDetails] {
	return rapid.Custom(func(t *rapid.T) *history.FailureDetails {
		if rapid.Bool().Draw(t, "none") || depth == 0 {
			return nil
		}
		f := &history.FailureDetails{
			Type: anyText().Draw(t, "type"), Message: anyText().Draw(t, "message"), Stack: anyText().Draw(t, "stack"),
			Inner: anyFailure(depth-1).Draw(t, "inner"), NonRetriable: rapid.Bool().Draw(t, "final"),
		}
		for key, text := range anyTags().Draw(t, "properties") {
			if f.Properties == nil {
				f.Properties = map[string]any{}
			}
			f.Properties[key] = rapid.SampledFrom([]any{
				text, 1.5, 1e21, true, nil, []any{text, nil}, map[string]any{text + "x": text},
			}).Draw(t, "value")
		}
		return f
	})
}

func anyStatus() *rapid.Generator[history.Status] { return rapid.SampledFrom(history.Statuses()) }

// anyEvent makes an event that may be a message or, if stored, one that may be a row.
func anyEvent(stored bool) *rapid.Generator[history.Event] {
	return rapid.Custom(func(t *rapid.T) history.Event {
		h := history.Header{EventID: rapid.Int32().Draw(t, "id"), Timestamp: anyTime().Draw(t, "at")}
		text := func() *string { return anyOptionalText().Draw(t, "text") }
		word := func() string { return anyText().Draw(t, "word") }
		id := func() int32 { return rapid.Int32().Draw(t, "task") }
		failure := func() *history.FailureDetails { return anyFailure(3).Draw(t, "failure") }
		kinds := []func() history.Event{
			func() history.Event { return anyStarted(t, h) },
			func() history.Event { return &history.ExecutionTerminated{Header: h, Reason: text()} },
			func() history.Event { return &history.ExecutionSuspended{Header: h, Reason: text()} },
			func() history.Event { return &history.ExecutionResumed{Header: h, Reason: text()} },
			func() history.Event {
				return &history.TaskScheduled{
					Header: h, Name: word(), Version: word(), Input: text(), ParentTrace: anyTrace().Draw(t, "trace"),
					Tags: anyTags().Draw(t, "tags"),
				}
			},
			func() history.Event { return &history.TaskCompleted{Header: h, TaskID: id(), Result: text()} },
			func() history.Event {
				return &history.TaskFailed{Header: h, TaskID: id(), Reason: text(), Details: text(), Failure: failure()}
			},
			func() history.Event {
				return &history.SubOrchestrationCompleted{Header: h, TaskID: id(), Result: text()}
			},
			func() history.Event {
				return &history.SubOrchestrationFailed{Header: h, TaskID: id(), Reason: text(), Details: text(), Failure: failure()}
			},
			func() history.Event {
				return &history.TimerFired{Header: h, TimerID: id(), FireAt: anyTime().Draw(t, "fire")}
			},
			func() history.Event {
				return &history.EventRaised{Header: h, Name: word(), Input: text(), ParentTrace: anyTrace().Draw(t, "trace")}
			},
			func() history.Event { return &history.GenericEvent{Header: h, Data: text()} },
		}
		if stored {
			kinds = append(kinds,
				func() history.Event { return &history.GenericEvent{Header: h, Data: text(), Reason: text()} },
				func() history.Event { return &history.OrchestratorStarted{Header: h} },
				func() history.Event { return &history.OrchestratorCompleted{Header: h} },
				func() history.Event { return &history.TimerCreated{Header: h, FireAt: anyTime().Draw(t, "fire")} },
				func() history.Event {
					return &history.EventSent{Header: h, InstanceID: word(), Name: word(), Input: text()}
				},
				func() history.Event {
					return &history.ExecutionCompleted{Header: h, Status: anyStatus().Draw(t, "status"), Result: text(), Failure: failure()}
				},
				func() history.Event {
					return &history.SubOrchestrationCreated{
						Header: h, Name: word(), Version: word(), InstanceID: word(), Input: text(), ClientSpanID: text(),
						Tags: anyTags().Draw(t, "tags"),
					}
				},
			)
		}
		return rapid.SampledFrom(kinds).Draw(t, "kind")()
	})
}

func anyStarted(t *rapid.T, h history.Header) history.Event {
	return &history.ExecutionStarted{
		Header: h, Instance: anyInstance().Draw(t, "instance"), Parent: anyParent().Draw(t, "parent"),
		Name: anyText().Draw(t, "name"), Version: anyText().Draw(t, "version"), Input: anyOptionalText().Draw(t, "input"),
		Tags: anyTags().Draw(t, "tags"), Correlation: anyOptionalText().Draw(t, "correlation"),
		ParentTrace: anyTrace().Draw(t, "trace"), ScheduledStart: rapid.Ptr(anyTime(), true).Draw(t, "scheduled"),
		Generation: rapid.Ptr(rapid.Int32(), true).Draw(t, "generation"), GenerateNewTrace: rapid.Bool().Draw(t, "new trace"),
	}
}

func anyGUID() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")).String()
	})
}

func anyMessage() *rapid.Generator[*wire.Message] {
	return rapid.Custom(func(t *rapid.T) *wire.Message {
		m := &wire.Message{
			ActivityID: anyGUID().Draw(t, "activity"), Event: anyEvent(false).Draw(t, "event"),
			Target: anyInstance().Draw(t, "target"), SequenceNumber: rapid.Int64().Draw(t, "sequence"),
			Episode: rapid.Ptr(rapid.Int32(), true).Draw(t, "episode"), Trace: anyOptionalText().Draw(t, "trace"),
		}
		if rapid.Bool().Draw(t, "client") {
			m.Sender = &history.Instance{}
		} else {
			sender := anyInstance().Draw(t, "sender")
			m.Sender = &sender
		}
		if tags := anyTags().Draw(t, "context"); tags != nil {
			m.Context = &wire.ExecutionContext{Tags: tags}
		}
		if rapid.Bool().Draw(t, "private") {
			m.Private = &wire.Private{
				TaskName: anyText().Draw(t, "task"), ScheduledAt: anyTime().Draw(t, "at"),
				Attempt: int(rapid.Int32().Draw(t, "attempt")), CallID: anyText().Draw(t, "call"),
			}
			if owed := rapid.SliceOfN(rapid.Int32(), 0, 3).Draw(t, "owed"); len(owed) > 0 {
				m.Private.Owed = owed
			}
			m.Private.Leased = rapid.Bool().Draw(t, "leased")
		}
		return m
	})
}
