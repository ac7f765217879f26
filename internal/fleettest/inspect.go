package fleettest

import (
	"errors"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// Queues returns the names of all queues of the hub.
func (w *World) Queues() []string {
	names := w.Hub.Store().Names
	queues := []string{names.WorkItemQueue()}
	for i := range w.Hub.Partitions() {
		queues = append(queues, names.ControlQueue(i))
	}
	return queues
}

// Put sends a message as a peer would, past all hooks.
func (w *World) Put(m *wire.Message, delay time.Duration) store.Sent {
	w.T.Helper()
	sent, err := w.Hub.Store().Send(w.ctx, m, delay)
	if err != nil {
		w.T.Fatal(err)
	}
	return sent
}

// PutText puts any text into a queue.
func (w *World) PutText(queue, text string) {
	w.T.Helper()
	if _, err := w.Account.Queues.Put(w.ctx, queue, text, 0); err != nil {
		w.T.Fatal(err)
	}
}

// VisibleMessages returns how many messages of the hub are visible, counting at most 32 of a
// queue.
func (w *World) VisibleMessages() int {
	w.T.Helper()
	visible := 0
	for _, queue := range w.Queues() {
		messages, err := w.Account.Queues.Peek(w.ctx, queue, storage.MaxMessagesPerGet)
		if err != nil {
			w.T.Fatal(err)
		}
		visible += len(messages)
	}
	return visible
}

// DrainedWithin waits until no message is left in any queue.
func (w *World) DrainedWithin(limit time.Duration) {
	w.T.Helper()
	w.Eventually(limit, "all queues are empty", func() bool { return w.MessagesLeft() == 0 })
}

// HistoryRows returns all rows of an instance's history in the order of their keys, those left
// over from older executions and the sentinel included.
func (w *World) HistoryRows(id string) []storage.Row {
	w.T.Helper()
	rows, _, err := storage.All(w.ctx, w.Account.Tables, w.Hub.Store().Names.HistoryTable(), storage.Query{
		Filter: storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(id)},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return rows
}

// Sentinel returns the sentinel of an instance.
func (w *World) Sentinel(id string) wire.Sentinel {
	w.T.Helper()
	row, err := w.Account.Tables.Read(w.ctx, w.Hub.Store().Names.HistoryTable(), wire.EscapeKey(id), wire.SentinelKey)
	if err != nil {
		w.T.Fatal(err)
	}
	sentinel, err := wire.DecodeSentinel(row.Values)
	if err != nil {
		w.T.Fatal(err)
	}
	return sentinel
}

// Row returns the status row of an instance as it is stored. ok is false if there is none.
func (w *World) Row(id string) (row storage.Row, ok bool) {
	w.T.Helper()
	row, err := w.Account.Tables.Read(w.ctx, w.Hub.Store().Names.InstancesTable(), wire.EscapeKey(id), "")
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		w.T.Fatal(err)
	}
	return row, err == nil
}

// MergeRow changes columns of a row, whatever its version; the row is added if it is missing.
func (w *World) MergeRow(table, id, rowKey string, columns map[string]any) {
	w.T.Helper()
	row := storage.Row{PartitionKey: wire.EscapeKey(id), RowKey: rowKey, Values: columns}
	if _, err := w.Account.Tables.Merge(w.ctx, table, row, ""); err != nil {
		w.T.Fatal(err)
	}
}

// Blobs returns the names of all payload blobs of the hub.
func (w *World) Blobs() []string {
	w.T.Helper()
	names, err := w.Account.Blobs.ListBlobs(w.ctx, w.Hub.Store().Names.LargeMessages(), "")
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		w.T.Fatal(err)
	}
	return names
}
