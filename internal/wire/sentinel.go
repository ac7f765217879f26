package wire

import (
	"encoding/base64"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// MaxProcessed is how many message IDs a sentinel holds; with more, the oldest are dropped.
	MaxProcessed = 1000

	processedColumn = "DurafleetProcessed"
	// MaxReplaced is how many former executions a sentinel holds; with more, the oldest are dropped.
	MaxReplaced = 16

	replacedColumn = "DurafleetReplaced"
	startedColumn  = "DurafleetStarted"
	costColumn     = "DurafleetCost"
	waitsColumn    = "DurafleetWaits"
	separator      = "\n"
	// processedWidth is the length of 16 bytes in unpadded Base64.
	processedWidth = 22
)

// Sentinel is the row that says which execution of an instance is current and, through its ETag,
// locks the instance's history.
type Sentinel struct {
	ExecutionID string
	// Complete is true on the last transaction of a checkpoint.
	Complete bool
	// CompletedAt is when the last complete checkpoint was written; it is stored only with Complete.
	CompletedAt time.Time
	// Processed holds the activity IDs of messages that the current history already contains, in
	// GUID form D, oldest first. .NET neither reads nor keeps it up.
	Processed []string
	// Replaced holds former executions of the instance, one of which its status row may still
	// name, oldest first. .NET neither reads nor keeps it up.
	Replaced []string
	// Started is when the service put the start that the instance lives from into its queue, zero if
	// that is not known. .NET neither reads nor keeps it up.
	Started time.Time
	// Cost is how many storage requests the instance has taken, as far as its workers were ours; 0 if
	// that is not known. .NET neither reads nor keeps it up.
	Cost int64
	// Waits are the external events that the orchestration waited for at the end of the checkpoint, nil if
	// there are none or that is not known. They are stored only with Complete, and hold for as long as
	// CompletedAt stays: .NET neither reads nor keeps them up.
	Waits []EventWait
}

// EncodeSentinel returns the columns of a sentinel row. The private lists are written even when
// they are empty, so that a merge clears old ones. Entries that are no GUIDs are left out.
func EncodeSentinel(s Sentinel) Columns {
	c := Columns{
		"ExecutionId":          s.ExecutionID,
		"IsCheckpointComplete": s.Complete,
		processedColumn:        encodeProcessed(s.Processed),
		replacedColumn:         strings.Join(s.Replaced[max(0, len(s.Replaced)-MaxReplaced):], separator),
		waitsColumn:            "",
	}
	if !s.Started.IsZero() {
		c[startedColumn] = TableTime(s.Started)
	}
	if s.Cost > 0 {
		c[costColumn] = int32(min(s.Cost, math.MaxInt32))
	}
	if s.Complete {
		c["CheckpointCompletedTimestamp"] = TableTime(s.CompletedAt)
		c[waitsColumn] = encodeWaits(s.Waits, TableTime(s.CompletedAt))
	}
	return c
}

// DecodeSentinel reads a sentinel row. A list of processed messages that cannot be read is taken
// for empty: the worst that follows is a duplicate that replay discards.
func DecodeSentinel(c Columns) (Sentinel, error) {
	r := &rowSource{columns: c}
	s := Sentinel{
		ExecutionID: word(r, "ExecutionId"),
		Complete:    r.flag("IsCheckpointComplete"),
		CompletedAt: moment(r, "CheckpointCompletedTimestamp"),
	}
	if r.err != nil {
		return Sentinel{}, r.err
	}
	s.Started, _ = c[startedColumn].(time.Time)
	if cost, _ := c[costColumn].(int32); cost > 0 {
		s.Cost = int64(cost)
	}
	text, _ := c[processedColumn].(string)
	s.Processed = decodeProcessed(text)
	if text, _ := c[replacedColumn].(string); text != "" {
		s.Replaced = strings.Split(text, separator)
	}
	if text, _ := c[waitsColumn].(string); s.Complete {
		s.Waits = decodeWaits(text, s.CompletedAt)
	}
	return s, nil
}

func encodeProcessed(ids []string) string {
	if len(ids) > MaxProcessed {
		ids = ids[len(ids)-MaxProcessed:]
	}
	var b strings.Builder
	b.Grow(len(ids) * processedWidth)
	for _, text := range ids {
		if id, err := uuid.Parse(text); err == nil {
			b.WriteString(base64.RawURLEncoding.EncodeToString(id[:]))
		}
	}
	return b.String()
}

func decodeProcessed(text string) []string {
	if len(text)%processedWidth != 0 || len(text) > MaxProcessed*processedWidth {
		return nil
	}
	encoding := base64.RawURLEncoding.Strict()
	var ids []string
	for ; text != ""; text = text[processedWidth:] {
		raw, err := encoding.DecodeString(text[:processedWidth])
		if err != nil || len(raw) != len(uuid.UUID{}) {
			return nil
		}
		ids = append(ids, uuid.UUID(raw).String())
	}
	return ids
}
