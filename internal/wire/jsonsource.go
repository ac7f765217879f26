package wire

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
)

// jsonSource reads the members of an event in a message.
type jsonSource struct {
	values map[string]json.RawMessage
	err    error
}

// get finds a member; its name may be in another case.
func (s *jsonSource) get(name string) json.RawMessage {
	if raw, ok := s.values[name]; ok {
		return raw
	}
	for _, key := range sortedKeys(s.values) {
		if strings.EqualFold(key, name) {
			return s.values[key]
		}
	}
	return nil
}

// kind finds the event type. The class name decides, as in .NET; an event without one is still
// readable by its number.
func (s *jsonSource) kind() (kindInfo, error) {
	for _, name := range []string{typeMember, contractMember} {
		if class := s.text(name); class != nil {
			info, ok := kindByType(*class)
			if !ok {
				return info, unknownEvent("TaskMessage.Event", *class)
			}
			return info, nil
		}
	}
	text := word(s, "EventType")
	if info, ok := kindOf(history.Kind(text)); ok {
		return info, nil
	}
	if n := s.integer("EventType"); n != nil {
		if info, ok := kindByNumber(*n); ok {
			return info, nil
		}
	}
	return kindInfo{}, unknownEvent("TaskMessage.Event", text)
}

func unknownEvent(part, name string) error {
	e := malformed(part, "unknown event type %s", quotedName(name))
	e.Cause = ErrUnknownEvent
	return e
}

func (s *jsonSource) fail(name, problem string) {
	if s.err == nil {
		s.err = malformed("TaskMessage.Event."+name, "%s", problem)
	}
}

func (s *jsonSource) failure() error { return s.err }

func (s *jsonSource) text(name string) *string {
	v, err := parseText(s.get(name))
	if err != nil {
		s.fail(name, problemOf(err))
	}
	return v
}

func (s *jsonSource) integer(name string) *int32 {
	v, ok, err := parseInteger(s.get(name), 32)
	if err != nil {
		s.fail(name, problemOf(err))
	}
	if !ok {
		return nil
	}
	n := int32(v)
	return &n
}

func (s *jsonSource) flag(name string) bool {
	v, err := parseFlag(s.get(name))
	if err != nil {
		s.fail(name, problemOf(err))
	}
	return v
}

func (s *jsonSource) time(name string) *time.Time {
	v, err := parseTime(s.get(name))
	if err != nil {
		s.fail(name, problemOf(err))
	}
	return v
}

// status reads a status by name or by its .NET number.
func (s *jsonSource) status(name string) history.Status {
	text := history.Status(word(s, name))
	if slices.Contains(statusNumbers[:], text) {
		return text
	}
	if n := s.integer(name); n != nil && *n >= 0 && int(*n) < len(statusNumbers) {
		return statusNumbers[*n]
	}
	s.fail(name, "unknown status "+quotedName(string(text)))
	return ""
}

func (s *jsonSource) object(name string) []byte { return s.get(name) }
