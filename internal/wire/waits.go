package wire

import (
	"encoding/json"
	"time"
)

const (
	// MaxWaits is how many external events a sentinel names, and maxWaitsLength how many bytes they take at
	// most; with more, the later ones are left out.
	MaxWaits       = 20
	maxWaitsLength = 1024
)

// EventWait is an external event that an orchestration waits for, and since when.
type EventWait struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

// waitsOf is the stored form. At is the time of the checkpoint: if the sentinel says another one, somebody
// has written it since who does not know of this.
type waitsOf struct {
	At  time.Time   `json:"at"`
	For []EventWait `json:"for"`
}

// encodeWaits returns the text of a list, "" for none. What cannot be stored is left out.
func encodeWaits(waits []EventWait, at time.Time) string {
	stored := waitsOf{At: at}
	text := ""
	for _, wait := range waits[:min(len(waits), MaxWaits)] {
		wait.Since = TableTime(wait.Since)
		stored.For = append(stored.For, wait)
		longer, err := json.Marshal(stored)
		if err != nil || len(longer) > maxWaitsLength {
			break
		}
		text = string(longer)
	}
	return text
}

// decodeWaits reads the list of a checkpoint of the given time. One that cannot be read, or is of another
// checkpoint, says nothing.
func decodeWaits(text string, at time.Time) []EventWait {
	var stored waitsOf
	if len(text) > maxWaitsLength || json.Unmarshal([]byte(text), &stored) != nil || !stored.At.Equal(at) || len(stored.For) > MaxWaits {
		return nil
	}
	for i := range stored.For {
		stored.For[i].Since = TableTime(stored.For[i].Since)
	}
	return stored.For
}
