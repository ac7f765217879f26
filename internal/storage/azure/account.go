package azure

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/durafleet/durafleet/internal/storage"
)

// storageScope is the scope of tokens for storage in all clouds.
const storageScope = "https://storage.azure.com/.default"

// FromConnectionString opens the account that a connection string describes, by key or by SAS.
// UseDevelopmentStorage=true means Azurite on its default ports. No request is made.
func FromConnectionString(text string, options *Options) (storage.Account, error) {
	c, err := parseConnection(text)
	if err != nil {
		return storage.Account{}, err
	}
	if c.key == "" {
		return FromSAS(c.endpoints, options)
	}
	return open(c.endpoints, options, withKey(c.account, c.key))
}

// FromEndpoints opens an account with a token credential. No request is made.
func FromEndpoints(endpoints Endpoints, credential azcore.TokenCredential, options *Options) (storage.Account, error) {
	if credential == nil {
		return storage.Account{}, errors.New("storage account: the credential is nil")
	}
	return open(endpoints, options, withToken(credential))
}

// FromSAS opens an account whose endpoint URLs carry a SAS each. No request is made.
func FromSAS(endpoints Endpoints, options *Options) (storage.Account, error) {
	return open(endpoints, options, withoutCredential())
}

// access makes the clients of the services under one kind of credential.
type access struct {
	queues func(url string, options *azqueue.ClientOptions) (*azqueue.ServiceClient, error)
	blobs  func(url string, options *service.ClientOptions) (*service.Client, error)
	// tables signs requests; nil if their URLs are enough.
	tables policy.Policy
	err    error
}

func withKey(account, key string) access {
	queueKey, err := azqueue.NewSharedKeyCredential(account, key)
	if err != nil {
		return access{err: errors.New("storage account: the account key is not base64")}
	}
	blobKey, err := service.NewSharedKeyCredential(account, key)
	if err != nil {
		return access{err: errors.New("storage account: the account key is not base64")}
	}
	signer, err := newTableSigner(account, key)
	return access{
		queues: func(url string, options *azqueue.ClientOptions) (*azqueue.ServiceClient, error) {
			return azqueue.NewServiceClientWithSharedKeyCredential(url, queueKey, options)
		},
		blobs: func(url string, options *service.ClientOptions) (*service.Client, error) {
			return service.NewClientWithSharedKeyCredential(url, blobKey, options)
		},
		tables: signer,
		err:    err,
	}
}

func withToken(credential azcore.TokenCredential) access {
	return access{
		queues: func(url string, options *azqueue.ClientOptions) (*azqueue.ServiceClient, error) {
			return azqueue.NewServiceClient(url, credential, options)
		},
		blobs: func(url string, options *service.ClientOptions) (*service.Client, error) {
			return service.NewClient(url, credential, options)
		},
		tables: runtime.NewBearerTokenPolicy(credential, []string{storageScope}, nil),
	}
}

func withoutCredential() access {
	return access{queues: azqueue.NewServiceClientWithNoCredential, blobs: service.NewClientWithNoCredential}
}

func open(endpoints Endpoints, options *Options, access access) (storage.Account, error) {
	if access.err != nil {
		return storage.Account{}, access.err
	}
	queueURL, err := parseEndpoint("queue", endpoints.Queue)
	if err != nil {
		return storage.Account{}, fmt.Errorf("storage account: %w", err)
	}
	blobURL, err := parseEndpoint("blob", endpoints.Blob)
	if err != nil {
		return storage.Account{}, fmt.Errorf("storage account: %w", err)
	}
	tableURL, err := parseEndpoint("table", endpoints.Table)
	if err != nil {
		return storage.Account{}, fmt.Errorf("storage account: %w", err)
	}
	settings := options.settings()
	queueOptions := &azqueue.ClientOptions{ClientOptions: settings.client()}
	queueOptions.PerCallPolicies = []policy.Policy{messageBody{ascii: emulator(queueURL)}}
	queueClient, err := access.queues(queueURL.String(), queueOptions)
	if err != nil {
		return storage.Account{}, errors.New("storage account: open queues: " + harmless(err))
	}
	blobClient, err := access.blobs(blobURL.String(), &service.ClientOptions{ClientOptions: settings.client()})
	if err != nil {
		return storage.Account{}, errors.New("storage account: open blobs: " + harmless(err))
	}
	return storage.Account{
		Queues: &queues{client: queueClient},
		Blobs:  newBlobs(blobClient, settings.retry),
		Tables: newTables(tableURL, access.tables, settings),
	}, nil
}

// emulator reports that an endpoint is an emulator's: only those have the account in the path.
// Azurite takes bodies apart in chunks and decodes each by itself, so that a character of several bytes
// between two chunks is replaced; for it bodies are written in ASCII.
func emulator(endpoint *url.URL) bool { return endpoint.Path != "" }
