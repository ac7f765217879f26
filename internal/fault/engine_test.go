package fault_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fault"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/worker"
)

// seedsVariable sets how many seeds the mix is run with. They are random then, and the weather is
// worse and does not end before the instances do.
const seedsVariable = "DURAFLEET_FAULT_SEEDS"

// quick are options under which what a lost reply has hidden comes back soon. Many fleets share one
// Azurite, and perhaps a busy machine, so that nobody asks more often than necessary.
func quick() *worker.Options {
	return &worker.Options{Visibility: 5 * time.Second, MaxPollInterval: time.Second}
}

// engine runs all jobs under rules, checks everything, and that all of the faults have occurred.
func engine(t *testing.T, seed uint64, faults []fault.Fault, rules ...fault.Rule) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real time; -short is set")
	}
	fleettest.Real(t, seed%2 == 1, func(t *testing.T, w *fleettest.World) {
		f := newFleet(t, w, seed, quick())
		f.use(rules...)
		f.run(jobs())
		ids := f.settle()
		f.purge(ids)
		f.calm()
		f.report()
		for _, kind := range faults {
			if f.count(kind) == 0 {
				t.Errorf("no request was %s", kind)
			}
		}
	})
}

// weather is a while in which a fault meets requests here and there, and some of them so often that
// the SDK gives up: a transaction of the history it sends only once, the tries of a request that is
// alone of its kind follow each other.
func weather(kind fault.Fault) []fault.Rule {
	return []fault.Rule{
		{Fault: kind, Kinds: []storage.Kind{storage.TableTransact}, Every: 4, First: 4},
		{Fault: kind, Kinds: []storage.Kind{storage.QueuePut}, Every: 9, Burst: tries, First: 2 * tries},
		{Fault: kind, Kinds: []storage.Kind{storage.QueueDelete}, Every: 9, Burst: tries, First: 2 * tries},
		// More often in a row than a worker tries to write a row that changes.
		{Fault: kind, Kinds: []storage.Kind{storage.TableMerge}, Every: 5, Burst: 6, First: 6},
		{Fault: kind, Chance: 0.05, First: 12},
	}
}

// TestEngine_EachFault runs everything under each fault by itself.
func TestEngine_EachFault(t *testing.T) {
	t.Parallel()
	for i, kind := range fault.All() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine(t, uint64(i), []fault.Fault{kind}, weather(kind)...)
		})
	}
}

// TestEngine_Mix lets all faults meet requests at random.
func TestEngine_Mix(t *testing.T) {
	t.Parallel()
	chance, first, seeds := 0.01, 10, []uint64{100, 101}
	if text := os.Getenv(seedsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", seedsVariable, err)
		}
		chance, first, seeds = 0.02, 0, nil
		for range n {
			seeds = append(seeds, rand.Uint64N(1e6))
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			var rules []fault.Rule
			for _, kind := range fault.All() {
				rules = append(rules, fault.Rule{Fault: kind, Chance: chance, First: first})
			}
			// Few requests have a body or a version.
			rules = append(rules, fault.Rule{Fault: fault.CutRequest, Chance: 0.05, First: 12},
				fault.Rule{Fault: fault.Unmet, Chance: 0.1, Burst: 3, First: 12})
			engine(t, seed, fault.All(), rules...)
		})
	}
}
