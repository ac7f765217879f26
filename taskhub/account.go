package taskhub

import (
	"log/slog"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/memory"
)

// Account says how to reach a storage account. It is made by ConnectionString or Memory, or is an
// Endpoints. Accounts print without keys and tokens.
type Account interface {
	// open returns the account's ports without sending a request. Repetitions of requests are
	// counted in the meter.
	open(meter *storage.Meter) (storage.Account, error)
}

// ConnectionString returns the account of an Azure Storage connection string, with an account key
// or a SAS. UseDevelopmentStorage=true means Azurite on its default ports. A string that cannot be
// used is reported when the account is opened.
func ConnectionString(text string) Account { return connectionString{text} }

type connectionString struct{ text string }

func (c connectionString) open(meter *storage.Meter) (storage.Account, error) {
	return azure.FromConnectionString(c.text, &azure.Options{Meter: meter})
}

// String implements fmt.Stringer; it does not show the text.
func (connectionString) String() string { return "connection string" }

// GoString implements fmt.GoStringer; it does not show the text.
func (c connectionString) GoString() string { return c.String() }

// LogValue implements slog.LogValuer; it does not show the text.
func (c connectionString) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Endpoints is an account given by the URLs of its services, such as
// https://account.table.core.windows.net.
type Endpoints struct {
	Blob  string
	Queue string
	Table string
	// Credential gets tokens. If it is nil, each URL has to carry a SAS.
	Credential azcore.TokenCredential
}

func (e Endpoints) open(meter *storage.Meter) (storage.Account, error) {
	endpoints := azure.Endpoints{Blob: e.Blob, Queue: e.Queue, Table: e.Table}
	options := &azure.Options{Meter: meter}
	if e.Credential == nil {
		return azure.FromSAS(endpoints, options)
	}
	return azure.FromEndpoints(endpoints, e.Credential, options)
}

// String returns the host of the table service, without the SAS.
func (e Endpoints) String() string { return "storage account at " + hostOf(e.Table) }

// GoString implements fmt.GoStringer; it shows no SAS.
func (e Endpoints) GoString() string { return e.String() }

// LogValue implements slog.LogValuer; it shows no SAS.
func (e Endpoints) LogValue() slog.Value { return slog.StringValue(e.String()) }

// Memory returns an account that exists only in this process and is empty at first. Everything
// that is opened with the same value sees the same data.
func Memory() Account { return &memoryAccount{memory.New()} }

type memoryAccount struct{ store *memory.Store }

func (m *memoryAccount) open(*storage.Meter) (storage.Account, error) { return m.store.Account(), nil }

// String implements fmt.Stringer.
func (*memoryAccount) String() string { return "account in memory" }

// hostOf returns the host of a URL, "?" if there is none.
func hostOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" {
		return "?"
	}
	return parsed.Host
}
