package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/internal/run"
)

// Fault is something that can happen to a fleet.
type Fault string

// The faults.
const (
	// KillWorker kills a worker with SIGKILL; another one is started.
	KillWorker Fault = "kill-worker"
	// FreezeWorker stops a worker with SIGSTOP for longer than its lease, then lets it go on.
	FreezeWorker Fault = "freeze-worker"
	// RollingRestart asks one worker after the other to stop with SIGTERM and replaces it.
	RollingRestart Fault = "rolling-restart"
	// StopStorage cuts the network, stops Azurite with SIGTERM and starts it again.
	StopStorage Fault = "stop-storage"
	// KillStorage cuts the network, kills Azurite with SIGKILL as soon as it has saved what it
	// acknowledged, and starts it again.
	KillStorage Fault = "kill-storage"
	// CutNetwork breaks all connections and refuses new ones for 10 s.
	CutNetwork Fault = "cut-network"
)

// Faults returns all faults in the order of reports.
func Faults() []Fault {
	return []Fault{KillWorker, FreezeWorker, RollingRestart, StopStorage, KillStorage, CutNetwork}
}

// ParseFaults reads names of faults that are separated by commas.
func ParseFaults(text string) ([]Fault, error) {
	var faults []Fault
	for name := range strings.SplitSeq(text, ",") {
		fault := Fault(strings.TrimSpace(name))
		if !slices.Contains(Faults(), fault) {
			return nil, fmt.Errorf("%q is none of %s", fault, joinFaults(Faults(), ", "))
		}
		if !slices.Contains(faults, fault) {
			faults = append(faults, fault)
		}
	}
	return faults, nil
}

func joinFaults(faults []Fault, separator string) string {
	names := make([]string, len(faults))
	for i, fault := range faults {
		names[i] = string(fault)
	}
	return strings.Join(names, separator)
}

const (
	// cutTime is how long the network is away.
	cutTime = 10 * time.Second
	// freezeBeyond is how much longer than its lease a worker is frozen.
	freezeBeyond = 3 * time.Second
	// The pause before each fault is random between these two.
	leastPause = 2 * time.Second
	mostPause  = 5 * time.Second
	// One in so many faults does not wait until what the one before it hit has gone on.
	overlapOdds = 4
	// recoveryLeases bounds how many leases a fault waits for that.
	recoveryLeases = 4
	recoveryPause  = 50 * time.Millisecond
)

// saboteur makes faults happen.
type saboteur struct {
	emulator *emulator
	fleet    *fleet
	recovery *recovery
	random   *rand.Rand
	faults   []Fault
	lease    time.Duration
	say      func(format string, arguments ...any)
	wrongs   *wrongs

	counts map[Fault]int // what happened; read it when run has returned
}

// run makes one fault after the other happen until ctx ends, each once before any of them happens
// again. Most of them wait until the fleet has got over the one before. A fault that has begun is brought to its end; quit is for those who cannot wait for that.
func (s *saboteur) run(ctx, quit context.Context) error {
	var round []Fault
	for {
		pause := leastPause + time.Duration(s.random.Int64N(int64(mostPause-leastPause)))
		if s.random.IntN(overlapOdds) > 0 {
			s.awaitRecovery(ctx)
		}
		if !run.Sleep(ctx, pause) || len(s.faults) == 0 {
			return nil
		}
		s.recovery.disturb()
		if len(round) == 0 {
			round = slices.Clone(s.faults)
			s.random.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		}
		fault := round[0]
		round = round[1:]
		s.counts[fault]++
		if err := s.strike(quit, fault); err != nil {
			return fmt.Errorf("%s: %w", fault, err)
		}
	}
}

// awaitRecovery waits until all work that was hit has gone on, but not for ever.
func (s *saboteur) awaitRecovery(ctx context.Context) {
	deadline := time.Now().Add(recoveryLeases * s.lease)
	for s.recovery.pending() > 0 && time.Now().Before(deadline) {
		if !run.Sleep(ctx, recoveryPause) {
			return
		}
	}
}

func (s *saboteur) strike(ctx context.Context, fault Fault) error {
	switch fault {
	case KillWorker:
		return s.killWorker(ctx)
	case FreezeWorker:
		return s.freezeWorker(ctx)
	case RollingRestart:
		return s.rollingRestart(ctx)
	case StopStorage:
		return s.restartStorage(ctx, fault, "stopping Azurite (SIGTERM)", s.emulator.stop)
	case KillStorage:
		return s.restartStorage(ctx, fault, "cutting the network, to kill Azurite (SIGKILL) when it has saved", s.emulator.crash)
	case CutNetwork:
		return s.cutNetwork(ctx)
	}
	return fmt.Errorf("unknown fault %q", fault)
}

// pick chooses a worker.
func (s *saboteur) pick() *child.Process {
	members := s.fleet.members()
	return members[s.random.IntN(len(members))]
}

func (s *saboteur) killWorker(ctx context.Context) error {
	m := s.pick()
	owned, err := s.fleet.ownedBy(ctx, m.ID())
	if err != nil {
		return err
	}
	now := time.Now()
	m.Kill()
	hits := s.recovery.hitWorker(KillWorker, m.ID(), now, owned, true)
	s.fleet.bury(m)
	s.say("FAULT %s: killed %s (SIGKILL), process %d, with %d pieces of work; starting another one", KillWorker, m.ID(), m.PID(), hits)
	return s.fleet.grow(ctx, 1)
}

func (s *saboteur) freezeWorker(ctx context.Context) error {
	m := s.pick()
	owned, err := s.fleet.ownedBy(ctx, m.ID())
	if err != nil {
		return err
	}
	now := time.Now()
	if err := m.Freeze(); err != nil {
		return err
	}
	hits := s.recovery.hitWorker(FreezeWorker, m.ID(), now, owned, true)
	frozen := s.lease + freezeBeyond
	s.say("FAULT %s: froze %s (SIGSTOP) with %d pieces of work for %v", FreezeWorker, m.ID(), hits, frozen)
	over := run.Sleep(ctx, frozen)
	if err := m.Thaw(); err != nil {
		return err
	}
	if over {
		s.say("      %s: %s goes on (SIGCONT)", FreezeWorker, m.ID())
	}
	return nil
}

func (s *saboteur) rollingRestart(ctx context.Context) error {
	members := s.fleet.members()
	s.say("FAULT %s: restarting %d workers one after the other (SIGTERM)", RollingRestart, len(members))
	for _, m := range members {
		owned, err := s.fleet.ownedBy(ctx, m.ID())
		if err != nil {
			return err
		}
		begun := time.Now()
		s.recovery.hitWorker(RollingRestart, m.ID(), begun, owned, false)
		err = m.Stop(ctx, stopTimeout)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			s.wrongs.add("%v", err)
		}
		s.fleet.bury(m)
		s.say("      %s: %s ended after %.1f s", RollingRestart, m.ID(), time.Since(begun).Seconds())
		if err := s.fleet.grow(ctx, 1); err != nil {
			return err
		}
	}
	return nil
}

func (s *saboteur) restartStorage(ctx context.Context, fault Fault, what string, end func(context.Context) error) error {
	s.say("FAULT %s: %s", fault, what)
	begun := time.Now()
	if err := end(ctx); err != nil {
		return err
	}
	s.say("      %s: Azurite has ended; starting it on the same data and ports", fault)
	if err := s.emulator.relaunch(ctx); err != nil {
		return err
	}
	hits := s.recovery.hitAll(fault, time.Now())
	s.say("      %s: storage is back after %.1f s; %d instances waited for it", fault, time.Since(begun).Seconds(), hits)
	return nil
}

func (s *saboteur) cutNetwork(ctx context.Context) error {
	s.say("FAULT %s: cutting the network for %v: connections break, new ones are refused", CutNetwork, cutTime)
	s.emulator.network.cut()
	run.Sleep(ctx, cutTime)
	if err := s.emulator.network.restore(ctx); err != nil {
		return err
	}
	hits := s.recovery.hitAll(CutNetwork, time.Now())
	s.say("      %s: the network is back; %d instances waited for it", CutNetwork, hits)
	return nil
}
