package simulation_test

import (
	"math/rand/v2"
	"time"

	"github.com/durafleet/durafleet/orchestration"
)

// extras are what only some fleets have.
type extras struct {
	// hops makes the workers set timers of more than a minute in parts.
	hops bool
	// buffer is how many messages of control queues a worker may hold, 0 for as many as usual.
	buffer int
	// nosy clients try what has to be refused.
	nosy bool
	// rivals are programs that start children under the same ids.
	rivals bool
	// wide programs have fan-outs whose records take several transactions.
	wide bool
	// branches are in programs.
	branches bool
	// deadly are activities of which workers die.
	deadly bool
}

// chooseExtras decides on them. The dice are others than those of everything else.
func chooseExtras(seed uint64) extras {
	dice := rand.New(rand.NewPCG(seed, 0xe274a)) //nolint:gosec // nobody has to be unable to guess it
	e := extras{hops: dice.IntN(4) == 0, nosy: dice.IntN(4) == 0}
	if dice.IntN(4) == 0 {
		e.buffer = 1 + dice.IntN(4)
	}
	e.rivals, e.deadly, e.wide = dice.IntN(4) == 0, dice.IntN(6) == 0, dice.IntN(12) == 0
	e.branches = e.wide || dice.IntN(4) == 0
	return e
}

// kinds are the ops that only such fleets have.
func (e extras) kinds() []opKind {
	var kinds []opKind
	if e.rivals {
		kinds = append(kinds, opRival, opRival)
	}
	if e.branches {
		kinds = append(kinds, opSplit, opSplit)
	}
	if e.deadly {
		kinds = append(kinds, opDeadly)
	}
	return kinds
}

const (
	hopLimit = time.Minute
	hopLong  = 25 * time.Second
	// deadlyDeliveries is how often a message is delivered at most where there is what workers die of.
	deadlyDeliveries = 12
)

// codeOptions are how the code of the fleet is run, and replayed.
func (w *world) codeOptions() orchestration.Options {
	if !w.extras.hops {
		return orchestration.Options{}
	}
	return orchestration.Options{TimerLimit: hopLimit, TimerHop: hopLong}
}
