package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// maxAppLeaseInfo bounds what is read of the blob that names the application.
const maxAppLeaseInfo = 64 * 1024

// Application returns the lease id of the application that took the hub last, as it is noted; "" if none did, or the
// note cannot be read.
func (h *Hub) Application(ctx context.Context) (string, error) {
	data, err := h.Account.Blobs.GetBlob(ctx, h.Names.AppLease(), h.Names.AppLeaseInfo(), maxAppLeaseInfo)
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrTooLarge) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the application of hub %s: %w", h.Names.Hub(), err)
	}
	info, err := wire.DecodeAppLeaseInfo(string(data))
	if err != nil {
		return "", nil //nolint:nilerr // nobody can tell
	}
	return info.OwnerID, nil
}
