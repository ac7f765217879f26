package azure

import (
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/durafleet/durafleet/internal/storage"
)

// Options configures the access to an account. The zero value of every field means its default.
type Options struct {
	// Meter counts the bytes of requests and answers and, under storage.Retry, the requests that were
	// sent again. Default: none.
	Meter *storage.Meter
	// Transport sends the requests. Default: NewTransport.
	Transport policy.Transporter
	// MaxRetries is how often a request is sent again after a failure that may pass. Default 4;
	// negative means never.
	MaxRetries int
	// RetryDelay is the delay before the first retry, doubled for each further one. Default 200ms.
	RetryDelay time.Duration
	// MaxRetryDelay limits the delay. A longer one demanded by the service ends the retries.
	// Default 5s.
	MaxRetryDelay time.Duration
	// TryTimeout limits each try. Reading and writing a blob may take six times as long. Default 10s.
	TryTimeout time.Duration
}

const (
	defaultMaxRetries    = 4
	defaultRetryDelay    = 200 * time.Millisecond
	defaultMaxRetryDelay = 5 * time.Second
	defaultTryTimeout    = 10 * time.Second
	dialTimeout          = 2 * time.Second
	handshakeTimeout     = 5 * time.Second
	idleConnections      = 128
	blobPatience         = 6
)

// settings are Options with the defaults filled in.
type settings struct {
	retry     policy.RetryOptions
	transport policy.Transporter
}

func (o *Options) settings() settings {
	if o == nil {
		o = &Options{}
	}
	next := o.Transport
	if next == nil {
		next = NewTransport()
	}
	return settings{
		retry: policy.RetryOptions{
			MaxRetries:    int32(or(o.MaxRetries, defaultMaxRetries)),
			RetryDelay:    or(o.RetryDelay, defaultRetryDelay),
			MaxRetryDelay: or(o.MaxRetryDelay, defaultMaxRetryDelay),
			TryTimeout:    or(o.TryTimeout, defaultTryTimeout),
		},
		transport: &watchedTransport{next: next, meter: o.Meter},
	}
}

func or[T int | time.Duration](value, fallback T) T {
	if value == 0 {
		return fallback
	}
	return value
}

func (s settings) client() azcore.ClientOptions {
	return azcore.ClientOptions{
		Retry:     s.retry,
		Transport: s.transport,
		Telemetry: policy.TelemetryOptions{ApplicationID: "durafleet"},
	}
}

// NewTransport returns the default of Options.Transport: HTTP with enough idle connections for a
// worker, which gives up connecting after 2s: with the default retries an unreachable host fails in
// about 15s.
func NewTransport() policy.Transporter {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          3 * idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   handshakeTimeout,
		ExpectContinueTimeout: time.Second,
	}}
}
