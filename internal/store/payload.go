package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Limits of payloads. A text lives several times in memory while it is decoded, so these bound what
// a blob that unpacks to a thousand times its size can do.
const (
	// maxPayload is the longest text of one payload, written or read.
	maxPayload = 64 << 20
	// maxBatch is how much the messages of one batch may hold together; those beyond it have to come
	// again. One message always fits.
	maxBatch = 4 * maxPayload
	// maxHistory is how much the payloads of one history may hold together.
	maxHistory = 16 * maxPayload
	// largePayload is from where on only a few payloads are unpacked at a time, maxLarge of them.
	largePayload = 1 << 20
	maxLarge     = 2
)

// allowance is how many more bytes some payloads may hold together.
type allowance struct{ left atomic.Int64 }

func newAllowance(bytes int64) *allowance {
	a := &allowance{}
	a.left.Store(bytes)
	return a
}

// take reports whether n more bytes are allowed. A nil allowance allows everything.
func (a *allowance) take(n int64) bool { return a == nil || a.left.Add(-n) >= 0 }

// errTooMuch reports a payload that is too much together with others.
var errTooMuch = errors.New("the payloads are too large together")

// putPayload stores a text as a compressed blob. The container is created when it is first used.
func (h *Hub) putPayload(ctx context.Context, name, text string) error {
	if len(text) > maxPayload {
		return storage.Refusal(storage.BlobPut, h.Names.LargeMessages(), storage.ErrTooLarge,
			"payload %s of %d bytes, at most %d", name, len(text), maxPayload)
	}
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
	return h.getPayloadWithin(ctx, name, nil)
}

// getPayloadWithin reads a payload if an allowance has room for it. The error matches ErrPayload if
// it is the blob's fault.
func (h *Hub) getPayloadWithin(ctx context.Context, name string, room *allowance) (string, error) {
	data, err := h.Account.Blobs.GetBlob(ctx, h.Names.LargeMessages(), name, maxPayload)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", fmt.Errorf("%w %s: the blob is missing: %w", ErrPayload, name, err)
	case errors.Is(err, storage.ErrTooLarge), errors.Is(err, storage.ErrInvalid):
		return "", fmt.Errorf("%w %s: %w", ErrPayload, name, err)
	case err != nil:
		return "", fmt.Errorf("read payload: %w", err)
	}
	size, err := wire.UnpackedSize(data)
	if err != nil {
		return "", fmt.Errorf("%w %s: %w", ErrPayload, name, err)
	}
	if size <= maxPayload && !room.take(size) {
		return "", fmt.Errorf("%w: %s of %d bytes", errTooMuch, name, size)
	}
	if size > largePayload {
		select {
		case h.large <- struct{}{}:
			defer func() { <-h.large }()
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	if size > maxPayload {
		// What is cut off may claim anything.
		if err := wire.CheckTooLarge(data, maxPayload); !errors.Is(err, wire.ErrBlobTooLarge) {
			return "", fmt.Errorf("%w %s: %w", ErrPayload, name, err)
		}
		return "", fmt.Errorf("%w %s: %w: it unpacks to more than %d bytes", ErrPayload, name, storage.ErrTooLarge, maxPayload)
	}
	// The claim is also the limit, so a blob that lies about its size comes no further than that.
	text, err := wire.Decompress(data, size)
	if err != nil {
		return "", fmt.Errorf("%w %s: %w", ErrPayload, name, err)
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
// to. If one of them cannot be read the row says so, and holds the other; the error matches InData.
func (h *Hub) ResolvePayloads(ctx context.Context, in *wire.Instance) error {
	input, inputErr := h.resolveInput(ctx, in)
	output, outputErr := h.resolve(ctx, in.Output)
	for _, err := range []error{inputErr, outputErr} {
		if err != nil && !InData(err) {
			return fmt.Errorf("payloads of instance %q: %w", in.InstanceID, err)
		}
	}
	in.Input, in.InputBlob, in.Output = input, "", output
	switch {
	case inputErr != nil && outputErr != nil:
		in.UnreadableInput, in.UnreadableOutput = inputErr.Error(), outputErr.Error()
		return fmt.Errorf("input of instance %q: %w; its output: %w", in.InstanceID, inputErr, outputErr)
	case inputErr != nil:
		in.UnreadableInput = inputErr.Error()
		return fmt.Errorf("input of instance %q: %w", in.InstanceID, inputErr)
	case outputErr != nil:
		in.UnreadableOutput = outputErr.Error()
		return fmt.Errorf("output of instance %q: %w", in.InstanceID, outputErr)
	}
	return nil
}

// resolveInput reads the input of a status row, which is referred to in one of two ways.
func (h *Hub) resolveInput(ctx context.Context, in *wire.Instance) (*string, error) {
	value := in.Input
	if in.InputBlob != "" {
		text, err := h.getPayload(ctx, in.InputBlob)
		if err != nil {
			return nil, err
		}
		value = &text
	}
	return h.resolve(ctx, value)
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
	if err != nil {
		return nil, err
	}
	if !wire.IsStartMessageBlob(name) {
		return &text, nil
	}
	message, another, err := wire.DecodeMessage(text)
	if err != nil {
		return nil, fmt.Errorf("%w: start message in %s: %w", ErrPayload, name, err)
	}
	if another != "" {
		return nil, fmt.Errorf("%w: start message in %s refers to another blob", ErrPayload, name)
	}
	started, ok := message.Event.(*history.ExecutionStarted)
	if !ok {
		return nil, fmt.Errorf("%w: start message in %s holds a %s", ErrPayload, name, message.Event.Kind())
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
