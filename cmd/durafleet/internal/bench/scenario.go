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
	// The defaults. One that is single has nothing to do at once.
	count, parallel, workers int
	single                   bool
	// pause is the time between two looks of those who wait, 0 for the shortest one.
	pause time.Duration
	// rest is for how long the hub has to be left alone before it begins, unless --idle says otherwise.
	rest time.Duration
	// drive does it and returns the number of instances that clients have started.
	drive func(d *driver, ctx context.Context, count int) (instances int, err error)
	// mix is what the account cannot be spared, nil if there is no floor.
	mix func(count int) mix
}

const (
	// shortPause is the time between two looks where time is measured, longPause where it is not, or
	// where it is by what instances tell.
	shortPause = 3 * time.Millisecond
	longPause  = 50 * time.Millisecond

	many   = 300
	atOnce = 32
	few    = 4

	continued    = 5
	payloadBytes = 200 << 10
)

// scenarios are all there are, in the order of help texts.
var scenarios = []*scenario{
	{
		name: "hello5", about: "five activities in sequence", unit: "instances", count: many, parallel: atOnce, workers: 1,
		drive: greeting(greetings, 5), mix: func(count int) mix { return sequenceMix(count, 5) },
	},
	{
		name: "local5", about: "the same with local activities", unit: "instances", count: many, parallel: atOnce, workers: 1,
		drive: greeting(localGreetings, 5), mix: func(count int) mix { return localMix(count, 5) },
	},
	{
		name: "one", about: "one activity", unit: "instances", count: many, parallel: atOnce, workers: 1,
		drive: greeting(greetings, 1), mix: func(count int) mix { return sequenceMix(count, 1) },
	},
	{
		name: "empty", about: "no activity", unit: "instances", count: many, parallel: atOnce, workers: 1,
		drive: greeting(greetings, 0), mix: func(count int) mix { return sequenceMix(count, 0) },
	},
	{
		name: "fanout", about: "an instance with many activities at once", unit: "activities", count: 1000, single: true, workers: 1,
		drive: (*driver).fanOut, mix: fanOutMix,
	},
	{
		name: "slow-fanout", about: "the same, each of a second", unit: "activities", count: 100, single: true, workers: few,
		pause: longPause, drive: (*driver).slowFanOut,
	},
	{
		name: "events", about: "a stream of events into one instance; latency until a turn takes an event in", unit: "events",
		count: 1000, parallel: atOnce, workers: 1, drive: (*driver).events, mix: eventsMix,
	},
	{
		name: "event", about: "an instance waits for one event", unit: "instances", count: 100, parallel: few, workers: 1,
		drive: (*driver).event, mix: eventMix,
	},
	{
		name: "children", about: "two children one after the other, the second one with three activities", unit: "instances",
		count: 100, parallel: few, workers: 1, drive: (*driver).children, mix: childrenMix,
	},
	{
		name: "timers", about: "a timer of --timer; latency is how late it fires", unit: "instances", count: 100, parallel: atOnce, workers: 1,
		pause: longPause, drive: (*driver).timers,
	},
	{
		name: "continue", about: "five times an event, an activity and a new generation; then a last event", unit: "instances",
		count: 50, parallel: few, workers: 1, drive: (*driver).generations, mix: continueMix,
	},
	{
		name: "payload", about: "a text of 200 KB through two activities", unit: "instances", count: 50, parallel: few, workers: 1,
		drive: (*driver).payloads, mix: payloadMix,
	},
	{
		name: "start-latency", about: "--parallel starts after each --idle in which nothing happened; latency until the first activity",
		unit: "instances", count: 20, parallel: few, workers: 1, pause: longPause, rest: time.Minute, drive: (*driver).starts,
	},
	{
		name: "long-history", about: "many activities in sequence in one instance", unit: "activities", count: 500, single: true, workers: 1,
		drive: (*driver).longHistory, mix: func(count int) mix { return sequenceMix(1, count) },
	},
	{
		name: "waiting", about: "instances that wait for an event at the same time; memory for each", unit: "instances",
		count: 1000, parallel: atOnce, workers: 1, pause: longPause, drive: (*driver).waiting,
	},
	{
		name: "idle", about: "nothing, after the hub was left alone for --idle; requests per minute", unit: "minutes", count: 2, single: true,
		workers: 1, pause: longPause, rest: 2 * time.Minute, drive: (*driver).idle,
	},
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
