package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Options configures a Manager. WorkerID and Serve are required; the zero value of every other
// field means its default.
type Options struct {
	// WorkerID is this worker's name in the rows. It must be unique among the processes of the hub:
	// two with the same id believe that they are each other, and both read the same queues.
	WorkerID string

	// Serve reads the queue of one partition. It runs in its own goroutine, from the claim of the
	// lease on, at most once at a time for each partition.
	//
	// own ends when the partition must not be touched any more; its cause is ErrLost,
	// ErrDrainTimeout or ErrStalled. drain is closed when the lease is to be handed over: Serve then
	// stops intake, finishes or puts back what it has in memory, and returns. Serve calls h.Beat whenever
	// its queue has answered, and h.Miss when it has not. When it returns without being asked to, or panics, that is logged, and
	// it is called again after a pause.
	Serve func(own context.Context, drain <-chan struct{}, id string, h *Heartbeat) error

	// LeaseDuration is how long a claim lasts without renewal. Default 30s.
	LeaseDuration time.Duration
	// AcquireInterval is the time between two passes; it is shortened to 1s while something is
	// handed over. Default 10s; at most a third of LeaseDuration.
	AcquireInterval time.Duration
	// SkipReads leaves the reading of the rows out of every other pass while nothing goes on: every
	// partition is owned, one of them by this worker, nobody has reserved one or is about to give one up,
	// and this worker has nothing to write but renewals. What another worker does is then seen up to AcquireInterval
	// later, unless it calls Wake by some means. A lease that runs out is not seen later.
	SkipReads bool
	// Doorbell is published in the rows of owned partitions, so that others can call Wake by some means.
	Doorbell string
	// OnRead, if set, is called with the rows whenever they have been read, in key order. OnWrite, if set, is
	// called with what was written, but for renewals. Both must return quickly; OnWrite may be called
	// concurrently.
	OnRead  func(leases []Lease)
	OnWrite func(step Step)
	// Margin is how long before the lease can expire the owned context ends: time for what is under
	// way to end, and for the clocks of peers that are ahead of the service's. Default a sixth of
	// LeaseDuration (5s); at least 2s, at most half of LeaseDuration.
	Margin time.Duration
	// DrainTimeout is how long Serve may take to return after drain was closed. Default 60s.
	DrainTimeout time.Duration
	// StallAfter is how long Serve may go without a beat while the leases can be reached. After that the
	// partition is dropped: Serve is told to drain, for up to 15s, the lease is released, and other workers, if
	// there are any, can have it before this one takes it again. Default 60s.
	StallAfter time.Duration
	// ReturnGrace is how long Serve may take to return after its context ended, before its lease is
	// left to expire. Default 5s.
	ReturnGrace time.Duration
	// RequestTimeout bounds each storage request; it is doubled with each failed pass in a row, up to a third
	// of LeaseDuration. Default 2s.
	RequestTimeout time.Duration
	// Logger receives what people have to know. Default: discard.
	Logger *slog.Logger
	// Random returns a random number from 0 up to 1, for pauses. Default: rand.Float64.
	Random func() float64
	// OnChange, if set, is called after each pass and whenever Owned has changed. It is meant for
	// tests, must return quickly, and may be called concurrently.
	OnChange func()
	// OnStall, if set, is called when a partition is dropped because its Serve has stalled. It must return
	// quickly, and may be called concurrently.
	OnStall func(id string)
}

const (
	// handoverInterval is the time between passes while something is handed over.
	handoverInterval = time.Second
	// minMargin covers the rounding of the service's Date, and some time to react.
	minMargin = 2 * time.Second
)

// withDefaults returns a validated copy of the options.
func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		o = &Options{}
	}
	full := *o
	setDefault(&full.LeaseDuration, 30*time.Second)
	setDefault(&full.AcquireInterval, full.LeaseDuration/3)
	setDefault(&full.Margin, max(full.LeaseDuration/6, minMargin))
	setDefault(&full.DrainTimeout, time.Minute)
	setDefault(&full.StallAfter, time.Minute)
	setDefault(&full.ReturnGrace, 5*time.Second)
	setDefault(&full.RequestTimeout, 2*time.Second)
	if full.Logger == nil {
		full.Logger = slog.New(slog.DiscardHandler)
	}
	if full.Random == nil {
		full.Random = rand.Float64
	}
	if full.OnChange == nil {
		full.OnChange = func() {}
	}
	if full.OnStall == nil {
		full.OnStall = func(string) {}
	}
	if full.OnRead == nil {
		full.OnRead = func([]Lease) {}
	}
	if full.OnWrite == nil {
		full.OnWrite = func(Step) {}
	}
	return full, full.validate()
}

func setDefault(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

func (o *Options) validate() error {
	if o.WorkerID == "" {
		return errors.New("partition: options: WorkerID is empty; every process needs its own")
	}
	if o.Serve == nil {
		return errors.New("partition: options: Serve is nil")
	}
	for _, field := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"LeaseDuration", o.LeaseDuration, 3 * time.Second, time.Hour},
		{"AcquireInterval", o.AcquireInterval, time.Millisecond, o.LeaseDuration / 3},
		{"Margin", o.Margin, min(minMargin, o.LeaseDuration/2), o.LeaseDuration / 2},
		{"DrainTimeout", o.DrainTimeout, time.Millisecond, time.Hour},
		{"StallAfter", o.StallAfter, time.Millisecond, 24 * time.Hour},
		{"ReturnGrace", o.ReturnGrace, time.Millisecond, time.Hour},
		{"RequestTimeout", o.RequestTimeout, time.Millisecond, o.LeaseDuration / 3},
	} {
		if field.value < field.min || field.value > field.max {
			return fmt.Errorf("partition: options: %s is %v; it must be between %v and %v",
				field.name, field.value, field.min, field.max)
		}
	}
	return nil
}
