package memory_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
)

// TestConcurrentWriters lets writers count in one row by compare-and-swap and share one queue.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	const writers, rounds = 8, 50
	account, ctx := memory.New().Account(), t.Context()
	row := storage.Row{PartitionKey: "p", RowKey: "r", Values: map[string]any{"N": int64(0)}}
	if err := errors.Join(account.Tables.CreateTable(ctx, "table"), account.Queues.CreateQueue(ctx, "queue")); err != nil {
		t.Fatal(err)
	}
	if _, err := account.Tables.Insert(ctx, "table", row); err != nil {
		t.Fatal(err)
	}
	increment := func() error {
		for {
			old, err := account.Tables.Read(ctx, "table", "p", "r")
			if err != nil {
				return err
			}
			old.Values["N"] = old.Values["N"].(int64) + 1
			_, err = account.Tables.Merge(ctx, "table", old, old.ETag)
			if !errors.Is(err, storage.ErrPrecondition) {
				return err
			}
		}
	}
	pass := func() error {
		_, err := account.Queues.Put(ctx, "queue", "text", 0)
		if err != nil {
			return err
		}
		batch, err := account.Queues.Get(ctx, "queue", 1, time.Hour)
		if err != nil || len(batch.Messages) != 1 {
			return fmt.Errorf("got %d messages: %w", len(batch.Messages), err)
		}
		return account.Queues.Delete(ctx, "queue", batch.Messages[0].ID, batch.Messages[0].PopReceipt)
	}
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range rounds {
				if err := errors.Join(increment(), pass()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	got, err := account.Tables.Read(ctx, "table", "p", "r")
	if err != nil || got.Values["N"] != int64(writers*rounds) {
		t.Errorf("counted %v, want %d: %v", got.Values["N"], writers*rounds, err)
	}
	if n, err := account.Queues.Count(ctx, "queue"); n != 0 || err != nil {
		t.Errorf("%d messages left: %v", n, err)
	}
}
