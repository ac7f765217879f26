package azure

import (
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// filterText renders a checked filter in OData.
func filterText(filter storage.Filter) string {
	switch f := filter.(type) {
	case storage.Compare:
		return f.Column + " " + string(f.Operator) + " " + literal(f.Value)
	case storage.And:
		return joinParts(f, " and ")
	case storage.Or:
		return joinParts(f, " or ")
	}
	return ""
}

func joinParts(parts []storage.Filter, word string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = "(" + filterText(part) + ")"
	}
	return strings.Join(texts, word)
}

func literal(value any) string {
	switch v := value.(type) {
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case bool:
		return strconv.FormatBool(v)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10) + "L"
	case time.Time:
		return "datetime'" + formatTime(v) + "'"
	}
	return ""
}
