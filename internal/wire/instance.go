package wire

import (
	"time"

	"github.com/durafleet/durafleet/history"
)

// Instance is a status row of the Instances table.
type Instance struct {
	InstanceID  string
	ExecutionID string
	Name        string
	Version     string
	// Input and Output are payload texts, failure texts or blob URLs; see ParseBlobURL.
	Input  *string
	Output *string
	// CustomStatus is nil for the stored text null.
	CustomStatus   *string
	Created        time.Time
	LastUpdated    time.Time
	Completed      *time.Time
	ScheduledStart *time.Time
	Status         history.Status
	// Generation counts the starts of the ID by clients. HasGeneration is false on rows of
	// sub-orchestrations, of entities and of old clients.
	Generation    int32
	HasGeneration bool
	Tags          map[string]string
	TaskHubName   string
	// InputBlob is the blob holding the input of a row as .NET clients create it for inputs that
	// fit a message but no column. It is empty as soon as Input says something itself.
	InputBlob string
	// Poison says that messages of the instance were moved out of their queues; nil if none were.
	Poison *PoisonMark
	// Unreadable says why a row could not be read, where a list must not break off at it.
	Unreadable string
	// UnreadableInput and UnreadableOutput say why a payload in a blob could not be read; the value is
	// nil then.
	UnreadableInput, UnreadableOutput string
}

// DecodeInstance reads a status row. Columns that are missing give zero values and an unknown
// status is carried as it stands, but column types have to be exact.
func DecodeInstance(instanceKey string, c Columns) (Instance, error) {
	s := &rowSource{columns: c}
	in := Instance{
		InstanceID:     UnescapeKey(instanceKey),
		ExecutionID:    word(s, "ExecutionId"),
		Name:           word(s, "Name"),
		Version:        word(s, "Version"),
		Input:          s.text("Input"),
		Output:         s.text("Output"),
		CustomStatus:   s.text("CustomStatus"),
		Created:        moment(s, "CreatedTime"),
		LastUpdated:    moment(s, "LastUpdatedTime"),
		Completed:      s.time("CompletedTime"),
		ScheduledStart: s.time("ScheduledStartTime"),
		Status:         s.status("RuntimeStatus"),
		Generation:     number(s, "Generation"),
		HasGeneration:  s.integer("Generation") != nil,
		TaskHubName:    word(s, "TaskHubName"),
	}
	in.Tags, in.Poison = tagsOf(s), DecodePoisonMark(c)
	if in.CustomStatus != nil && *in.CustomStatus == nullText {
		in.CustomStatus = nil
	}
	if history.TextOr(in.Input, "") == "" {
		in.InputBlob = word(s, "Input"+blobSuffix)
	}
	if s.err != nil {
		return Instance{}, s.err
	}
	return in, nil
}

// InstanceColumns returns the columns to select for DecodeInstance, with or without the payload
// columns Input and Output.
func InstanceColumns(payloads bool) []string {
	columns := []string{
		"PartitionKey", "RowKey", "Timestamp", "ExecutionId", "Name", "Version", "CustomStatus", "CreatedTime",
		"LastUpdatedTime", "CompletedTime", "ScheduledStartTime", "RuntimeStatus", "Generation", "Tags", "TaskHubName",
		poisonColumn,
	}
	if payloads {
		columns = append(columns, "Input", "Output", "Input"+blobSuffix)
	}
	return columns
}

// tagsText returns the Tags column.
func tagsText(tags map[string]string) string {
	w := &jsonWriter{}
	w.tags(tags)
	return string(w.buf)
}
