package simulation_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// fault is a kind of misfortune.
type fault string

const (
	crashBefore   fault = "crash-before" // a process dies before its request reaches the store
	crashAfter    fault = "crash-after"  // a process dies before it gets the reply
	lostReply     fault = "lost-reply"   // the request took effect, or never arrived; its caller cannot know
	repeatRequest fault = "repeat"       // as above, and the storage client sends it again
	busyBurst     fault = "busy"         // a while in which most requests are refused
	slowRequest   fault = "slow"         // a request takes up to half a minute
	redelivery    fault = "redelivery"   // a hidden message is handed out again
	lateMessage   fault = "late-message" // a visible message stays hidden for a while
	disorder      fault = "disorder"     // queues hand out messages in any order
	clockFault    fault = "clock"        // clocks are up to a minute off
	stolenLease   fault = "stolen-lease" // a partition's row names another worker all of a sudden
	freeze        fault = "freeze"       // a process stands still and goes on later
	twinWorker    fault = "twin"         // two workers run under one id
	sameID        fault = "same-id"      // a worker comes back under the id it had
	restart       fault = "restart"      // a worker is stopped in order, and another takes its place
	outage        fault = "outage"       // the store cannot be reached for five minutes
)

// base are the rates at medium intensity: per request for most, per process for clocks and twins,
// per get for disorder.
var base = map[fault]float64{
	crashBefore: 0.0015, crashAfter: 0.003, lostReply: 0.008, repeatRequest: 0.008, busyBurst: 0.003,
	slowRequest: 0.015, redelivery: 0.005, lateMessage: 0.005, disorder: 0.3, clockFault: 1,
	stolenLease: 0.002, freeze: 0.0015, twinWorker: 0.15, sameID: 0.5, restart: 0.001, outage: 0.0004,
}

// rates is how often each fault happens; those that do not are missing.
type rates map[fault]float64

// chooseRates gives each seed a mixture of its own: some faults, each at some intensity. One seed in
// twenty has none.
func chooseRates(dice *rand.Rand) rates {
	chosen := rates{}
	if dice.IntN(20) == 0 {
		return chosen
	}
	for _, f := range slices.Sorted(maps.Keys(base)) {
		on, intensity := dice.IntN(2) == 0, []float64{0.3, 1, 1, 3}[dice.IntN(4)]
		if on {
			chosen[f] = min(1, base[f]*intensity)
		}
	}
	return chosen
}

// parseRates reads what the flag -faults says: "none", "all", or names, each with a rate if it is
// not to be the usual one, as in "crash-after=0.01,lost-reply".
func parseRates(text string) (rates, error) {
	chosen := rates{}
	switch text {
	case "none":
		return chosen, nil
	case "all":
		return maps.Clone(rates(base)), nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, given := strings.Cut(part, "=")
		usual, known := base[fault(name)]
		if !known {
			return nil, fmt.Errorf("fault %q: want none, all, or a list of %v", name, slices.Sorted(maps.Keys(base)))
		}
		chosen[fault(name)] = usual
		if given {
			rate, err := strconv.ParseFloat(value, 64)
			if err != nil || rate < 0 || rate > 1 {
				return nil, fmt.Errorf("rate %q of fault %s: want a number from 0 to 1", value, name)
			}
			chosen[fault(name)] = rate
		}
	}
	return chosen, nil
}

// strikes reports whether a fault happens now.
func (w *world) strikes(f fault) bool { return w.stormy && w.rates[f] > 0 && w.chance(w.rates[f]) }

func (w *world) chance(p float64) bool { return w.dice.Float64() < p }

// between returns a time from a to b, all orders of magnitude alike likely in effect by squaring.
func (w *world) between(a, b time.Duration) time.Duration {
	x := w.dice.Float64()
	return a + time.Duration(x*x*float64(b-a))
}

// disturb lets what happens to the fleet as a whole happen.
func (w *world) disturb() {
	if w.strikes(redelivery) {
		w.moveMessage(true)
	}
	if w.strikes(lateMessage) {
		w.moveMessage(false)
	}
	if w.strikes(stolenLease) {
		w.stealLease()
	}
	if w.strikes(freeze) {
		p := w.alive()[w.dice.IntN(len(w.alive()))]
		w.sched.freeze(p, time.Now().Add(w.between(time.Second, 2*time.Minute)))
		w.note("%v is frozen until %s", p, clock(p.frozenUntil))
	}
	if w.strikes(restart) {
		if workers := w.liveWorkers(); len(workers) > 0 {
			w.replace(workers[w.dice.IntN(len(workers))])
		}
	}
	if w.strikes(outage) {
		w.outageUntil = time.Now().Add(5 * time.Minute)
		w.note("the store cannot be reached until %s", clock(w.outageUntil))
	}
	if w.strikes(busyBurst) {
		w.busyUntil = time.Now().Add(w.between(100*time.Millisecond, 5*time.Second))
		w.note("the store is busy until %s", clock(w.busyUntil))
	}
}

// moveMessage makes a hidden message visible, or a visible one hidden.
func (w *world) moveMessage(visible bool) {
	now := time.Now()
	type place struct{ queue, id string }
	var all []place
	for _, queue := range w.queues {
		for _, m := range w.store.Messages(queue) {
			if m.Visible.After(now) == visible && (m.DequeueCount > 0 || !visible) {
				all = append(all, place{queue, m.ID})
			}
		}
	}
	if len(all) == 0 {
		return
	}
	chosen, at := all[w.dice.IntN(len(all))], now
	if !visible {
		at = now.Add(w.between(time.Second, 2*time.Minute))
	}
	w.store.SetVisible(chosen.queue, chosen.id, at)
	w.note("message %s of %s becomes visible at %s", short(chosen.id), chosen.queue, clock(at))
}

// stealLease lets a partition's row name another worker, with a fresh lease.
func (w *world) stealLease() {
	queue := w.queues[w.dice.IntN(len(w.queues)-1)+1]
	row, err := w.raw.Tables.Read(w.background, w.names.PartitionsTable(), "", queue)
	if err != nil {
		w.fail("read partition %s: %v", queue, err)
		return
	}
	thieves := []string{"stranger"}
	for _, p := range w.liveWorkers() {
		thieves = append(thieves, p.id)
	}
	thief, now := thieves[w.dice.IntN(len(thieves))], time.Now()
	row.Values = wire.EncodePartition(wire.Partition{
		ID: queue, CurrentOwner: thief, OwnedSince: now, LastRenewal: now, ExpiresAt: now.Add(30 * time.Second),
	})
	if _, err := w.raw.Tables.Replace(w.background, w.names.PartitionsTable(), row, ""); err != nil {
		w.fail("steal partition %s: %v", queue, err)
	}
	w.check.stolen(queue, claim{thief, now.Add(leaseDuration)})
	w.note("%s is stolen by %s", queue, thief)
}

// judge decides what becomes of a request that was chosen, and false if it has to wait longer.
func (w *world) judge(st *step) (verdict, bool) {
	if w.cut != nil {
		return w.cut.judge(w, st)
	}
	now := time.Now()
	if w.stormy && now.Before(w.outageUntil) {
		if !st.met {
			st.met, st.notBefore = true, now.Add(w.between(time.Second, 15*time.Second))
			return 0, false
		}
		return refuse, true
	}
	if !st.met && w.strikes(slowRequest) {
		st.met, st.notBefore = true, now.Add(w.between(100*time.Millisecond, 30*time.Second))
		return 0, false
	}
	switch {
	case w.stormy && now.Before(w.busyUntil) && w.chance(0.6):
		return refuse, true
	case w.strikes(crashBefore):
		return perish, true
	case w.strikes(crashAfter):
		return finish, true
	case changes(st.call) && w.strikes(lostReply):
		if w.chance(0.3) {
			return vanish, true
		}
		return lose, true
	case w.repeatable(st.call) && w.strikes(repeatRequest):
		return repeat, true
	default:
		return proceed, true
	}
}

// repeatable reports whether the storage client repeats a request whose reply was lost: all but
// history transactions.
func (w *world) repeatable(call *storage.Call) bool {
	return call.Kind != storage.TableTransact || call.Target != w.names.HistoryTable()
}
