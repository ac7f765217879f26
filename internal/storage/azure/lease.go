package azure

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"github.com/durafleet/durafleet/internal/storage"
)

// leaser is the client of one container's lease under one id.
type leaser = *lease.ContainerClient

// lease carries out an operation on the lease of a container.
func (p *blobs) lease(ctx context.Context, container, id string, operate func(context.Context, leaser) error) error {
	if err := storage.CheckContainerName(storage.BlobLease, container); err != nil {
		return err
	}
	if err := storage.CheckLease(container, id); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.BlobLease, container)
	client, err := lease.NewContainerClient(p.client.NewContainerClient(container), &lease.ContainerClientOptions{LeaseID: &id})
	if err == nil {
		err = operate(ctx, client)
	}
	return c.failure(ctx, err)
}
