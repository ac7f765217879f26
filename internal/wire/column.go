package wire

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/durafleet/durafleet/history"
)

// Columns are the columns of a table row by name, without keys. The values are string, bool, int32
// and time.Time, standing for Edm.String, Edm.Boolean, Edm.Int32 and Edm.DateTime; a null column is
// absent. Rows read may hold other types in columns nobody asks for.
type Columns map[string]any

const (
	// LargeLimit is the greatest UTF-16 length in bytes of a text that stays in its column.
	LargeLimit = 61440

	blobSuffix = "BlobName"
	rowBytes   = 1024
	nullText   = "null"
)

var largeColumns = [...]string{
	"Name", "Input", "Result", "Output", "Reason", "Details", "Correlation", "FailureDetails", "Tags",
}

// LargeColumns returns the names of the columns whose text may be moved to a blob. All others must
// fit the 64 KiB that the service allows.
func LargeColumns() []string { return append([]string(nil), largeColumns[:]...) }

// UTF16Bytes returns the number of bytes a text takes in UTF-16, which is what table limits count.
func UTF16Bytes(s string) int {
	n := 0
	for _, r := range s {
		n += 2
		if r > 0xFFFF {
			n += 2
		}
	}
	return n
}

// LargeColumnsOf returns the names of the columns that must move to a blob before the row is
// written.
func LargeColumnsOf(c Columns) []string {
	var names []string
	for _, name := range largeColumns {
		if text, ok := c[name].(string); ok && len(text) > LargeLimit/utf8.UTFMax && UTF16Bytes(text) > LargeLimit {
			names = append(names, name)
		}
	}
	return names
}

// SetBlob records that the text of a column has been moved to a blob.
func SetBlob(c Columns, column, blob string) {
	c[column] = ""
	c[column+blobSuffix] = blob
}

// BlobColumns returns the columns of a history row whose text is in a blob, with the blobs' names.
// Put the unpacked texts into the columns before decoding the row. Status rows refer to blobs by
// URL instead, and may hold stale blob names.
func BlobColumns(c Columns) map[string]string {
	blobs := map[string]string{}
	for _, name := range largeColumns {
		if blob, ok := c[name+blobSuffix].(string); ok && blob != "" {
			blobs[name] = blob
		}
	}
	return blobs
}

// EstimateBytes returns the size by which .NET decides when a transaction is full. Call it after
// large columns were moved.
func EstimateBytes(c Columns) int {
	n := rowBytes
	for _, name := range largeColumns {
		if text, ok := c[name].(string); ok {
			n += UTF16Bytes(text)
		}
	}
	return n
}

// HistoryBlobName returns the name of the blob for a column of a row. random8 is eight upper-case
// hexadecimal digits, new for every attempt. A row that is not an event has an empty rowKey and the
// column's name as event type.
func HistoryBlobName(instanceID, rowKey, eventType, random8, column string) string {
	return EscapeKey(instanceID) + "/history-" +
		strings.Join([]string{rowKey, eventType, random8, column}, "-") + messageExtension
}

// edmName names the type of a value for error texts, in plain words and as tables name it.
func edmName(value any) string {
	switch value.(type) {
	case string:
		return "a text (Edm.String)"
	case bool:
		return "a truth value (Edm.Boolean)"
	case int32:
		return "a 32-bit number (Edm.Int32)"
	case time.Time:
		return "a time (Edm.DateTime)"
	case int64:
		return "a 64-bit number (Edm.Int64)"
	case float64:
		return "a fraction (Edm.Double)"
	case []byte:
		return "bytes (Edm.Binary)"
	default:
		return fmt.Sprintf("%T", value)
	}
}

// columnOf returns the column value of an event member, nil if nothing is to be stored. Objects
// become JSON; a null object is the text null, as 2.x writes it.
func columnOf(value any) (any, error) {
	switch v := value.(type) {
	case string, bool, int32:
		return v, nil
	case history.Status:
		return string(v), nil
	case time.Time:
		return TableTime(v), nil
	case *string:
		return columnOfPointer(v)
	case *int32:
		return columnOfPointer(v)
	case *time.Time:
		return columnOfPointer(v)
	default:
		return jsonColumn(v)
	}
}

func columnOfPointer[T any](p *T) (any, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // an absent column
	}
	return columnOf(*p)
}

func jsonColumn(value any) (string, error) {
	w := &jsonWriter{}
	w.value(value)
	return string(w.buf), w.err
}

// rowSource reads the columns of a row. Types have to be exact, as for .NET.
type rowSource struct {
	columns Columns
	err     error
}

func column[T any](s *rowSource, name string) *T {
	value, ok := s.columns[name]
	if !ok || value == nil {
		return nil
	}
	v, ok := value.(T)
	if !ok {
		var want T
		s.fail(name, fmt.Sprintf("found %s instead of %s", edmName(value), edmName(want)))
		return nil
	}
	return &v
}

func (s *rowSource) fail(name, problem string) {
	if s.err == nil {
		s.err = malformed("column "+name, "%s", problem)
	}
}

func (s *rowSource) failure() error { return s.err }

func (s *rowSource) text(name string) *string { return column[string](s, name) }

func (s *rowSource) integer(name string) *int32 { return column[int32](s, name) }

func (s *rowSource) flag(name string) bool {
	v := column[bool](s, name)
	return v != nil && *v
}

func (s *rowSource) time(name string) *time.Time {
	v := column[time.Time](s, name)
	if v == nil {
		return nil
	}
	t := Ticks(*v)
	return &t
}

func (s *rowSource) status(name string) history.Status { return history.Status(word(s, name)) }

func (s *rowSource) object(name string) []byte { return []byte(word(s, name)) }
