package worker

import (
	"context"
	"slices"
	"sync"

	"github.com/durafleet/durafleet/internal/run"
)

// lanes shares the slots of activities among those who want some: whoever waits is served in turn, so
// that the large fan-out of one instance does not keep others waiting.
type lanes struct {
	size int

	mu      sync.Mutex
	free    int
	waiting []*lane // those with a queue, the next one first
}

func newLanes(n int) *lanes { return &lanes{size: n, free: n} }

// lane is one of those who share slots.
type lane struct {
	of    *lanes
	queue []*place
}

// place is a place in the queue of a lane.
type place struct {
	in    *lane
	start func()
}

// lane returns a new lane.
func (l *lanes) lane() *lane { return &lane{of: l} }

// want calls start as soon as there is a slot, which is the caller's then: at once, or from the
// goroutine that releases one. start must not block.
func (l *lane) want(start func()) *place {
	p := &place{l, start}
	l.of.mu.Lock()
	if l.of.free > 0 {
		l.of.free--
		l.of.mu.Unlock()
		start()
		return p
	}
	l.queue = append(l.queue, p)
	if len(l.queue) == 1 {
		l.of.waiting = append(l.of.waiting, l)
	}
	l.of.mu.Unlock()
	return p
}

// leave gives a place up and reports whether it still was one: a slot that was granted is not taken
// back.
func (p *place) leave() bool {
	l := p.in
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	at := slices.Index(l.queue, p)
	if at < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, at, at+1)
	if len(l.queue) == 0 {
		l.of.waiting = slices.DeleteFunc(l.of.waiting, func(other *lane) bool { return other == l })
	}
	return true
}

// tryAcquire takes a slot if one is free.
func (l *lanes) tryAcquire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == 0 {
		return false
	}
	l.free--
	return true
}

// release gives a slot back, or on to the next who waits.
func (l *lanes) release() {
	l.mu.Lock()
	if len(l.waiting) == 0 {
		l.free++
		l.mu.Unlock()
		return
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	p := next.queue[0]
	next.queue = next.queue[1:]
	if len(next.queue) > 0 {
		l.waiting = append(l.waiting, next)
	}
	l.mu.Unlock()
	p.start()
}

// acquire waits for a slot and reports false if stop ends first. ctx is the caller's own.
func (l *lane) acquire(ctx, stop context.Context) bool {
	if stop.Err() != nil {
		return false
	}
	granted := make(chan struct{})
	p := l.want(func() { close(granted) })
	if run.Ready(granted) {
		return true
	}
	select {
	case <-granted:
	case <-stop.Done():
	}
	run.Resume(ctx)
	return !p.leave() // it may have been granted at the same moment
}

// release gives a slot back.
func (l *lane) release() { l.of.release() }
