package wire

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/history"
)

const byteOrderMark = "\uFEFF"

type envelopeObject struct {
	ActivityID               looseText `json:"ActivityId"`
	TaskMessage              *taskMessageObject
	CompressedBlobName       looseText
	SequenceNumber           looseInteger
	Episode                  looseInt32
	Sender                   *instanceObject
	SerializableTraceContext json.RawMessage
	Durafleet                json.RawMessage
}

type taskMessageObject struct {
	Event                         map[string]json.RawMessage
	OrchestrationInstance         *instanceObject
	OrchestrationExecutionContext *contextObject
}

type contextObject struct {
	OrchestrationTags tagObject
}

type privateObject struct {
	TaskName    looseText  `json:"task"`
	ScheduledAt looseText  `json:"at"`
	Attempt     looseInt32 `json:"try"`
	CallID      looseText  `json:"call"`
	Owed        looseText  `json:"owed"`
	Leased      looseInt32 `json:"leased"`
}

// DecodeMessage reads the text of a queue message, raw or Base64. A non-empty blob means that the
// text only points to that blob, whose unpacked content is read with DecodeMessage in turn; a
// pointer found there is to be refused.
//
// An event whose Timestamp was missing has the zero time, for which .NET puts its current time.
// Every error is a *DecodeError and matches ErrMalformed.
func DecodeMessage(text string) (m *Message, blob string, err error) {
	body, err := messageJSON(text)
	if err != nil {
		return nil, "", err
	}
	var envelope envelopeObject
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, "", malformed("message", "%s", problemOf(err))
	}
	if blob := envelope.CompressedBlobName.String(); blob != "" {
		return nil, blob, nil
	}
	m, err = envelope.message()
	if err != nil {
		return nil, "", err
	}
	return m, "", nil
}

// messageJSON undoes the optional Base64 encoding. Only JSON can begin with a brace.
func messageJSON(text string) ([]byte, error) {
	text = trimStart(text)
	if text == "" {
		return nil, malformed("message", "empty text")
	}
	if text[0] == '{' {
		return []byte(text), nil
	}
	body, err := base64.StdEncoding.DecodeString(strings.TrimRight(text, " \t\r\n"))
	if err != nil {
		return nil, malformed("message", "%s is neither JSON nor Base64", prefix(text))
	}
	inner := trimStart(string(body))
	if inner == "" || inner[0] != '{' {
		return nil, malformed("message", "Base64 text %s holds no JSON object", prefix(text))
	}
	return []byte(inner), nil
}

func trimStart(text string) string {
	return strings.TrimLeft(strings.TrimPrefix(text, byteOrderMark), " \t\r\n")
}

func (o *envelopeObject) message() (*Message, error) {
	if o.TaskMessage == nil {
		return nil, malformed("TaskMessage", "missing, and no blob named")
	}
	id := uuid.Nil
	if text := o.ActivityID.String(); text != "" {
		var err error
		if id, err = uuid.Parse(text); err != nil {
			return nil, malformed("ActivityId", "%s is not a GUID", prefix(text))
		}
	}
	event, err := o.TaskMessage.event()
	if err != nil {
		return nil, err
	}
	m := &Message{
		ActivityID:     id.String(),
		Event:          event,
		Target:         o.TaskMessage.OrchestrationInstance.instance(),
		SequenceNumber: o.SequenceNumber.value,
		Episode:        o.Episode.pointer(),
		Private:        decodePrivate(o.Durafleet),
	}
	if c := o.TaskMessage.OrchestrationExecutionContext; c != nil {
		m.Context = &ExecutionContext{Tags: c.OrchestrationTags}
	}
	if o.Sender != nil {
		sender := o.Sender.instance()
		m.Sender = &sender
	}
	// Foreign trace contexts are passed on, never used: one in another form is dropped.
	m.Trace, _ = parseText(o.SerializableTraceContext)
	return m, completeTarget(m)
}

// CheckMessage refuses a message that was read but that no engine can have sent: one with an event
// that is never a message, one that is in a queue of the other kind, and one without the name of
// what it wants to be run. The error is a *DecodeError.
func CheckMessage(m *Message, workItem bool) error {
	info, known := kindOf(m.Event.Kind())
	name := "-"
	switch e := m.Event.(type) {
	case *history.TaskScheduled:
		name = e.Name
	case *history.ExecutionStarted:
		name = e.Name
	}
	switch {
	case !known || !info.travels:
		return malformed("TaskMessage.Event", "%s is never a message", m.Event.Kind())
	case workItem != (info.kind == history.KindTaskScheduled):
		return malformed("TaskMessage.Event", "%s does not belong into this queue", info.kind)
	case name == "":
		return malformed("TaskMessage.Event.Name", "missing")
	}
	return nil
}

// completeTarget lets a start message name its instance in either of the two places meant for it.
func completeTarget(m *Message) error {
	if start, ok := m.Event.(*history.ExecutionStarted); ok {
		if m.Target.InstanceID == "" {
			m.Target = start.Instance
		}
		if start.Instance.InstanceID == "" {
			start.Instance = m.Target
		}
	}
	if m.Target.InstanceID == "" {
		return malformed("TaskMessage.OrchestrationInstance", "no instance ID")
	}
	return nil
}

func (o *taskMessageObject) event() (history.Event, error) {
	if o.Event == nil {
		return nil, malformed("TaskMessage.Event", "missing")
	}
	s := &jsonSource{values: o.Event}
	info, err := s.kind()
	if err != nil {
		return nil, err
	}
	h := history.Header{EventID: history.NoEventID, Timestamp: moment(s, "Timestamp"), IsPlayed: s.flag("IsPlayed")}
	if id := s.integer("EventId"); id != nil {
		h.EventID = *id
	} else if info.kind == history.KindTaskScheduled {
		// A writer that leaves out zeros means the first action. Elsewhere the id is no action's.
		h.EventID = 0
	}
	return buildEvent(info.kind, h, s)
}

// decodePrivate never fails: what cannot be read was not written by us.
func decodePrivate(raw []byte) *Private {
	if isNull(raw) {
		return nil
	}
	var o privateObject
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	p := &Private{
		TaskName: o.TaskName.String(), Attempt: int(o.Attempt.value), CallID: o.CallID.String(), Owed: parseNumbers(o.Owed.String()),
		Leased: o.Leased.value == 1,
	}
	if t, err := ParseTime(o.ScheduledAt.String()); err == nil {
		p.ScheduledAt = t
	}
	return p
}
