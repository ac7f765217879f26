package chaos

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/option"
)

// Options configures Run. The zero value of every field means its default, unless it says otherwise.
type Options struct {
	// Minutes is for how long instances are started and faults happen. Default 2; of a soak 20.
	Minutes float64
	// Workers is the number of worker processes, 1 to 16. Default 3.
	Workers int
	// Instances is how many are started, evenly over the time. Default: PerMinute for each minute;
	// in a soak 10,000.
	Instances int
	// PerMinute is how many are started each minute, if Instances is 0. Default 200.
	PerMinute int
	// Seed decides which faults happen when, and to whom. Default 1.
	Seed uint64
	// Faults are those that may happen. Default: all.
	Faults []Fault
	// Lease is for how long partitions and messages belong to a worker that says nothing any more.
	// Default 9s; a soak takes the default settings of workers.
	Lease time.Duration
	// Soak lets no fault happen and looks at memory, goroutines and open files of the workers.
	Soak bool
	// Out gets the progress, a line for each fault.
	Out io.Writer
}

const (
	defaultMinutes   = 2
	defaultWorkers   = 3
	defaultPerMinute = 200
	defaultSeed      = 1
	defaultLease     = 9 * time.Second

	soakMinutes   = 20
	soakInstances = 10_000

	maxMinutes   = 24 * 60
	maxWorkers   = 16
	maxInstances = 1_000_000
	maxLease     = time.Minute
)

// withDefaults returns a copy that is checked and complete.
func (o *Options) withDefaults() (Options, error) {
	full := *o
	if full.Instances != 0 && full.PerMinute != 0 {
		return full, option.Broken("instances", full.Instances, "excludes --instances-per-minute")
	}
	for _, field := range []struct {
		value    *int
		fallback int
	}{{&full.Workers, defaultWorkers}, {&full.PerMinute, defaultPerMinute}} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	if full.Seed == 0 {
		full.Seed = defaultSeed
	}
	if full.Faults == nil {
		full.Faults = Faults()
	}
	switch {
	case full.Soak:
		full.soakDefaults()
	case full.Lease == 0:
		full.Lease = defaultLease
	}
	if full.Minutes == 0 {
		full.Minutes = defaultMinutes
	}
	if err := full.check(); err != nil {
		return full, err
	}
	if full.Instances == 0 {
		full.Instances = max(1, int(math.Round(float64(full.PerMinute)*full.Minutes)))
	}
	return full, nil
}

func (o *Options) soakDefaults() {
	o.Faults = nil
	if o.Minutes == 0 {
		o.Minutes = soakMinutes
	}
	if o.Instances == 0 {
		o.Instances = soakInstances
	}
}

func (o *Options) check() error {
	if !(o.Minutes > 0 && o.Minutes <= maxMinutes) { // refuses NaN, too
		return option.Broken("minutes", o.Minutes, fmt.Sprintf("must be more than 0 and at most %d", maxMinutes))
	}
	for _, field := range []struct {
		option     string
		value, max int
	}{
		{"workers", o.Workers, maxWorkers},
		{"instances-per-minute", o.PerMinute, maxInstances},
	} {
		if field.value < 1 || field.value > field.max {
			return option.Broken(field.option, field.value, fmt.Sprintf("must be 1 to %d", field.max))
		}
	}
	if o.Instances < 0 || o.Instances > maxInstances {
		return option.Broken("instances", o.Instances, fmt.Sprintf("must be 1 to %d", maxInstances))
	}
	if o.Lease != 0 && (o.Lease < minLease || o.Lease > maxLease) {
		return option.Broken("lease", o.Lease, fmt.Sprintf("must be %v to %v", minLease, maxLease))
	}
	return nil
}

// leaveOut takes faults away that this system cannot make happen, and returns them.
func (o *Options) leaveOut() []Fault {
	if child.CanFreeze || !slices.Contains(o.Faults, FreezeWorker) {
		return nil
	}
	o.Faults = slices.DeleteFunc(slices.Clone(o.Faults), func(f Fault) bool { return f == FreezeWorker })
	return []Fault{FreezeWorker}
}

// keepAtMost is how many instances stay stored until the end. A run with more purges each one as
// soon as it is checked: Azurite gets slow with what it holds.
const keepAtMost = 1000
