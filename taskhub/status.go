package taskhub

import (
	"encoding/json"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/internal/wire"
)

// Status is what is known about an instance at one moment.
type Status struct {
	InstanceID string
	// ExecutionID changes whenever the instance starts over or continues as new.
	ExecutionID string
	Name        string
	Version     string
	Status      history.Status
	Created     time.Time
	LastUpdated time.Time
	// Completed is nil while the instance has not ended; ScheduledStart is nil unless the start
	// was delayed.
	Completed      *time.Time
	ScheduledStart *time.Time

	// Input, Output and CustomStatus are JSON, nil if there is none; a stored text that is no JSON
	// is given as a JSON string. Output is only set for a completed instance.
	Input        json.RawMessage
	Output       json.RawMessage
	CustomStatus json.RawMessage
	// Failure describes the failure of a failed instance. Reason is the reason that was given for
	// terminating or suspending the instance.
	Failure string
	Reason  string
	// RawOutput is the stored text of which Output, Failure and Reason are made, nil if there is
	// none.
	RawOutput *string

	// Generation counts how often the id was started, from 0.
	Generation int32
	Tags       map[string]string

	// Poison says that messages of the instance were moved aside; nil if none were.
	Poison *PoisonMark
	// Unreadable says what is wrong with a status row that cannot be read; only
	// InstanceID and Poison are known then. It is "" for all others.
	Unreadable string
	// UnreadableInput and UnreadableOutput say why the input, or what Output, Failure and Reason are
	// made of, cannot be read: its payload is missing or damaged. The fields are empty then. "" means
	// that nothing is wrong.
	UnreadableInput  string
	UnreadableOutput string

	hasGeneration bool
}

// statusOf returns the status that a row with resolved payloads says.
func statusOf(row *wire.Instance, payloads bool) *Status {
	s := &Status{
		InstanceID: row.InstanceID, ExecutionID: row.ExecutionID,
		Name: row.Name, Version: row.Version, Status: row.Status,
		Created: row.Created, LastUpdated: row.LastUpdated,
		Completed: row.Completed, ScheduledStart: row.ScheduledStart,
		Generation: row.Generation, Tags: row.Tags, Poison: markOf(row.Poison), Unreadable: row.Unreadable,
		hasGeneration: row.HasGeneration,
	}
	if !payloads {
		return s
	}
	s.UnreadableInput, s.UnreadableOutput = row.UnreadableInput, row.UnreadableOutput
	s.Input, s.CustomStatus, s.RawOutput = rawJSON(row.Input), rawJSON(row.CustomStatus), row.Output
	switch row.Status {
	case history.Completed:
		s.Output = rawJSON(row.Output)
	case history.Failed:
		s.Failure = history.TextOr(row.Output, "")
	case history.Terminated, history.Canceled, history.Suspended:
		s.Reason = history.TextOr(row.Output, "")
	case history.Pending, history.Running, history.ContinuedAsNew:
		// A resumed instance still has the reason in its row; it tells nothing about now.
	}
	return s
}

// rawJSON returns a stored text as JSON. An empty text stands for nothing, as some engines store it.
func rawJSON(text *string) json.RawMessage {
	if text == nil || *text == "" {
		return nil
	}
	raw, err := payload.Decode[json.RawMessage](text)
	if err != nil {
		return nil // cannot be: every text can be read so
	}
	return raw
}
