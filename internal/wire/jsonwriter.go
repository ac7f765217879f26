package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/durafleet/durafleet/history"
)

// jsonWriter appends JSON in a fixed member order, as .NET's serializer does. The first error
// sticks and makes the text useless.
type jsonWriter struct {
	buf []byte
	// types adds $type to objects: on in messages, off in table columns.
	types bool
	err   error
}

// open begins an object of a .NET class. An empty class has no $type in any mode.
func (w *jsonWriter) open(class string) {
	w.buf = append(w.buf, '{')
	if w.types && class != "" {
		w.name("$type")
		w.text(class)
	}
}

func (w *jsonWriter) end() { w.buf = append(w.buf, '}') }

func (w *jsonWriter) name(name string) {
	if w.buf[len(w.buf)-1] != '{' {
		w.buf = append(w.buf, ',')
	}
	w.text(name)
	w.buf = append(w.buf, ':')
}

func (w *jsonWriter) null() { w.buf = append(w.buf, "null"...) }

func (w *jsonWriter) member(name string, value any) {
	w.name(name)
	w.value(value)
}

func (w *jsonWriter) members(list []member) {
	for _, m := range list {
		w.member(m.name, m.value)
	}
}

// value writes any of the types members are made of.
func (w *jsonWriter) value(value any) {
	switch v := value.(type) {
	case nil:
		w.null()
	case string:
		w.text(v)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case int32:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case int64:
		w.buf = strconv.AppendInt(w.buf, v, 10)
	case time.Time:
		w.text(FormatTime(v))
	case history.Instance:
		w.instance(v)
	case *string:
		optional(w, v)
	case *int32:
		optional(w, v)
	case *time.Time:
		optional(w, v)
	default:
		w.object(v)
	}
}

// optional writes what a pointer to a simple value points to.
func optional[T any](w *jsonWriter, p *T) {
	if p == nil {
		w.null()
		return
	}
	w.value(*p)
}

func (w *jsonWriter) object(value any) {
	switch v := value.(type) {
	case *history.Parent:
		w.parent(v)
	case *history.TraceContext:
		w.trace(v)
	case *history.FailureDetails:
		w.failure(v)
	case tagMap:
		w.tags(v)
	default:
		w.fail(fmt.Errorf("no JSON form for %T", value))
	}
}

func (w *jsonWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	w.null()
}

func (w *jsonWriter) instance(i history.Instance) {
	w.open(coreNamespace + "OrchestrationInstance")
	w.member("InstanceId", i.InstanceID)
	w.member("ExecutionId", nullIfEmpty(i.ExecutionID))
	w.end()
}

func (w *jsonWriter) parent(p *history.Parent) {
	if p == nil {
		w.null()
		return
	}
	w.open(coreNamespace + "ParentInstance")
	w.member("Name", p.Name)
	w.member("OrchestrationInstance", p.Instance)
	w.member("TaskScheduleId", p.TaskID)
	w.member("Version", p.Version)
	w.end()
}

func (w *jsonWriter) trace(t *history.TraceContext) {
	if t == nil {
		w.null()
		return
	}
	w.open(coreNamespace + "Tracing.DistributedTraceContext")
	w.member("TraceParent", t.TraceParent)
	w.member("TraceState", t.TraceState)
	w.member("Id", t.ID)
	w.member("SpanId", t.SpanID)
	w.name("ActivityStartTime")
	if t.ActivityStartTime == nil {
		w.null()
	} else {
		w.text(formatOffset(*t.ActivityStartTime))
	}
	w.end()
}

func (w *jsonWriter) failure(d *history.FailureDetails) {
	if d == nil {
		w.null()
		return
	}
	w.open(coreNamespace + "FailureDetails")
	w.member("ErrorType", d.Type)
	w.member("ErrorMessage", d.Message)
	w.member("StackTrace", nullIfEmpty(d.Stack))
	w.member("InnerFailure", d.Inner)
	w.member("IsNonRetriable", d.NonRetriable)
	w.name("Properties")
	w.properties(d.Properties)
	w.end()
}

// properties normalises the values through encoding/json first: what comes out is a finite tree of
// plain JSON values, whatever went in.
func (w *jsonWriter) properties(values map[string]any) {
	if values == nil {
		w.null()
		return
	}
	text, err := json.Marshal(values)
	if err != nil {
		w.fail(fmt.Errorf("encode failure properties: %w", err))
		return
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		w.fail(fmt.Errorf("encode failure properties: %w", err))
		return
	}
	w.plain(plain)
}

// plain writes a tree as encoding/json decodes it into any.
func (w *jsonWriter) plain(value any) {
	switch v := value.(type) {
	case map[string]any:
		w.open("")
		for _, key := range sortedKeys(v) {
			w.name(key)
			w.plain(v[key])
		}
		w.end()
	case []any:
		w.buf = append(w.buf, '[')
		for i, element := range v {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.plain(element)
		}
		w.buf = append(w.buf, ']')
	case float64:
		text, err := json.Marshal(v)
		if err != nil {
			w.fail(err)
			return
		}
		w.buf = append(w.buf, text...)
	default:
		w.value(v)
	}
}

func (w *jsonWriter) tags(tags tagMap) {
	if tags == nil {
		w.null()
		return
	}
	w.open("")
	for _, key := range sortedKeys(tags) {
		w.member(key, tags[key])
	}
	w.end()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func nullIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

const hexDigits = "0123456789abcdef"

// text writes a JSON string with the escapes .NET uses, and escapes the two characters that XML
// does not allow. Bytes that are not UTF-8 become U+FFFD.
func (w *jsonWriter) text(s string) {
	w.buf = append(w.buf, '"')
	start := 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		invalid := r == utf8.RuneError && size == 1
		if invalid || escapedInJSON(r) {
			w.buf = append(w.buf, s[start:i]...)
			if invalid {
				w.buf = append(w.buf, "\uFFFD"...)
			} else {
				w.buf = appendEscape(w.buf, r)
			}
			start = i + size
		}
		i += size
	}
	w.buf = append(w.buf, s[start:]...)
	w.buf = append(w.buf, '"')
}

func escapedInJSON(r rune) bool {
	switch r {
	case '"', '\\', 0x85, 0x2028, 0x2029, 0xFFFE, 0xFFFF:
		return true
	default:
		return r < 0x20
	}
}

func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\t':
		return append(b, `\t`...)
	case '\n':
		return append(b, `\n`...)
	case '\f':
		return append(b, `\f`...)
	case '\r':
		return append(b, `\r`...)
	default:
		return append(b, '\\', 'u', hexDigits[r>>12&0xF], hexDigits[r>>8&0xF], hexDigits[r>>4&0xF], hexDigits[r&0xF])
	}
}
