package azure

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/durafleet/durafleet/internal/storage"
)

// The property types that JSON cannot express by itself.
const (
	typeSuffix  = "@odata.type"
	edmInt64    = "Edm.Int64"
	edmDouble   = "Edm.Double"
	edmDateTime = "Edm.DateTime"
	edmBinary   = "Edm.Binary"
)

// timeLayout is how times are written: always with the full resolution of the service.
const timeLayout = "2006-01-02T15:04:05.0000000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// encodeRow writes a checked row as JSON. Nil values are left out; columns are in order of name.
func encodeRow(row storage.Row, ascii bool) []byte {
	w := rowWriter{ascii: ascii}
	w.text(`{"PartitionKey":`, row.PartitionKey)
	w.text(`,"RowKey":`, row.RowKey)
	for _, name := range slices.Sorted(maps.Keys(row.Values)) {
		if value := row.Values[name]; value != nil {
			w.column(name, value)
		}
	}
	return append(w.out, '}')
}

// rowWriter writes the JSON of a row, without characters beyond ASCII if ascii is set.
type rowWriter struct {
	out   []byte
	ascii bool
}

func (w *rowWriter) column(name string, value any) {
	switch v := value.(type) {
	case int64:
		w.annotated(name, edmInt64, strconv.FormatInt(v, 10))
	case time.Time:
		w.annotated(name, edmDateTime, formatTime(v))
	case []byte:
		w.annotated(name, edmBinary, base64.StdEncoding.EncodeToString(v))
	case float64:
		w.annotated(name, edmDouble, formatDouble(v))
	case string:
		w.text(",", name)
		w.text(":", v)
	case bool:
		w.text(",", name)
		w.out = strconv.AppendBool(append(w.out, ':'), v)
	case int32:
		w.text(",", name)
		w.out = strconv.AppendInt(append(w.out, ':'), int64(v), 10)
	}
}

func (w *rowWriter) annotated(name, edm, value string) {
	w.text(",", name+typeSuffix)
	w.text(":", edm)
	w.text(",", name)
	w.text(":", value)
}

func formatDouble(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".eN") {
		text += ".0"
	}
	return text
}

// text writes a string behind a lead. Unlike encoding/json it escapes only what JSON demands, so that
// the size on the wire can be told beforehand, and U+2028 and U+2029, which Azurite takes for the
// end of a line when it reads a transaction.
func (w *rowWriter) text(lead, s string) {
	out := append(append(w.out, lead...), '"')
	start := 0
	for i, r := range s {
		plain := r >= ' ' && r != '"' && r != '\\' && r != '\u2028' && r != '\u2029'
		if plain && (r < utf8.RuneSelf || !w.ascii) {
			continue
		}
		out = append(out, s[start:i]...)
		start = i + utf8.RuneLen(r)
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	w.out = append(append(out, s[start:]...), '"')
}

// decodeRow reads a row with minimal metadata.
func decodeRow(data []byte) (storage.Row, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return storage.Row{}, fmt.Errorf("decode row: %w", err)
	}
	row := storage.Row{Values: make(map[string]any, len(fields))}
	for name, raw := range fields {
		if raw == nil || strings.Contains(name, "@") || strings.HasPrefix(name, "odata.") {
			continue
		}
		edm, _ := fields[name+typeSuffix].(string)
		if name == "Timestamp" {
			edm = edmDateTime
		}
		value, err := decodeValue(raw, edm)
		if err != nil {
			return storage.Row{}, fmt.Errorf("decode column %s: %w", name, err)
		}
		row.Values[name] = value
	}
	etag, _ := fields["odata.etag"].(string)
	row.ETag = storage.ETag(etag)
	row.PartitionKey, _ = row.Values["PartitionKey"].(string)
	row.RowKey, _ = row.Values["RowKey"].(string)
	row.Timestamp, _ = row.Values["Timestamp"].(time.Time)
	for _, name := range []string{"PartitionKey", "RowKey", "Timestamp"} {
		delete(row.Values, name)
	}
	return row, nil
}

// decodeValue gives a value the type it is stored with.
func decodeValue(raw any, edm string) (any, error) {
	text, isText := raw.(string)
	number, isNumber := raw.(json.Number)
	if isNumber {
		text = number.String()
	}
	switch {
	case edm == edmInt64:
		return strconv.ParseInt(text, 10, 64)
	case edm == edmDouble:
		return strconv.ParseFloat(text, 64)
	case edm == edmDateTime:
		at, err := time.Parse(time.RFC3339Nano, text)
		return at.UTC(), err
	case edm == edmBinary:
		return base64.StdEncoding.DecodeString(text)
	case isText:
		return text, nil
	case isNumber:
		return decodeNumber(text)
	}
	if truth, ok := raw.(bool); ok {
		return truth, nil
	}
	return nil, fmt.Errorf("value of type %T", raw)
}

// decodeNumber tells the two bare numbers apart: an Int32 has neither point nor exponent.
func decodeNumber(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") {
		if whole, err := strconv.ParseInt(text, 10, 32); err == nil {
			return int32(whole), nil
		}
	}
	return strconv.ParseFloat(text, 64)
}
