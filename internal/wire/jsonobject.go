package wire

import (
	"encoding/json"

	"github.com/durafleet/durafleet/history"
)

const (
	typeMember     = "$type"
	contractMember = "__type"
)

type instanceObject struct {
	InstanceID  looseText `json:"InstanceId"`
	ExecutionID looseText `json:"ExecutionId"`
}

func (o *instanceObject) instance() history.Instance {
	if o == nil {
		return history.Instance{}
	}
	return history.Instance{InstanceID: o.InstanceID.String(), ExecutionID: o.ExecutionID.String()}
}

type parentObject struct {
	Name                  looseText
	OrchestrationInstance *instanceObject
	TaskScheduleID        looseInt32 `json:"TaskScheduleId"`
	Version               looseText
}

func (o *parentObject) parent() *history.Parent {
	if o == nil {
		return nil
	}
	return &history.Parent{
		Name:     o.Name.String(),
		Version:  o.Version.String(),
		Instance: o.OrchestrationInstance.instance(),
		TaskID:   o.TaskScheduleID.value,
	}
}

type traceObject struct {
	TraceParent       looseText
	TraceState        looseText
	ID                looseText `json:"Id"`
	SpanID            looseText `json:"SpanId"`
	ActivityStartTime looseOffset
}

func (o *traceObject) trace() *history.TraceContext {
	if o == nil {
		return nil
	}
	return &history.TraceContext{
		TraceParent:       o.TraceParent.String(),
		TraceState:        o.TraceState.value,
		ID:                o.ID.value,
		SpanID:            o.SpanID.value,
		ActivityStartTime: o.ActivityStartTime.value,
	}
}

type failureObject struct {
	ErrorType      looseText
	ErrorMessage   looseText
	StackTrace     looseText
	InnerFailure   *failureObject
	IsNonRetriable looseFlag
	Properties     propertyObject
}

func (o *failureObject) failure() *history.FailureDetails {
	if o == nil {
		return nil
	}
	return &history.FailureDetails{
		Type:         o.ErrorType.String(),
		Message:      o.ErrorMessage.String(),
		Stack:        o.StackTrace.String(),
		Inner:        o.InnerFailure.failure(),
		NonRetriable: bool(o.IsNonRetriable),
		Properties:   o.Properties,
	}
}

// tagObject is a dictionary of strings: an object, or an array of pairs in the DataContract form.
type tagObject tagMap

// UnmarshalJSON implements json.Unmarshaler.
func (o *tagObject) UnmarshalJSON(raw []byte) error {
	values, err := parseDictionary[looseText](raw)
	if err != nil || values == nil {
		return err
	}
	*o = make(tagObject, len(values))
	for key, value := range values {
		(*o)[key] = value.String()
	}
	return nil
}

// propertyObject is a dictionary of plain JSON values.
type propertyObject map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (o *propertyObject) UnmarshalJSON(raw []byte) error {
	values, err := parseDictionary[any](raw)
	for _, value := range values {
		dropTypes(value)
	}
	*o = values
	return err
}

// parseDictionary reads a .NET dictionary without its $type, which is no entry.
func parseDictionary[V any](raw []byte) (map[string]V, error) {
	if isNull(raw) {
		return nil, nil //nolint:nilnil // null is a value of its own
	}
	if raw[0] != '[' {
		var values map[string]V
		if err := json.Unmarshal(raw, &values); err != nil {
			return nil, err
		}
		delete(values, typeMember)
		return values, nil
	}
	var pairs []struct {
		Key   string
		Value V
	}
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, err
	}
	values := make(map[string]V, len(pairs))
	for _, pair := range pairs {
		values[pair.Key] = pair.Value
	}
	return values, nil
}

// dropTypes removes the $type members of nested objects.
func dropTypes(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, typeMember)
		for _, nested := range v {
			dropTypes(nested)
		}
	case []any:
		for _, nested := range v {
			dropTypes(nested)
		}
	}
}
