package fault

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
)

// refused is the error of a request that found nobody listening.
func refused(request *http.Request) error {
	return netError(request, "dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))
}

// reset is the error of a request whose connection was reset while it was written or its answer
// was read.
func reset(request *http.Request, op string) error {
	return netError(request, op, os.NewSyscallError(op, syscall.ECONNRESET))
}

// netError gives an error the form in which http.Client returns those of the network.
func netError(request *http.Request, op string, err error) error {
	return &url.Error{Op: request.Method, URL: request.URL.Redacted(), Err: &net.OpError{Op: op, Net: "tcp", Err: err}}
}

// cutRequest breaks the connection after half of the request's body.
func (t *Transport) cutRequest(request *http.Request) (*http.Response, error) {
	cut := request.Clone(request.Context())
	cut.GetBody = nil // or it is sent again, whole
	cut.Body = &broken{
		Reader: io.LimitReader(request.Body, request.ContentLength/2),
		closer: request.Body, err: reset(request, "write"),
	}
	response, err := t.next.Do(cut)
	if err != nil {
		return nil, err
	}
	return finished(response), nil // the service has seen enough to refuse it
}

// broken is a body that ends with an error.
type broken struct {
	io.Reader
	closer io.Closer
	err    error
}

// Read implements io.Reader.
func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF { // readers return it as it is
		err = b.err
	}
	return n, err
}

// Close implements io.Closer.
func (b *broken) Close() error { return b.closer.Close() }

func (t *Transport) slow(request *http.Request, rule *Rule) (*http.Response, error) {
	ctx := request.Context()
	if !run.Sleep(ctx, rule.delay()) {
		return nil, context.Cause(ctx)
	}
	return t.next.Do(request)
}

func (t *Transport) slowReply(request *http.Request, rule *Rule) (*http.Response, error) {
	response, err := t.carryOut(request)
	if err != nil {
		return nil, err
	}
	if ctx := request.Context(); !run.Sleep(ctx, rule.delay()) {
		return nil, context.Cause(ctx)
	}
	return response, nil
}

func (t *Transport) lostReply(request *http.Request) (*http.Response, error) {
	if _, err := t.carryOut(request); err != nil { // its body has been read
		return nil, err
	}
	return nil, reset(request, "read")
}

func (t *Transport) cutReply(request *http.Request) (*http.Response, error) {
	response, err := t.carryOut(request)
	if err != nil {
		return nil, err
	}
	if response.ContentLength == 0 {
		return nil, reset(request, "read") // nothing to cut in two
	}
	response.Body = &broken{
		Reader: io.LimitReader(response.Body, response.ContentLength/2),
		closer: response.Body, err: reset(request, "read"),
	}
	return response, nil
}

func (t *Transport) lateTimeout(request *http.Request, kind storage.Kind, rule *Rule) (*http.Response, error) {
	if _, err := t.carryOut(request); err != nil { // its body has been read
		return nil, err
	}
	return answerTo(request, kind, rule), nil
}

// carryOut sends the request and waits until the service is done with it.
func (t *Transport) carryOut(request *http.Request) (*http.Response, error) {
	response, err := t.next.Do(request)
	if err != nil {
		return nil, err
	}
	return finished(response), nil
}

// finished returns an answer with its body in memory, so that its connection is free.
func finished(response *http.Response) *http.Response {
	data, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // all of it that can be had has been read
	body := io.Reader(bytes.NewReader(data))
	if err != nil {
		body = io.MultiReader(body, failing{err})
	}
	response.Body, response.ContentLength = io.NopCloser(body), int64(len(data))
	return response
}

// failing is a reader that has nothing but an error.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }
