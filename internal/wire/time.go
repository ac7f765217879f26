package wire

import (
	"time"

	"github.com/durafleet/durafleet/history"
)

const (
	jsonLayout      = "2006-01-02T15:04:05.9999999Z"
	roundTripLayout = "2006-01-02T15:04:05.0000000Z"
	offsetLayout    = "2006-01-02T15:04:05.9999999-07:00"
)

var (
	earliest      = time.Time{}
	earliestTable = time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)
	latest        = time.Date(9999, 12, 31, 23, 59, 59, 999_999_900, time.UTC)
)

// Ticks returns t in UTC, cut to the 100 ns that the format can hold.
func Ticks(t time.Time) time.Time { return clamp(t.UTC().Truncate(history.Tick), earliest) }

// TableTime returns t as a table column can hold it: in UTC, cut to 100 ns and not before 1601.
func TableTime(t time.Time) time.Time { return clamp(t.UTC().Truncate(history.Tick), earliestTable) }

func clamp(t, low time.Time) time.Time {
	switch {
	case t.Before(low):
		return low
	case t.After(latest):
		return latest
	default:
		return t
	}
}

// FormatTime returns the JSON form of a time: UTC with Z and up to seven fractional digits.
func FormatTime(t time.Time) string { return Ticks(t).Format(jsonLayout) }

// FormatRoundTrip returns a time with Z and exactly seven fractional digits, as it appears in the
// names of delayed entity signals.
func FormatRoundTrip(t time.Time) string { return Ticks(t).Format(roundTripLayout) }

// formatOffset returns the form of a DateTimeOffset, which always shows an offset.
func formatOffset(t time.Time) string { return Ticks(t).Format(offsetLayout) }

// ParseTime reads a JSON time. A time without zone is taken for UTC, an offset is converted, and
// digits beyond the seventh are rounded, all as .NET does.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return clamp(t.UTC().Round(history.Tick), earliest), nil
		}
	}
	return time.Time{}, malformed("time", "%s is not an ISO 8601 time", prefix(text))
}
