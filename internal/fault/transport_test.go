package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/fault"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
)

// stage is an account behind faults with a queue, a table and a container of one name, a row and a
// message.
type stage struct {
	storage.Account
	clean  storage.Account
	faults *fault.Transport
	name   string
	etag   storage.ETag
	put    storage.Receipt
}

func open(t *testing.T, options *azure.Options) storage.Account {
	t.Helper()
	account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), options)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{
		clean: open(t, nil), faults: fault.New(http.DefaultClient, 0),
		name: "t" + strings.ReplaceAll(uuid.NewString(), "-", ""),
	}
	s.Account = open(t, &azure.Options{Transport: s.faults, MaxRetries: -1})
	ctx := t.Context()
	var errs [5]error
	errs[0] = s.clean.Queues.CreateQueue(ctx, s.name)
	errs[1] = s.clean.Tables.CreateTable(ctx, s.name)
	errs[2] = s.clean.Blobs.CreateContainer(ctx, s.name)
	s.etag, errs[3] = s.clean.Tables.Insert(ctx, s.name, row("0"))
	s.put, errs[4] = s.clean.Queues.Put(ctx, s.name, "text", 0)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return s
}

func row(value string) storage.Row {
	return storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{"A": value}}
}

// request is a request with an effect.
type request struct {
	kind storage.Kind
	do   func(ctx context.Context, s *stage) error
	// done reports whether it had its effect.
	done func(ctx context.Context, s *stage) (bool, error)
	// body and condition say what it has.
	body, condition bool
}

func changed(ctx context.Context, s *stage) (bool, error) {
	found, err := s.clean.Tables.Read(ctx, s.name, "p", "r")
	return found.Values["A"] == "1", err
}

func messages(want int) func(ctx context.Context, s *stage) (bool, error) {
	return func(ctx context.Context, s *stage) (bool, error) {
		n, err := s.clean.Queues.Count(ctx, s.name)
		return n == want, err
	}
}

func requests() []request {
	return []request{
		{storage.QueuePut, func(ctx context.Context, s *stage) error {
			_, err := s.Queues.Put(ctx, s.name, "another", 0)
			return err
		}, messages(2), true, false},
		{storage.QueueDelete, func(ctx context.Context, s *stage) error {
			return s.Queues.Delete(ctx, s.name, s.put.ID, s.put.PopReceipt)
		}, messages(0), false, false},
		{storage.TableMerge, func(ctx context.Context, s *stage) error {
			_, err := s.Tables.Merge(ctx, s.name, row("1"), s.etag)
			return err
		}, changed, true, true},
		{storage.TableTransact, func(ctx context.Context, s *stage) error {
			merge := storage.Operation{Action: storage.Merge, Row: row("1"), ETag: s.etag}
			_, err := s.Tables.Transact(ctx, s.name, []storage.Operation{merge}, true)
			return err
		}, changed, true, true},
		{storage.BlobPut, func(ctx context.Context, s *stage) error {
			return s.Blobs.PutBlob(ctx, s.name, "b", []byte("content"), false)
		}, func(ctx context.Context, s *stage) (bool, error) {
			_, err := s.clean.Blobs.GetBlob(ctx, s.name, "b", 0)
			if errors.Is(err, storage.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		}, true, false},
	}
}

// TestTransport checks what each fault does to each kind of request, on the service and to the
// sender.
func TestTransport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault     fault.Fault
		effect    bool
		want      error
		code      string
		ambiguous bool
	}{
		{fault.Refused, false, storage.ErrUnavailable, "", false},
		{fault.Dropped, false, storage.ErrUnavailable, "", true},
		{fault.CutRequest, false, storage.ErrUnavailable, "", true},
		{fault.Slow, true, nil, "", false},
		{fault.SlowReply, true, nil, "", false},
		{fault.LostReply, true, storage.ErrUnavailable, "", true},
		{fault.CutReply, true, storage.ErrUnavailable, "", true},
		{fault.Busy, false, storage.ErrUnavailable, "ServerBusy", true},
		{fault.Throttled, false, storage.ErrUnavailable, "TooManyRequests", false},
		{fault.TimedOut, false, storage.ErrUnavailable, "OperationTimedOut", true},
		{fault.LateTimeout, true, storage.ErrUnavailable, "OperationTimedOut", true},
		{fault.Unmet, false, storage.ErrPrecondition, "UpdateConditionNotSatisfied", false},
	} {
		for _, r := range requests() {
			t.Run(fmt.Sprintf("%s/%s", tt.fault, r.kind), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				ctx := t.Context()
				s.faults.Use(fault.Rule{Fault: tt.fault, Kinds: []storage.Kind{r.kind}, Delay: 5 * time.Millisecond})
				err := r.do(ctx, s)
				if tt.fault == fault.CutRequest && !r.body || tt.fault == fault.Unmet && !r.condition {
					if err != nil || s.faults.Count(tt.fault) != 0 {
						t.Errorf("a fault that cannot be: %v", err)
					}
					return
				}
				if n := s.faults.Counts()[fault.Strike{Fault: tt.fault, Kind: r.kind}]; n != 1 || s.faults.Count(tt.fault) != 1 {
					t.Errorf("%d faults are counted: %v", n, s.faults.Counts())
				}
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Fatalf("error %v, want %v", err, tt.want)
				}
				var failure *storage.Error
				if errors.As(err, &failure) && failure.Code != tt.code {
					t.Errorf("code %q, want %q", failure.Code, tt.code)
				}
				if storage.Ambiguous(err) != tt.ambiguous {
					t.Errorf("Ambiguous(%v) = %v", err, !tt.ambiguous)
				}
				if done, err := r.done(ctx, s); done != tt.effect || err != nil {
					t.Errorf("carried out: %v (%v), want %v", done, err, tt.effect)
				}
			})
		}
	}
}

func TestTransport_Switch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.faults.Use(fault.Rule{Fault: fault.Refused, Every: 2})
	peek := func() error {
		_, err := s.Queues.Peek(t.Context(), s.name, 1)
		return err
	}
	if err := peek(); err != nil {
		t.Error(err)
	}
	s.faults.Switch(false)
	if err := peek(); err != nil {
		t.Errorf("switched off: %v", err)
	}
	s.faults.Switch(true)
	if err := peek(); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("switched on again: %v", err)
	}
	if n := s.faults.Count(fault.Refused); n != 1 {
		t.Errorf("%d faults are counted", n)
	}
}

// TestTransport_LooksOnly checks that a request that was looked into and let through is still whole.
func TestTransport_LooksOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.faults.Use(fault.Rule{Fault: fault.Unmet, Every: 2})
	merge := storage.Operation{Action: storage.Merge, Row: row("1"), ETag: s.etag}
	if _, err := s.Tables.Transact(t.Context(), s.name, []storage.Operation{merge}, true); err != nil {
		t.Fatal(err)
	}
	if done, err := changed(t.Context(), s); !done || err != nil {
		t.Errorf("carried out: %v (%v)", done, err)
	}
}

// sender answers every request with success and notes when it came.
type sender struct{ at []time.Time }

// Do implements fault.Sender.
func (s *sender) Do(request *http.Request) (*http.Response, error) {
	s.at = append(s.at, time.Now())
	return &http.Response{StatusCode: http.StatusNoContent, Request: request, Header: http.Header{}, Body: http.NoBody}, nil
}

// TestRetryAfter checks in virtual time that the sender waits as long as it was asked to, and gives
// up where that is longer than it is willing to.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault fault.Fault
		delay time.Duration
		want  time.Duration // until success; 0 for none
	}{
		{"busy", fault.Busy, 3 * time.Second, 6 * time.Second},
		{"throttled", fault.Throttled, 2 * time.Second, 4 * time.Second},
		{"busy, whole seconds", fault.Busy, 1200 * time.Millisecond, 4 * time.Second},
		{"busy for long", fault.Busy, 6 * time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := &sender{}
				faults := fault.New(next, 0, fault.Rule{Fault: tt.fault, Delay: tt.delay, First: 2})
				account, err := azure.FromConnectionString("UseDevelopmentStorage=true", &azure.Options{Transport: faults})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				err = account.Queues.Delete(t.Context(), "queue", "id", "receipt")
				if tt.want == 0 {
					if !errors.Is(err, storage.ErrUnavailable) || len(next.at) > 0 || !time.Now().Equal(begin) {
						t.Errorf("%v after %v, %d requests", err, time.Since(begin), len(next.at))
					}
					return
				}
				if err != nil || len(next.at) != 1 || next.at[0].Sub(begin) != tt.want {
					t.Errorf("%v, requests at %v, begun at %v", err, next.at, begin)
				}
			})
		})
	}
}

func TestSlowReply_BeyondPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &sender{}
		faults := fault.New(next, 0, fault.Rule{Fault: fault.SlowReply, Delay: time.Minute, First: 1})
		account, err := azure.FromConnectionString("UseDevelopmentStorage=true", &azure.Options{Transport: faults})
		if err != nil {
			t.Fatal(err)
		}
		if err := account.Queues.Delete(t.Context(), "queue", "id", "receipt"); err != nil || len(next.at) != 2 {
			t.Errorf("%v, requests at %v", err, next.at)
		}
	})
}
