package storage

import (
	"context"
	"time"
)

// Kind names a kind of storage request, as counted and as shown to people.
type Kind string

// The kinds of storage requests. Admin kinds create, delete and list whole queues, tables and
// containers.
const (
	QueueAdmin  Kind = "queue.admin"
	QueuePut    Kind = "queue.put"
	QueueGet    Kind = "queue.get"
	QueuePeek   Kind = "queue.peek"
	QueueUpdate Kind = "queue.update"
	QueueDelete Kind = "queue.delete"
	QueueCount  Kind = "queue.count"

	TableAdmin    Kind = "table.admin"
	TableRead     Kind = "table.read"
	TableQuery    Kind = "table.query"
	TableInsert   Kind = "table.insert"
	TableMerge    Kind = "table.merge"
	TableReplace  Kind = "table.replace"
	TableDelete   Kind = "table.delete"
	TableTransact Kind = "table.transact"

	BlobAdmin  Kind = "blob.admin"
	BlobPut    Kind = "blob.put"
	BlobGet    Kind = "blob.get"
	BlobDelete Kind = "blob.delete"
	BlobList   Kind = "blob.list"
	BlobLease  Kind = "blob.lease"
)

// Call describes one storage request to a Hook.
type Call struct {
	Kind Kind
	// Target is the queue, table or container; Key the message id, row or blob within it.
	Target, Key string
	// Content is what the request carries, for people and tests to look at: a Posted, the []Operation
	// of a write to a table, the Filter of a query, the bytes of a blob; nil for nothing.
	Content any
	// Result is what the service answered, set once next has returned without an error: a Receipt,
	// Batch, Row, Page or the like.
	Result any
	// Empty is set after a QueueGet that brought nothing: an idle poll.
	Empty bool
}

// Posted is what a QueuePut or QueueUpdate carries.
type Posted struct {
	Text string
	// Hidden is how long the message stays invisible.
	Hidden time.Duration
}

// Hook stands around every storage request. It calls next to carry the request out (or does not,
// to fail it before it took effect) and returns next's error (or another, to lose its reply).
// A hook may be called concurrently.
type Hook func(ctx context.Context, call *Call, next func(context.Context) error) error

// WithHook returns an account whose every request passes through hook. Hooks nest: the one
// applied last sees the request first.
func WithHook(account Account, hook Hook) Account {
	return Account{
		Queues: &hookedQueues{account.Queues, hook},
		Tables: &hookedTables{account.Tables, hook},
		Blobs:  &hookedBlobs{account.Blobs, hook},
	}
}
