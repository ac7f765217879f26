package wire_test

import (
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
)

// TestGoldenCount makes sure that the other golden tests have something to look at.
func TestGoldenCount(t *testing.T) {
	t.Parallel()
	messages, rows, blobs := 0, 0, 0
	sent, stored := map[history.Kind]int{}, map[history.Kind]int{}
	for _, scenario := range fixture.Names() {
		for _, recorded := range recordedMessages(t, scenario) {
			messages++
			if m, _, err := wire.DecodeMessage(recorded.text); err == nil && m != nil {
				sent[m.Event.Kind()]++
			}
		}
		for _, row := range recordedRows(t, scenario) {
			rows++
			if kind, ok := row.columns["EventType"].(string); ok {
				stored[history.Kind(kind)]++
			}
		}
		blobs += len(recordedBlobs(t, scenario))
	}
	if messages < 500 || rows < 3000 || blobs < 20 {
		t.Errorf("only %d messages, %d rows and %d blobs are recorded", messages, rows, blobs)
	}
	if len(sent) != 12 || len(stored) != 18 {
		t.Errorf("kinds recorded: %d sent, %d stored; want 12 and 18:\n%v\n%v", len(sent), len(stored), sent, stored)
	}
}
