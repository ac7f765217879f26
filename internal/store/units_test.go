package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
)

func scheduled(id int32) history.Event {
	return &history.TaskScheduled{Header: history.Header{EventID: id}}
}

func completed(id int32) history.Event {
	return &history.TaskCompleted{Header: history.Header{EventID: history.NoEventID}, TaskID: id}
}

func begun() history.Event {
	return &history.OrchestratorStarted{Header: history.Header{EventID: history.NoEventID}}
}

// An action without a message is stored in one transaction with its answer, and with what lies between.
func TestUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		events []history.Event
		unsent []int32
		want   []int
	}{
		{"none", []history.Event{begun(), scheduled(0), begun(), completed(0)}, nil, []int{1, 1, 1, 1}},
		{"one", []history.Event{begun(), scheduled(0), begun(), completed(0), begun()}, []int32{0}, []int{1, 3, 1}},
		{"only one of two", []history.Event{scheduled(0), scheduled(1), completed(0), completed(1)}, []int32{1}, []int{1, 3}},
		{"overlapping", []history.Event{scheduled(0), scheduled(1), completed(0), completed(1), begun()}, []int32{0, 1}, []int{4, 1}},
		{"one after the other", []history.Event{scheduled(0), completed(0), scheduled(1), completed(1)}, []int32{0, 1}, []int{2, 2}},
		{"nothing", nil, []int32{0}, nil},
	} {
		if got := units(c.events, c.unsent); !slices.Equal(got, c.want) {
			t.Errorf("%s: the pieces are %v, want %v", c.name, got, c.want)
		}
	}
}

// Transactions are as large as they may be, and never cut a piece.
func TestSplitRows_KeepsPieces(t *testing.T) {
	t.Parallel()
	for _, piece := range []int{1, 2, 7, 50, 94} {
		rows := make([]storage.Row, 10*piece)
		for i := range rows {
			rows[i].RowKey = fmt.Sprintf("%016d", i)
		}
		pieces := slices.Repeat([]int{piece}, 10)
		at := 0
		for _, batch := range splitRows(rows, pieces) {
			if len(batch)%piece != 0 || len(batch) > maxBatchRows {
				t.Errorf("pieces of %d: a transaction has %d rows", piece, len(batch))
			}
			if at+len(batch) < len(rows) && len(batch)+piece <= maxBatchRows {
				t.Errorf("pieces of %d: a transaction has only %d rows", piece, len(batch))
			}
			if batch[0].RowKey != rows[at].RowKey {
				t.Errorf("pieces of %d: a transaction begins with %s", piece, batch[0].RowKey)
			}
			at += len(batch)
		}
		if at != len(rows) {
			t.Errorf("pieces of %d: %d of %d rows are stored", piece, at, len(rows))
		}
	}
}
