package simulation_test

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedsFlag   = flag.Int("seeds", 0, "how many seeds to run; 0 means as many as the test runs usually")
	seedFlag    = flag.Uint64("seed", 1, "the first seed")
	workersFlag = flag.Int("workers", runtime.GOMAXPROCS(0), "how many seeds to run at a time")
	faultsFlag  = flag.String("faults", "", "faults: none, all, or a list such as lost-reply,crash-after=0.01; \"\" leaves them to the seeds")
	goOnFlag    = flag.Bool("go-on", false, "go on after a seed has failed, and tell no stories")
	storyFlag   = flag.Bool("story", false, "print the whole trace of each seed")
)

// usualSeeds is how many seeds a test run takes, and with -short, as under the race detector.
const (
	usualSeeds = 3000
	shortSeeds = 200
)

// inBubble simulates one seed.
func inBubble(t *testing.T, seed uint64, forced rates, level traceLevel) (r result) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { r = simulate(seed, forced, level) })
	return r
}

// TestMain lets garbage lie about for longer: runs are short, and little of them is in use at a time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	m.Run()
}

// TestFleet runs many seeds. One that fails is run again with a trace. It takes all processors for itself and
// runs before the parallel tests.
func TestFleet(t *testing.T) {
	n := *seedsFlag
	if n == 0 {
		n = usualSeeds
		if testing.Short() {
			n = shortSeeds
		}
	}
	var forced rates
	if *faultsFlag != "" {
		var err error
		if forced, err = parseRates(*faultsFlag); err != nil {
			t.Fatal(err)
		}
	}
	level := noTrace
	if *storyFlag {
		level = requests
	}
	began := time.Now()
	var next atomic.Uint64
	var requests, rings, done atomic.Int64
	var span atomic.Int64
	var failed atomic.Bool
	var group sync.WaitGroup
	for range *workersFlag {
		group.Go(func() {
			for i := next.Add(1) - 1; i < uint64(n) && !failed.Load(); i = next.Add(1) - 1 { //nolint:gosec // not negative
				r := inBubble(t, *seedFlag+i, forced, level)
				requests.Add(int64(r.requests))
				rings.Add(int64(r.rings))
				span.Add(int64(r.span))
				done.Add(1)
				if *storyFlag {
					t.Log(r.trace)
				}
				switch {
				case len(r.failures) == 0:
				case *goOnFlag:
					t.Errorf("seed %d fails after %d requests:\n%s", r.seed, r.requests, strings.Join(r.failures, "\n"))
				default:
					failed.Store(true)
					report(t, r, forced)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	n64 := max(1, done.Load())
	t.Logf("%d seeds in %v, %.1f a second; on average %d requests and %d rings in %v of virtual time",
		done.Load(), took.Round(time.Millisecond), float64(n64)/took.Seconds(), requests.Load()/n64, rings.Load()/n64,
		(time.Duration(span.Load() / n64)).Round(time.Second))
}

// traceLines is how much of a trace is shown.
const traceLines = 400

func report(t *testing.T, r result, forced rates) {
	t.Helper()
	again := inBubble(t, r.seed, forced, requests)
	lines := strings.Split(again.trace, "\n")
	if len(lines) > traceLines && !*storyFlag {
		lines = append([]string{fmt.Sprintf("… %d lines; all with -story", len(lines)-traceLines)}, lines[len(lines)-traceLines:]...)
	}
	faults := ""
	if *faultsFlag != "" {
		faults = " -faults=" + *faultsFlag
	}
	t.Errorf("seed %d fails after %d requests:\n%s\n\nIt runs again with\n\tgo test ./internal/simulation -run 'TestFleet$' -seeds=1 -seed=%d%s -story\n\n%s",
		r.seed, r.requests, strings.Join(r.failures, "\n"), r.seed, faults, strings.Join(lines, "\n"))
	if again.hash != r.hash {
		t.Errorf("seed %d is not exact: %x, then %x", r.seed, r.hash, again.hash)
	}
}

// TestExact shows that a seed decides everything.
func TestExact(t *testing.T) {
	t.Parallel()
	n := 200
	switch {
	case *seedsFlag > 0:
		n = *seedsFlag
	case testing.Short():
		n = 40
	}
	for i := range uint64(n) { //nolint:gosec // not negative
		seed := *seedFlag - 1 + i
		first, second := inBubble(t, seed+1, nil, noTrace), inBubble(t, seed+1, nil, noTrace)
		if first.hash != second.hash || first.steps != second.steps {
			t.Errorf("seed %d: %d steps with hash %x, then %d with %x\n%s",
				seed+1, first.steps, first.hash, second.steps, second.hash, partingOf(t, seed+1))
		}
	}
}

// partingOf runs a seed that is not exact until it shows where.
func partingOf(t *testing.T, seed uint64) string {
	t.Helper()
	first := inBubble(t, seed, nil, everyStep)
	for range 50 {
		if again := inBubble(t, seed, nil, everyStep); again.hash != first.hash {
			return parting(first.trace, again.trace)
		}
	}
	return "fifty more runs were alike"
}

// parting shows where two traces part.
func parting(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return strings.Join(left[max(0, i-15):i], "\n") + "\nfirst:  " + left[i] + "\nsecond: " + right[i]
		}
	}
	return "the traces are alike"
}
