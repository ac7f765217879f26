package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// user is a program that uses a client on bad days: it repeats what has failed for want of
// storage, and looks at the instance where it is not clear what has happened.
type user struct {
	ctx    context.Context //nolint:containedctx // the lifetime of a test
	client *taskhub.Client

	mu sync.Mutex
	// unclear counts the requests that may have taken effect unseen, by instance and event.
	unclear map[string]int
	failed  int
}

// passing reports whether an error is one of the weather.
func passing(err error) bool {
	return errors.Is(err, taskhub.ErrUnavailable) || errors.Is(err, taskhub.ErrUnclear)
}

// insist repeats something until it succeeds or fails for another reason than the weather. It
// reports how often it may have taken effect unseen before.
func (u *user) insist(what string, do func(ctx context.Context) error) (unclear int, err error) {
	for failures := 1; ; failures++ {
		if err = do(u.ctx); !passing(err) {
			break
		}
		u.mu.Lock()
		u.failed++
		u.mu.Unlock()
		if errors.Is(err, taskhub.ErrUnclear) {
			unclear++
		}
		if !run.Sleep(u.ctx, run.Backoff(failures, 20*time.Millisecond, time.Second)) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return unclear, err
}

// start starts an instance. Where it is unclear whether it was started, it looks.
func (u *user) start(j job) error {
	again := false
	_, err := u.insist("start "+j.id, func(ctx context.Context) error {
		if again {
			if _, err := u.client.Get(ctx, j.id, taskhub.NoPayloads{}); !errors.Is(err, taskhub.ErrNotFound) {
				return err
			}
		}
		_, err := u.client.StartByName(ctx, j.name, j.input, taskhub.InstanceID(j.id))
		again = errors.Is(err, taskhub.ErrUnclear)
		return err
	})
	return err
}

// raise raises an event, again if it is unclear whether it was raised.
func (u *user) raise(id, name string, data any) error {
	unclear, err := u.insist("raise "+name+" to "+id, func(ctx context.Context) error {
		return u.client.RaiseEventByName(ctx, id, name, data)
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.unclear == nil {
		u.unclear = map[string]int{}
	}
	if unclear > 0 {
		u.unclear[eventKey(id, name, data)] += unclear
	}
	return err
}

// eventKey identifies an event by its instance, its name and what it carries.
func eventKey(id, name string, data any) string {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // these tests raise texts and numbers
	}
	return strings.Join([]string{id, name, string(text)}, " ")
}

func (u *user) raiseItems(id string, n int) error {
	for i := range n {
		if err := u.raise(id, item.Name(), i); err != nil {
			return err
		}
	}
	return nil
}

// terminate terminates an instance that runs.
func (u *user) terminate(id string) error {
	_, err := u.insist("wait for the start of "+id, func(ctx context.Context) error {
		_, err := u.client.WaitForStart(ctx, id, taskhub.PollInterval(250*time.Millisecond))
		return err
	})
	if err != nil {
		return err
	}
	unclear, err := u.insist("terminate", func(ctx context.Context) error {
		return u.client.Terminate(ctx, id, "enough")
	})
	if unclear > 0 && errors.Is(err, taskhub.ErrNotLive) {
		return nil // it was the request whose fate was unclear
	}
	return err
}

// suspendAndResume suspends an instance, sends it an event, sees that it does not go on, and lets
// it.
func (u *user) suspendAndResume(id string) error {
	suspended, err := u.insist("suspend", func(ctx context.Context) error {
		return u.client.Suspend(ctx, id, "rest")
	})
	if err != nil {
		return err
	}
	if err := u.reach(id, history.Suspended); err != nil {
		return err
	}
	if err := u.raise(id, item.Name(), 7); err != nil {
		return err
	}
	run.Sleep(u.ctx, 200*time.Millisecond)
	if err := u.reach(id, history.Suspended); err != nil {
		return err
	}
	return u.resume(id, suspended)
}

// resume resumes an instance until it has ended. After a suspension that may have been sent more
// than once, one resumption may come too early.
func (u *user) resume(id string, unclear int) error {
	for tries := 0; ; tries++ {
		_, err := u.insist("resume", func(ctx context.Context) error { return u.client.Resume(ctx, id, "go on") })
		if errors.Is(err, taskhub.ErrNotLive) {
			return nil
		}
		if err == nil {
			err = u.reach(id, history.Completed, history.Running)
		}
		if err != nil || tries >= unclear {
			return err
		}
		run.Sleep(u.ctx, time.Second)
	}
}

func (u *user) get(id string) (status *taskhub.Status, err error) {
	_, err = u.insist("look at "+id, func(ctx context.Context) error {
		status, err = u.client.Get(ctx, id)
		return err
	})
	return status, err
}

// reach waits until an instance has one of the statuses.
func (u *user) reach(id string, want ...history.Status) error {
	for {
		status, err := u.get(id)
		switch {
		case err != nil:
			return err
		case slices.Contains(want, status.Status):
			return nil
		case status.Status.Terminal() || !run.Sleep(u.ctx, 200*time.Millisecond):
			return fmt.Errorf("%s is %s, want one of %s", id, status.Status, want)
		}
	}
}

// end waits for the end of an instance.
func (u *user) end(id string) (status *taskhub.Status, err error) {
	_, err = u.insist("wait for "+id, func(ctx context.Context) error {
		status, err = u.client.Wait(ctx, id, taskhub.PollInterval(time.Second))
		return err
	})
	return status, err
}

// purge removes an instance.
func (u *user) purge(id string) error {
	again := false
	_, err := u.insist("purge "+id, func(ctx context.Context) error {
		err := u.client.Purge(ctx, id)
		if again && errors.Is(err, taskhub.ErrNotFound) {
			return nil
		}
		again = true
		return err
	})
	return err
}

// checkItems checks that each of n events was taken exactly once, or at most as often as it may
// have been raised.
func (u *user) checkItems(id string, n int, output string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	got := map[string]int{}
	for number := range strings.SplitSeq(strings.Trim(output, `"`), ",") {
		got[number]++
	}
	for i := range n {
		most := 1 + u.unclear[eventKey(id, item.Name(), i)]
		if count := got[fmt.Sprint(i)]; count < 1 || count > most {
			return fmt.Errorf("event %d was taken %d times, at most %d expected: %s", i, count, most, output)
		}
	}
	return nil
}
