package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// InstanceBlobs returns the names of the payload blobs of an instance, and of no other one whose id
// begins alike, or whose id is the escaped form of this one: message blobs are named by the raw id,
// history blobs by the escaped one, and no further slash follows.
func (h *Hub) InstanceBlobs(ctx context.Context, instanceID string) ([]string, error) {
	prefixes := []string{instanceID + "/"}
	if key := wire.EscapeKey(instanceID); key != instanceID {
		prefixes = []string{instanceID + "/message-", key + "/history-"}
	}
	var all []string
	for _, prefix := range prefixes {
		names, err := h.Account.Blobs.ListBlobs(ctx, h.Names.LargeMessages(), prefix)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(names, func(name string) bool {
			return strings.Contains(strings.TrimPrefix(name, prefix), "/")
		})...)
	}
	return all, nil
}

// PayloadBlobs returns the names of all payload blobs of the hub.
func (h *Hub) PayloadBlobs(ctx context.Context) ([]string, error) {
	names, err := h.Account.Blobs.ListBlobs(ctx, h.Names.LargeMessages(), "")
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list payloads: %w", err)
	}
	return names, nil
}

// References returns the payload blobs that the rows of an instance refer to: those of its history,
// of executions of which only a rest is left, too, and that of its status. Messages may refer to
// others.
func (h *Hub) References(ctx context.Context, instanceID string) (map[string]bool, error) {
	referred := map[string]bool{}
	rows, _, err := storage.All(ctx, h.Account.Tables, h.Names.HistoryTable(), storage.Query{
		Filter: storage.Compare{Column: "PartitionKey", Operator: storage.Equal, Value: wire.EscapeKey(instanceID)},
	})
	if err != nil {
		return nil, fmt.Errorf("read history rows of instance %q: %w", instanceID, err)
	}
	for _, row := range rows {
		for _, blob := range wire.BlobColumns(row.Values) {
			referred[blob] = true
		}
	}
	row, err := h.Account.Tables.Read(ctx, h.Names.InstancesTable(), wire.EscapeKey(instanceID), "")
	if errors.Is(err, storage.ErrNotFound) {
		return referred, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read status of instance %q: %w", instanceID, err)
	}
	container := h.Account.Blobs.ContainerURL(h.Names.LargeMessages())
	for _, value := range row.Values {
		text, _ := value.(string)
		referred[text] = true // .NET notes some blobs by their names
		if blob, ok := wire.ParseBlobURL(container, text); ok {
			referred[blob] = true
		}
	}
	return referred, nil
}

// BlobOwner returns the id of the instance that a payload blob is named for, as its name has it.
func BlobOwner(blob string) string {
	at := strings.LastIndexByte(blob, '/')
	if at < 0 {
		return ""
	}
	if strings.HasPrefix(blob[at+1:], "history-") {
		return wire.UnescapeKey(blob[:at])
	}
	return blob[:at]
}
