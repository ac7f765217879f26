package store

import (
	"context"
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Trace is the little of a history that tells which execution it is of and whether that has ended.
type Trace struct {
	InstanceID  string
	ExecutionID string
	// Ended is how the execution has ended, "" if it has not.
	Ended history.Status
}

// Traces returns the traces of all histories in the order of the keys of their instances, but of no more than a number
// of pages, each of which is one request: more says that there are others after the last one.
func (h *Hub) Traces(ctx context.Context, pages int) (traces []Trace, more bool, err error) {
	query := storage.Query{
		Filter: storage.Or{
			storage.Compare{Column: "RowKey", Operator: storage.Equal, Value: wire.SentinelKey},
			storage.Compare{Column: "EventType", Operator: storage.Equal, Value: string(history.KindExecutionCompleted)},
		},
		Columns: []string{"PartitionKey", "RowKey", "ExecutionId", "EventType", "OrchestrationStatus"},
	}
	// The sentinel is the last row of its instance.
	ends := map[string]history.Status{}
	key := ""
	for range pages {
		page, err := h.Account.Tables.Query(ctx, h.Names.HistoryTable(), query)
		if err != nil {
			return nil, false, fmt.Errorf("search histories: %w", err)
		}
		for _, row := range page.Rows {
			if row.PartitionKey != key {
				key = row.PartitionKey
				clear(ends)
			}
			execution := wire.ExecutionOf(row.Values)
			if row.RowKey != wire.SentinelKey {
				status, _ := row.Values["OrchestrationStatus"].(string)
				ends[execution] = history.Status(status)
				continue
			}
			traces = append(traces, Trace{wire.UnescapeKey(key), execution, ends[execution]})
		}
		if page.Next == "" {
			return traces, false, nil
		}
		query.Next = page.Next
	}
	return traces, true, nil
}
