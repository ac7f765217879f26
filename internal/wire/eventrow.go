package wire

import (
	"fmt"

	"github.com/durafleet/durafleet/history"
)

// EncodeEvent returns the columns of an event's history row. IsPlayed is always false. Payloads
// are stored as they are in the event: leave the Input of TaskScheduled and SubOrchestrationCreated
// out unless inputs are to be kept in the history.
//
// Event types that are only ever read are refused with ErrNotWritable.
func EncodeEvent(e history.Event, executionID string) (Columns, error) {
	info, known := kindOf(e.Kind())
	if !known || !info.stored {
		return nil, fmt.Errorf("encode history row: %w: %s", ErrNotWritable, e.Kind())
	}
	h := e.Head()
	c := Columns{
		"EventType":   string(info.kind),
		"EventId":     h.EventID,
		"IsPlayed":    false,
		"_Timestamp":  TableTime(h.Timestamp),
		"ExecutionId": executionID,
	}
	members := append(fieldsOf(e), membersOf(e)...)
	if g, ok := e.(*history.GenericEvent); ok && g.Reason != nil {
		members = append(members, member{"Reason", g.Reason})
	}
	for _, m := range members {
		value, err := columnOf(m.value)
		if err != nil {
			return nil, fmt.Errorf("encode history row %s: column %s: %w", info.kind, m.name, err)
		}
		if value != nil {
			c[m.name] = value
		}
	}
	return c, nil
}

// DecodeEvent reads the event of a history row whose blob columns have been filled in. Column types
// are checked exactly. An event type that is not known is ErrUnknownEvent. All errors match
// ErrMalformed.
func DecodeEvent(c Columns) (history.Event, error) {
	s := &rowSource{columns: c}
	kind := history.Kind(word(s, "EventType"))
	h := history.Header{
		EventID:   number(s, "EventId"),
		Timestamp: moment(s, "_Timestamp"),
		IsPlayed:  s.flag("IsPlayed"),
	}
	if s.err != nil {
		return nil, s.err
	}
	if _, known := kindOf(kind); !known {
		return nil, unknownEvent("column EventType", string(kind))
	}
	return buildEvent(kind, h, s)
}

// ExecutionOf returns the execution a history row belongs to, empty if the row does not say.
func ExecutionOf(c Columns) string {
	id, _ := c["ExecutionId"].(string)
	return id
}
