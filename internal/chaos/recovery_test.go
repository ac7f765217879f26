//go:build unix

package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The stated targets, with the default settings of workers.
const (
	killTarget = 60 * time.Second
	stopTarget = 12 * time.Second
	// ringTarget is what a stop may cost if workers can wake each other.
	ringTarget = 2 * time.Second
)

// single makes jobs of one step each, n for each partition.
func (f *fleet) single(prefix string, n int) []job {
	f.Helper()
	var jobs []job
	left := make([]int, f.hub.Partitions())
	for i := range left {
		left[i] = n
	}
	for i := 0; len(jobs) < n*len(left); i++ {
		j := job{id: fmt.Sprintf("%s-%d", prefix, i), name: chain.Name(), input: 1, want: "1"}
		if p := f.hub.PartitionOf(j.id); left[p] > 0 {
			left[p]--
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// pair starts two workers with the default settings that own two partitions each. The activities of
// the second one linger if asked for. With bells they, and the client, wake each other.
func (f *fleet) pair(linger, bells bool) (stays, leaves *process) {
	f.Helper()
	if bells {
		f.hub.UseDoorbells()
	}
	stays = f.launchAs(spec{Defaults: true, Doorbell: bells})
	leaves = f.launchAs(spec{Defaults: true, Doorbell: bells, Linger: linger})
	f.eventually(time.Minute, "both own two partitions", func() bool {
		owners := f.owners()
		return owners[stays.id] == 2 && owners[leaves.id] == 2
	})
	return stays, leaves
}

// hasBegun reports whether an activity of a job has begun in the process.
func hasBegun(p *process, j job) bool { return strings.Contains(p.output.String(), begins(j.id)) }

// begun returns the jobs of which an activity has begun in the process.
func begun(p *process, jobs []job) []job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return !hasBegun(p, j) })
}

// occupy starts jobs until activities of some of them linger in the process, and returns all jobs
// and those.
func (f *fleet) occupy(p *process) (jobs, lingering []job) {
	f.Helper()
	for i := 0; len(begun(p, jobs)) < 4; i++ {
		if i == 10 {
			f.Fatalf("%s runs hardly an activity", p)
		}
		more := f.single(fmt.Sprintf("busy-%d", i), 4)
		for _, j := range more {
			f.start(j)
		}
		jobs = append(jobs, more...)
		f.eventually(30*time.Second, "all activities have begun", func() bool {
			return f.completed(jobs)+len(begun(p, jobs)) >= len(jobs)
		})
	}
	return jobs, begun(p, jobs)
}

// completed returns how many of the jobs have ended.
func (f *fleet) completed(jobs []job) int {
	f.Helper()
	n := 0
	for _, j := range jobs {
		if status, err := f.client.Get(f.ctx, j.id); err == nil && status.Status.Terminal() {
			n++
		}
	}
	return n
}

// What a killed worker had goes on within 60 s, with default settings: its partitions, and the
// activities that it ran.
func TestRecovery_Kill(t *testing.T) {
	t.Parallel()
	f := newFleet(t, false)
	stays, leaves := f.pair(true, false)
	jobs, lingering := f.occupy(leaves)
	leaves.kill()
	killed := time.Now()
	fresh := f.single("fresh", 2)
	for _, j := range fresh {
		f.start(j)
	}
	f.allEnd(fresh, killTarget-time.Since(killed))
	t.Logf("its partitions went on %v after the kill", time.Since(killed))
	f.eventually(killTarget-time.Since(killed), "its activities run elsewhere", func() bool {
		return len(begun(stays, lingering)) == len(lingering)
	})
	t.Logf("its %d activities went on %v after the kill", len(lingering), time.Since(killed))
	f.allEnd(jobs, time.Minute)
	f.drained(drainLimit)
	f.checkHistories()
}

// A worker that is asked to stop costs at most 12 s, with default settings, until its partitions are
// served and the work in them goes on, also if activities keep it from ending for longer.
func TestRecovery_Stop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		linger bool
		exits  time.Duration
	}{
		{"short activities", false, exitLimit},
		{"activities that do not end", true, 45 * time.Second}, // the default drain takes 30 s
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stop(t, tt.linger, false, stopTarget, tt.exits)
		})
	}
}

// With doorbells it costs at most 2 s. Two seconds are not much for processes that share a machine, so
// this test does not run beside others.
func TestRecovery_StopWithDoorbells(t *testing.T) {
	stop(t, false, true, ringTarget, exitLimit)
}

// stop stops one of two workers. All work has to go on within a time, and the worker has to end within another.
func stop(t *testing.T, linger, bells bool, goesOn, exits time.Duration) {
	t.Helper()
	f := newFleet(t, false)
	_, leaves := f.pair(linger, bells)
	var jobs []job
	if linger {
		jobs, _ = f.occupy(leaves)
	} else {
		jobs = f.startAll(0, 40)
	}
	leaves.signal(syscall.SIGTERM)
	stopped := time.Now()
	fresh := f.single("fresh", 2)
	for _, j := range fresh {
		f.start(j)
	}
	f.eventually(goesOn-time.Since(stopped), "all partitions go on", func() bool {
		elsewhere := slices.DeleteFunc(slices.Clone(fresh), func(j job) bool {
			return linger && hasBegun(leaves, j) // before it heard the signal
		})
		return f.completed(elsewhere) == len(elsewhere)
	})
	t.Logf("all partitions went on %v after the signal", time.Since(stopped))
	if code := leaves.exit(t, exits-time.Since(stopped)); code != 0 {
		t.Errorf("the worker ended with exit code %d", code)
	}
	f.allEnd(append(jobs, fresh...), time.Minute)
	f.drained(drainLimit)
	f.checkHistories()
}
