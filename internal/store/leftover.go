package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

const (
	// leftoverTries bounds how often it is tried to look after an instance while the storage fails.
	leftoverTries = 10
	// maxLeftovers bounds how many instances are remembered; of more, a doctor finds what is left.
	maxLeftovers = 1000
	// leftoverParallel is how many instances are looked after at a time.
	leftoverParallel = 4
)

// leftovers remembers what may have been written for an instance by somebody who does not know whether that
// counts: a process that stood still writes what was decided before, although the instance was purged meanwhile,
// and then nothing refers to it, for ever.
type leftovers struct {
	mu  sync.Mutex
	all map[string]*leftover
}

// leftover is what may be left of one instance.
type leftover struct {
	instanceID string
	since      time.Time
	tries      int
	// executions are those whose history may have been begun, blobs payloads that may be there.
	executions []string
	blobs      []string
}

// Doubt notes that the beginning of an execution's history may have been written although its instance does not
// exist any more.
func (h *Hub) Doubt(instanceID, executionID string) { h.doubt(instanceID, executionID, nil) }

// doubtBlobs notes the same of payload blobs.
func (h *Hub) doubtBlobs(blobs []string) {
	for _, blob := range blobs {
		if owner := BlobOwner(blob); owner != "" {
			h.doubt(owner, "", []string{blob})
		}
	}
}

func (h *Hub) doubt(instanceID, executionID string, blobs []string) {
	h.left.mu.Lock()
	defer h.left.mu.Unlock()
	l := h.left.all[instanceID]
	if l == nil {
		if len(h.left.all) >= maxLeftovers {
			return
		}
		if h.left.all == nil {
			h.left.all = map[string]*leftover{}
		}
		l = &leftover{instanceID: instanceID}
		h.left.all[instanceID] = l
	}
	l.since = time.Now()
	if executionID != "" && !slices.Contains(l.executions, executionID) {
		l.executions = append(l.executions, executionID)
	}
	l.blobs = append(l.blobs, blobs...)
}

// due takes those out that are old enough.
func (l *leftovers) due(age time.Duration) []*leftover {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []*leftover
	for id, one := range l.all {
		if time.Since(one.since) >= age {
			due = append(due, one)
			delete(l.all, id)
		}
	}
	slices.SortFunc(due, func(a, b *leftover) int { return strings.Compare(a.instanceID, b.instanceID) })
	return due
}

// again puts one back that could not be looked after.
func (l *leftovers) again(one *leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.tries++; one.tries < leftoverTries && l.all[one.instanceID] == nil {
		l.all[one.instanceID] = one
	}
}

// TidyUp looks into what has been in doubt for a time, and removes what belongs to an instance that does not exist.
// What is on its way still is not seen, so the time is not to be short while the process goes on. If nothing is in
// doubt, TidyUp sends nothing.
func (h *Hub) TidyUp(ctx context.Context, age time.Duration) {
	due := h.left.due(age)
	run.Each(ctx, "store: tidy up", len(due), leftoverParallel, func(ctx context.Context, i int) {
		if err := h.tidyUp(ctx, due[i]); err != nil {
			h.left.again(due[i])
		}
	})
}

func (h *Hub) tidyUp(ctx context.Context, l *leftover) error {
	_, err := h.ReadInstance(ctx, l.instanceID, false)
	if err == nil || InData(err) {
		return nil // it is there; a purge will remove what belongs to it
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	begun, err := h.begun(ctx, l.instanceID)
	if err != nil {
		return err
	}
	if begun.etag != "" {
		ours := slices.ContainsFunc(l.executions, func(id string) bool { return strings.EqualFold(id, begun.executionID) })
		if !ours || !begun.byClient {
			return nil
		}
		dropped, err := h.DropHistory(ctx, l.instanceID, begun.rows, begun.etag)
		if err != nil || !dropped {
			return err
		}
	}
	return h.DeletePayloads(ctx, append(l.blobs, begun.blobs...))
}

// beginning is what a history says about its instance without its payloads, which a purge may have removed.
type beginning struct {
	etag        storage.ETag
	executionID string
	rows        int
	blobs       []string
	// byClient says that it was started by a client: then it has a status row from before the history on. That of a
	// child follows its history.
	byClient bool
}

// begun reads the beginning of a history, the zero value if there is none.
func (h *Hub) begun(ctx context.Context, instanceID string) (beginning, error) {
	rows, _, err := storage.All(ctx, h.Account.Tables, h.Names.HistoryTable(), storage.Query{
		Filter: storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(instanceID)},
	})
	if err != nil {
		return beginning{}, fmt.Errorf("read history of instance %q: %w", instanceID, err)
	}
	if len(rows) == 0 || rows[len(rows)-1].RowKey != wire.SentinelKey {
		return beginning{}, nil
	}
	sentinel := rows[len(rows)-1]
	b := beginning{etag: sentinel.ETag, executionID: wire.ExecutionOf(sentinel.Values), rows: len(rows) - 1}
	for _, row := range rows[:b.rows] {
		for _, blob := range wire.BlobColumns(row.Values) {
			b.blobs = append(b.blobs, blob)
		}
		event, err := wire.DecodeEvent(row.Values)
		if started, ok := event.(*history.ExecutionStarted); ok && err == nil {
			b.byClient = started.Parent == nil
		}
	}
	slices.Sort(b.blobs)
	return b, nil
}
