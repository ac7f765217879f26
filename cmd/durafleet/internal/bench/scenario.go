package bench

import (
	"context"
	"slices"
	"strings"
	"time"
)

// scenario is something to measure.
type scenario struct {
	name, about string
	// unit is what --count counts, in the plural.
	unit string
	// The defaults.
	count, parallel, workers int
	// pause is the time between two looks of those who wait, 0 for the shortest one.
	pause time.Duration
	// rests says that the hub has been left alone for --idle when it begins.
	rests bool
	// drive does it and returns the number of instances that clients have started.
	drive func(ctx context.Context, d *driver, count int) (instances int, err error)
	// mix is what the account cannot be spared, nil if there is no floor.
	mix func(count int) mix
}

// shortPause is the time between two looks where time is measured.
const shortPause = 3 * time.Millisecond

// scenarios are all there are, in the order of help texts.
var scenarios = []*scenario{
	{
		name: "hello5", about: "five activities in sequence", unit: "instances", count: 300, parallel: 32, workers: 1,
		drive: func(ctx context.Context, d *driver, count int) (int, error) { return count, d.greet(ctx, count, 5) },
		mix:   func(count int) mix { return sequenceMix(count, 5) },
	},
	{
		name: "one", about: "one activity", unit: "instances", count: 300, parallel: 32, workers: 1,
		drive: func(ctx context.Context, d *driver, count int) (int, error) { return count, d.greet(ctx, count, 1) },
		mix:   func(count int) mix { return sequenceMix(count, 1) },
	},
	{
		name: "empty", about: "no activity", unit: "instances", count: 300, parallel: 32, workers: 1,
		drive: func(ctx context.Context, d *driver, count int) (int, error) { return count, d.greet(ctx, count, 0) },
		mix:   func(count int) mix { return sequenceMix(count, 0) },
	},
}

// greet runs instances that greet so many cities each.
func (d *driver) greet(ctx context.Context, count, cities int) error {
	check := equals(allGreetings(cities))
	return d.times(ctx, count, func(ctx context.Context, _ int) error {
		_, err := complete(ctx, d, greetings, cities, check)
		return err
	})
}

// find returns the scenario of a name, nil if there is none.
func find(name string) *scenario {
	i := slices.IndexFunc(scenarios, func(s *scenario) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return scenarios[i]
}

// Names returns the names of all scenarios, separated by commas.
func Names() string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// Scenarios calls f for each scenario with what it is and what --count counts.
func Scenarios(f func(name, about, unit string, count int)) {
	for _, s := range scenarios {
		f(s.name, s.about, s.unit, s.count)
	}
}
