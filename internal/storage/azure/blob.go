package azure

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/durafleet/durafleet/internal/storage"
)

type blobs struct {
	client *service.Client
	// patient retries like all requests, but leaves a try more time: a blob may be large.
	patient policy.RetryOptions
}

func newBlobs(client *service.Client, retry policy.RetryOptions) *blobs {
	retry.TryTimeout *= blobPatience
	return &blobs{client: client, patient: retry}
}

// CreateContainer implements storage.Blobs.
func (p *blobs) CreateContainer(ctx context.Context, name string) error {
	if err := storage.CheckContainerName(storage.BlobAdmin, name); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.BlobAdmin, name)
	_, err := p.client.CreateContainer(ctx, name, nil)
	return unlessExists(c.failure(ctx, err))
}

// DeleteContainer implements storage.Blobs.
func (p *blobs) DeleteContainer(ctx context.Context, name string) error {
	if err := storage.CheckContainerName(storage.BlobAdmin, name); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.BlobAdmin, name)
	_, err := p.client.DeleteContainer(ctx, name, nil)
	return c.failure(ctx, err)
}

// ListContainers implements storage.Blobs.
func (p *blobs) ListContainers(ctx context.Context, prefix string) ([]string, error) {
	pager := p.client.NewListContainersPager(&service.ListContainersOptions{Prefix: &prefix})
	var names []string
	for pager.More() {
		pageCtx, c := reading(ctx, storage.BlobAdmin, prefix)
		page, err := pager.NextPage(pageCtx)
		if err != nil {
			return nil, c.failure(ctx, err)
		}
		for _, item := range page.ContainerItems {
			names = append(names, value(item.Name))
		}
	}
	return names, nil
}

// check refuses names before they are sent.
func check(op storage.Kind, container, name string) error {
	if err := storage.CheckContainerName(op, container); err != nil {
		return err
	}
	return storage.CheckBlobName(op, container, name)
}

// PutBlob implements storage.Blobs.
func (p *blobs) PutBlob(ctx context.Context, container, name string, data []byte, onlyNew bool) error {
	if err := check(storage.BlobPut, container, name); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.BlobPut, container)
	options := &blockblob.UploadOptions{HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("application/octet-stream")}}
	if onlyNew {
		options.AccessConditions = &blob.AccessConditions{
			ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)},
		}
	}
	client := p.client.NewContainerClient(container).NewBlockBlobClient(name)
	body := streaming.NopCloser(bytes.NewReader(data))
	_, err := client.Upload(policy.WithRetryOptions(ctx, p.patient), body, options)
	return c.failure(ctx, err)
}

// GetBlob implements storage.Blobs.
func (p *blobs) GetBlob(ctx context.Context, container, name string, limit int64) ([]byte, error) {
	if err := check(storage.BlobGet, container, name); err != nil {
		return nil, err
	}
	ctx, c := begin(ctx, storage.BlobGet, container)
	patient := policy.WithRetryOptions(ctx, p.patient)
	reply, err := p.client.NewContainerClient(container).NewBlobClient(name).DownloadStream(patient, nil)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	body := reply.NewRetryReader(patient, nil)
	size := value(reply.ContentLength)
	if limit > 0 && size > limit {
		_ = body.Close() // the content is not wanted
		return nil, storage.Refusal(storage.BlobGet, container, storage.ErrTooLarge, "blob %s of %d bytes, at most %d", name, size, limit)
	}
	data, err := io.ReadAll(body)
	_ = body.Close() // everything has been read, or err says why not
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return data, nil
}

// BlobTime implements storage.Blobs.
func (p *blobs) BlobTime(ctx context.Context, container, name string) (time.Time, error) {
	if err := check(storage.BlobGet, container, name); err != nil {
		return time.Time{}, err
	}
	ctx, c := begin(ctx, storage.BlobGet, container)
	reply, err := p.client.NewContainerClient(container).NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return time.Time{}, c.failure(ctx, err)
	}
	return value(reply.LastModified).UTC(), nil
}

// DeleteBlob implements storage.Blobs.
func (p *blobs) DeleteBlob(ctx context.Context, container, name string) error {
	if err := check(storage.BlobDelete, container, name); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.BlobDelete, container)
	_, err := p.client.NewContainerClient(container).NewBlobClient(name).Delete(ctx, nil)
	return c.failure(ctx, err)
}

// ListBlobs implements storage.Blobs.
func (p *blobs) ListBlobs(ctx context.Context, name, prefix string) ([]string, error) {
	if err := storage.CheckContainerName(storage.BlobList, name); err != nil {
		return nil, err
	}
	pager := p.client.NewContainerClient(name).NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	var names []string
	for pager.More() {
		pageCtx, c := begin(ctx, storage.BlobList, name)
		page, err := pager.NextPage(pageCtx)
		if err != nil {
			return nil, c.failure(ctx, err)
		}
		for _, item := range page.Segment.BlobItems {
			names = append(names, value(item.Name))
		}
	}
	return names, nil
}

// ContainerURL implements storage.Blobs.
func (p *blobs) ContainerURL(name string) string {
	base, _, _ := strings.Cut(p.client.URL(), "?")
	return strings.TrimRight(base, "/") + "/" + name
}

// AcquireLease implements storage.Blobs.
func (p *blobs) AcquireLease(ctx context.Context, container, id string, duration time.Duration) error {
	if err := storage.CheckLeaseDuration(container, duration); err != nil {
		return err
	}
	return p.lease(ctx, container, id, func(ctx context.Context, client leaser) error {
		_, err := client.AcquireLease(ctx, storage.WholeSeconds(duration), nil)
		return err
	})
}

// RenewLease implements storage.Blobs.
func (p *blobs) RenewLease(ctx context.Context, container, id string) error {
	return p.lease(ctx, container, id, func(ctx context.Context, client leaser) error {
		_, err := client.RenewLease(ctx, nil)
		return err
	})
}

// ChangeLease implements storage.Blobs.
func (p *blobs) ChangeLease(ctx context.Context, container, id, newID string) error {
	if err := storage.CheckLease(container, newID); err != nil {
		return err
	}
	return p.lease(ctx, container, id, func(ctx context.Context, client leaser) error {
		_, err := client.ChangeLease(ctx, newID, nil)
		return err
	})
}

// ReleaseLease implements storage.Blobs.
func (p *blobs) ReleaseLease(ctx context.Context, container, id string) error {
	return p.lease(ctx, container, id, func(ctx context.Context, client leaser) error {
		_, err := client.ReleaseLease(ctx, nil)
		return err
	})
}
