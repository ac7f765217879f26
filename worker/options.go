package worker

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/doorbell"
)

// Options configures a Worker. The zero value of every field means its default.
type Options struct {
	// WorkerID is this process's name in the hub. It must be unique among running workers.
	// Default: host name and a random part.
	WorkerID string
	// AppName names the application. Only workers of one application work on a hub at a time; .NET
	// workers use the environment variables WEBSITE_SITE_NAME or DTFX_APP_NAME, else "".
	// Default "".
	AppName string
	// NoAppLease turns the agreement between applications off. All workers of a hub must agree.
	NoAppLease bool

	// MaxTurns is how many orchestrations run at once. Default 100.
	MaxTurns int
	// MaxActivities is how many activities run at once. Default 10, or twice the processors if
	// that is more.
	MaxActivities int
	// BufferThreshold is how many messages of control queues may be held at once; above it the
	// worker takes no more. Default 256.
	BufferThreshold int
	// MaxPollInterval is the longest pause between two polls of an idle queue. Default 5s, or 30s with a
	// Doorbell.
	MaxPollInterval time.Duration
	// Doorbell, if set, lets others wake this worker when they have put something into a queue that it
	// reads, and this worker others. Default: nil, nobody wakes anybody but itself.
	Doorbell *Doorbell
	// Visibility is how long a message stays hidden from others after this worker took it or last
	// renewed it; it is renewed at a third of it. Default 45s, at least 3s.
	Visibility time.Duration
	// LeaseDuration is how long a partition stays ours without renewal. Default 30s, as the peers.
	LeaseDuration time.Duration
	// AcquireInterval is the time between two looks at the partition table. Default 10s.
	AcquireInterval time.Duration
	// DrainTimeout is how long a stopping worker waits for running activities and turns before it
	// gives them up. Default 30s.
	DrainTimeout time.Duration

	// NoInline turns inline execution off: every activity becomes a work item and every timer a
	// message. By default activities that are likely to be quick run in the worker that owns the
	// instance, and their record is stored together with their result.
	NoInline bool
	// InlineWindow is how long an activity may take that runs inline; what takes longer becomes a work
	// item while it runs. Timers of up to this length are kept in memory. Default 250ms, at most a tenth
	// of Visibility.
	InlineWindow time.Duration

	// NoSessionCache forgets an instance after every turn and loads its history again for the next.
	NoSessionCache bool
	// SessionIdle is how long an instance without messages stays in memory. Default 5 minutes.
	SessionIdle time.Duration
	// MaxSessions bounds how many idle instances stay in memory. Default 10,000.
	MaxSessions int
	// MaxSessionBytes bounds about how much memory they take. Those that have been idle longest go
	// first. Default 128 MiB.
	MaxSessionBytes int64

	// FailDivergent ends an instance whose code does not match its history as Failed. By default it
	// is held: nothing stored changes, and it is tried again with growing pauses, so that putting
	// the code right heals it.
	FailDivergent bool
	// MaxHistory is how many events the history of an execution may have; an instance beyond it
	// fails. Default 100,000.
	MaxHistory int
	// MaxGenerations is how many times in a row an instance may continue as new without consuming
	// an event before it fails. Default 100.
	MaxGenerations int
	// MaxDeliveries is how often a message is delivered before it is moved out of its queue because
	// it cannot be worked on: it is unreadable, what it needs is damaged, or workers die of it. A work
	// item of which workers die fails with a failure of the type PoisonType then. Deliveries that
	// ended in other ways do not count. An activity that runs inline takes its orchestration's message
	// with it twice before it gets a work item of its own. Default 20, at least 3.
	MaxDeliveries int
	// TimerLimit and TimerHop split long timers; see orchestration.Options.
	TimerLimit, TimerHop time.Duration

	// NoHealthReports turns off what the worker leaves in the hub once a minute for others to see: a
	// small blob that tells how it is, see taskhub.Hub.Health. Nothing depends on it.
	NoHealthReports bool

	// MeterProvider counts turns, conflicts and activities with OpenTelemetry: durafleet.turns,
	// durafleet.conflicts, durafleet.activities. Default: that of the hub, see taskhub.Options, which
	// counts storage requests; none if that has none.
	MeterProvider metric.MeterProvider

	// Logger receives what people have to know. Default: discard.
	Logger *slog.Logger
	// OnActivity, if set, is called after each run of an activity with what it returned. It must
	// return quickly and may be called concurrently.
	OnActivity func(info activity.Info, err error)
}

// withDefaults returns a validated copy of the options.
func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		o = &Options{}
	}
	full := *o
	full.WorkerID = cmp.Or(full.WorkerID, defaultWorkerID())
	full.MaxTurns = cmp.Or(full.MaxTurns, 100)
	full.MaxActivities = cmp.Or(full.MaxActivities, max(10, 2*runtime.GOMAXPROCS(0)))
	full.BufferThreshold = cmp.Or(full.BufferThreshold, 256)
	full.MaxPollInterval = cmp.Or(full.MaxPollInterval, full.defaultPoll())
	full.Visibility = cmp.Or(full.Visibility, 45*time.Second)
	full.DrainTimeout = cmp.Or(full.DrainTimeout, 30*time.Second)
	full.InlineWindow = cmp.Or(full.InlineWindow, 250*time.Millisecond)
	full.SessionIdle = cmp.Or(full.SessionIdle, 5*time.Minute)
	full.MaxSessions = cmp.Or(full.MaxSessions, 10_000)
	full.MaxSessionBytes = cmp.Or(full.MaxSessionBytes, 128<<20)
	full.MaxDeliveries = cmp.Or(full.MaxDeliveries, 20)
	if full.Logger == nil {
		full.Logger = slog.New(slog.DiscardHandler)
	}
	return full, full.validate()
}

func (o *Options) validate() error {
	for _, field := range []struct {
		name       string
		value, min int64
		unit       func(int64) string
	}{
		{"MaxTurns", int64(o.MaxTurns), 1, count},
		{"MaxActivities", int64(o.MaxActivities), 1, count},
		{"BufferThreshold", int64(o.BufferThreshold), 1, count},
		{"MaxSessions", int64(o.MaxSessions), 1, count},
		{"MaxSessionBytes", o.MaxSessionBytes, 1, count},
		{"MaxDeliveries", int64(o.MaxDeliveries), aloneFrom, count},
		{"MaxHistory", int64(o.MaxHistory), 0, count},
		{"MaxGenerations", int64(o.MaxGenerations), 0, count},
		{"MaxPollInterval", int64(o.MaxPollInterval), int64(minPoll), span},
		{"Visibility", int64(o.Visibility), int64(3 * time.Second), span},
		{"DrainTimeout", int64(o.DrainTimeout), int64(time.Millisecond), span},
		{"InlineWindow", int64(o.InlineWindow), int64(time.Millisecond), span},
		{"SessionIdle", int64(o.SessionIdle), int64(time.Millisecond), span},
	} {
		if field.value < field.min {
			return fmt.Errorf("worker: options: %s is %s; it must be at least %s",
				field.name, field.unit(field.value), field.unit(field.min))
		}
	}
	if o.Doorbell != nil {
		if err := doorbell.CheckOptions(o.Doorbell.Listen, o.Doorbell.Advertise); err != nil {
			return fmt.Errorf("worker: options: Doorbell: %w", err)
		}
	}
	if most := o.Visibility / 10; o.InlineWindow > most {
		return fmt.Errorf("worker: options: InlineWindow is %v; it must be at most a tenth of Visibility, %v", o.InlineWindow, most)
	}
	return nil
}

func count(n int64) string { return fmt.Sprint(n) }

func span(n int64) string { return time.Duration(n).String() }

func defaultWorkerID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return host + "-" + strings.ReplaceAll(uuid.NewString(), "-", "")[:8]
}
