package wire

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/durafleet/durafleet/history"
)

// columnLimit is the UTF-16 length in bytes that the service allows a text column.
const columnLimit = 65536

// EncodeNewInstance returns the row a client writes when it starts an instance: inserted if there
// was none, else replacing the old one, which clears what is not in it. The status is Pending
// unless another is given; Created has to be the Timestamp of the start event. CustomStatus and
// what belongs to completion are not written.
func EncodeNewInstance(in Instance) Columns {
	status := in.Status
	if status == "" {
		status = history.Pending
	}
	c := Columns{
		"CreatedTime":     TableTime(in.Created),
		"Name":            in.Name,
		"Version":         in.Version,
		"RuntimeStatus":   string(status),
		"LastUpdatedTime": TableTime(in.LastUpdated),
		"TaskHubName":     in.TaskHubName,
		"ExecutionId":     in.ExecutionID,
		"Generation":      in.Generation,
		"Tags":            tagsText(in.Tags),
	}
	c.setText("Input", in.Input)
	c.setTime("ScheduledStartTime", in.ScheduledStart)
	return c
}

// InstanceUpdate is what a worker merges into a status row at a checkpoint. What is nil or empty
// is not written and keeps its stored value, except for the first four, which always are.
type InstanceUpdate struct {
	ExecutionID  string
	LastUpdated  time.Time
	TaskHubName  string
	CustomStatus *string // nil writes the text null

	// Start is set when the execution began in this turn.
	Start *InstanceStart
	// Status is empty when it did not change.
	Status    history.Status
	Completed *time.Time
	// Output is a result, a failure text, a reason or a blob URL. See FailedOutput and SafeOutput.
	Output *string
}

// InstanceStart is what the ExecutionStarted event of a turn adds to an InstanceUpdate. Name,
// Version, Created and Tags are always written.
type InstanceStart struct {
	Name           string
	Version        string
	Created        time.Time
	Tags           map[string]string
	Input          *string
	Generation     *int32
	ScheduledStart *time.Time
}

// Encode returns the columns to merge.
func (u InstanceUpdate) Encode() Columns {
	c := Columns{
		"CustomStatus":    history.TextOr(u.CustomStatus, nullText),
		"ExecutionId":     u.ExecutionID,
		"LastUpdatedTime": TableTime(u.LastUpdated),
		"TaskHubName":     u.TaskHubName,
	}
	if s := u.Start; s != nil {
		c["Name"] = s.Name
		c["Version"] = s.Version
		c["CreatedTime"] = TableTime(s.Created)
		c["Tags"] = tagsText(s.Tags)
		c.setText("Input", s.Input)
		c.setTime("ScheduledStartTime", s.ScheduledStart)
		if s.Generation != nil {
			c["Generation"] = *s.Generation
		}
	}
	if u.Status != "" {
		c["RuntimeStatus"] = string(u.Status)
	}
	c.setTime("CompletedTime", u.Completed)
	c.setText("Output", u.Output)
	return c
}

// EncodeEarlyTermination returns the columns to merge when an instance is terminated before its
// first turn. The row has to exist.
func EncodeEarlyTermination(output *string, lastUpdated, completed time.Time) Columns {
	c := Columns{
		"RuntimeStatus":   string(history.Terminated),
		"LastUpdatedTime": TableTime(lastUpdated),
		"CompletedTime":   TableTime(completed),
	}
	c.setText("Output", output)
	return c
}

// EncodeRewound returns the columns a client merges into the row of an instance it rewinds.
// CompletedTime and Output stay as they are.
func EncodeRewound(lastUpdated time.Time) Columns {
	return Columns{"RuntimeStatus": string(history.Pending), "LastUpdatedTime": TableTime(lastUpdated)}
}

func (c Columns) setText(name string, text *string) {
	if text != nil {
		c[name] = *text
	}
}

func (c Columns) setTime(name string, t *time.Time) {
	if t != nil {
		c[name] = TableTime(*t)
	}
}

// FailedOutput returns the Output of a failed instance: type and message of the failure if there
// are details, else the result text, which is the bare message. The text fits its column and does
// not look like a URL.
func FailedOutput(result *string, failure *history.FailureDetails) *string {
	text := result
	if failure != nil {
		text = history.Text(failure.String())
	}
	if text == nil {
		return nil
	}
	return history.Text(SafeOutput(cutUTF16(*text, columnLimit)))
}

// cutUTF16 returns the longest beginning of a text that takes at most limit bytes in UTF-16.
func cutUTF16(text string, limit int) string {
	if len(text) <= limit/2 {
		return text
	}
	n := 0
	for i, r := range text {
		n += 2
		if r > 0xFFFF {
			n += 2
		}
		if n > limit {
			return text[:i]
		}
	}
	return text
}

// SafeOutput returns a raw text, such as a reason, in a form that .NET does not take for a blob
// reference: if it could be an absolute URI it is preceded by a space. JSON texts never are.
func SafeOutput(text string) string {
	if !looksLikeURI(text) {
		return text
	}
	return " " + text
}

// looksLikeURI reports whether a text may be a well-formed absolute URI. It leans towards yes.
func looksLikeURI(text string) bool {
	scheme, _, found := strings.Cut(text, ":")
	if !found || !validScheme(scheme) {
		return false
	}
	const illFormed = ` "<>\^` + "`{|}"
	return !strings.ContainsFunc(strings.TrimRight(text, " \t\r\n"), func(r rune) bool {
		return r < 0x20 || r == 0x7F || r < utf8.RuneSelf && strings.ContainsRune(illFormed, r)
	})
}

func validScheme(scheme string) bool {
	for i, r := range scheme {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		other := r >= '0' && r <= '9' || r == '+' || r == '-' || r == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return scheme != ""
}
