package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// floor carries out mixes.
type floor struct {
	account          storage.Account
	queue, container string
	instances, table string
	message          string
	rows             []wire.Columns
	blob             []byte
}

// newFloor prepares queue and tables, and the texts, which are of the size of an engine's.
func newFloor(ctx context.Context, account storage.Account, hubName string) (*floor, error) {
	f := &floor{
		account: account, queue: strings.ToLower(hubName) + "-floor", container: strings.ToLower(hubName) + "-floor",
		instances: hubName + "FloorInstances", table: hubName + "FloorHistory",
	}
	for _, err := range []error{
		account.Queues.CreateQueue(ctx, f.queue),
		account.Tables.CreateTable(ctx, f.instances),
		account.Tables.CreateTable(ctx, f.table),
		account.Blobs.CreateContainer(ctx, f.container),
	} {
		if err != nil {
			return nil, fmt.Errorf("prepare the floor: %w", err)
		}
	}
	self := history.Instance{InstanceID: compactID(), ExecutionID: compactID()}
	text, err := wire.EncodeMessage(&wire.Message{
		ActivityID: uuid.NewString(), Target: self, Sender: &history.Instance{},
		Event: &history.ExecutionStarted{
			Header: head(history.NoEventID), Instance: self, Name: greetings.Name(), Input: history.Text("5"), Generation: new(int32),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the floor: %w", err)
	}
	f.message, f.blob = text, []byte(textOf(packed))
	for _, event := range []history.Event{
		&history.TaskScheduled{Header: head(0), Name: greet.Name()},
		&history.OrchestratorCompleted{Header: head(history.NoEventID)},
		&history.OrchestratorStarted{Header: head(history.NoEventID)},
		&history.TaskCompleted{Header: head(history.NoEventID), Result: history.Text(`"Hello Tokyo!"`)},
	} {
		columns, err := wire.EncodeEvent(event, self.ExecutionID)
		if err != nil {
			return nil, fmt.Errorf("prepare the floor: %w", err)
		}
		f.rows = append(f.rows, columns)
	}
	return f, nil
}

func head(id int32) history.Header { return history.Header{EventID: id, Timestamp: time.Now()} }

func compactID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// close removes what newFloor has made, from an account that is to be used again.
func (f *floor) close(ctx context.Context) error {
	for _, err := range []error{
		f.account.Queues.DeleteQueue(ctx, f.queue),
		f.account.Tables.DeleteTable(ctx, f.instances),
		f.account.Tables.DeleteTable(ctx, f.table),
		f.account.Blobs.DeleteContainer(ctx, f.container),
	} {
		if err != nil {
			return fmt.Errorf("remove the floor: %w", err)
		}
	}
	return nil
}

// run carries a mix out, so many chains at once, and returns how long it took.
func (f *floor) run(ctx context.Context, m mix, parallel int) (time.Duration, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	begun := time.Now()
	run.Each(ctx, "bench: floor", m.chains, parallel, func(ctx context.Context, _ int) {
		c := &chain{floor: f, key: compactID()}
		for _, s := range m.steps {
			if ctx.Err() != nil {
				return
			}
			if err := c.do(ctx, s); err != nil {
				fail(fmt.Errorf("floor: %s: %w", s.kind, err))
				return
			}
		}
	})
	return time.Since(begun), context.Cause(ctx)
}

// chain is one run through the steps of a mix.
type chain struct {
	floor *floor
	// key is the history's.
	key string
	// row is the latest status row and version its version.
	row     storage.Row
	version storage.ETag
	// rows is how many rows the history has, sentinel the version of its sentinel.
	rows     int
	sentinel storage.ETag
	taken    []storage.Message
}

// do carries one step out. Every chain puts the messages that it takes, but may take another's.
func (c *chain) do(ctx context.Context, s step) (err error) {
	account := c.floor.account
	switch s.kind {
	case storage.QueuePut:
		_, err = account.Queues.Put(ctx, c.floor.queue, c.floor.message, 0)
	case storage.QueueGet:
		for wanted := s.n; wanted > 0 && err == nil && ctx.Err() == nil; {
			var batch storage.Batch
			batch, err = account.Queues.Get(ctx, c.floor.queue, wanted, time.Minute)
			c.taken = append(c.taken, batch.Messages...)
			wanted -= len(batch.Messages)
		}
	case storage.QueueDelete:
		message := c.taken[len(c.taken)-1]
		c.taken = c.taken[:len(c.taken)-1]
		err = account.Queues.Delete(ctx, c.floor.queue, message.ID, message.PopReceipt)
	case storage.TableInsert:
		c.row = storage.Row{PartitionKey: compactID(), Values: wire.EncodeNewInstance(c.newInstance())}
		c.version, err = account.Tables.Insert(ctx, c.floor.instances, c.row)
	case storage.TableRead:
		_, err = account.Tables.Read(ctx, c.floor.instances, c.row.PartitionKey, "", wire.InstanceColumns(false)...)
	case storage.TableMerge:
		now := time.Now()
		update := wire.InstanceUpdate{
			ExecutionID: c.key, LastUpdated: now, TaskHubName: "Bench", Status: history.Completed, Completed: &now,
			Output: history.Text(`["Hello Tokyo!","Hello Seattle!","Hello London!","Hello Amsterdam!","Hello Mumbai!"]`),
		}
		row := storage.Row{PartitionKey: c.row.PartitionKey, Values: update.Encode()}
		c.version, err = account.Tables.Merge(ctx, c.floor.instances, row, c.version)
	case storage.TableTransact:
		err = c.transact(ctx, s.n)
	case storage.BlobPut:
		err = account.Blobs.PutBlob(ctx, c.floor.container, compactID(), c.floor.blob[:s.n], true)
	default:
		err = fmt.Errorf("no mix has the step %s", s.kind)
	}
	return err
}

func (c *chain) newInstance() wire.Instance {
	now := time.Now()
	return wire.Instance{
		InstanceID: c.key, ExecutionID: c.key, Name: greetings.Name(), Input: history.Text("5"),
		Created: now, LastUpdated: now, HasGeneration: true, TaskHubName: "Bench",
	}
}

// transact writes history rows and moves the sentinel on.
func (c *chain) transact(ctx context.Context, n int) error {
	operations := make([]storage.Operation, 0, n+1)
	for range n {
		row := storage.Row{PartitionKey: c.key, RowKey: wire.RowKey(c.rows), Values: c.floor.rows[c.rows%len(c.floor.rows)]}
		operations = append(operations, storage.Operation{Action: storage.InsertOrReplace, Row: row})
		c.rows++
	}
	sentinel := storage.Operation{Action: storage.Insert, Row: storage.Row{
		PartitionKey: c.key, RowKey: wire.SentinelKey,
		Values: wire.EncodeSentinel(wire.Sentinel{ExecutionID: c.key, Complete: true, CompletedAt: time.Now()}),
	}}
	if c.sentinel != "" {
		sentinel.Action, sentinel.ETag = storage.Merge, c.sentinel
	}
	etags, err := c.floor.account.Tables.Transact(ctx, c.floor.table, append(operations, sentinel), true)
	if err == nil {
		c.sentinel = etags[n]
	}
	return err
}
