package wire

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/history"
)

// InlineLimit is the greatest UTF-8 length of an encoded message that travels in the queue
// itself. A longer one goes to a blob, and a pointer to it to the queue.
const InlineLimit = 46080

const (
	messageClass     = "DurableTask.AzureStorage.MessageData"
	privateMember    = "Durafleet"
	messageExtension = ".json.gz"
)

// Message is what one queue message says.
type Message struct {
	// ActivityID identifies the message; a GUID in form D.
	ActivityID string
	Event      history.Event
	// Target is the instance the event is for; for an activity, the orchestration waiting for it.
	Target history.Instance
	// Context goes with activities and sub-orchestrations, nil otherwise.
	Context *ExecutionContext
	// SequenceNumber orders messages of one sender that were inserted in the same second.
	SequenceNumber int64
	// Episode is the sending orchestration's episode, nil for clients.
	Episode *int32
	// Sender is who sent the message. Clients use an empty Instance; nil is only ever read, because
	// .NET cannot process an event without a sender.
	Sender *history.Instance
	// Trace is the context of the legacy correlation feature, carried as it stands.
	Trace *string
	// Private is what Durafleet adds for itself; nil on messages of others.
	Private *Private
}

// ExecutionContext carries the tags of the orchestration that scheduled something.
type ExecutionContext struct {
	Tags map[string]string
}

// EncodeMessage returns the JSON of a message. Events that are no messages, such as TimerCreated,
// are refused with ErrNotWritable. A nil Sender is written as a client's.
func EncodeMessage(m *Message) (string, error) {
	id, err := uuid.Parse(m.ActivityID)
	if err != nil {
		return "", fmt.Errorf("encode message: activity ID %q is not a GUID", m.ActivityID)
	}
	if m.Event == nil {
		return "", fmt.Errorf("encode message %s: %w: no event", id, ErrNotWritable)
	}
	info, known := kindOf(m.Event.Kind())
	if !known || !info.travels {
		return "", fmt.Errorf("encode message %s: %w: %s is no message", id, ErrNotWritable, m.Event.Kind())
	}
	w := &jsonWriter{types: true, buf: make([]byte, 0, 1024)}
	w.open(messageClass)
	w.member("ActivityId", id.String())
	w.name("TaskMessage")
	w.taskMessage(m, info)
	w.member("CompressedBlobName", nil)
	w.member("SequenceNumber", m.SequenceNumber)
	if m.Episode != nil {
		w.member("Episode", *m.Episode)
	}
	w.name("Sender")
	w.sender(m.Sender)
	w.member("SerializableTraceContext", m.Trace)
	if m.Private != nil {
		w.name(privateMember)
		w.private(m.Private)
	}
	w.end()
	if w.err != nil {
		return "", fmt.Errorf("encode message %s with %s: %w", id, info.kind, w.err)
	}
	return string(w.buf), nil
}

func (w *jsonWriter) taskMessage(m *Message, info kindInfo) {
	w.open(coreNamespace + "TaskMessage")
	w.name("Event")
	w.event(m.Event, info)
	w.member("SequenceNumber", int64(0))
	w.member("OrchestrationInstance", m.Target)
	w.name("OrchestrationExecutionContext")
	w.context(m.Context)
	w.end()
}

func (w *jsonWriter) event(e history.Event, info kindInfo) {
	w.open(historyNamespace + info.class)
	w.members(fieldsOf(e))
	w.member("EventType", info.number)
	w.members(membersOf(e))
	w.member("EventId", e.Head().EventID)
	w.member("IsPlayed", false)
	w.member("Timestamp", e.Head().Timestamp)
	w.end()
}

func (w *jsonWriter) context(c *ExecutionContext) {
	if c == nil {
		w.null()
		return
	}
	tags := tagMap(c.Tags)
	if tags == nil {
		tags = tagMap{} // .NET writes an empty dictionary, never null
	}
	w.open(coreNamespace + "OrchestrationExecutionContext")
	w.member("OrchestrationTags", tags)
	w.end()
}

// sender writes the one object of a message that has no $type. A client's execution is empty, an
// unknown execution of an instance is null.
func (w *jsonWriter) sender(s *history.Instance) {
	if s == nil {
		s = &history.Instance{}
	}
	w.open("")
	w.member("InstanceId", s.InstanceID)
	if s.InstanceID == "" {
		w.member("ExecutionId", s.ExecutionID)
	} else {
		w.member("ExecutionId", nullIfEmpty(s.ExecutionID))
	}
	w.end()
}

// EncodePointer returns the queue text that stands for a message stored in a blob.
func EncodePointer(blobName string) string {
	w := &jsonWriter{types: true}
	w.open(messageClass)
	w.member("ActivityId", uuid.Nil.String())
	w.member("TaskMessage", nil)
	w.member("CompressedBlobName", blobName)
	w.member("SequenceNumber", int64(0))
	w.member("Sender", nil)
	w.member("SerializableTraceContext", nil)
	w.end()
	return string(w.buf)
}

// Base64 returns the queue encoding that 1.x peers and some 2.x peers use.
func Base64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// MessageBlobName returns the name of the blob for a message that is too long for the queue.
func MessageBlobName(m *Message) string {
	id := strings.ToLower(strings.ReplaceAll(m.ActivityID, "-", ""))
	kind := ""
	if m.Event != nil {
		kind = string(m.Event.Kind())
	}
	return m.Target.InstanceID + "/message-" + id + "-" + kind + messageExtension
}

// Private is the part of a message that only Durafleet reads. .NET ignores it.
type Private struct {
	// TaskName is the name of the activity the message answers.
	TaskName string
	// ScheduledAt is when the activity was scheduled.
	ScheduledAt time.Time
	// Attempt counts the deliveries of an activity.
	Attempt int
	// CallID identifies one call across attempts.
	CallID string
	// Owed, on a GenericEvent, asks for the messages of these actions to be sent again.
	Owed []int32
	// Leased says that the message was put by somebody who began with it at once: the first delivery by
	// the queue is the second one.
	Leased bool
}

func (w *jsonWriter) private(p *Private) {
	w.open("")
	if p.TaskName != "" {
		w.member("task", p.TaskName)
	}
	if !p.ScheduledAt.IsZero() {
		w.member("at", p.ScheduledAt)
	}
	if p.Attempt != 0 {
		w.member("try", int64(p.Attempt))
	}
	if p.CallID != "" {
		w.member("call", p.CallID)
	}
	if len(p.Owed) > 0 {
		w.member("owed", numbers(p.Owed))
	}
	if p.Leased {
		w.member("leased", int64(1))
	}
	w.end()
}

// numbers returns ids as text, which every reader of JSON takes as it is.
func numbers(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, " ")
}

// parseNumbers reads what numbers wrote. What is no number is left out.
func parseNumbers(text string) []int32 {
	var ids []int32
	for field := range strings.FieldsSeq(text) {
		if id, err := strconv.ParseInt(field, 10, 32); err == nil {
			ids = append(ids, int32(id))
		}
	}
	return ids
}
