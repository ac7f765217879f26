package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// beginOf makes the events with which an execution begins.
func beginOf(execution string, parent *history.Parent, input string) []history.Event {
	at := history.Header{EventID: history.NoEventID, Timestamp: time.Now()}
	return []history.Event{
		&history.OrchestratorStarted{Header: at},
		&history.ExecutionStarted{
			Header: at, Name: "O", Instance: history.Instance{InstanceID: id, ExecutionID: execution}, Parent: parent, Input: &input,
		},
		&history.OrchestratorCompleted{Header: at},
	}
}

// What was written in doubt is removed only if it belongs to an instance that a client started and that does not
// exist any more.
func TestTidyUp(t *testing.T) {
	t.Parallel()
	const ours = "6f7a3c5d2b1e4f60918273645566778a"
	parent := &history.Parent{Instance: history.Instance{InstanceID: "parent", ExecutionID: "p"}, Name: "P"}
	for _, tt := range []struct {
		name string
		row  bool
		// execution is that of the history, "" for none.
		execution string
		parent    *history.Parent
		doubt     string
		left      bool
	}{
		{"the instance is gone", false, ours, nil, ours, false},
		{"it was written by somebody else", false, ours, nil, "other", true},
		{"it is a child's, whose row follows", false, ours, parent, ours, true},
		{"the instance exists", true, ours, nil, ours, true},
		{"only the payload was written", false, "", nil, ours, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub := newHub(t)
			if tt.row {
				row := wire.InstanceUpdate{ExecutionID: ours, LastUpdated: time.Now(), TaskHubName: "T", Status: history.Running}
				if _, err := hub.UpdateInstance(t.Context(), id, row.Encode(), ""); err != nil {
					t.Fatal(err)
				}
			}
			if tt.execution != "" {
				commit := store.Commit{
					InstanceID: id, ExecutionID: tt.execution, Events: beginOf(tt.execution, tt.parent, strings.Repeat("x", 100_000)), Now: time.Now(),
				}
				if _, err := hub.CommitHistory(t.Context(), commit); err != nil {
					t.Fatal(err)
				}
			}
			hub.Doubt(id, tt.doubt)
			// The message arrives, and its sender cannot know.
			disturb(hub, storage.QueuePut, lostReply)
			input := strings.Repeat("y", 100_000)
			_, err := hub.Send(t.Context(), &wire.Message{
				Event:  &history.EventRaised{Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, Name: "E", Input: &input},
				Target: history.Instance{InstanceID: id}, Sender: &history.Instance{},
			}, 0)
			if !errors.Is(err, storage.ErrUnavailable) {
				t.Fatalf("the send ended with %v", err)
			}
			left := func() bool {
				t.Helper()
				blobs, err := hub.PayloadBlobs(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sentinel, err := hub.ReadSentinel(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if (sentinel != nil) != (len(blobs) == 2) && tt.execution != "" {
					t.Errorf("the sentinel is %v, and the payloads are %q", sentinel, blobs)
				}
				return len(blobs) > 0
			}
			hub.TidyUp(t.Context(), time.Hour)
			if !left() {
				t.Fatal("it was removed at once")
			}
			disturb(hub, storage.TableRead, refused)
			hub.TidyUp(t.Context(), 0) // in vain
			if !left() {
				t.Fatal("it was removed without a look")
			}
			hub.TidyUp(t.Context(), 0)
			if left() != tt.left {
				t.Errorf("it is left: %v", !tt.left)
			}
		})
	}
}
