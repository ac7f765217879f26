package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

const (
	// drainLimit bounds how long messages without a purpose may circulate once all instances have
	// ended. An answer that nobody seems to wait for may have come too early: it is put back until it
	// is 6 minutes old, with delays that double, so that its last delivery is in the ninth minute.
	drainLimit = 10 * time.Minute
	drainPause = 500 * time.Millisecond
	drainShown = 30 * time.Second
	// checkers is how many instances are checked or purged at once.
	checkers = 8
)

// inspector looks at what is stored when everything has ended.
type inspector struct {
	driver *driver
	hub    *taskhub.Hub
	wrongs *wrongs
	say    func(format string, arguments ...any)
}

// Leftovers is what is stored.
type Leftovers struct {
	Messages  int `json:"messages"`
	Blobs     int `json:"payloadBlobs"`
	Instances int `json:"instanceRows"`
	History   int `json:"historyRows"`
	Poison    int `json:"poisonMessages"`
}

// none reports whether nothing is left.
func (l Leftovers) none() bool { return l == Leftovers{} }

// inspect waits until the queues are empty, looks at all instances, purges them and returns what is
// left of them.
func (i *inspector) inspect(ctx context.Context) (instances int, left Leftovers, err error) {
	if err := i.awaitDrained(ctx); err != nil {
		return 0, left, err
	}
	all, err := i.instances(ctx)
	if err != nil {
		return 0, left, err
	}
	i.say("checking and purging %d instances", len(all))
	failures := make([]error, len(all))
	run.Each(ctx, "chaos: check", len(all), checkers, func(ctx context.Context, n int) {
		if failures[n] = i.checkOne(ctx, all[n]); failures[n] == nil {
			failures[n] = i.driver.insist(ctx, func(ctx context.Context) error { return i.driver.purgeOne(ctx, all[n]) })
		}
	})
	if err := errors.Join(failures...); err != nil {
		return 0, left, err
	}
	left, err = i.leftovers(ctx)
	if err == nil && !left.none() {
		i.wrongs.add("after the purge of everything, %d messages, %d payload blobs, %d instance rows, %d history rows and %d poison messages are left",
			left.Messages, left.Blobs, left.Instances, left.History, left.Poison)
	}
	return len(all), left, err
}

// awaitDrained waits until no message is left.
func (i *inspector) awaitDrained(ctx context.Context) error {
	i.say("waiting until the queues are empty")
	begun := time.Now()
	for said := begun; ; {
		messages, err := i.messages(ctx)
		if err != nil {
			return err
		}
		if messages == 0 {
			return nil
		}
		if time.Since(said) > drainShown {
			said = time.Now()
			i.say("%d messages are left, which nobody seems to wait for", messages)
		}
		if time.Since(begun) > drainLimit {
			i.wrongs.add("%d messages are left in the queues %v after all instances have ended", messages, drainLimit)
			return nil
		}
		if !run.Sleep(ctx, drainPause) {
			return context.Cause(ctx)
		}
	}
}

// messages counts the messages of the hub, hidden ones among them.
func (i *inspector) messages(ctx context.Context) (int, error) {
	hub := i.hub.Store()
	queues := []string{hub.Names.WorkItemQueue()}
	for n := range i.hub.Partitions() {
		queues = append(queues, hub.Names.ControlQueue(n))
	}
	sum := 0
	for _, queue := range queues {
		err := i.driver.insist(ctx, func(ctx context.Context) error {
			n, err := hub.Account.Queues.Count(ctx, queue)
			sum += n
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("count messages: %w", err)
		}
	}
	return sum, nil
}

// instances returns the ids of all instances, children among them.
func (i *inspector) instances(ctx context.Context) ([]string, error) {
	var ids []string
	err := i.driver.insist(ctx, func(ctx context.Context) error {
		ids = nil
		for status, err := range i.driver.client.All(ctx, taskhub.Query{PageSize: storage.MaxPage}) {
			if err != nil {
				return err
			}
			ids = append(ids, status.InstanceID)
		}
		return nil
	})
	return ids, err
}

// checkOne looks at an instance for the last time: it is as its client saw it, and its history is
// whole.
func (i *inspector) checkOne(ctx context.Context, id string) error {
	var status *taskhub.Status
	err := i.driver.insist(ctx, func(ctx context.Context) (err error) { status, err = i.driver.client.Get(ctx, id); return err })
	if err != nil {
		return err
	}
	i.driver.mu.Lock()
	j := i.driver.kept[id]
	i.driver.mu.Unlock()
	switch {
	case !status.Status.Terminal():
		i.wrongs.add("%s has not ended: it is %s", id, status.Status)
		return nil
	case j == nil && status.Status != history.Completed: // a child
		i.wrongs.add("%s ended %s (%s)", id, status.Status, status.Failure)
	case j != nil:
		if problem := j.check(status); problem != "" {
			i.wrongs.add("at the end, %s", problem)
		}
	}
	return i.checkHistory(ctx, id)
}

// checkHistory checks that the rows of a history are numbered without gaps, that its last write is
// complete, and that no request was answered twice.
func (i *inspector) checkHistory(ctx context.Context, id string) error {
	return i.driver.insist(ctx, func(ctx context.Context) error {
		loaded, err := i.hub.Store().LoadHistory(ctx, id)
		if err != nil {
			return err
		}
		if !loaded.Complete {
			i.wrongs.add("%s: the last write of its history is not complete", id)
		}
		type request struct {
			kind history.Kind
			id   int32
		}
		answered := map[request]bool{}
		for _, e := range loaded.State.Events() {
			if !history.IsAnswer(e) {
				continue
			}
			r := request{e.Kind(), history.AnswerTo(e)}
			if answered[r] {
				i.wrongs.add("%s: %s %d is in its history twice", id, r.kind, r.id)
			}
			answered[r] = true
		}
		return nil
	})
}

// leftovers counts what is stored.
func (i *inspector) leftovers(ctx context.Context) (left Leftovers, err error) {
	if left.Messages, err = i.messages(ctx); err != nil {
		return left, err
	}
	hub := i.hub.Store()
	err = i.driver.insist(ctx, func(ctx context.Context) error {
		blobs, err := hub.Account.Blobs.ListBlobs(ctx, hub.Names.LargeMessages(), "")
		if errors.Is(err, storage.ErrNotFound) {
			err = nil // nobody has needed the container
		}
		left.Blobs = len(blobs)
		return err
	})
	if err != nil {
		return left, fmt.Errorf("count payload blobs: %w", err)
	}
	err = i.driver.insist(ctx, func(ctx context.Context) error {
		poison, err := hub.PoisonIDs(ctx)
		left.Poison = len(poison)
		return err
	})
	if err != nil {
		return left, fmt.Errorf("count poison messages: %w", err)
	}
	for _, table := range []struct {
		name string
		rows *int
	}{{hub.Names.InstancesTable(), &left.Instances}, {hub.Names.HistoryTable(), &left.History}} {
		err := i.driver.insist(ctx, func(ctx context.Context) error {
			rows, _, err := storage.All(ctx, hub.Account.Tables, table.name, storage.Query{Columns: []string{"PartitionKey", "RowKey"}})
			*table.rows = len(rows)
			return err
		})
		if err != nil {
			return left, fmt.Errorf("count rows: %w", err)
		}
	}
	return left, nil
}
