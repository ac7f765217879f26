package worker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition"
)

// reader works on one owned partition: it reads the control queue and keeps the sessions of the
// instances that hash there.
type reader struct {
	w     *Worker
	queue string
	log   *slog.Logger
	// own ends when the partition must not be touched any more.
	own context.Context //nolint:containedctx // holding a partition is a context
	// intake ends when no further turn may begin.
	intake     context.Context //nolint:containedctx // as own
	stopIntake context.CancelFunc
	// asking ends when a request for messages is not to be waited for any longer.
	asking     context.Context //nolint:containedctx // as own
	stopAsking context.CancelFunc
	beat       *partition.Heartbeat
	// progress is what the buffer had let go of when it was last found full; it belongs to the goroutine of
	// serve.
	progress int64
	pace     *pace
	group    run.Group
	began    time.Time
	// evicted is when idle sessions were last looked for; it belongs to the goroutine of serve.
	evicted time.Time

	mu       sync.Mutex
	sessions map[string]*session
	timers   *timers
	draining bool
	// polled is when the queue last answered, silent that it did so to an earlier reader at best.
	polled time.Time
	silent bool
	// settled says that every message of an earlier owner would have shown by now; unconfirmed
	// holds the ids of messages that this owner could not delete for sure.
	settled     bool
	unconfirmed map[string]bool
}

// inheritance is how long messages that an earlier owner held or put back may stay hidden.
const inheritance = maxPutBack + time.Minute

// getTimeout bounds one request for messages. A request that is cut off may have hidden messages.
// getGrace is how long one may still take once the partition is to be handed over.
const (
	getTimeout = 30 * time.Second
	getGrace   = 5 * time.Second
)

// serve reads a partition's queue until the lease is lost or to be handed over; it is the Serve
// of the partition manager.
func (w *Worker) serve(own context.Context, drain <-chan struct{}, id string, beat *partition.Heartbeat) error {
	own = storage.WithCause(own, storage.CauseSettle)
	r := &reader{
		w: w, queue: id, log: w.opts.Logger.With("partition", id), own: own,
		pace: w.newPace(id), began: time.Now(),
		sessions: map[string]*session{}, unconfirmed: map[string]bool{}, beat: beat,
	}
	r.polled = w.silences.of(id)
	if r.silent = !r.polled.IsZero(); r.silent {
		w.alarm() // what was told last is that it is not ours
	}
	r.timers = newTimers(r)
	r.intake, r.stopIntake = context.WithCancel(own)
	defer r.stopIntake()
	r.asking, r.stopAsking = context.WithCancel(storage.WithCause(own, storage.CauseReceive))
	defer r.stopAsking()
	r.aside("worker: timers", r.timers.run)
	r.aside("worker: hand-over", func(ctx context.Context) { r.endAsking(ctx, drain) })
	w.items.pace.eager()
	w.readers.add(r)
	defer w.readers.remove(r)
	failures := 0
	for own.Err() == nil && !run.Ready(drain) {
		if !r.belowThreshold(drain) {
			continue
		}
		err := r.poll(drain)
		if err == nil || own.Err() != nil {
			failures = 0
			continue
		}
		failures++
		beat.Miss(err)
		pause := run.Backoff(failures, 250*time.Millisecond, 10*time.Second)
		r.log.Warn("control queue not read; trying again", "error", err, "pause", pause)
		run.SleepOr(own, pause, nil, drain)
	}
	r.stopAsking()
	r.finish()
	return nil
}

// errNoProgress is why a queue is not read and nothing is done either.
var errNoProgress = errors.New("as many messages are held as may be, and none of them gets on")

// belowThreshold waits, for a second at most, until the worker may take more messages. While what it has is
// being worked off, it has good reason not to.
func (r *reader) belowThreshold(drain <-chan struct{}) bool {
	below := r.w.buffer.below()
	if run.Ready(below) {
		return true
	}
	if released := r.w.buffer.released(); released != r.progress {
		r.progress = released
		r.beat.Beat()
	} else {
		r.beat.Miss(errNoProgress)
	}
	return run.SleepOr(r.own, time.Second, below, drain)
}

// endAsking sees to it that a queue that does not answer does not hold a hand-over up.
func (r *reader) endAsking(ctx context.Context, drain <-chan struct{}) {
	select {
	case <-drain:
	case <-r.asking.Done():
	}
	run.Resume(ctx)
	run.SleepOr(ctx, getGrace, nil, r.asking.Done())
	r.stopAsking()
}

// poll reads the queue once. The request is not cut short by a hand-over, unless it takes too long: what it
// brings is put back.
func (r *reader) poll(drain <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(r.asking, getTimeout)
	defer cancel()
	sent := time.Now()
	received, _, err := r.w.hub.Receive(ctx, r.queue, storage.MaxMessagesPerGet, r.w.opts.Visibility)
	if err != nil {
		return err
	}
	r.notePoll()
	if len(received) == 0 {
		r.idle(drain, sent)
		return nil
	}
	r.pace.busy()
	if sent.Sub(r.evicted) > evictInterval {
		r.evict()
	}
	for _, message := range received {
		r.accept(message, sent)
	}
	if len(received) < storage.MaxMessagesPerGet && r.w.published() {
		r.pace.gather(r.own, drain)
	}
	return nil
}

func (r *reader) notePoll() {
	r.beat.Beat()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polled = time.Now()
	if r.silent {
		r.silent = false
		r.w.silences.end(r.queue)
	}
}

func (r *reader) idle(drain <-chan struct{}, sent time.Time) {
	r.mu.Lock()
	if sent.Sub(r.began) > inheritance {
		r.settled = true
	}
	r.mu.Unlock()
	r.evict()
	r.pace.wait(r.own, drain)
}

// accept takes charge of a message and hands it to its session when it is due.
func (r *reader) accept(message store.Received, sent time.Time) {
	h := r.w.keeper.take(message, sent)
	if h == nil {
		return // the copy that is held has the new receipt
	}
	switch {
	case message.Err != nil:
		r.aside("worker: unreadable message", func(ctx context.Context) { r.w.unreadable(ctx, h) })
		return
	case isEntity(message.Content.Target.InstanceID):
		// Left to workers that know entities, however long that takes.
		h.because("it is for an entity, which other workers know")
		r.aside("worker: put back entity message", func(ctx context.Context) { h.putBack(ctx, putBackDelay(h.DequeueCount)) })
		return
	}
	switch early := dueAt(message.Content.Event).Sub(r.w.hub.Now()); {
	case early <= 0:
		r.deliver(h)
	case early <= maxHold:
		r.aside("worker: hold early message", func(ctx context.Context) { r.holdBack(ctx, h) })
	default:
		r.pace.expected.add(time.Now().Add(early))
		h.because(notDue)
		r.aside("worker: put back early message", func(ctx context.Context) { h.putBack(ctx, early) })
	}
}

// holdBack delivers a message when it is due. If intake ends before, the message is put back.
func (r *reader) holdBack(ctx context.Context, h *held) {
	r.w.buffer.add(1)
	defer r.w.buffer.add(-1)
	due := dueAt(h.Content.Event)
	run.SleepOr(ctx, due.Sub(r.w.hub.Now()), nil, r.intake.Done())
	if r.intake.Err() == nil {
		r.deliver(h)
	} else {
		h.because(notDue)
		h.putBack(ctx, due.Sub(r.w.hub.Now()))
	}
}

// notDue is why a message is put back that came early.
const notDue = "it is not due yet"

// evictInterval is the longest time between two looks for idle sessions.
const evictInterval = 10 * time.Second

// maxHold is how long a message that came early is kept in memory instead of being put back.
const maxHold = 2 * time.Second

// dueAt returns when a message may take effect. A queue may hand out delayed messages early:
// .NET cuts the fraction of delays off.
func dueAt(e history.Event) time.Time {
	switch e := e.(type) {
	case *history.TimerFired:
		return e.FireAt
	case *history.ExecutionStarted:
		if e.ScheduledStart != nil {
			return *e.ScheduledStart
		}
	}
	return time.Time{}
}

// aside runs something beside the reader, for as long as the partition is owned.
func (r *reader) aside(name string, f func(ctx context.Context)) {
	r.group.Go(r.own, name, f)
}

// deliver hands a message to the session of its instance, and wakes it.
func (r *reader) deliver(h *held) {
	r.w.count(h)
	id := h.Content.Target.InstanceID
	r.mu.Lock()
	defer r.mu.Unlock()
	r.give(r.session(id), h)
}

// session returns the session of an instance. The reader is locked.
func (r *reader) session(id string) *session {
	s, ok := r.sessions[id]
	if !ok {
		s = &session{r: r, id: id, wake: make(chan struct{}, 1)}
		r.sessions[id] = s
	}
	return s
}

// give puts a message into a session's inbox and wakes the session. The reader is locked.
func (r *reader) give(s *session, h *held) {
	s.inbox = append(s.inbox, h)
	if !s.running && !r.draining {
		s.running = true
		r.group.Go(r.own, "worker: session", s.run)
		return
	}
	s.signal()
}

// hand hands the result of an activity, in place of the work item that asked for it, to the session that
// waits for it, if that is here. The result is safe as long as the work item is not deleted.
func (r *reader) hand(h *held, answer *wire.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sessions[answer.Target.InstanceID]
	if !ok || r.draining || r.own.Err() != nil {
		return false
	}
	h.Content, h.answers = answer, true
	r.w.count(h)
	r.give(s, h)
	return true
}

// finish ends the sessions. The order: no session begins another turn, turns under way end, what
// was not used is made visible again, and memory is released.
func (r *reader) finish() {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	r.stopIntake()
	r.group.Wait()
	for _, id := range slices.Sorted(maps.Keys(r.sessions)) { // nobody else is left to touch them
		s := r.sessions[id]
		s.forget()
		s.releaseAll(r.own, s.inbox, 0)
	}
}

// keptProcessed is how many processed messages an instance remembers although they were deleted: a
// client whose request was repeated may have put one message into the queue twice.
const keptProcessed = 100

// processed reduces the list of processed messages of a loaded history to the last ones and those
// that may still be delivered.
func (r *reader) processed(stored []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var left []string
	for i, id := range stored {
		if i >= len(stored)-keptProcessed || r.unconfirmed[id] || !r.settled && !r.w.confirmed.has(id) {
			left = append(left, id)
		}
	}
	return left
}

// expect notes that messages are about to be deleted: they may be delivered again until they are.
func (r *reader) expect(batch []*held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range batch {
		if needsMemory(h.Content.Event) {
			r.unconfirmed[h.Content.ActivityID] = true
		}
	}
}

// remove deletes a message and notes whether it is gone for good.
func (r *reader) remove(ctx context.Context, h *held) {
	deleted := h.remove(ctx)
	r.w.uncount(h)
	if !needsMemory(h.Content.Event) {
		return
	}
	if deleted {
		r.w.confirmed.add(h.Content.ActivityID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if deleted {
		delete(r.unconfirmed, h.Content.ActivityID)
	} else {
		r.unconfirmed[h.Content.ActivityID] = true
	}
}
