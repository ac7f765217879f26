package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// maxPayload bounds what a payload blob may unpack to.
const maxPayload = 256 << 20

// putPayload stores a text as a compressed blob. The container is created when it is first used.
func (h *Hub) putPayload(ctx context.Context, name, text string) error {
	data, err := wire.Compress(text)
	if err != nil {
		return fmt.Errorf("compress payload %s: %w", name, err)
	}
	container := h.Names.LargeMessages()
	if !h.container.Load() {
		if err := h.Account.Blobs.CreateContainer(ctx, container); err != nil {
			return fmt.Errorf("create payload container: %w", err)
		}
		h.container.Store(true)
	}
	if err := h.Account.Blobs.PutBlob(ctx, container, name, data, false); err != nil {
		if errors.Is(err, storage.ErrNotFound) {
			h.container.Store(false)
		}
		return fmt.Errorf("store payload: %w", err)
	}
	return nil
}

// PutInput stores an input that is too long for the status row it is for, and returns the blob.
// Refer to it by its PayloadURL.
func (h *Hub) PutInput(ctx context.Context, instanceID, text string) (blob string, err error) {
	return h.putValue(ctx, instanceID, "Input", text)
}

// putValue stores a value of a status row as a blob.
func (h *Hub) putValue(ctx context.Context, instanceID, column, text string) (blob string, err error) {
	blob = wire.HistoryBlobName(instanceID, "", column, h.random8(instanceID), column)
	return blob, h.putPayload(ctx, blob, text)
}

func (h *Hub) getPayload(ctx context.Context, name string) (string, error) {
	data, err := h.Account.Blobs.GetBlob(ctx, h.Names.LargeMessages(), name, maxPayload)
	if err != nil {
		return "", fmt.Errorf("read payload: %w", err)
	}
	text, err := wire.Decompress(data, maxPayload)
	if err != nil {
		return "", fmt.Errorf("read payload %s: %w", name, err)
	}
	return text, nil
}

// DeletePayloads removes payload blobs that nothing refers to any more. Failures leave garbage
// that a purge removes; they are returned for the log.
func (h *Hub) DeletePayloads(ctx context.Context, names []string) error {
	return h.each(ctx, len(names), func(ctx context.Context, i int) error {
		err := h.Account.Blobs.DeleteBlob(ctx, h.Names.LargeMessages(), names[i])
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	})
}

// PayloadURL returns the URL by which a status row refers to a payload blob.
func (h *Hub) PayloadURL(name string) string {
	return wire.BlobURL(h.Account.Blobs.ContainerURL(h.Names.LargeMessages()), name)
}

// ResolvePayloads replaces the references in a status row's Input and Output by what they refer
// to.
func (h *Hub) ResolvePayloads(ctx context.Context, in *wire.Instance) error {
	var err error
	if in.InputBlob != "" {
		text, err := h.getPayload(ctx, in.InputBlob)
		if err != nil {
			return err
		}
		in.Input, in.InputBlob = &text, ""
	}
	if in.Input, err = h.resolve(ctx, in.Input); err != nil {
		return fmt.Errorf("input of instance %q: %w", in.InstanceID, err)
	}
	if in.Output, err = h.resolve(ctx, in.Output); err != nil {
		return fmt.Errorf("output of instance %q: %w", in.InstanceID, err)
	}
	return nil
}

func (h *Hub) resolve(ctx context.Context, value *string) (*string, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // no value is not an error
	}
	name, ok := wire.ParseBlobURL(h.Account.Blobs.ContainerURL(h.Names.LargeMessages()), *value)
	if !ok {
		return value, nil
	}
	text, err := h.getPayload(ctx, name)
	if err != nil || !wire.IsStartMessageBlob(name) {
		return &text, err
	}
	message, _, err := wire.DecodeMessage(text)
	if err != nil {
		return nil, fmt.Errorf("start message in %s: %w", name, err)
	}
	started, ok := message.Event.(*history.ExecutionStarted)
	if !ok {
		return nil, fmt.Errorf("start message in %s holds a %s", name, message.Event.Kind())
	}
	return started.Input, nil
}

// PlaceLarge moves an Output that is too long for its column into a blob and lets the row refer to
// it; the Input of a start likewise.
func (h *Hub) PlaceLarge(ctx context.Context, instanceID string, update *wire.InstanceUpdate) error {
	if err := h.place(ctx, instanceID, "Output", &update.Output); err != nil {
		return err
	}
	if update.Start == nil {
		return nil
	}
	return h.place(ctx, instanceID, "Input", &update.Start.Input)
}

// place moves one value of a status row into a blob if it is too long for a column.
func (h *Hub) place(ctx context.Context, instanceID, column string, value **string) error {
	if *value == nil || wire.UTF16Bytes(**value) <= wire.LargeLimit {
		return nil
	}
	blob, err := h.putValue(ctx, instanceID, column, **value)
	if err != nil {
		return err
	}
	url := h.PayloadURL(blob)
	*value = &url
	return nil
}
