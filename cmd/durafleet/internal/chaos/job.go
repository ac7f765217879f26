package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// job is an instance to start, what the client does with it, and how it has to end.
type job struct {
	id    string
	name  string
	input any
	// steady says that it needs nobody but the fleet to go on.
	steady bool
	// steer does what the client has to do while it runs. nil: nothing.
	steer func(ctx context.Context, d *driver, j *job) error
	// want is the JSON that it returns, where it does not depend on what happened to its events.
	want string
	// ends is its status at the end, reason why it was terminated.
	ends   history.Status
	reason string
	// raised is what became of its events.
	raised []raising
	// children are the ids of the instances that it starts.
	children []string
	// trails says that something may still run for it when it has ended. It must not be purged before
	// that has ended, too: an answer for an unknown instance waits for minutes, as it may be early.
	trails bool
}

// raising is what became of one event.
type raising struct {
	accepted bool
	unclear  int // how many tries may have raised it although they returned an error
}

// bulk is the size of a large text, which fits into no message.
const bulk = 100 << 10

// kinds is how many kinds of jobs there are.
const kinds = 10

// newJob makes the i-th job; the kinds take turns.
func newJob(i int) *job {
	n := 4 + i/kinds%5
	j := &job{ends: history.Completed, input: n, want: strconv.Itoa(squares(n)), steady: true}
	kind := ""
	switch i % kinds {
	case 0:
		kind, j.name = "chain", chain.Name()
	case 1:
		kind, j.name, j.input, j.want = "fanout", fanOut.Name(), 2*n, strconv.Itoa(squares(2*n))
	case 2:
		kind, j.name = "timers", naps.Name()
	case 3:
		kind, j.name, j.steer, j.steady = "events", collect.Name(), raiseAll, false
		j.raised = make([]raising, n)
	case 4:
		kind, j.name, j.want = "children", family.Name(), strconv.Itoa(n*squares(2))
	case 5:
		kind, j.name, j.input = "generations", generations.Name(), life{End: n}
	case 6:
		n = 2 + i/kinds%3
		j.input = n
		kind, j.name, j.want = "retries", stubborn.Name(), strconv.Itoa(n+1)
	case 7:
		text := strings.Repeat("durable "+strconv.Itoa(i)+" ", bulk/10)
		kind, j.name, j.input, j.want = "large", bulky.Name(), text, strconv.Quote(strings.ToUpper(text))
	case 8:
		kind, j.name, j.steer, j.steady = "suspended", gate.Name(), suspendAndResume, false
	case 9:
		kind, j.name, j.steer, j.steady = "terminated", endless.Name(), terminate, false
		j.trails, j.ends, j.reason = true, history.Terminated, fmt.Sprintf("chaos has no use for %d", i)
	}
	j.id = fmt.Sprintf("%s-%05d", kind, i)
	if j.name == family.Name() {
		for child := range n {
			j.children = append(j.children, childID(j.id, child))
		}
	}
	return j
}

// squares is the sum of the squares of 1 to n.
func squares(n int) int { return n * (n + 1) * (2*n + 1) / 6 }

// raiseAll raises the events of a job, one after the other.
func raiseAll(ctx context.Context, d *driver, j *job) error {
	for i := range j.raised {
		raised := &j.raised[i]
		err := d.insist(ctx, func(ctx context.Context) error {
			err := taskhub.RaiseEvent(ctx, d.client, j.id, item, i)
			if errors.Is(err, taskhub.ErrUnclear) {
				raised.unclear++
			}
			if errors.Is(err, taskhub.ErrNotLive) && raised.unclear > 0 {
				return nil // it arrived at an earlier try, and was the last one
			}
			raised.accepted = raised.accepted || err == nil
			return err
		})
		if err != nil {
			return err
		}
		run.Sleep(ctx, time.Duration(i)*100*time.Millisecond)
	}
	return nil
}

// suspendAndResume suspends a job before it can go on, lets its event come, and resumes it.
func suspendAndResume(ctx context.Context, d *driver, j *job) error {
	suspended := func(ctx context.Context) (bool, error) {
		status, err := d.client.Get(ctx, j.id)
		return err == nil && status.Status == history.Suspended, err
	}
	if err := d.insist(ctx, func(ctx context.Context) error { return d.client.Suspend(ctx, j.id, "chaos") }); err != nil {
		return err
	}
	if err := d.until(ctx, suspended); err != nil {
		return err
	}
	// An event that comes twice waits in vain to be taken: that does no harm.
	open := func(ctx context.Context) error { return taskhub.RaiseEvent(ctx, d.client, j.id, open, 1) }
	if err := d.insist(ctx, open); err != nil {
		return err
	}
	still := false
	err := d.insist(ctx, func(ctx context.Context) (err error) { still, err = suspended(ctx); return err })
	if err != nil {
		return err
	}
	if !still {
		d.wrong("%s: it went on although it was suspended", j.id)
	}
	return d.insist(ctx, func(ctx context.Context) error { return d.client.Resume(ctx, j.id, "chaos") })
}

// terminate terminates a job that has begun.
func terminate(ctx context.Context, d *driver, j *job) error {
	begun := func(ctx context.Context) (bool, error) {
		status, err := d.client.Get(ctx, j.id)
		return err == nil && status.Status != history.Pending, err
	}
	if err := d.until(ctx, begun); err != nil {
		return err
	}
	return d.insist(ctx, func(ctx context.Context) error {
		err := d.client.Terminate(ctx, j.id, j.reason)
		if errors.Is(err, taskhub.ErrNotLive) {
			return nil // an earlier try arrived; its end is checked as everybody's
		}
		return err
	})
}

// check says what is wrong with how the job ended, "" if nothing is.
func (j *job) check(status *taskhub.Status) string {
	switch {
	case status.Status != j.ends:
		return fmt.Sprintf("%s ended %s (%s%s), and has to end %s", j.id, status.Status, status.Failure, status.Reason, j.ends)
	case status.Reason != j.reason:
		return fmt.Sprintf("%s was terminated because %q, and not because %q", j.id, status.Reason, j.reason)
	case j.ends != history.Completed:
		return ""
	case j.raised != nil:
		return j.checkEvents(status.Output)
	case string(status.Output) != j.want:
		return fmt.Sprintf("%s returned %.80s, and has to return %.80s", j.id, status.Output, j.want)
	}
	return ""
}

// checkEvents compares the events that the job has seen with those that were raised.
func (j *job) checkEvents(output json.RawMessage) string {
	var text string
	if err := json.Unmarshal(output, &text); err != nil {
		return fmt.Sprintf("%s returned %.80s: %v", j.id, output, err)
	}
	seen := map[string]int{}
	for number := range strings.SplitSeq(text, ",") {
		seen[number]++
	}
	for i, raised := range j.raised {
		number := strconv.Itoa(i)
		most := raised.unclear
		if raised.accepted {
			most++
		}
		if seen[number] < 1 || seen[number] > most {
			return fmt.Sprintf("%s saw event %d %d times; it was accepted: %v, and perhaps raised %d times more",
				j.id, i, seen[number], raised.accepted, raised.unclear)
		}
		delete(seen, number)
	}
	if len(seen) > 0 {
		return fmt.Sprintf("%s saw events that nobody raised: %s", j.id, text)
	}
	return ""
}
