package simulation_test

import (
	"bytes"
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// step is something that waits to go on: a storage request, the beginning of a goroutine, or the
// end of an activity.
type step struct {
	process *process
	// call is the request, nil for other steps; name says what those are, or who makes the request.
	call *storage.Call
	name string
	// next carries the request out.
	next func(ctx context.Context) error
	// serial numbers the steps in the order in which they came.
	serial int
	// notBefore holds the step back.
	notBefore time.Time
	answer    chan verdict
	// orphaned says that nobody waits for the reply any more.
	orphaned bool
	// parked is when the process decided on the step.
	parked time.Time
	// fatal says that the process dies with it.
	fatal bool
	// met says that a fault has met the step already.
	met bool
	// posted is what message tells of the text that the request puts, once somebody has asked.
	posted string
}

// message tells what a request puts into a queue.
func (s *step) message(text string) string {
	if s.posted == "" {
		s.posted = message(text)
	}
	return s.posted
}

// verdict is what becomes of a step.
type verdict int

const (
	// proceed: the request is carried out, and its reply arrives.
	proceed verdict = iota
	// refuse: the service answers that it is busy; nothing has happened.
	refuse
	// lose: the request is carried out, and its reply is lost.
	lose
	// vanish: the request is lost on its way, and its caller cannot know.
	vanish
	// repeat: the request is carried out, its reply is lost, and the storage client sends it again.
	repeat
	// perish: the process is dead; nothing happens.
	perish
	// finish: the request is carried out, and the process dies before the reply.
	finish
)

// compare orders steps by what they are, and only those that are alike by when they came.
func compare(a, b *step) int {
	if c := cmp.Or(cmp.Compare(a.process.number, b.process.number), strings.Compare(a.name, b.name)); c != 0 {
		return c
	}
	if a.call != nil && b.call != nil {
		c := cmp.Or(strings.Compare(string(a.call.Kind), string(b.call.Kind)),
			strings.Compare(a.call.Target, b.call.Target), strings.Compare(a.call.Key, b.call.Key))
		if c == 0 {
			c = compareContent(a, b)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.serial, b.serial)
}

func compareContent(a, b *step) int {
	switch x := a.call.Content.(type) {
	case storage.Posted:
		if y, ok := b.call.Content.(storage.Posted); ok {
			return cmp.Or(strings.Compare(a.message(x.Text), b.message(y.Text)), cmp.Compare(x.Hidden, y.Hidden))
		}
	case []byte:
		if y, ok := b.call.Content.([]byte); ok {
			return bytes.Compare(x, y)
		}
	case []storage.Operation:
		if y, ok := b.call.Content.([]storage.Operation); ok {
			return cmp.Compare(len(x), len(y))
		}
	}
	return 0
}

// event is something that the scheduler does at a time.
type event struct {
	at     time.Time
	serial int
	do     func()
}

// scheduler lets one step go on at a time.
type scheduler struct {
	dice *rand.Rand
	// arrived has room for the news of one step.
	arrived chan struct{}

	mu      sync.Mutex
	waiting []*step
	serial  int

	// The following belong to the goroutine of run.
	events  []event
	planned int
	steps   int
	// release decides what becomes of a step and lets it go on.
	release func(s *step)
	// weight is how readily the steps of a process are chosen.
	weight func(p *process) int
}

func newScheduler(dice *rand.Rand) *scheduler {
	return &scheduler{dice: dice, arrived: make(chan struct{}, 1)}
}

// park adds a step; whoever is to wait for it waits for its answer.
func (s *scheduler) park(st *step) {
	s.mu.Lock()
	s.serial++
	st.serial, st.parked, st.answer = s.serial, time.Now(), make(chan verdict, 1)
	s.waiting = append(s.waiting, st)
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// abandon takes back a step whose caller does not want to wait any longer. It reports false if the
// step goes on, or has to be waited for because its process is frozen. A request that was given up
// may reach the store nevertheless.
func (s *scheduler) abandon(st *step) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, st)
	if i < 0 || time.Now().Before(st.process.frozenUntil) {
		return false
	}
	if st.process.world.lateEffect(st) {
		st.orphaned = true
		return true
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return true
}

// at lets do happen after d. Only the scheduler's own goroutine may call it.
func (s *scheduler) at(d time.Duration, do func()) {
	s.planned++
	s.events = append(s.events, event{time.Now().Add(d), s.planned, do})
}

// run lets steps go on until over reports true. It looks whenever everything is blocked.
func (s *scheduler) run(over func() bool) {
	for {
		synctest.Wait()
		if s.happen() {
			continue // what happened may have woken somebody
		}
		if over() {
			return
		}
		st, until := s.choose()
		if st == nil {
			s.idle(until)
			continue
		}
		s.steps++
		s.release(st)
	}
}

// happen carries out the events that are due and reports whether there were any.
func (s *scheduler) happen() bool {
	due, now := -1, time.Now()
	for i, e := range s.events {
		if !e.at.After(now) && (due < 0 || e.at.Before(s.events[due].at) ||
			e.at.Equal(s.events[due].at) && e.serial < s.events[due].serial) {
			due = i
		}
	}
	if due < 0 {
		return false
	}
	do := s.events[due].do
	s.events = slices.Delete(s.events, due, due+1)
	do()
	return true
}

// choose takes one of the steps that may go on. If there is none, it returns when that may change
// without a new step, zero for never.
func (s *scheduler) choose() (chosen *step, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.arrived: // all that have arrived are seen now
	default:
	}
	now := time.Now()
	var ready []*step
	total := 0
	for _, st := range s.waiting {
		from := st.notBefore
		if st.process.frozenUntil.After(from) {
			from = st.process.frozenUntil
		}
		if from.After(now) {
			if until.IsZero() || from.Before(until) {
				until = from
			}
			continue
		}
		ready = append(ready, st)
		total += s.weight(st.process)
	}
	for _, e := range s.events {
		if until.IsZero() || e.at.Before(until) {
			until = e.at
		}
	}
	if len(ready) == 0 {
		return nil, until
	}
	slices.SortFunc(ready, compare)
	ticket := s.dice.IntN(total)
	for _, st := range ready {
		if ticket -= s.weight(st.process); ticket < 0 {
			chosen = st
			break
		}
	}
	i := slices.Index(s.waiting, chosen)
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return chosen, until
}

// longIdle bounds how long the scheduler waits for a step when nothing at all is going to happen.
const longIdle = time.Minute

// idle lets time pass until a step arrives or until the given time.
func (s *scheduler) idle(until time.Time) {
	if until.IsZero() {
		until = time.Now().Add(longIdle)
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-s.arrived:
	case <-timer.C:
	}
}

// of takes all steps of a process out.
func (s *scheduler) of(p *process) []*step {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []*step
	s.waiting = slices.DeleteFunc(s.waiting, func(st *step) bool {
		if st.process == p && !st.orphaned {
			own = append(own, st)
			return true
		}
		return false
	})
	slices.SortFunc(own, compare)
	return own
}

// waits returns how many requests of a process that match wait at the moment.
func (s *scheduler) waits(p *process, match func(call *storage.Call) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, st := range s.waiting {
		if st.process == p && !st.orphaned && st.call != nil && match(st.call) {
			n++
		}
	}
	return n
}

// freeze makes a process stand still until a time; zero lets it go on.
func (s *scheduler) freeze(p *process, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.frozenUntil = until
}

// thaw returns until when a process stands, or stood last, still.
func (s *scheduler) thaw(p *process) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.frozenUntil
}

// back puts a step back that is to wait longer.
func (s *scheduler) back(st *step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, st)
}
