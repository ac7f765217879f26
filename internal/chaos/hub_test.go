//go:build unix

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// fleet is a task hub on Azurite with worker processes.
type fleet struct {
	testing.TB
	ctx        context.Context //nolint:containedctx // the lifetime of a test
	connection string
	account    storage.Account
	hub        *taskhub.Hub
	client     *taskhub.Client
	quick      bool
	launched   int
}

var hubs atomic.Int64

func newFleet(t *testing.T, quick bool) *fleet {
	t.Helper()
	if testing.Short() {
		t.Skip("needs processes and real time; -short is set")
	}
	// An Azurite for each fleet: once a minute it sweeps the texts of all messages it ever had, and
	// answers nobody for seconds if there were many.
	connection := azurite.StartPrivate(t, nil).ConnectionString()
	account, err := azure.FromConnectionString(connection, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{TB: t, ctx: t.Context(), connection: connection, account: account, quick: quick}
	name := fmt.Sprintf("Chaos%d", hubs.Add(1))
	if f.hub, err = taskhub.Create(f.ctx, taskhub.Ports(account), name, nil); err != nil {
		t.Fatal(err)
	}
	f.client = taskhub.NewClient(f.hub)
	return f
}

// launch starts one more worker process.
func (f *fleet) launch() *process {
	f.Helper()
	return f.launchAs(spec{Quick: f.quick})
}

// launchAs starts one more worker process of a kind.
func (f *fleet) launchAs(s spec) *process {
	f.Helper()
	f.launched++
	s.Connection, s.Hub, s.ID = f.connection, f.hub.Name(), fmt.Sprintf("process-%d", f.launched)
	return launch(f.TB, s)
}

// start starts the instance of a job and raises its events.
func (f *fleet) start(j job) {
	f.Helper()
	if _, err := f.client.StartByName(f.ctx, j.name, j.input, taskhub.InstanceID(j.id)); err != nil {
		f.Fatal(err)
	}
	for i := range j.events {
		if err := taskhub.RaiseEvent(f.ctx, f.client, j.id, item, i, taskhub.Unchecked{}); err != nil {
			f.Fatal(err)
		}
	}
}

// startAll starts the instances of jobs from to from+n−1 and returns the jobs.
func (f *fleet) startAll(from, n int) []job {
	f.Helper()
	jobs := make([]job, n)
	for i := range jobs {
		jobs[i] = jobOf(from + i)
		f.start(jobs[i])
	}
	return jobs
}

// eventually waits until condition holds.
func (f *fleet) eventually(limit time.Duration, what string, condition func() bool) {
	f.Helper()
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			f.Fatalf("not within %v: %s; queues: %v", limit, what, f.queues())
		}
		run.Sleep(f.ctx, 50*time.Millisecond)
	}
}

// allEnd waits until the instances of all jobs have ended and checks what they returned.
func (f *fleet) allEnd(jobs []job, limit time.Duration) {
	f.Helper()
	left := slices.Clone(jobs)
	deadline := time.Now().Add(limit)
	for len(left) > 0 {
		ended := func(j job) bool {
			status, err := f.client.Get(f.ctx, j.id)
			if err != nil || !status.Status.Terminal() {
				return false
			}
			if status.Status != history.Completed || string(status.Output) != j.want {
				f.Errorf("%s (%s) ended %s with %s %s, want %s", j.id, j.name, status.Status, status.Output, status.Failure, j.want)
			}
			return true
		}
		left = slices.DeleteFunc(left, ended)
		if time.Now().After(deadline) {
			f.Fatalf("%d instances have not ended within %v, %s (%s) among them; queues: %v",
				len(left), limit, left[0].id, left[0].name, f.queues())
		}
		run.Sleep(f.ctx, 100*time.Millisecond)
	}
}

// level is how many messages a queue holds, and how many of them are visible, up to 32.
type level struct {
	queue        string
	all, visible int
}

func (f *fleet) queues() []level {
	f.Helper()
	names := f.hub.Store().Names
	queues := []string{names.WorkItemQueue()}
	for i := range f.hub.Partitions() {
		queues = append(queues, names.ControlQueue(i))
	}
	levels := make([]level, len(queues))
	for i, queue := range queues {
		count, err := f.account.Queues.Count(f.ctx, queue)
		peeked, peekErr := f.account.Queues.Peek(f.ctx, queue, storage.MaxMessagesPerGet)
		if err := errors.Join(err, peekErr); err != nil {
			f.Fatal(err)
		}
		levels[i] = level{queue, count, len(peeked)}
	}
	return levels
}

// drained waits until no message is left in the hub.
func (f *fleet) drained(limit time.Duration) {
	f.Helper()
	f.eventually(limit, "no message is left", func() bool {
		return !slices.ContainsFunc(f.queues(), func(l level) bool { return l.all > 0 })
	})
}

// owners returns how many partitions each worker owns.
func (f *fleet) owners() map[string]int {
	f.Helper()
	rows, _, err := storage.All(f.ctx, f.account.Tables, f.hub.Store().Names.PartitionsTable(), storage.Query{})
	if err != nil {
		f.Fatal(err)
	}
	owners := map[string]int{}
	for _, row := range rows {
		partition, err := wire.DecodePartition(row.RowKey, row.Values)
		if err != nil {
			f.Fatal(err)
		}
		owners[partition.CurrentOwner]++
	}
	return owners
}

// checkHistories checks every history of the hub: its rows are numbered without gaps, no request
// was answered twice, and the code replays it to its end.
func (f *fleet) checkHistories() {
	f.Helper()
	ids := f.instances()
	for _, id := range ids {
		// LoadHistory refuses rows that are not contiguous.
		loaded, err := f.hub.Store().LoadHistory(f.ctx, id)
		if err != nil {
			f.Error(err)
			continue
		}
		f.checkHistory(id, loaded.State)
		if !loaded.Complete {
			f.Errorf("%s: the last checkpoint is not complete", id)
		}
	}
	f.Logf("%d histories checked", len(ids))
}

// instances returns the ids of all instances, children included.
func (f *fleet) instances() []string {
	f.Helper()
	rows, _, err := storage.All(f.ctx, f.account.Tables, f.hub.Store().Names.InstancesTable(), storage.Query{})
	if err != nil {
		f.Fatal(err)
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = wire.UnescapeKey(row.PartitionKey)
	}
	return ids
}

func (f *fleet) checkHistory(id string, state *history.State) {
	f.Helper()
	if state.Completed() == nil || !state.AtRest() {
		f.Errorf("%s: completed %v, at rest %v", id, state.Completed(), state.AtRest())
	}
	type request struct {
		kind history.Kind
		id   int32
	}
	answers := map[request]int{}
	for _, e := range state.Events() {
		if history.IsAnswer(e) {
			r := request{e.Kind(), history.AnswerTo(e)}
			if answers[r]++; answers[r] > 1 {
				f.Errorf("%s: %s %d is in the history %d times", id, r.kind, r.id, answers[r])
			}
		}
	}
	name := state.Started().Name
	i := slices.IndexFunc(orchestrations(), func(b orchestration.Binding) bool { return b.Name == name })
	exec := orchestration.NewExecution(orchestrations()[i], orchestration.Options{})
	defer exec.Close()
	if err := exec.Replay(state.Events()); err != nil || exec.Pending() {
		f.Errorf("%s (%s): replay: %v, pending %v", id, name, err, exec.Pending())
	}
}
