package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
)

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return all
}

func TestHistory_RoundTrip(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		if empty := load(t, hub); empty.State.Len() != 0 || empty.ETag != "" || empty.ExecutionID != "" {
			t.Errorf("before: %+v", empty)
		}
		execution := hub.NewID("test")
		first := store.Commit{InstanceID: id, ExecutionID: execution, Events: raised(numbers(250)...), Processed: []string{uuid.NewString()}, Now: time.Now()}
		done, err := hub.CommitHistory(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		large := `"` + strings.Repeat("x", 100_000) + `"`
		second := store.Commit{
			InstanceID: id, ExecutionID: execution, FirstRow: 250, Events: raised("a", large), ETag: done.ETag, Processed: []string{uuid.NewString(), uuid.NewString()}, Now: time.Now(),
		}
		if done, err = hub.CommitHistory(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		loaded := load(t, hub)
		if diff := cmp.Diff(append(numbers(250), "a", large), inputs(t, loaded)); diff != "" {
			t.Errorf("events: %.500s", diff)
		}
		if loaded.ExecutionID != execution || loaded.Rows != 252 || loaded.ETag != done.ETag || !loaded.Complete ||
			!slices.Equal(loaded.Processed, second.Processed) || !slices.Equal(loaded.Blobs, done.Blobs) || len(done.Blobs) != 1 {
			t.Errorf("loaded: %+v, committed: %+v", loaded, done)
		}
	})
}

// TestHistory_ShorterExecution lets a short execution replace a long one, whose last rows stay.
func TestHistory_ShorterExecution(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		done, err := hub.CommitHistory(t.Context(), store.Commit{InstanceID: id, ExecutionID: "long", Events: raised(numbers(9)...), Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = hub.CommitHistory(t.Context(), store.Commit{
			InstanceID: id, ExecutionID: "short", Events: raised("a", "b"), ETag: done.ETag, Now: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		loaded := load(t, hub)
		if got := inputs(t, loaded); !slices.Equal(got, []string{"a", "b"}) || loaded.ExecutionID != "short" || loaded.Rows != 2 {
			t.Errorf("got %v, %+v", got, loaded)
		}
	})
}

func TestCommitHistory_Refused(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, hub *store.Hub) {
		first := store.Commit{InstanceID: id, ExecutionID: "e", Events: raised("a"), Now: time.Now()}
		stale, err := hub.CommitHistory(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		next := store.Commit{InstanceID: id, ExecutionID: "e", FirstRow: 1, Events: raised("b"), ETag: stale.ETag, Now: time.Now()}
		if _, err := hub.CommitHistory(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		large := raised(`"` + strings.Repeat("x", 100_000) + `"`)
		for name, c := range map[string]store.Commit{
			"stale":         {InstanceID: id, ExecutionID: "e", FirstRow: 1, Events: large, ETag: stale.ETag},
			"not the first": {InstanceID: id, ExecutionID: "f", Events: large},
			"purged":        {InstanceID: "gone", ExecutionID: "e", FirstRow: 1, Events: large, ETag: stale.ETag},
		} {
			_, err := hub.CommitHistory(t.Context(), c)
			var refusal *store.RefusedError
			if !errors.As(err, &refusal) || !errors.Is(err, store.ErrRefused) || !errors.Is(err, store.ErrUnstored) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if left := blobs(t, hub); len(left) > 0 {
			t.Errorf("blobs left behind: %v", left)
		}
		if got := inputs(t, load(t, hub)); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("history: %v", got)
		}
	})
}

func TestCommitHistory_Faults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		events   int
		outcomes []outcome
		err      error
		undo     bool
		rows     int
		complete bool
	}{
		{"reply lost", 3, []outcome{lostReply}, nil, false, 4, true},
		{"request lost", 3, []outcome{lostRequest}, store.ErrUnclear, false, 1, true},
		{"refused", 3, []outcome{refused}, store.ErrRefused, true, 1, true},
		{"second of three refused", 250, []outcome{fine, refused}, store.ErrRefused, false, 100, false},
		{"second of three unclear", 250, []outcome{fine, lostRequest}, store.ErrUnclear, false, 100, false},
		{"every reply lost", 250, []outcome{lostReply, lostReply, lostReply}, nil, false, 251, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub := newHub(t)
			first, err := hub.CommitHistory(t.Context(), store.Commit{InstanceID: id, ExecutionID: "e", Events: raised("first"), Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			disturb(hub, storage.TableTransact, tt.outcomes...)
			done, err := hub.CommitHistory(t.Context(), store.Commit{
				InstanceID: id, ExecutionID: "e", FirstRow: 1, Events: raised(numbers(tt.events)...), ETag: first.ETag, Now: time.Now(),
			})
			if !errors.Is(err, tt.err) || errors.Is(err, store.ErrUnstored) != tt.undo {
				t.Errorf("error: %v", err)
			}
			loaded := load(t, hub)
			if loaded.Rows != tt.rows || loaded.Complete != tt.complete {
				t.Errorf("loaded: %d rows, complete %v", loaded.Rows, loaded.Complete)
			}
			if err == nil && done.ETag != loaded.ETag {
				t.Errorf("version %q, want %q", done.ETag, loaded.ETag)
			}
			_, err = hub.CommitHistory(t.Context(), store.Commit{
				InstanceID: id, ExecutionID: "e", FirstRow: loaded.Rows, Events: raised("last"), ETag: loaded.ETag, Now: time.Now(),
			})
			if err != nil || load(t, hub).Rows != tt.rows+1 {
				t.Errorf("going on: %v", err)
			}
		})
	}
}

func TestLoadHistory_Gap(t *testing.T) {
	t.Parallel()
	hub := newHub(t)
	if _, err := hub.CommitHistory(t.Context(), store.Commit{InstanceID: id, ExecutionID: "e", Events: raised("a"), Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	etag := load(t, hub).ETag
	if _, err := hub.CommitHistory(t.Context(), store.Commit{InstanceID: id, ExecutionID: "e", FirstRow: 2, Events: raised("c"), ETag: etag, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.LoadHistory(t.Context(), id); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("error: %v", err)
	}
}
