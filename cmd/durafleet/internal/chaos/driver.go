package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// driver is the client: it starts instances, steers them, waits for them and checks them. It meets
// the same faults of the network as the workers, and repeats what failed for that reason.
type driver struct {
	client *taskhub.Client
	ledger *ledger
	wrongs *wrongs
	// purge makes it purge instances as soon as they are checked, except those that trail, for runs with
	// too many to keep.
	purge bool

	group run.Group
	// places bounds how many instances are under way.
	places chan struct{}

	mu      sync.Mutex
	started int
	ended   int
	checked int
	events  int
	kept    map[string]*job // those that are not purged
}

func newDriver(client *taskhub.Client, ledger *ledger, wrongs *wrongs, purge bool) *driver {
	return &driver{
		client: client, ledger: ledger, wrongs: wrongs, purge: purge,
		places: make(chan struct{}, maxUnderWay), kept: map[string]*job{},
	}
}

func (d *driver) wrong(format string, arguments ...any) { d.wrongs.add(format, arguments...) }

// maxUnderWay is how many instances are under way at most. Where machine or storage are slower than
// the stream, it waits, instead of measuring ever longer queues.
const maxUnderWay = 200

// stream starts the jobs from to from+n−1 evenly over a time, or over a longer one if too many are
// under way. It returns when the last one is under way, or ctx has ended.
func (d *driver) stream(ctx context.Context, from, n int, over time.Duration) {
	begun := time.Now()
	for i := range n {
		due := begun.Add(over * time.Duration(i) / time.Duration(n))
		if !run.Sleep(ctx, time.Until(due)) {
			return
		}
		select {
		case d.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		j := newJob(from + i)
		d.group.Go(ctx, "chaos: "+j.id, func(ctx context.Context) {
			d.drive(ctx, j)
			<-d.places
		})
	}
}

// drive takes a job from its start to its end.
func (d *driver) drive(ctx context.Context, j *job) {
	status, err := d.follow(ctx, j)
	if j.steady && status != nil {
		d.ledger.recovery.end(j.id, endOf(status))
	}
	switch {
	case errors.Is(err, errPatience):
		d.wrong("%s has not ended: %s", j.id, d.lastSeen(ctx, j.id))
		return
	case ctx.Err() != nil:
		return // interrupted: nothing is judged
	case err != nil:
		d.wrong("%s: %v", j.id, err)
		return
	}
	problem := j.check(status)
	if problem != "" {
		d.wrong("%s", problem)
	}
	keep := !d.purge || j.trails
	d.mu.Lock()
	d.checked++
	d.events += len(j.raised)
	if keep {
		d.kept[j.id] = j
	}
	d.mu.Unlock()
	if keep {
		return
	}
	if err := d.purgeFamily(ctx, j); err != nil && ctx.Err() == nil {
		d.wrong("%v", err)
	}
}

// purgeFamily purges a job and what it has started. The status of a child is written last, so that
// its parent may end before it.
func (d *driver) purgeFamily(ctx context.Context, j *job) error {
	for _, child := range j.children {
		err := d.insist(ctx, func(ctx context.Context) error {
			status, err := d.client.Wait(ctx, child)
			if err == nil && status.Status != history.Completed {
				d.wrong("%s ended %s (%s)", child, status.Status, status.Failure)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := d.insist(ctx, func(ctx context.Context) error { return d.purgeOne(ctx, child) }); err != nil {
			return err
		}
	}
	return d.insist(ctx, func(ctx context.Context) error { return d.purgeOne(ctx, j.id) })
}

func (d *driver) purgeOne(ctx context.Context, id string) error {
	err := d.client.Purge(ctx, id)
	if errors.Is(err, taskhub.ErrNotFound) {
		return nil // an earlier try got through
	}
	return err
}

func endOf(status *taskhub.Status) time.Time {
	if status.Completed != nil {
		return *status.Completed
	}
	return status.LastUpdated
}

// follow starts and steers a job and waits for its end.
func (d *driver) follow(ctx context.Context, j *job) (*taskhub.Status, error) {
	start := func(ctx context.Context) error {
		// Under its own id, so that a start that is repeated starts nothing twice.
		_, err := d.client.StartByName(ctx, j.name, j.input, taskhub.InstanceID(j.id), taskhub.UseExisting)
		return err
	}
	if err := d.insist(ctx, start); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.started++
	d.mu.Unlock()
	if j.steady {
		d.ledger.recovery.begin(j.id)
	}
	if j.steer != nil {
		if err := j.steer(ctx, d, j); err != nil {
			return nil, err
		}
	}
	var status *taskhub.Status
	err := d.insist(ctx, func(ctx context.Context) (err error) {
		status, err = d.client.Wait(ctx, j.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.ended++
	d.mu.Unlock()
	return status, nil
}

// lastSeen says how an instance stands that was waited for in vain.
func (d *driver) lastSeen(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	status, err := d.client.Get(ctx, id)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("it is %s since %s", status.Status, status.LastUpdated.Format(time.TimeOnly))
}

const (
	// insistPause is the time between two tries of something that failed because of the network.
	insistPause = 500 * time.Millisecond
	lookTimeout = 15 * time.Second
)

// insist repeats f for as long as it fails in a way that passes.
func (d *driver) insist(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return errors.Join(err, context.Cause(ctx))
		}
		if !errors.Is(err, taskhub.ErrUnavailable) && !errors.Is(err, taskhub.ErrUnclear) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		run.Sleep(ctx, insistPause)
	}
}

// until looks again and again, in spite of the network, until a condition holds.
func (d *driver) until(ctx context.Context, holds func(context.Context) (bool, error)) error {
	for {
		done := false
		err := d.insist(ctx, func(ctx context.Context) (err error) { done, err = holds(ctx); return err })
		if err != nil || done {
			return err
		}
		run.Sleep(ctx, insistPause)
	}
}

// count returns how many jobs were started and have ended.
func (d *driver) count() (started, ended int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.started, d.ended
}

// results returns how many results were checked, and how many events were looked for in them.
func (d *driver) results() (checked, events int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.checked, d.events
}

// wrongs collects what is wrong. It may be used concurrently.
type wrongs struct {
	// say prints each one at once.
	say func(format string, arguments ...any)

	mu    sync.Mutex
	texts []string
}

// maxWrongs bounds how many are kept; more of them say nothing more.
const maxWrongs = 100

func (w *wrongs) add(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	w.say("WRONG: %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.texts) < maxWrongs {
		w.texts = append(w.texts, text)
	}
}

// list returns what was added.
func (w *wrongs) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.texts...)
}
