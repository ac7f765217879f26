package azure

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/durafleet/durafleet/internal/storage"
)

// call follows one operation through its tries. It travels in the context.
type call struct {
	op     storage.Kind
	target string
	write  bool
	text   *string // of the message to send, if there is one

	mu      sync.Mutex
	sent    int  // tries that reached the transport
	unclear bool // a try got no clear answer, so that it may have taken effect
	refused bool // the latest try was refused for its credential
	begun   bool // the latest answer said that the request was carried out
}

type callKey struct{}

// begin returns a context that carries a new call.
func begin(ctx context.Context, op storage.Kind, target string) (context.Context, *call) {
	c := &call{op: op, target: target, write: !reads[op]}
	return context.WithValue(ctx, callKey{}, c), c
}

// OperationOf returns what a request that has reached Options.Transport is for: the kind of the
// operation and the queue, table or container it is about. ok is false for a request that is not
// part of an operation, such as a credential's.
func OperationOf(request *http.Request) (op storage.Kind, target string, ok bool) {
	c, _ := request.Context().Value(callKey{}).(*call)
	if c == nil {
		return "", "", false
	}
	return c.op, c.target, true
}

// reads are the kinds without an effect. A get has one: it hides messages.
var reads = map[storage.Kind]bool{
	storage.QueuePeek:  true,
	storage.QueueCount: true,
	storage.TableRead:  true,
	storage.TableQuery: true,
	storage.BlobGet:    true,
	storage.BlobList:   true,
}

// reading returns a call of the kind for a request without effect, such as a listing.
func reading(ctx context.Context, op storage.Kind, target string) (context.Context, *call) {
	ctx, c := begin(ctx, op, target)
	c.write = false
	return ctx, c
}

// ambiguous reports whether the call may have taken effect although it failed.
func (c *call) ambiguous() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write && (c.unclear || c.begun)
}

func (c *call) reached() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent > 0
}

// answeredNo notes that the service, although its status said otherwise, answered clearly that
// it did not carry out the latest try.
func (c *call) answeredNo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = false
}

// watchedTransport notes the outcome of every try in its call.
type watchedTransport struct {
	next  policy.Transporter
	meter *storage.Meter
}

// Do implements policy.Transporter.
func (w *watchedTransport) Do(request *http.Request) (*http.Response, error) {
	c, _ := request.Context().Value(callKey{}).(*call)
	if c == nil {
		return w.next.Do(request) // a credential's own request
	}
	if err := request.Context().Err(); err != nil {
		return nil, err // not sent, so nothing is unclear
	}
	if c.again() && w.meter != nil {
		w.meter.Repeat(request.Context())
	}
	response, err := w.next.Do(request)
	c.note(response, err)
	if w.meter != nil {
		w.meter.Carry(request.Context(), c.op, max(0, request.ContentLength), 0)
		if err == nil && response.Body != nil && response.Body != http.NoBody {
			response.Body = &meteredBody{ReadCloser: response.Body, call: c, meter: w.meter, ctx: request.Context()}
		}
	}
	return response, err
}

// meteredBody counts what is read of an answer.
type meteredBody struct {
	io.ReadCloser
	call  *call
	meter *storage.Meter
	ctx   context.Context //nolint:containedctx // that of the request, which says what it is for
	read  int64
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	return n, err
}

// Close implements io.Closer.
func (b *meteredBody) Close() error {
	b.meter.Carry(b.ctx, b.call.op, 0, b.read)
	b.read = 0
	return b.ReadCloser.Close()
}

// again notes that a try is sent and reports whether it repeats another. One that follows a
// challenge for credentials does not.
func (c *call) again() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	if c.begun { // its answer got lost, or there would be no further try
		c.unclear, c.begun = true, false
	}
	return c.sent > 1 && !c.refused
}

func (c *call) note(response *http.Response, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = err == nil && response.StatusCode == http.StatusUnauthorized
	switch {
	case err != nil:
		c.unclear = c.unclear || !neverConnected(err)
	case response.StatusCode < http.StatusBadRequest:
		c.begun = true
	case response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusRequestTimeout:
		c.unclear = true
	}
}

// neverConnected reports that the request cannot have reached the service.
func neverConnected(err error) bool {
	var operation *net.OpError
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &operation) && operation.Op == "dial" || errors.As(err, &untrusted)
}
