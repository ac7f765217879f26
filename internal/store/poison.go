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

const (
	poisonExtension = ".json"
	// maxPoison bounds what is read of a record: a queue text, escaped, and what is told about it.
	maxPoison = 1 << 20
	// maxMarkAttempts bounds how often a status row is read again after somebody changed it.
	maxMarkAttempts = 5
)

// PoisonID returns the id of the record of a message. It is the name of the message's queue within
// the hub and the id that the service gave to the message.
func (h *Hub) PoisonID(queue, messageID string) string {
	short := strings.TrimPrefix(queue, strings.TrimSuffix(h.Names.WorkItemQueue(), "workitems"))
	return short + "-" + messageID
}

// PutPoison records a message. A record that is there already is left as it is: it was made by the
// same move, which was cut off.
func (h *Hub) PutPoison(ctx context.Context, p *wire.Poison) error {
	data, err := wire.EncodePoison(p)
	if err != nil {
		return err
	}
	container, name := h.Names.Poison(), p.ID+poisonExtension
	err = h.Account.Blobs.PutBlob(ctx, container, name, data, true)
	if errors.Is(err, storage.ErrNotFound) {
		if err = h.Account.Blobs.CreateContainer(ctx, container); err == nil {
			err = h.Account.Blobs.PutBlob(ctx, container, name, data, true)
		}
	}
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("record poison message %s: %w", p.ID, err)
	}
	return nil
}

// PoisonIDs returns the ids of all records in order.
func (h *Hub) PoisonIDs(ctx context.Context) ([]string, error) {
	names, err := h.Account.Blobs.ListBlobs(ctx, h.Names.Poison(), "")
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list poison messages: %w", err)
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, poisonExtension); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Poison returns a record. The error matches storage.ErrNotFound if there is none, and
// wire.ErrMalformed if the blob is no record.
func (h *Hub) Poison(ctx context.Context, id string) (*wire.Poison, error) {
	data, err := h.Account.Blobs.GetBlob(ctx, h.Names.Poison(), id+poisonExtension, maxPoison)
	if err != nil {
		return nil, fmt.Errorf("read poison message %s: %w", id, err)
	}
	p, err := wire.DecodePoison(data)
	if err == nil && p.ID != id {
		err = fmt.Errorf("%w: it is that of %q", wire.ErrMalformed, p.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("poison message %s: %w", id, err)
	}
	return p, nil
}

// Requeue puts the text of a record into its queue again and then forgets the record. Cut off in
// between, the record stays and the message may come twice. In the other order it could be lost.
func (h *Hub) Requeue(ctx context.Context, p *wire.Poison) error {
	if _, err := h.Account.Queues.Put(ctx, p.Queue, p.Text, 0); err != nil {
		return fmt.Errorf("put poison message %s back into queue %s: %w", p.ID, p.Queue, err)
	}
	return h.ForgetPoison(ctx, p)
}

// ForgetPoison clears the record's part of the mark on the status row and deletes the record, in
// this order: as long as the record is there, both can be repeated.
func (h *Hub) ForgetPoison(ctx context.Context, p *wire.Poison) error {
	if p.InstanceID != "" {
		err := h.changeMark(ctx, p.InstanceID, func(m *wire.PoisonMark) *wire.PoisonMark { return m.Without(p.ID) })
		if err != nil {
			return err
		}
	}
	err := h.Account.Blobs.DeleteBlob(ctx, h.Names.Poison(), p.ID+poisonExtension)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("delete poison message %s: %w", p.ID, err)
	}
	return nil
}

// DropPoisonPayload deletes the payload blob of a record that was forgotten, unless something else
// refers to it: the status row, for the input of a start, or another record. A message with the same
// content that is still in a queue would be one that was put twice; it has been worked on since.
func (h *Hub) DropPoisonPayload(ctx context.Context, p *wire.Poison) error {
	if p.Payload == "" {
		return nil
	}
	used, err := h.payloadUsed(ctx, p)
	if err != nil || used {
		return err
	}
	if err := h.DeletePayloads(ctx, []string{p.Payload}); err != nil {
		return fmt.Errorf("delete payload of poison message %s: %w", p.ID, err)
	}
	return nil
}

func (h *Hub) payloadUsed(ctx context.Context, p *wire.Poison) (bool, error) {
	if p.InstanceID != "" {
		referred, err := h.References(ctx, p.InstanceID)
		if err != nil || referred[p.Payload] {
			return true, err
		}
	}
	ids, err := h.PoisonIDs(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		other, err := h.Poison(ctx, id)
		switch {
		case errors.Is(err, storage.ErrNotFound), errors.Is(err, wire.ErrMalformed):
		case err != nil:
			return false, err
		case other.Payload == p.Payload:
			return true, nil
		}
	}
	return false, nil
}

// MarkPoison notes a record on the status row of its instance. An instance without a row gets none.
func (h *Hub) MarkPoison(ctx context.Context, p *wire.Poison) error {
	return h.changeMark(ctx, p.InstanceID, func(m *wire.PoisonMark) *wire.PoisonMark { return m.With(p.ID, p.Reason, p.Moved) })
}

// changeMark changes the mark on a status row, bound to the version it was read in. It looks at the
// column alone, so that rows that cannot be read otherwise get their mark, too.
func (h *Hub) changeMark(ctx context.Context, instanceID string, change func(*wire.PoisonMark) *wire.PoisonMark) error {
	key, table := wire.EscapeKey(instanceID), h.Names.InstancesTable()
	for range maxMarkAttempts {
		row, err := h.Account.Tables.Read(ctx, table, key, "", wire.PoisonColumns()...)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read poison mark of instance %q: %w", instanceID, err)
		}
		before := wire.DecodePoisonMark(row.Values)
		after := change(before)
		if before == nil && after == nil {
			return nil
		}
		columns, err := wire.EncodePoisonMark(after)
		if err != nil {
			return err
		}
		_, err = h.Account.Tables.Merge(ctx, table, storage.Row{PartitionKey: key, Values: columns}, row.ETag)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return nil // purged meanwhile
		case err == nil:
			return nil
		case !storage.LostRace(err) && !storage.Ambiguous(err): // else it is read again what there is now
			return fmt.Errorf("write poison mark of instance %q: %w", instanceID, err)
		}
	}
	return fmt.Errorf("write poison mark of instance %q: not after %d attempts", instanceID, maxMarkAttempts)
}
