package taskhub

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

const (
	maxIDUnits   = 256
	maxNameUnits = 1024
	bytesPerUnit = 2
	shownRunes   = 80
)

// checkNewID checks the id of an instance that is to be started.
func checkNewID(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	rule := ""
	switch {
	case wire.UTF16Bytes(id) > maxIDUnits*bytesPerUnit:
		rule = fmt.Sprintf("must not be longer than %d characters", maxIDUnits)
	case strings.HasPrefix(id, "@"):
		rule = "must not begin with @, which is for entities"
	case strings.ContainsAny(id, `/\#?`):
		rule = `must not contain any of / \ # ?`
	case strings.ContainsFunc(id, unicode.IsControl):
		rule = "must not contain control characters"
	default:
		return nil
	}
	return &ArgumentError{Argument: "instance id", Value: shown(id), Rule: rule}
}

// checkID checks the id of an instance that may exist; other engines allow more than we do.
func checkID(id string) error { return checkText("instance id", id) }

// checkName checks the name of an orchestration or event.
func checkName(what, name string) error {
	if err := checkText(what, name); err != nil {
		return err
	}
	if wire.UTF16Bytes(name) > maxNameUnits*bytesPerUnit {
		return &ArgumentError{
			Argument: what, Value: shown(name), Rule: fmt.Sprintf("must not be longer than %d characters", maxNameUnits),
		}
	}
	return nil
}

func checkText(what, text string) error {
	switch {
	case text == "":
		return &ArgumentError{Argument: what, Value: text, Rule: "must not be empty"}
	case !utf8.ValidString(text):
		return &ArgumentError{Argument: what, Value: shown(text), Rule: "must be valid UTF-8"}
	}
	return nil
}

// checkTags checks that the tags can be stored.
func checkTags(tags map[string]string) error {
	units := 0
	for key, value := range tags {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return &ArgumentError{Argument: "tag", Value: shown(key + "=" + value), Rule: "must be valid UTF-8"}
		}
		units += wire.UTF16Bytes(key) + wire.UTF16Bytes(value)
	}
	// Half of what fits, because the stored form escapes some characters.
	if units > wire.LargeLimit/2 {
		return &ArgumentError{
			Argument: "tags", Value: fmt.Sprintf("%d tags", len(tags)),
			Rule: fmt.Sprintf("must not be longer than %d characters together", wire.LargeLimit/2/bytesPerUnit),
		}
	}
	return nil
}

// checkStartAt checks the time of a delayed start.
func checkStartAt(at, now time.Time) error {
	if at.Sub(now) > storage.MaxVisibility {
		return &ArgumentError{
			Argument: "start time", Value: at.Format(time.RFC3339), Rule: "must not be more than 7 days ahead",
		}
	}
	return nil
}

// shown returns as much of a text as an error should show.
func shown(text string) string {
	n := 0
	for i := range text {
		if n == shownRunes {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
