package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

func commit(t *testing.T, hub *store.Hub, id, execution string, events []history.Event, after store.Committed) store.Committed {
	t.Helper()
	done, err := hub.CommitHistory(t.Context(), store.Commit{InstanceID: id, ExecutionID: execution, Events: events, ETag: after.ETag, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestTraces(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		end := &history.ExecutionCompleted{Header: history.Header{EventID: 3, Timestamp: time.Now()}, Status: history.Failed}
		commit(t, hub, "a/alive", "e", raised("x"), store.Committed{})
		commit(t, hub, "b", "e", append(raised("x", "y"), end), store.Committed{})
		// The rest of a longer execution that has ended says nothing about the one that replaced it.
		commit(t, hub, "c", "new", raised("x"), commit(t, hub, "c", "old", append(raised("x", "y"), end), store.Committed{}))
		traces, more, err := hub.Traces(t.Context(), 10)
		want := []store.Trace{{"a/alive", "e", ""}, {"b", "e", history.Failed}, {"c", "new", ""}}
		if diff := cmp.Diff(want, traces); err != nil || more || diff != "" {
			t.Errorf("more %v, %v: %s", more, err, diff)
		}
	})
}

func TestRemoveHistory(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		for _, rows := range []int{1, 99, 100, 250} {
			events := raised(numbers(rows)...)
			events[0] = raised(`"` + strings.Repeat("x", 100_000) + `"`)[0]
			done := commit(t, hub, id, "e", events, store.Committed{})
			before := load(t, hub)
			commit(t, hub, id, "f", raised("a"), done)
			if removed, err := hub.RemoveHistory(t.Context(), id, before); err != nil || removed {
				t.Fatalf("%d rows, and another execution: %v, %v", rows, removed, err)
			}
			now := load(t, hub)
			now.Blobs = before.Blobs
			if removed, err := hub.RemoveHistory(t.Context(), id, now); err != nil || !removed {
				t.Fatalf("%d rows: %v, %v", rows, removed, err)
			}
			if left := load(t, hub); left.ETag != "" || left.ExecutionID != "" || len(blobs(t, hub)) != 0 {
				t.Errorf("%d rows: %+v and blobs %v are left", rows, left, blobs(t, hub))
			}
			if removed, err := hub.RemoveHistory(t.Context(), id, now); err != nil || removed {
				t.Errorf("once more: %v, %v", removed, err)
			}
		}
	})
}
