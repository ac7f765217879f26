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
func encodeRow(row storage.Row) []byte {
	out := appendJSON([]byte(`{"PartitionKey":`), row.PartitionKey)
	out = appendJSON(append(out, `,"RowKey":`...), row.RowKey)
	for _, name := range slices.Sorted(maps.Keys(row.Values)) {
		if value := row.Values[name]; value != nil {
			out = appendColumn(out, name, value)
		}
	}
	return append(out, '}')
}

func appendColumn(out []byte, name string, value any) []byte {
	annotated := func(edm, text string) []byte {
		out = append(appendJSON(append(out, ','), name+typeSuffix), ':')
		out = append(appendJSON(out, edm), ',')
		return appendJSON(append(appendJSON(out, name), ':'), text)
	}
	switch v := value.(type) {
	case int64:
		return annotated(edmInt64, strconv.FormatInt(v, 10))
	case time.Time:
		return annotated(edmDateTime, formatTime(v))
	case []byte:
		return annotated(edmBinary, base64.StdEncoding.EncodeToString(v))
	case float64:
		return annotated(edmDouble, formatDouble(v))
	}
	out = append(appendJSON(append(out, ','), name), ':')
	switch v := value.(type) {
	case string:
		return appendJSON(out, v)
	case bool:
		return strconv.AppendBool(out, v)
	case int32:
		return strconv.AppendInt(out, int64(v), 10)
	}
	return append(out, "null"...) // never reached with a checked row
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

// appendJSON appends a string as JSON. Unlike encoding/json it escapes only what JSON demands, so
// that the size on the wire can be told beforehand.
func appendJSON(out []byte, s string) []byte {
	out = append(out, '"')
	start := 0
	for i := range len(s) {
		if s[i] >= ' ' && s[i] != '"' && s[i] != '\\' {
			continue
		}
		out = append(out, s[start:i]...)
		if s[i] < ' ' {
			out = fmt.Appendf(out, `\u%04x`, s[i])
		} else {
			out = append(out, '\\', s[i])
		}
		start = i + 1
	}
	return append(append(out, s[start:]...), '"')
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
