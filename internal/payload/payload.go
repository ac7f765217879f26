// Package payload turns Go values into the texts that are stored as inputs, results and event
// data, and back. The compatibility cases of the Durable Task family live here and nowhere else.
//
// A text is JSON. A nil text is "no value", which is not the JSON value null: the empty struct
// type struct{} encodes to no value, a nil pointer or interface to null. json.RawMessage passes
// through untouched.
package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrDecode is matched by every error that a text does not fit the type it is read into.
var ErrDecode = errors.New("payload does not fit its type")

// Encode returns the text of v, nil for no value.
func Encode(v any) (*string, error) {
	switch value := v.(type) {
	case struct{}:
		return nil, nil //nolint:nilnil // no value is not an error
	case json.RawMessage:
		return encodeRaw(value)
	}
	text, err := marshal(v)
	if err != nil {
		return nil, err
	}
	return &text, nil
}

func encodeRaw(raw json.RawMessage) (*string, error) {
	if len(raw) == 0 {
		return nil, nil //nolint:nilnil // no value is not an error
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("encode payload: raw message is not valid JSON")
	}
	text := string(raw)
	return &text, nil
}

func marshal(v any) (string, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("encode payload of type %T: %w", v, err)
	}
	return string(bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))), nil
}

// Decode reads a text into a T. No value gives the zero value. A T of json.RawMessage takes the
// text as it is, also when it is not JSON but raw text, which then becomes a JSON string.
func Decode[T any](text *string) (T, error) {
	var out T
	if text == nil {
		return out, nil
	}
	switch target := any(&out).(type) {
	case *struct{}:
		return out, nil
	case *json.RawMessage:
		*target = rawOf(*text)
		return out, nil
	}
	if err := json.Unmarshal([]byte(*text), &out); err != nil {
		return out, fmt.Errorf("%w: %q as %T: %w", ErrDecode, excerpt(*text), out, err)
	}
	return out, nil
}

func rawOf(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := marshal(text)
	if err != nil {
		return json.RawMessage("null")
	}
	return json.RawMessage(quoted)
}

func excerpt(text string) string {
	const limit = 80
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}

// EncodeActivityInput returns the text of an activity's input: the one-element array of call
// arguments that DTFx writes.
func EncodeActivityInput(v any) (*string, error) {
	text, err := Encode(v)
	if err != nil {
		return nil, err
	}
	wrapped := "[]"
	if text != nil {
		wrapped = "[" + *text + "]"
	}
	return &wrapped, nil
}

// UnwrapActivityInput returns the one argument in an activity's input. Some peers pass the bare
// value instead of an array; an array of any length but one is taken for such a value, except
// the empty array, which is a call without an argument.
func UnwrapActivityInput(text *string) *string {
	if text == nil {
		return nil
	}
	trimmed := bytes.TrimSpace([]byte(*text))
	if len(trimmed) == 0 || trimmed[0] != '[' {
		return text
	}
	var elements []json.RawMessage
	if json.Unmarshal(trimmed, &elements) != nil {
		return text
	}
	switch len(elements) {
	case 0:
		return nil
	case 1:
		only := string(elements[0])
		return &only
	default:
		return text
	}
}
