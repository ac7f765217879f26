//go:build unix

package chaos_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

const (
	// seedVariable repeats the order of events of an earlier run.
	seedVariable = "DURAFLEET_CHAOS_SEED"

	instances = 200
	processes = 3
	// killing is for how long processes are killed.
	killing = 45 * time.Second
)

func seed(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv(seedVariable); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
		return given
	}
	return rand.Uint64()
}

// G08: worker processes are killed at random while they run chains, fan-outs, timers, events,
// children and generations. Every instance ends with the right output, its history is whole, and
// nothing is left in the queues.
func TestChaos_KillAtRandom_G08(t *testing.T) {
	t.Parallel()
	f := newFleet(t, true)
	s := seed(t)
	t.Logf("set %s=%d to repeat this", seedVariable, s)
	random := rand.New(rand.NewPCG(s, 0))
	alive := make([]*process, processes)
	for i := range alive {
		alive[i] = f.launch()
	}
	var jobs []job
	begin := time.Now()
	kills := 0
	nextKill := begin.Add(3 * time.Second)
	for time.Since(begin) < killing {
		// Instances arrive over four fifths of the time, so that all ages meet all kills.
		due := int(float64(instances) * 1.25 * float64(time.Since(begin)) / float64(killing))
		if n := min(due, instances) - len(jobs); n > 0 {
			jobs = append(jobs, f.startAll(len(jobs), n)...)
		}
		if time.Now().After(nextKill) {
			i := random.IntN(processes)
			alive[i].kill()
			alive[i] = f.launch()
			kills++
			nextKill = time.Now().Add(500*time.Millisecond + time.Duration(random.Int64N(int64(2500*time.Millisecond))))
		}
		run.Sleep(f.ctx, 20*time.Millisecond)
	}
	jobs = append(jobs, f.startAll(len(jobs), instances-len(jobs))...)
	t.Logf("%d processes were killed", kills)
	f.allEnd(jobs, time.Minute)
	t.Logf("all instances ended %v after the last kill", time.Since(begin)-killing)
	f.drained(drainLimit)
	f.checkHistories()
}
