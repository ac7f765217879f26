package bench

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/option"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// Options configures Run. The zero value of every field means its default, unless it says otherwise.
type Options struct {
	// Scenario is the name of what to measure. There is no default.
	Scenario string
	// Count is how much of it, Parallel how much of that at once. Default: depends on the scenario.
	Count, Parallel int
	// Workers is the number of workers, 1 to 16. Default: depends on the scenario.
	Workers int
	// InProcess has the workers in this process instead of processes of their own.
	InProcess bool
	// Partitions is the number of partitions, 1 to 16. Default 4.
	Partitions int
	// Settings are those of the workers.
	Settings Settings
	// Latency delays every request of workers and client.
	Latency time.Duration
	// Idle is for how long the hub is left alone before scenarios that measure that. Default: depends on the
	// scenario.
	Idle time.Duration
	// Timer is how long timers are. Default 1s.
	Timer time.Duration
	// Timeout is for how long one instance is waited for. Default 5m.
	Timeout time.Duration
	// Connection is the connection string of the account. Default: an Azurite of its own in memory.
	Connection string
	// WaitConnection is the one through which the bench waits. Default: Connection.
	WaitConnection string
	// Hub is the name of the task hub; it is left behind. Default: one that is removed afterwards.
	Hub string
	// NoWarmUp leaves out what is done before the measurement, NoFloor the floor.
	NoWarmUp, NoFloor bool
	// Out gets the progress.
	Out io.Writer

	// ports are the account of a test, minute is how long it takes a minute for.
	ports  *storage.Account
	minute time.Duration
}

const (
	defaultPartitions = 4
	defaultTimer      = time.Second
	defaultTimeout    = 5 * time.Minute
	defaultHub        = "Bench"

	maxWorkers    = 16
	maxCount      = 1_000_000
	maxParallel   = 1000
	maxActivities = 10_000
	maxLatency    = 10 * time.Second
	maxIdle       = time.Hour
	maxTimeout    = 24 * time.Hour
	maxTimer      = time.Minute
)

// withDefaults returns a copy that is checked and complete, and the scenario.
func (o *Options) withDefaults() (Options, *scenario, error) {
	full := *o
	s := find(full.Scenario)
	if s == nil {
		return full, nil, &ScenarioError{full.Scenario}
	}
	for _, field := range []struct {
		option                    string
		value                     *int
		fallback, smallest, limit int
	}{
		{"count", &full.Count, s.count, 1, maxCount},
		{"parallel", &full.Parallel, max(s.parallel, 1), 1, maxParallel},
		{"workers", &full.Workers, s.workers, 1, maxWorkers},
		{"partitions", &full.Partitions, defaultPartitions, 1, store.MaxPartitions},
		{"max-activities", &full.Settings.MaxActivities, 0, 0, maxActivities},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
		if *field.value < field.smallest || *field.value > field.limit {
			return full, nil, option.Broken(field.option, *field.value, fmt.Sprintf("must be 1 to %d", field.limit))
		}
	}
	if s.single && full.Parallel > 1 {
		return full, nil, option.Broken("parallel", full.Parallel, "is not for "+s.name+", which does one thing at a time")
	}
	full.Idle, full.Timer = cmp.Or(full.Idle, s.rest), cmp.Or(full.Timer, defaultTimer)
	full.Timeout = cmp.Or(full.Timeout, defaultTimeout)
	full.minute = cmp.Or(full.minute, time.Minute)
	return full, s, full.check()
}

func (o *Options) check() error {
	if o.Latency < 0 || o.Latency > maxLatency {
		return option.Broken("latency", o.Latency, fmt.Sprintf("must be 0s to %v", maxLatency))
	}
	if o.Idle < 0 || o.Idle > maxIdle {
		return option.Broken("idle", o.Idle, fmt.Sprintf("must be more than 0s and at most %v", maxIdle))
	}
	if o.Timer < time.Millisecond || o.Timer > maxTimer {
		return option.Broken("timer", o.Timer, fmt.Sprintf("must be 1ms to %v", maxTimer))
	}
	if o.Timeout < time.Second || o.Timeout > maxTimeout {
		return option.Broken("timeout", o.Timeout, fmt.Sprintf("must be 1s to %v", maxTimeout))
	}
	if o.WaitConnection != "" && o.Connection == "" {
		return option.Broken("wait-connection", "(not shown)", "needs --connection: to an Azurite of its own the bench knows one way")
	}
	for _, given := range []struct{ option, value string }{{"connection", o.Connection}, {"wait-connection", o.WaitConnection}} {
		if given.value == "" {
			continue
		}
		if _, err := azure.FromConnectionString(given.value, nil); err != nil {
			return option.Broken(given.option, "(not shown)", err.Error())
		}
	}
	if o.Hub != "" {
		if _, err := wire.NewNames(o.Hub); err != nil {
			return option.Broken("hub", o.Hub, "must be 3 to 45 ASCII letters and digits, the first a letter")
		}
	}
	return nil
}

// ScenarioError reports a scenario that there is not.
type ScenarioError struct{ Name string }

// Error implements error.
func (e *ScenarioError) Error() string {
	return fmt.Sprintf("scenario %q: must be one of %s", e.Name, Names())
}
