package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/durafleet/durafleet/history"
)

// Poison is the record of a message that was moved out of its queue because it cannot be worked on.
type Poison struct {
	// ID names the record. It follows from queue and message, so that recording twice is recording
	// once.
	ID        string
	Queue     string
	MessageID string
	// What the message is about, as far as it can be read.
	InstanceID  string
	ExecutionID string
	Kind        history.Kind
	Name        string
	// Reason says why the message was moved.
	Reason string
	// Deliveries is how often the message was delivered, Crashes how many of the deliveries ended
	// with the death of a worker that worked on nothing else of that sort.
	Deliveries int
	Crashes    int
	Inserted   time.Time
	Moved      time.Time
	// Worker is who moved it.
	Worker string
	// Answered says that the orchestration was told that the activity has failed.
	Answered bool
	// Text is the queue text, exactly as it was put.
	Text string
	// Payload is the blob that the text points to, "" if it holds the message itself.
	Payload string
}

// poisonObject is the stored form of a Poison. The text is in one of two members.
type poisonObject struct {
	ID          string    `json:"id"`
	Queue       string    `json:"queue"`
	MessageID   string    `json:"messageId"`
	InstanceID  string    `json:"instanceId,omitempty"`
	ExecutionID string    `json:"executionId,omitempty"`
	Kind        string    `json:"kind,omitempty"`
	Name        string    `json:"name,omitempty"`
	Reason      string    `json:"reason"`
	Deliveries  int       `json:"deliveries"`
	Crashes     int       `json:"crashes,omitempty"`
	Inserted    time.Time `json:"inserted"`
	Moved       time.Time `json:"moved"`
	Worker      string    `json:"worker"`
	Answered    bool      `json:"answered,omitempty"`
	Text        *string   `json:"text,omitempty"`
	// TextBase64 holds a text that JSON cannot hold, because it is not UTF-8.
	TextBase64 *string `json:"textBase64,omitempty"`
	Payload    string  `json:"payloadBlob,omitempty"`
}

// EncodePoison returns the JSON of a record.
func EncodePoison(p *Poison) ([]byte, error) {
	o := poisonObject{
		ID: p.ID, Queue: p.Queue, MessageID: p.MessageID, InstanceID: p.InstanceID, ExecutionID: p.ExecutionID,
		Kind: string(p.Kind), Name: p.Name, Reason: p.Reason, Deliveries: p.Deliveries, Crashes: p.Crashes,
		Inserted: Ticks(p.Inserted), Moved: Ticks(p.Moved), Worker: p.Worker, Answered: p.Answered, Payload: p.Payload,
	}
	if utf8.ValidString(p.Text) {
		o.Text = &p.Text
	} else {
		o.TextBase64 = history.Text(base64.StdEncoding.EncodeToString([]byte(p.Text)))
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(o); err != nil {
		return nil, fmt.Errorf("encode poison record %s: %w", p.ID, err)
	}
	return b.Bytes(), nil
}

// DecodePoison reads the JSON of a record. All errors match ErrMalformed.
func DecodePoison(data []byte) (*Poison, error) {
	var o poisonObject
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, malformed("poison record", "%s", problemOf(err))
	}
	if o.ID == "" || o.Queue == "" {
		return nil, malformed("poison record", "it has no id or no queue")
	}
	p := &Poison{
		ID: o.ID, Queue: o.Queue, MessageID: o.MessageID, InstanceID: o.InstanceID, ExecutionID: o.ExecutionID,
		Kind: history.Kind(o.Kind), Name: o.Name, Reason: o.Reason, Deliveries: o.Deliveries, Crashes: o.Crashes,
		Inserted: Ticks(o.Inserted), Moved: Ticks(o.Moved), Worker: o.Worker, Answered: o.Answered, Payload: o.Payload,
	}
	switch {
	case o.Text != nil:
		p.Text = *o.Text
	case o.TextBase64 != nil:
		raw, err := base64.StdEncoding.DecodeString(*o.TextBase64)
		if err != nil {
			return nil, malformed("poison record", "its text is no Base64")
		}
		p.Text = string(raw)
	default:
		return nil, malformed("poison record", "it has no text")
	}
	return p, nil
}

const (
	// poisonColumn is the private column of a status row for its PoisonMark.
	poisonColumn = "DurafleetPoison"
	// maxPoisonIDs bounds how many records a status row names.
	maxPoisonIDs = 100
	// maxPoisonReason bounds the reason in a status row, in bytes.
	maxPoisonReason = 1000
)

// PoisonMark says in a status row that messages of the instance were moved out of their queues.
type PoisonMark struct {
	// IDs are the records, oldest first; beyond a hundred no more are added.
	IDs []string
	// Reason and Moved are those of the record that was added last.
	Reason string
	Moved  time.Time
}

// With returns the mark with one more record; the mark may be nil. Adding one twice adds it once.
func (m *PoisonMark) With(id, reason string, moved time.Time) *PoisonMark {
	next := &PoisonMark{Reason: cutText(reason, maxPoisonReason), Moved: moved}
	if m != nil {
		next.IDs = slices.Clone(m.IDs)
	}
	if !slices.Contains(next.IDs, id) && len(next.IDs) < maxPoisonIDs {
		next.IDs = append(next.IDs, id)
	}
	return next
}

// Without returns the mark without a record, nil if that was the last one.
func (m *PoisonMark) Without(id string) *PoisonMark {
	if m == nil {
		return nil
	}
	next := *m
	next.IDs = slices.DeleteFunc(slices.Clone(m.IDs), func(other string) bool { return other == id })
	if len(next.IDs) == 0 {
		return nil
	}
	return &next
}

func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

type poisonMarkObject struct {
	IDs    []string  `json:"ids"`
	Reason string    `json:"reason"`
	Moved  time.Time `json:"moved"`
}

// PoisonColumns returns the columns that hold a status row's PoisonMark.
func PoisonColumns() []string { return []string{poisonColumn} }

// EncodePoisonMark returns the column to merge into a status row. Nil clears the mark.
func EncodePoisonMark(m *PoisonMark) (Columns, error) {
	if m == nil {
		return Columns{poisonColumn: ""}, nil
	}
	text, err := json.Marshal(poisonMarkObject{IDs: m.IDs, Reason: m.Reason, Moved: Ticks(m.Moved)})
	if err != nil {
		return nil, fmt.Errorf("encode poison mark: %w", err)
	}
	return Columns{poisonColumn: string(text)}, nil
}

// DecodePoisonMark reads the mark of a status row, nil if there is none. One that cannot be read is
// taken for none: the records tell the same.
func DecodePoisonMark(c Columns) *PoisonMark {
	text, _ := c[poisonColumn].(string)
	var o poisonMarkObject
	if text == "" || json.Unmarshal([]byte(text), &o) != nil || len(o.IDs) == 0 {
		return nil
	}
	return &PoisonMark{IDs: o.IDs, Reason: o.Reason, Moved: Ticks(o.Moved)}
}

// Glimpse is what can be seen of a message that may be unreadable.
type Glimpse struct {
	Target history.Instance
	Kind   history.Kind
	Name   string
	// Blob is the blob that the text points to.
	Blob string
}

// Look returns what can be seen of a message's queue text, for people. It never fails.
func Look(text string) Glimpse {
	var g Glimpse
	q, err := splitText(text)
	if err != nil {
		return g
	}
	var envelope struct {
		TaskMessage struct {
			Event                 map[string]json.RawMessage
			OrchestrationInstance instanceObject
		}
		CompressedBlobName looseText
	}
	_ = json.Unmarshal(q.body, &envelope) // what was read before an error counts
	g.Target = envelope.TaskMessage.OrchestrationInstance.instance()
	s := &jsonSource{values: envelope.TaskMessage.Event}
	if info, err := s.kind(); err == nil {
		g.Kind = info.kind
	}
	g.Name = word(s, "Name")
	if start := nested[instanceObject](s, "OrchestrationInstance").instance(); g.Target.InstanceID == "" {
		g.Target = start
	}
	if g.Blob = envelope.CompressedBlobName.String(); g.Blob != "" {
		g.lookAtBlob()
	}
	return g
}

// lookAtBlob reads what the name of a message's blob tells.
func (g *Glimpse) lookAtBlob() {
	at := strings.LastIndex(g.Blob, "/message-")
	if at < 0 {
		return
	}
	if g.Target.InstanceID == "" {
		g.Target.InstanceID = g.Blob[:at]
	}
	name := strings.TrimSuffix(g.Blob[at:], messageExtension)
	if kind := history.Kind(name[strings.LastIndexByte(name, '-')+1:]); g.Kind == "" {
		if _, known := kindOf(kind); known {
			g.Kind = kind
		}
	}
}
