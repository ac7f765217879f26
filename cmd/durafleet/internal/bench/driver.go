package bench

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// driver is the client: it starts instances, waits for them and checks them.
type driver struct {
	opts   *Options
	client *taskhub.Client
	watch  *watcher
	fleet  *fleet

	// warming says that what is done does not count.
	warming bool
	// begun is when what counts began.
	begun     time.Time
	latencies *samples
	// more are the figures that only this scenario has; resident, if it is not 0, is the memory that counts.
	more     map[string]float64
	resident int64
}

func newDriver(opts *Options, client *taskhub.Client, watch *watcher, fleet *fleet, warming bool) *driver {
	return &driver{
		opts: opts, client: client, watch: watch, fleet: fleet, warming: warming,
		begun: time.Now(), latencies: &samples{}, more: map[string]float64{},
	}
}

// restart lets the time begin that counts: what was done before was preparation.
func (d *driver) restart() { d.begun = time.Now() }

// tell adds a figure that only this scenario has.
func (d *driver) tell(name string, value float64) { d.more[name] = value }

// ErrTimeout reports that what was waited for did not happen in time.
var ErrTimeout = errors.New("timed out")

// WrongError reports an instance that did not end as it had to.
type WrongError struct{ InstanceID, Problem string }

// Error implements error.
func (e *WrongError) Error() string { return fmt.Sprintf("instance %q %s", e.InstanceID, e.Problem) }

// times calls f for 0 to n−1, as many at once as the options say. The first failure ends all.
func (d *driver) times(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	run.Each(ctx, "bench: client", n, max(d.opts.Parallel, 1), func(ctx context.Context, i int) {
		if ctx.Err() != nil {
			return
		}
		if err := f(ctx, i); err != nil {
			fail(err) // only the first one counts
		}
	})
	return context.Cause(ctx)
}

// finish waits for the end of an instance and returns its result and when its end was seen.
func finish[Out any](ctx context.Context, d *driver, instance *taskhub.Instance[Out]) (out Out, at time.Time, err error) {
	seen, err := d.watch.until(ctx, instance.ID(), ended)
	if err != nil {
		return out, at, err
	}
	if seen.Status != history.Completed {
		return out, at, &WrongError{seen.InstanceID, fmt.Sprintf("ended %s: %s", seen.Status, history.TextOr(seen.Output, "no output"))}
	}
	if err := d.watch.hub.ResolvePayloads(ctx, &seen.Instance); err != nil {
		return out, at, err
	}
	out, err = payload.Decode[Out](seen.Output)
	if err != nil {
		return out, at, &WrongError{seen.InstanceID, "has no proper result: " + err.Error()}
	}
	return out, seen.at, nil
}

// complete runs an instance from its start to its end.
func complete[In, Out any](
	ctx context.Context, d *driver, o orchestration.Orchestrator[In, Out], in In, check func(Out) string,
) (Out, error) {
	started := time.Now()
	instance, err := taskhub.Start(ctx, d.client, o, in)
	if err != nil {
		var none Out
		return none, err
	}
	out, at, err := finish(ctx, d, instance)
	if err != nil {
		return out, err
	}
	d.latencies.add(at.Sub(started))
	if problem := check(out); problem != "" {
		return out, &WrongError{instance.ID(), problem}
	}
	return out, nil
}

// equals returns a check that a result is the right one.
func equals[T any](want T) func(T) string {
	return func(got T) string {
		if !reflect.DeepEqual(got, want) {
			return fmt.Sprintf("has the result %.200s instead of %.200s", fmt.Sprint(got), fmt.Sprint(want))
		}
		return ""
	}
}
