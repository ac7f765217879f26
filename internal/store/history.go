package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// History is the stored history of an instance's current execution.
type History struct {
	// State holds the events, never nil.
	State *history.State
	// ExecutionID is the current execution, "" if there is no history.
	ExecutionID string
	// Rows is the number of rows of the current execution; the next one goes there.
	Rows int
	// ETag is the sentinel's version, "" if there is no sentinel.
	ETag storage.ETag
	// Complete says that the last checkpoint was written to its end.
	Complete bool
	// Processed are the ids of messages whose effect is stored and that may still be delivered.
	Processed []string
	// Replaced are former executions of the instance, one of which the status row may still name.
	Replaced []string
	// Started is when the start that the instance lives from came into its queue, by the service's
	// clock; zero if that is not known.
	Started time.Time
	// Cost is how many storage requests the instance has taken, 0 if that is not known.
	Cost int64
	Payloads
}

// Payloads are the payload blobs that history rows refer to.
type Payloads struct {
	Blobs []string
	// InputURL and ResultURL refer to the blobs of the execution's input and result, "" if they
	// are not in blobs.
	InputURL, ResultURL string
}

// LoadHistory reads the history of an instance's current execution. An instance without one has
// an empty history.
func (h *Hub) LoadHistory(ctx context.Context, instanceID string) (*History, error) {
	rows, _, err := storage.All(ctx, h.Account.Tables, h.Names.HistoryTable(), storage.Query{
		Filter: storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(instanceID)},
	})
	if err != nil {
		return nil, fmt.Errorf("load history of instance %q: %w", instanceID, err)
	}
	loaded := &History{}
	if n := len(rows); n > 0 && rows[n-1].RowKey == wire.SentinelKey {
		sentinel, err := wire.DecodeSentinel(rows[n-1].Values)
		if err != nil {
			return nil, fmt.Errorf("%w: sentinel of instance %q: %w", ErrCorrupt, instanceID, err)
		}
		loaded.ETag, loaded.ExecutionID = rows[n-1].ETag, sentinel.ExecutionID
		loaded.Complete, loaded.Processed, loaded.Replaced = sentinel.Complete, sentinel.Processed, sentinel.Replaced
		loaded.Started, loaded.Cost = sentinel.Started, sentinel.Cost
		rows = rows[:n-1]
	} else if n > 0 {
		loaded.ExecutionID = wire.ExecutionOf(rows[0].Values)
	}
	current, err := currentRows(rows, loaded.ExecutionID)
	if err == nil && len(rows) > 0 && len(current) == 0 {
		err = fmt.Errorf("its rows do not begin with execution %q, which the sentinel names", loaded.ExecutionID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: instance %q: %w", ErrCorrupt, instanceID, err)
	}
	events, err := h.decodeRows(ctx, instanceID, current, loaded)
	if err != nil {
		return nil, err
	}
	loaded.State, loaded.Rows = history.NewState(events), len(events)
	return loaded, nil
}

// Current reports whether an instance's history is still at the version that was loaded or written.
func (h *Hub) Current(ctx context.Context, instanceID string, etag storage.ETag) (bool, error) {
	sentinel, err := h.ReadSentinel(ctx, instanceID)
	if err != nil || sentinel == nil {
		return err == nil && etag == "", err
	}
	return sentinel.ETag == etag, nil
}

// currentRows returns the rows of the current execution: those up to the first row of another
// one, which is left over from a longer, older execution.
func currentRows(rows []storage.Row, executionID string) ([]storage.Row, error) {
	for i, row := range rows {
		if _, ok := row.Values["ExecutionId"].(string); !ok {
			return nil, fmt.Errorf("row %s does not say which execution it belongs to", row.RowKey)
		}
		if wire.ExecutionOf(row.Values) != executionID {
			return rows[:i], nil
		}
		if row.RowKey != wire.RowKey(i) {
			return nil, fmt.Errorf("row %d has the key %q", i, row.RowKey)
		}
	}
	return rows, nil
}

// decodeRows decodes rows, with the payloads that were moved to blobs, and notes the blobs.
func (h *Hub) decodeRows(ctx context.Context, id string, rows []storage.Row, loaded *History) ([]history.Event, error) {
	events := make([]history.Event, len(rows))
	room := newAllowance(maxHistory)
	var mu sync.Mutex
	err := h.each(ctx, len(rows), func(ctx context.Context, i int) error {
		columns := wire.Columns(rows[i].Values)
		for column, blob := range wire.BlobColumns(columns) {
			text, err := h.getPayloadWithin(ctx, blob, room)
			if errors.Is(err, errTooMuch) {
				err = fmt.Errorf("%w: %w", ErrPayload, err) // it will not be less the next time
			}
			if err != nil {
				return fmt.Errorf("history row %s of instance %q: %w", rows[i].RowKey, id, err)
			}
			columns[column] = text
			mu.Lock()
			kind, _ := columns["EventType"].(string)
			loaded.note(h, history.Kind(kind), column, blob)
			mu.Unlock()
		}
		var err error
		if events[i], err = wire.DecodeEvent(columns); err != nil {
			return fmt.Errorf("%w: row %s of instance %q: %w", ErrCorrupt, rows[i].RowKey, id, err)
		}
		return nil
	})
	return events, err
}

// Commit is a checkpoint of an instance's history.
type Commit struct {
	InstanceID  string
	ExecutionID string
	// FirstRow is where Events go: the number of rows that are stored, or 0 for another execution.
	FirstRow int
	Events   []history.Event
	// ETag is the version of the sentinel that the checkpoint builds on, "" if there is none yet.
	ETag storage.ETag
	// Processed and Replaced become the sentinel's lists of processed messages and former executions.
	Processed []string
	Replaced  []string
	// Started is noted on the sentinel unless it is zero.
	Started time.Time
	// Unsent are the actions among Events for which there is no message: their answers are among Events,
	// too, and both are stored in one transaction.
	Unsent []int32
	// Open says that the instance has decided more than its history will show.
	Open bool
	// Cost is how many storage requests the instance has taken and will have taken when the checkpoint
	// is carried out, apart from those of CommitHistory, which notes the sum.
	Cost int64
	// Waits are the external events that the code waits for at the end of the checkpoint.
	Waits []wire.EventWait
	// Now is the time noted on the sentinel.
	Now time.Time
}

// Committed says what a checkpoint stored.
type Committed struct {
	// ETag is the sentinel's new version.
	ETag storage.ETag
	// Cost is what was noted as the instance's cost.
	Cost int64
	Payloads
}

// CommitHistory writes the events and moves the sentinel on, in one transaction or, if there are
// many, in several, each of which builds on the one before. If another writer was there first,
// the error is a *RefusedError; if nothing at all was stored, it matches ErrUnstored; if the outcome
// stays unclear, ErrUnclear.
func (h *Hub) CommitHistory(ctx context.Context, c Commit) (Committed, error) {
	rows, done, err := h.prepareRows(ctx, c)
	if err != nil {
		h.undoBlobs(ctx, done.Blobs)
		return done, fmt.Errorf("%w: commit history of instance %q: %w", ErrUnstored, c.InstanceID, err)
	}
	etag := c.ETag
	batches := splitRows(rows, units(c.Events, c.Unsent))
	c.Cost += int64(len(done.Blobs) + len(batches))
	for i, batch := range batches {
		etag, err = h.commitBatch(ctx, c, batch, etag, i == len(batches)-1 && !c.Open)
		switch {
		case err == nil:
			continue
		case errors.Is(err, ErrUnclear):
			h.doubtBlobs(done.Blobs)
			if c.ETag == "" {
				h.Doubt(c.InstanceID, c.ExecutionID)
			}
		case i == 0:
			h.undoBlobs(ctx, done.Blobs)
			err = fmt.Errorf("%w: %w", ErrUnstored, err)
		}
		return done, err
	}
	done.ETag, done.Cost = etag, c.Cost
	return done, nil
}

// undoBlobs removes the blobs of a checkpoint that was refused. What stays behind in spite of it
// is found by a purge, or by TidyUp if that was before.
func (h *Hub) undoBlobs(ctx context.Context, blobs []string) {
	if err := h.DeletePayloads(ctx, blobs); err != nil {
		h.doubtBlobs(blobs)
	}
}

// commitBatch sends one transaction, once, and finds out what became of it.
func (h *Hub) commitBatch(
	ctx context.Context, c Commit, batch []storage.Row, etag storage.ETag, last bool,
) (storage.ETag, error) {
	operations := make([]storage.Operation, 0, len(batch)+1)
	for _, row := range batch {
		operations = append(operations, storage.Operation{Action: storage.InsertOrReplace, Row: row})
	}
	sentinel := storage.Operation{Action: storage.Insert, Row: sentinelRow(c, last)}
	if etag != "" {
		sentinel.Action, sentinel.ETag = storage.Merge, etag
	}
	etags, err := h.Account.Tables.Transact(ctx, h.Names.HistoryTable(), append(operations, sentinel), true)
	switch {
	case err == nil:
		return etags[len(etags)-1], nil
	case storage.Ambiguous(err):
		return h.readBack(ctx, c, batch[0], err)
	case storage.LostRace(err):
		return "", &RefusedError{InstanceID: c.InstanceID, Err: err}
	default:
		return "", fmt.Errorf("commit history of instance %q: %w", c.InstanceID, err)
	}
}

func sentinelRow(c Commit, last bool) storage.Row {
	columns := wire.EncodeSentinel(wire.Sentinel{
		ExecutionID: c.ExecutionID, Complete: last, CompletedAt: c.Now,
		Processed: c.Processed, Replaced: c.Replaced, Started: c.Started, Cost: c.Cost, Waits: c.Waits,
	})
	return storage.Row{PartitionKey: wire.EscapeKey(c.InstanceID), RowKey: wire.SentinelKey, Values: columns}
}

// readBack settles an unclear transaction: it took effect if its first row is there as we wrote
// it.
func (h *Hub) readBack(ctx context.Context, c Commit, first storage.Row, cause error) (storage.ETag, error) {
	table := h.Names.HistoryTable()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readBackTimeout)
	defer cancel()
	unclear := func(err error) error {
		return fmt.Errorf("%w: instance %q: %w", ErrUnclear, c.InstanceID, errors.Join(cause, err))
	}
	// The sentinel is read first: if the row is ours after that, the version is at least ours, and
	// one that is newer makes our next commit be refused, as it should.
	sentinel, err := h.Account.Tables.Read(ctx, table, first.PartitionKey, wire.SentinelKey)
	if err != nil {
		return "", unclear(err)
	}
	stored, err := h.Account.Tables.Read(ctx, table, first.PartitionKey, first.RowKey)
	if err != nil {
		return "", unclear(err)
	}
	if wire.ExecutionOf(stored.Values) != c.ExecutionID ||
		!sameTime(stored.Values[timestampColumn], first.Values[timestampColumn]) ||
		wire.ExecutionOf(sentinel.Values) != c.ExecutionID {
		return "", unclear(nil)
	}
	return sentinel.ETag, nil
}

const (
	readBackTimeout = 15 * time.Second
	timestampColumn = "_Timestamp"
)

func sameTime(a, b any) bool {
	x, ok := a.(time.Time)
	y, also := b.(time.Time)
	return ok && also && x.Equal(y)
}

// Limits of one history transaction, beside the sentinel.
const (
	maxBatchRows  = storage.MaxTransaction - 1
	maxBatchBytes = 3 << 20
)

// splitRows cuts rows into transactions. Rows of one unit stay together.
func splitRows(rows []storage.Row, units []int) [][]storage.Row {
	var batches [][]storage.Row
	begin, size, at := 0, 0, 0
	for _, n := range units {
		bytes := 0
		for _, row := range rows[at : at+n] {
			bytes += wire.EstimateBytes(row.Values)
		}
		if at > begin && (at+n-begin > maxBatchRows || size+bytes > maxBatchBytes) {
			batches = append(batches, rows[begin:at])
			begin, size = at, 0
		}
		size += bytes
		at += n
	}
	return append(batches, rows[begin:])
}

// units returns the lengths of the pieces of a history that must not be cut: an action without a message
// up to its answer, and what overlaps with that; all other events stand for themselves.
func units(events []history.Event, unsent []int32) []int {
	if len(unsent) == 0 {
		lone := make([]int, len(events))
		for i := range lone {
			lone[i] = 1
		}
		return lone
	}
	bare := make(map[int32]bool, len(unsent))
	for _, id := range unsent {
		bare[id] = true
	}
	answered := map[int32]int{}
	for i, e := range events {
		if id := history.AnswerTo(e); id != history.NoEventID && bare[id] {
			answered[id] = i
		}
	}
	var pieces []int
	begin, end := 0, 0
	for i, e := range events {
		if e.Head().EventID != history.NoEventID && bare[e.Head().EventID] {
			end = max(end, answered[e.Head().EventID])
		}
		if i >= end {
			pieces = append(pieces, i+1-begin)
			begin, end = i+1, i+1
		}
	}
	return pieces
}

// prepareRows encodes the events and stores their large columns as blobs.
func (h *Hub) prepareRows(ctx context.Context, c Commit) ([]storage.Row, Committed, error) {
	rows := make([]storage.Row, len(c.Events))
	var done Committed
	var moved []movedColumn
	for i, event := range c.Events {
		columns, err := wire.EncodeEvent(event, c.ExecutionID)
		if err != nil {
			return nil, done, err
		}
		key := wire.RowKey(c.FirstRow + i)
		rows[i] = storage.Row{PartitionKey: wire.EscapeKey(c.InstanceID), RowKey: key, Values: columns}
		for _, column := range wire.LargeColumnsOf(columns) {
			name := wire.HistoryBlobName(c.InstanceID, key, string(event.Kind()), h.random8(c.InstanceID), column)
			text, _ := columns[column].(string)
			moved = append(moved, movedColumn{name, text})
			wire.SetBlob(columns, column, name)
			done.note(h, event.Kind(), column, name)
		}
	}
	err := h.each(ctx, len(moved), func(ctx context.Context, i int) error {
		return h.putPayload(ctx, moved[i].blob, moved[i].text)
	})
	return rows, done, err
}

type movedColumn struct{ blob, text string }

// note remembers a blob, and whether it holds the execution's input or result.
func (p *Payloads) note(h *Hub, kind history.Kind, column, blob string) {
	p.Blobs = append(p.Blobs, blob)
	switch {
	case kind == history.KindExecutionStarted && column == "Input":
		p.InputURL = h.PayloadURL(blob)
	case kind == history.KindExecutionCompleted && column == "Result":
		p.ResultURL = h.PayloadURL(blob)
	}
}

// random8 returns 8 random hexadecimal digits of which the first is below 8, the form .NET uses.
func (h *Hub) random8(about string) string {
	id := h.options.Environment.NewID(about)
	return fmt.Sprintf("%02X%X", id[0]&0x7F, id[1:4])
}
