package azure_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/fault"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
)

// transport is a policy.Transporter made of a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) Do(request *http.Request) (*http.Response, error) { return f(request) }

// emulated opens Azurite through a transport.
func emulated(t *testing.T, options *azure.Options) storage.Account {
	t.Helper()
	options.RetryDelay = time.Millisecond
	account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), options)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// stage is an account with a queue, a table and a container, all of one name, and a row.
type stage struct {
	storage.Account
	faults *fault.Transport
	meter  *storage.Meter
	name   string
	etag   storage.ETag
	put    storage.Receipt
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{
		faults: fault.New(http.DefaultClient, 0),
		meter:  &storage.Meter{},
		name:   "t" + strings.ReplaceAll(uuid.NewString(), "-", ""),
	}
	s.Account = emulated(t, &azure.Options{Transport: s.faults, Meter: s.meter})
	ctx := t.Context()
	var errs [5]error
	errs[0] = s.Queues.CreateQueue(ctx, s.name)
	errs[1] = s.Tables.CreateTable(ctx, s.name)
	errs[2] = s.Blobs.CreateContainer(ctx, s.name)
	s.etag, errs[3] = s.Tables.Insert(ctx, s.name, row("old"))
	s.put, errs[4] = s.Queues.Put(ctx, s.name, "text", 0)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return s
}

func row(key string) storage.Row {
	return storage.Row{PartitionKey: "p", RowKey: key, Values: map[string]any{"A": "1"}}
}

func TestLostReply(t *testing.T) {
	t.Parallel()
	insert := []storage.Operation{{Action: storage.Insert, Row: row("new")}}
	for _, tt := range []struct {
		name string
		do   func(context.Context, *stage) error
		want error // nil: the repetition succeeds
		once bool  // it is not repeated
	}{
		{name: "insert", want: storage.ErrExists, do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Insert(ctx, s.name, row("new"))
			return err
		}},
		{name: "merge", want: storage.ErrPrecondition, do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Merge(ctx, s.name, row("old"), s.etag)
			return err
		}},
		{name: "replace", want: storage.ErrPrecondition, do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Replace(ctx, s.name, row("old"), s.etag)
			return err
		}},
		{name: "upsert", do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Merge(ctx, s.name, row("old"), "")
			return err
		}},
		{name: "delete row", want: storage.ErrNotFound, do: func(ctx context.Context, s *stage) error {
			return s.Tables.Delete(ctx, s.name, "p", "old", s.etag)
		}},
		{name: "transact", want: storage.ErrExists, do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Transact(ctx, s.name, insert, false)
			return err
		}},
		{name: "transact once", want: storage.ErrUnavailable, once: true, do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Transact(ctx, s.name, insert, true)
			return err
		}},
		{name: "put message", do: func(ctx context.Context, s *stage) error {
			_, err := s.Queues.Put(ctx, s.name, "again", 0)
			return err
		}},
		{name: "update message", want: storage.ErrReceipt, do: func(ctx context.Context, s *stage) error {
			_, err := s.Queues.Update(ctx, s.name, s.put.ID, s.put.PopReceipt, "b", time.Minute)
			return err
		}},
		{name: "delete message", want: storage.ErrNotFound, do: func(ctx context.Context, s *stage) error {
			return s.Queues.Delete(ctx, s.name, s.put.ID, s.put.PopReceipt)
		}},
		{name: "new blob", want: storage.ErrExists, do: func(ctx context.Context, s *stage) error {
			return s.Blobs.PutBlob(ctx, s.name, "b", []byte("x"), true)
		}},
		{name: "read", do: func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Read(ctx, s.name, "p", "old")
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.faults.Use(fault.Rule{Fault: fault.LostReply, First: 1})
			err := tt.do(t.Context(), s)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if storage.Ambiguous(err) != (tt.want != nil) {
				t.Errorf("Ambiguous(%v) = %v", err, storage.Ambiguous(err))
			}
			want := int64(1)
			if tt.once {
				want = 0
			}
			if n := s.meter.Counts()[storage.Retry]; n != want {
				t.Errorf("%d repetitions counted, want %d", n, want)
			}
		})
	}
}

func TestLostReply_Body(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	cut := fault.Rule{Fault: fault.CutReply, First: 1}
	s.faults.Use(cut)
	_, err := s.Tables.Transact(t.Context(), s.name, []storage.Operation{{Action: storage.Insert, Row: row("new")}}, false)
	if !errors.Is(err, storage.ErrUnavailable) || !storage.Ambiguous(err) {
		t.Errorf("transaction whose answer was cut: %v", err)
	}
	if _, err := s.Tables.Read(t.Context(), s.name, "p", "new"); err != nil {
		t.Errorf("the transaction had no effect: %v", err)
	}
	s.faults.Use(cut)
	if _, err := s.Tables.Read(t.Context(), s.name, "p", "old"); err != nil {
		t.Errorf("a read is repeated: %v", err)
	}
}

// answers opens an account whose transport gives the answers in turn, the last one for ever. An
// answer is an HTTP status or an error.
func answers(t *testing.T, options azure.Options, answers ...any) storage.Account {
	t.Helper()
	var n atomic.Int64
	options.RetryDelay = time.Millisecond
	options.Transport = transport(func(request *http.Request) (*http.Response, error) {
		if err := request.Context().Err(); err != nil {
			return nil, err
		}
		i := min(int(n.Add(1)), len(answers)) - 1
		if err, ok := answers[i].(error); ok {
			return nil, &url.Error{Op: request.Method, URL: request.URL.String(), Err: err}
		}
		status, _ := answers[i].(int)
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Request: request,
			Header: http.Header{}, Body: http.NoBody,
		}, nil
	})
	account, err := azure.FromSAS(azure.Endpoints{
		Blob:  "https://x.blob.core.windows.net/?sig=topsecret",
		Queue: "https://x.queue.core.windows.net/?sig=topsecret",
		Table: "https://x.table.core.windows.net/?sig=topsecret",
	}, &options)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset")}
	for _, tt := range []struct {
		name      string
		answers   []any
		want      error
		ambiguous bool
	}{
		{"conflict at once", []any{409}, storage.ErrExists, false},
		{"conflict after a reset", []any{reset, 409}, storage.ErrExists, true},
		{"conflict after 500", []any{500, 409}, storage.ErrExists, true},
		{"conflict after 503", []any{503, 409}, storage.ErrExists, true},
		{"conflict after no connection", []any{refused, 409}, storage.ErrExists, false},
		{"conflict after 429", []any{429, 409}, storage.ErrExists, false},
		{"condition after 500", []any{500, 412}, storage.ErrPrecondition, true},
		{"success after 503", []any{503, 204}, nil, false},
		{"never connected", []any{refused}, storage.ErrUnavailable, false},
		{"always reset", []any{reset}, storage.ErrUnavailable, true},
		{"always 500", []any{500}, storage.ErrUnavailable, true},
		{"forbidden", []any{403}, storage.ErrUnauthorized, false},
		{"unauthorized", []any{401}, storage.ErrUnauthorized, false},
		{"too large", []any{413}, storage.ErrTooLarge, false},
		{"bad request", []any{400}, storage.ErrInvalid, false},
		{"missing", []any{404}, storage.ErrNotFound, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			account := answers(t, azure.Options{}, tt.answers...)
			_, err := account.Tables.Merge(t.Context(), "table", row("r"), "etag")
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if storage.Ambiguous(err) != tt.ambiguous {
				t.Errorf("Ambiguous(%v) = %v", err, !tt.ambiguous)
			}
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Errorf("error shows the SAS: %v", err)
			}
			reading := answers(t, azure.Options{}, tt.answers...)
			if _, err := reading.Queues.Peek(t.Context(), "queue", 1); storage.Ambiguous(err) {
				t.Errorf("a read is ambiguous: %v", err)
			}
		})
	}
}

func TestOutcome_Retries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		retries int
		want    int64
	}{{"default", 0, 4}, {"two", 2, 2}, {"none", -1, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			meter := &storage.Meter{}
			account := answers(t, azure.Options{Meter: meter, MaxRetries: tt.retries}, 503)
			if err := account.Queues.Delete(t.Context(), "queue", "id", "receipt"); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("error %v", err)
			}
			if got := meter.Counts()[storage.Retry]; got != tt.want {
				t.Errorf("%d repetitions, want %d", got, tt.want)
			}
		})
	}
}

// What goes over the wire is counted, under what the request is for.
func TestMeter_Bytes(t *testing.T) {
	t.Parallel()
	meter := &storage.Meter{}
	const answer = "<?xml version=\"1.0\"?><QueueMessagesList/>"
	var sent int64
	silent := transport(func(request *http.Request) (*http.Response, error) {
		sent += max(0, request.ContentLength)
		return &http.Response{
			StatusCode: http.StatusOK, Request: request, Header: http.Header{}, ContentLength: -1,
			Body: io.NopCloser(strings.NewReader(answer)),
		}, nil
	})
	account := emulated(t, &azure.Options{Transport: silent, Meter: meter})
	ctx := storage.WithCause(t.Context(), storage.CauseReceive)
	if _, err := account.Queues.Get(ctx, "queue", 1, time.Second); err != nil {
		t.Fatal(err)
	}
	_, _ = account.Queues.Put(ctx, "queue", "hello", 0) // its answer makes no sense
	if sent == 0 {
		t.Error("the put has no body")
	}
	var total storage.Usage
	for _, e := range meter.Entries() {
		if e.Cause != storage.CauseReceive || e.Requests != 0 {
			t.Errorf("counted %+v", e)
		}
		total.Sent += e.Sent
		total.Received += e.Received
	}
	if want := (storage.Usage{Sent: sent, Received: 2 * int64(len(answer))}); total != want {
		t.Errorf("counted %+v, want %+v", total, want)
	}
}

// TestOutcome_ContextEnds lets the context end while the service is silent.
func TestOutcome_ContextEnds(t *testing.T) {
	t.Parallel()
	silent := transport(func(request *http.Request) (*http.Response, error) {
		<-request.Context().Done()
		return nil, request.Context().Err()
	})
	account := emulated(t, &azure.Options{Transport: silent})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := account.Queues.Put(ctx, "queue", "text", 0)
	if !errors.Is(err, context.DeadlineExceeded) || !storage.Ambiguous(err) {
		t.Errorf("put: %v", err)
	}
	_, err = account.Queues.Put(ctx, "queue", "text", 0)
	if !errors.Is(err, context.DeadlineExceeded) || storage.Ambiguous(err) {
		t.Errorf("put that was never sent: %v", err)
	}
	account = emulated(t, &azure.Options{Transport: silent, TryTimeout: 5 * time.Millisecond, MaxRetries: 1})
	_, err = account.Queues.Put(t.Context(), "queue", "text", 0)
	if !errors.Is(err, storage.ErrUnavailable) || !storage.Ambiguous(err) {
		t.Errorf("put without an answer in time: %v", err)
	}
}
