package wire_test

import (
	"errors"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/wire"
)

func TestFormatTime(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("CET", 3600)
	for _, tt := range []struct {
		at        time.Time
		want      string
		roundTrip string
	}{
		{time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC), "2025-03-04T12:00:00Z", "2025-03-04T12:00:00.0000000Z"},
		{time.Date(2025, 3, 4, 10, 20, 33, 5e8, time.UTC), "2025-03-04T10:20:33.5Z", "2025-03-04T10:20:33.5000000Z"},
		{time.Date(2025, 3, 4, 11, 0, 0, 199, cet), "2025-03-04T10:00:00.0000001Z", "2025-03-04T10:00:00.0000001Z"},
		{time.Time{}, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000Z"},
		{time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000Z"},
		{time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"},
	} {
		if got := wire.FormatTime(tt.at); got != tt.want {
			t.Errorf("FormatTime(%v) = %s, want %s", tt.at, got, tt.want)
		}
		if got := wire.FormatRoundTrip(tt.at); got != tt.roundTrip {
			t.Errorf("FormatRoundTrip(%v) = %s, want %s", tt.at, got, tt.roundTrip)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	base := time.Date(2025, 3, 4, 10, 20, 30, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2025-03-04T10:20:30Z":               base,
		"2025-03-04T10:20:30.4455667Z":       base.Add(445566700),
		"2025-03-04T10:20:30.123456789Z":     base.Add(123456800), // rounded, as .NET does
		"2025-03-04T10:20:30":                base,
		"2025-03-04T10:20:30.5":              base.Add(5e8),
		"2025-03-04T11:20:30+01:00":          base,
		"2025-03-04T10:20:30+00:00":          base,
		"0001-01-01T00:00:00":                {},
		"0001-01-01T00:00:00+05:00":          {},
		"9999-12-31T23:59:59.99999999Z":      time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC),
		"2025-03-04T10:20:30.12345678901234": base.Add(123456800),
	} {
		got, err := wire.ParseTime(text)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("ParseTime(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "2025-03-04", "10:20:30", "/Date(1)/"} {
		if _, err := wire.ParseTime(text); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("ParseTime(%q): got error %v, want ErrMalformed", text, err)
		}
	}
}

func TestTableTime(t *testing.T) {
	t.Parallel()
	if got := wire.TableTime(time.Time{}); got.Year() != 1601 {
		t.Errorf("a table cannot hold %v", got)
	}
	at := time.Date(2025, 3, 4, 10, 20, 30, 1234567, time.FixedZone("", 7200))
	if got := wire.TableTime(at); got.Location() != time.UTC || got.Nanosecond() != 1234500 {
		t.Errorf("TableTime(%v) = %v", at, got)
	}
}
