package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// loneMember counts, inside the private member of a message, the attempts that were begun with the
// message alone and that nobody has reported the end of.
const loneMember = "lone"

// Lone returns how many attempts at working on a message by itself were begun and not seen to end,
// as the message's queue text says. It is 0 for texts that cannot be read.
func Lone(text string) int {
	q, err := splitText(text)
	if err != nil {
		return 0
	}
	private, err := scanObject(q.body, privateMember)
	if err != nil || !private.found {
		return 0
	}
	lone, err := scanObject(private.value(q.body), loneMember)
	if err != nil || !lone.found {
		return 0
	}
	n, err := strconv.ParseInt(string(lone.value(private.value(q.body))), 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int(n)
}

// WithLone returns a message's queue text with another number of unfinished lone attempts; 0 takes
// the number out. Everything else in the text stays as it is, byte for byte: our member comes last,
// so that what .NET needs first stays first. Pointers to blobs carry the number themselves.
func WithLone(text string, n int) (string, error) {
	q, err := splitText(text)
	if err != nil {
		return "", err
	}
	outer, err := scanObject(q.body, privateMember)
	if err != nil {
		return "", err
	}
	object := []byte("{}")
	if outer.found {
		object = outer.value(q.body)
	}
	inner, err := scanObject(object, loneMember)
	if err != nil {
		return "", fmt.Errorf("private member of a message: %w", err)
	}
	if n > 0 {
		object = inner.set(object, strconv.Itoa(n))
	} else if object = inner.remove(object); string(object) == "{}" {
		return q.join(outer.remove(q.body)), nil
	}
	return q.join(outer.set(q.body, string(object))), nil
}

// queueText is a queue text taken apart: JSON, perhaps in Base64, with what stands around it.
type queueText struct {
	before, after string
	body          []byte
	// inside stands before the JSON within the Base64.
	inside string
	packed bool
}

func splitText(text string) (queueText, error) {
	trimmed := trimStart(text)
	q := queueText{before: text[:len(text)-len(trimmed)]}
	if strings.HasPrefix(trimmed, "{") {
		q.body = []byte(trimmed)
		return q, nil
	}
	coded := strings.TrimRight(trimmed, " \t\r\n")
	q.after, q.packed = trimmed[len(coded):], true
	body, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return q, malformed("message", "%s is neither JSON nor Base64", prefix(text))
	}
	inner := trimStart(string(body))
	q.inside, q.body = string(body[:len(body)-len(inner)]), []byte(inner)
	return q, nil
}

func (q queueText) join(body []byte) string {
	if !q.packed {
		return q.before + string(body) + q.after
	}
	return q.before + Base64(q.inside+string(body)) + q.after
}

// place says where a member of a JSON object stands, or where it would be added.
type place struct {
	name  string
	found bool
	// from is the end of what precedes the member, at the begin of its value and end the end of it.
	from, at, end int
	first         bool
	// add is where a member is added, empty says that the object has none.
	add   int
	empty bool
}

// scanObject looks for a member in the JSON object that a text begins with. Of several the last
// one counts, as in decoding.
func scanObject(text []byte, name string) (place, error) {
	p := place{name: name, empty: true}
	d := json.NewDecoder(bytes.NewReader(text))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return p, malformed("message", "%s is no JSON object", prefix(string(text)))
	}
	p.add = int(d.InputOffset())
	for d.More() {
		from, first := p.add, p.empty
		key, err := d.Token()
		if err != nil {
			return p, malformed("message", "%s", problemOf(err))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return p, malformed("message", "%s", problemOf(err))
		}
		p.add, p.empty = int(d.InputOffset()), false
		if key == name {
			p.found, p.first, p.from, p.at, p.end = true, first, from, p.add-len(value), p.add
		}
	}
	if _, err := d.Token(); err != nil {
		return p, malformed("message", "%s", problemOf(err))
	}
	return p, nil
}

func (p place) value(text []byte) []byte { return text[p.at:p.end] }

// set gives the member a value, at its place or behind all others.
func (p place) set(text []byte, value string) []byte {
	if p.found {
		return splice(text, p.at, p.end, value)
	}
	member := strconv.Quote(p.name) + ":" + value
	if !p.empty {
		member = "," + member
	}
	return splice(text, p.add, p.add, member)
}

// remove takes the member out, with the comma that belongs to it.
func (p place) remove(text []byte) []byte {
	if !p.found {
		return text
	}
	end := p.end
	if p.first {
		if comma := bytes.IndexFunc(text[end:], func(r rune) bool { return !strings.ContainsRune(" \t\r\n", r) }); comma >= 0 && text[end+comma] == ',' {
			end += comma + 1
		}
	}
	return splice(text, p.from, end, "")
}

func splice(text []byte, from, to int, with string) []byte {
	out := make([]byte, 0, len(text)+len(with))
	return append(append(append(out, text[:from]...), with...), text[to:]...)
}
