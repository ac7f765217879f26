package storage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
)

// everyRequest makes one request of every method and returns the calls that a hook must see.
func everyRequest(ctx context.Context, account storage.Account) ([]storage.Call, error) {
	q, t, b := account.Queues, account.Tables, account.Blobs
	lease, other := uuid.NewString(), uuid.NewString()
	row := storage.Row{PartitionKey: "p", RowKey: "r"}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	ignore := func(_ any, err error) { note(err) }

	note(q.CreateQueue(ctx, "queue"))
	ignore(q.ListQueues(ctx, "que"))
	ignore(q.Get(ctx, "queue", 1, time.Second))
	put, err := q.Put(ctx, "queue", "text", 0)
	note(err)
	ignore(q.Peek(ctx, "queue", 1))
	updated, err := q.Update(ctx, "queue", put.ID, put.PopReceipt, "text", 0)
	note(err)
	ignore(q.Count(ctx, "queue"))
	ignore(q.Get(ctx, "queue", 1, time.Second))
	note(ignored(q.Delete(ctx, "queue", put.ID, updated.PopReceipt), storage.ErrReceipt))
	note(q.DeleteQueue(ctx, "queue"))

	note(t.CreateTable(ctx, "table"))
	ignore(t.ListTables(ctx))
	ignore(t.Insert(ctx, "table", row))
	ignore(t.Read(ctx, "table", "p", "r"))
	ignore(t.Merge(ctx, "table", row, ""))
	ignore(t.Replace(ctx, "table", row, storage.AnyETag))
	ignore(t.Query(ctx, "table", storage.Query{}))
	ignore(t.Transact(ctx, "table", []storage.Operation{{Action: storage.InsertOrMerge, Row: row}}, true))
	note(t.Delete(ctx, "table", "p", "r", storage.AnyETag))
	note(t.DeleteTable(ctx, "table"))

	note(b.CreateContainer(ctx, "container"))
	ignore(b.ListContainers(ctx, "con"))
	note(b.PutBlob(ctx, "container", "blob", nil, true))
	ignore(b.GetBlob(ctx, "container", "blob", 0))
	ignore(b.ListBlobs(ctx, "container", ""))
	note(b.DeleteBlob(ctx, "container", "blob"))
	note(b.AcquireLease(ctx, "container", lease, 15*time.Second))
	note(b.RenewLease(ctx, "container", lease))
	note(b.ChangeLease(ctx, "container", lease, other))
	note(b.ReleaseLease(ctx, "container", other))
	note(b.DeleteContainer(ctx, "container"))
	b.ContainerURL("container")
	return expectedCalls(put.ID), errors.Join(errs...)
}

func ignored(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return errors.Join(errors.New("missing error"), err)
}

func expectedCalls(message string) []storage.Call {
	call := func(kind storage.Kind, target, key string) storage.Call {
		return storage.Call{Kind: kind, Target: target, Key: key}
	}
	return []storage.Call{
		call(storage.QueueAdmin, "queue", ""), call(storage.QueueAdmin, "que", ""),
		{Kind: storage.QueueGet, Target: "queue", Empty: true},
		call(storage.QueuePut, "queue", ""), call(storage.QueuePeek, "queue", ""), call(storage.QueueUpdate, "queue", message),
		call(storage.QueueCount, "queue", ""), call(storage.QueueGet, "queue", ""), call(storage.QueueDelete, "queue", message),
		call(storage.QueueAdmin, "queue", ""),

		call(storage.TableAdmin, "table", ""), call(storage.TableAdmin, "", ""), call(storage.TableInsert, "table", "p/r"),
		call(storage.TableRead, "table", "p/r"), call(storage.TableMerge, "table", "p/r"), call(storage.TableReplace, "table", "p/r"),
		call(storage.TableQuery, "table", ""), call(storage.TableTransact, "table", "p"), call(storage.TableDelete, "table", "p/r"),
		call(storage.TableAdmin, "table", ""),

		call(storage.BlobAdmin, "container", ""), call(storage.BlobAdmin, "con", ""), call(storage.BlobPut, "container", "blob"),
		call(storage.BlobGet, "container", "blob"), call(storage.BlobList, "container", ""), call(storage.BlobDelete, "container", "blob"),
		call(storage.BlobLease, "container", ""), call(storage.BlobLease, "container", ""), call(storage.BlobLease, "container", ""),
		call(storage.BlobLease, "container", ""), call(storage.BlobAdmin, "container", ""),
	}
}

func TestWithHook_SeesEveryRequest(t *testing.T) {
	t.Parallel()
	var seen []storage.Call
	account := storage.WithHook(memory.New().Account(), func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
		err := next(ctx)
		seen = append(seen, *call)
		return err
	})
	want, err := everyRequest(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, seen, cmpopts.IgnoreFields(storage.Call{}, "Content", "Result")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	contents := map[storage.Kind]any{}
	for _, call := range seen {
		if call.Content != nil {
			contents[call.Kind] = call.Content
		}
	}
	row := storage.Row{PartitionKey: "p", RowKey: "r"}
	operation := func(a storage.Action, etag storage.ETag) any {
		return []storage.Operation{{Action: a, Row: row, ETag: etag}}
	}
	wantContents := map[storage.Kind]any{
		storage.QueuePut: storage.Posted{Text: "text"}, storage.QueueUpdate: storage.Posted{Text: "text"},
		storage.TableInsert: operation(storage.Insert, ""), storage.TableMerge: operation(storage.Merge, ""),
		storage.TableReplace:  operation(storage.Replace, storage.AnyETag),
		storage.TableTransact: operation(storage.InsertOrMerge, ""),
		storage.TableDelete:   operation(storage.Delete, storage.AnyETag), storage.BlobPut: []byte(nil),
	}
	if diff := cmp.Diff(wantContents, contents); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
}

func TestMeter_CountsByKind(t *testing.T) {
	t.Parallel()
	var meter storage.Meter
	calls, err := everyRequest(t.Context(), storage.WithHook(memory.New().Account(), meter.Hook))
	if err != nil {
		t.Fatal(err)
	}
	want := storage.Counts{}
	for _, call := range calls {
		if call.Empty {
			call.Kind = storage.IdlePoll
		}
		want[call.Kind]++
	}
	counts := meter.Counts()
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if got := counts.Total(); got != int64(len(calls)) {
		t.Errorf("Total = %d, want %d", got, len(calls))
	}
	meter.Add(storage.Retry, 2)
	if diff := cmp.Diff(storage.Counts{storage.Retry: 2}, meter.Counts().Since(counts)); diff != "" {
		t.Errorf("Since (-want +got):\n%s", diff)
	}
	if counts[storage.Retry] != 0 {
		t.Error("Counts is no copy")
	}
}

func TestWithHook_LosesReplies(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	store := memory.New()
	var before bool
	account := storage.WithHook(store.Account(), func(ctx context.Context, _ *storage.Call, next func(context.Context) error) error {
		if before {
			return broken
		}
		_ = next(ctx) // its reply is lost, whatever it was
		return broken
	})
	if err := account.Queues.CreateQueue(t.Context(), "queue"); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	receipt, err := account.Queues.Put(t.Context(), "queue", "text", 0)
	if !errors.Is(err, broken) || receipt != (storage.Receipt{}) {
		t.Errorf("Put = %+v, %v", receipt, err)
	}
	before = true
	if _, err := account.Queues.Put(t.Context(), "queue", "text", 0); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if n, err := store.Account().Queues.Count(t.Context(), "queue"); n != 1 || err != nil {
		t.Errorf("Count = %d, %v; want the one message whose reply was lost", n, err)
	}
}

func TestWithHook_Nests(t *testing.T) {
	t.Parallel()
	var order []string
	tracing := func(name string) storage.Hook {
		return func(ctx context.Context, _ *storage.Call, next func(context.Context) error) error {
			order = append(order, name)
			return next(ctx)
		}
	}
	account := storage.WithHook(storage.WithHook(memory.New().Account(), tracing("first")), tracing("last"))
	if err := account.Blobs.CreateContainer(t.Context(), "container"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"last", "first"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	err := error(&storage.Error{Op: storage.TableMerge, Target: "table", Sentinel: storage.ErrPrecondition, Code: "Code", Detail: "detail", Ambiguous: true})
	if got, want := err.Error(), "table.merge table: condition not met (Code): detail"; got != want {
		t.Errorf("Error = %q, want %q", got, want)
	}
	if !errors.Is(err, storage.ErrPrecondition) || !storage.Ambiguous(errors.Join(errors.New("x"), err)) {
		t.Errorf("%v is not recognized", err)
	}
	if storage.Ambiguous(nil) || storage.Ambiguous(storage.ErrExists) {
		t.Error("Ambiguous without an Error")
	}
}
