package simulation_test

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/doorbell/doorbelltest"
	"github.com/durafleet/durafleet/worker"
)

// bells are the doorbells of a fleet: who has one, and how many rings are lost.
type bells struct {
	network *doorbelltest.Network
	// share is the share of processes that have one or ring, lost that of the rings that arrive nowhere.
	share, lost float64
	// rung counts the rings that have arrived.
	rung int
}

// bellPolls are the longest pauses between polls of workers with a bell.
var bellPolls = []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second}

// chooseBells gives one seed in three doorbells. The dice are others than those of everything else.
func chooseBells(seed uint64) *bells {
	dice := rand.New(rand.NewPCG(seed, 0xbe11)) //nolint:gosec // nobody has to be unable to guess it
	b := &bells{network: &doorbelltest.Network{}}
	if dice.IntN(3) == 0 {
		b.share = []float64{0.5, 1, 1}[dice.IntN(3)]
		b.lost = []float64{0, 0.2, 1}[dice.IntN(3)]
	}
	return b
}

// secret is what nobody can guess but who knows the seed.
func (p *process) secret() doorbell.Secret {
	drawn := p.draw("secret")
	return doorbell.Secret(drawn[:16])
}

// wires are the network as a process sees it: a dead process rings nobody.
type wires struct {
	*doorbelltest.Network
	process *process
}

// Send implements doorbell.Network.
func (w wires) Send(to netip.AddrPort, datagram []byte) error {
	p := w.process
	if p.dead.Load() || p.random("ring") < p.world.bells.lost {
		return nil
	}
	p.world.bells.rung++
	return w.Network.Send(to, datagram)
}

// addBell gives a worker a doorbell, if it is to have one.
func (p *process) addBell(opts *worker.Options) {
	if p.bell {
		opts.Doorbell = &worker.Doorbell{}
		opts.MaxPollInterval = bellPolls[int(p.random("poll")*float64(len(bellPolls)))]
	}
}
