package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/history"
)

func (p *program) instanceHistory() *cobra.Command {
	return &cobra.Command{
		Use:   "history ID",
		Short: "Show the history of an instance's current execution",
		Args:  exactly("the instance id"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			events, err := client.History(c.Context(), arguments[0])
			if err != nil {
				return err
			}
			return p.printHistory(events)
		},
	}
}

func (p *program) printHistory(events []history.Event) error {
	views := make([]eventView, len(events))
	for i, event := range events {
		views[i] = viewEvent(event)
	}
	if p.output == outputJSONL {
		for _, view := range views {
			if err := p.printJSON(view); err != nil {
				return err
			}
		}
		return nil
	}
	return p.print(views, func() {
		rows := make([][]string, len(views))
		for i, view := range views {
			id := strconv.Itoa(int(view.head.EventID))
			if view.head.EventID == history.NoEventID {
				id = "-"
			}
			rows[i] = []string{
				strconv.Itoa(i + 1), view.head.Timestamp.UTC().Format("2006-01-02 15:04:05.000Z"),
				string(view.kind), id, view.detail(),
			}
		}
		p.columns([]string{"#", "TIME", "EVENT", "ID", "DETAIL"}, rows)
	})
}

// eventView is an event as it is printed: its fields by their names, in order.
type eventView struct {
	kind   history.Kind
	head   history.Header
	fields []eventField
}

type eventField struct {
	name  string
	value any
}

// payloadFields hold JSON; what is none is printed as a string.
var payloadFields = map[string]bool{"input": true, "result": true}

// viewEvent collects the fields that have a value.
func viewEvent(event history.Event) eventView {
	view := eventView{kind: event.Kind(), head: *event.Head()}
	value := reflect.ValueOf(event).Elem()
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if field.Anonymous || missing(value.Field(i)) {
			continue
		}
		name := lowerFirst(field.Name)
		view.fields = append(view.fields, eventField{name, plain(name, value.Field(i))})
	}
	return view
}

// missing reports whether a field says nothing. Numbers do: there is a task 0.
func missing(value reflect.Value) bool { return value.IsZero() && !value.CanInt() }

// plain turns a field into what encoding/json prints with names of our own.
func plain(name string, value reflect.Value) any {
	if value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	if at, ok := value.Interface().(time.Time); ok {
		return at.UTC()
	}
	switch value.Kind() {
	case reflect.String:
		if text := value.String(); payloadFields[name] && json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
		return value.String()
	case reflect.Struct:
		nested := map[string]any{}
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() && !missing(value.Field(i)) {
				inner := lowerFirst(field.Name)
				nested[inner] = plain(inner, value.Field(i))
			}
		}
		return nested
	}
	return value.Interface()
}

// MarshalJSON implements json.Marshaler.
func (v eventView) MarshalJSON() ([]byte, error) {
	object := map[string]any{"kind": v.kind, "eventId": v.head.EventID, "timestamp": v.head.Timestamp.UTC()}
	for _, field := range v.fields {
		object[field.name] = field.value
	}
	return json.Marshal(object)
}

// detail returns excerpts of the fields in a line.
func (v eventView) detail() string {
	parts := make([]string, 0, len(v.fields))
	for _, field := range v.fields {
		text := ""
		switch value := field.value.(type) {
		case string:
			text = value
		case json.RawMessage:
			text = string(value)
		case time.Time:
			text = clock(value)
		default:
			encoded, err := json.Marshal(value)
			if err != nil {
				encoded = fmt.Append(nil, value)
			}
			text = string(encoded)
		}
		parts = append(parts, field.name+"="+excerpt(text))
	}
	return strings.Join(parts, " ")
}

// lowerFirst turns a name of Go into one of JSON: TaskID becomes taskId.
func lowerFirst(name string) string {
	if base, found := strings.CutSuffix(name, "ID"); found {
		name = base + "Id"
	}
	runes := []rune(name)
	runes[0] = unicode.ToLower(runes[0])
	return string(runes)
}
