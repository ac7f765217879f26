package worker

import (
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

// facts is what the sorting of an instance's messages goes by.
type facts struct {
	stored   *store.History
	row      *store.Instance // nil if there is none
	replaced map[string]bool
	// visibility is how long a message is hidden when it is taken.
	visibility time.Duration
	now        time.Time
	// processed says whether the event of a message has taken effect, by the message's id. A client
	// whose request was repeated may have put one message into the queue twice.
	processed func(activityID string) bool
	// judged says how often this worker has put a message aside because it was early, by the id in the
	// queue. Deliveries that an outage has used up do not count.
	judged func(messageID string) int
}

// verdict says what becomes of a message.
type verdict int

const (
	// apply: the event belongs into the next turn.
	apply verdict = iota + 1
	// begin: the start begins a new execution.
	begin
	// drop: the effect is stored, or the message can never have one; it is deleted once nothing
	// that it may still have to cause is missing.
	drop
	// later: it is too early to tell; the message is put back.
	later
	// refuse: the start of a child whose id is taken; the parent is told.
	refuse
	// endRow: the instance is terminated before it has begun.
	endRow
	// missingRow: the start has come before the client wrote the status row.
	missingRow
)

// isEntity reports whether an instance id is that of an entity.
func isEntity(instanceID string) bool { return strings.HasPrefix(instanceID, "@") }

// patience is how many deliveries a message without a visible purpose gets at least before it is
// deleted. With growing delays that takes about a minute.
const patience = 6

// longPatience is how old a message has to be, besides, before it is deleted because its execution
// has not begun: the start may have been taken by a worker that crashed after its first turn had sent
// what this message answers, .NET workers hide what they take for 5 minutes, and an outage uses up
// deliveries.
const longPatience = 6 * time.Minute

// longestLater bounds how long a message that is early is put aside at a time. What it waits for may
// come soon, however often it was delivered.
const longestLater = time.Minute

// startPatience is how many deliveries a start without a status row gets, and startAge how old it has to
// be besides. A client that was held up for longer sends its start again.
const (
	startPatience = 10
	startAge      = 15 * time.Minute
)

// clockTolerance is how far the clocks of senders, workers and the service may be apart when
// times of different clocks are compared.
const clockTolerance = time.Minute

// judge decides on a message in the light of the stored history.
func (f *facts) judge(h *held) (verdict, string) {
	started := startOf(h.Content)
	switch {
	case isEntity(h.Content.Target.InstanceID):
		return later, "entities are left to workers that know them"
	case started != nil && started.Parent != nil:
		return f.judgeChildStart(started)
	case started != nil:
		return f.judgeStart(h, started)
	case f.stored.State.Started() == nil:
		return f.judgeWithoutHistory(h)
	case h.Content.Target.ExecutionID != "" && !sameID(h.Content.Target.ExecutionID, f.stored.ExecutionID):
		return f.judgeForeign(h)
	case needsMemory(h.Content.Event) && f.processed(h.Content.ActivityID):
		return drop, "the event is in the history"
	case f.stored.State.Completed() != nil && toInstance(h) && f.startAwaited():
		return f.judgeBeforeStart(h)
	case f.stored.State.Completed() != nil:
		return drop, "the instance has ended"
	case history.IsAnswer(h.Content.Event):
		return f.judgeAnswer(h)
	default:
		return f.judgeRequest(h)
	}
}

// judgeStart tells real starts by clients from duplicates, by the rules that all engines of this
// format follow: the status row names the execution that counts.
func (f *facts) judgeStart(h *held, started *history.ExecutionStarted) (verdict, string) {
	id := started.Instance.ExecutionID
	generation := int32(0)
	if started.Generation != nil {
		generation = *started.Generation
	}
	switch {
	case sameID(f.stored.ExecutionID, id) && f.stored.State.Started() != nil:
		return drop, "the execution has started"
	case f.left(id):
		return drop, "the execution has continued as new"
	case f.row == nil && f.unclaimed(h):
		return drop, "its client never wrote the status row"
	case f.row == nil:
		return missingRow, "no status row yet"
	case f.row.ExecutionID == "":
		return begin, ""
	case sameID(f.row.ExecutionID, id) && f.row.Status.Terminal():
		return drop, "the instance ended before it began"
	case sameID(f.row.ExecutionID, id):
		return begin, ""
	case f.row.Generation > generation:
		return drop, "a later start took its place"
	case f.row.Generation < generation && f.unclaimed(h):
		return drop, "its client never wrote the status row"
	case f.row.Generation < generation:
		return missingRow, "the status row is still that of the start before"
	case f.row.Status == history.Pending && f.row.Created.Before(started.Timestamp),
		h.DequeueCount > 1 && h.NextVisible.Add(-f.visibility).After(f.row.Created):
		return drop, "another start of the same generation counts"
	case f.unclaimed(h):
		return drop, "its client never wrote the status row"
	default:
		return later, "another start of the same generation may count"
	}
}

// left reports whether the instance has gone on from an execution to another one.
func (f *facts) left(executionID string) bool {
	return f.replaced[executionID] || slices.ContainsFunc(f.stored.Replaced, func(former string) bool {
		return sameID(former, executionID)
	})
}

// judgeChildStart recognises starts of a child that were sent twice, and refuses to replace a
// child that is alive.
func (f *facts) judgeChildStart(started *history.ExecutionStarted) (verdict, string) {
	current := f.stored.State.Started()
	switch {
	case current == nil:
		return begin, ""
	case sameID(f.stored.ExecutionID, started.Instance.ExecutionID), f.left(started.Instance.ExecutionID):
		return drop, "the execution has started"
	case current.Parent != nil && *current.Parent == *started.Parent:
		return drop, "the call has started its child"
	case f.stored.State.Completed() == nil:
		return refuse, "the instance is alive"
	default:
		return begin, ""
	}
}

func (f *facts) judgeWithoutHistory(h *held) (verdict, string) {
	switch {
	case f.row != nil && f.row.Status.Terminal() && toInstance(h):
		return drop, "the instance ended before it began"
	case f.row != nil && f.row.Status == history.Pending && toInstance(h):
		return f.judgeBeforeStart(h)
	case toInstance(h) && (h.DequeueCount < patience || f.judged(h.ID) < patience-1), !toInstance(h) && !f.outlived(h):
		return later, "there is no such instance yet"
	default:
		return drop, "there is no such instance"
	}
}

// startAwaited reports whether the status row belongs to a start that nobody has taken yet.
func (f *facts) startAwaited() bool {
	return f.row != nil && f.row.Status == history.Pending && f.row.HasGeneration &&
		!sameID(f.row.ExecutionID, f.stored.ExecutionID) && !f.left(f.row.ExecutionID)
}

// judgeBeforeStart decides on a message for an execution whose start has not been taken yet.
func (f *facts) judgeBeforeStart(h *held) (verdict, string) {
	switch {
	case isOrder(h.Content.Event) && clearlyBefore(h.InsertedOn, f.row.Created):
		return drop, "it was meant for an earlier start"
	case h.Content.Event.Kind() == history.KindExecutionTerminated:
		return endRow, ""
	}
	return later, "the instance has not started yet"
}

// outlived reports that a message has waited for so long that what it waits for cannot come any more.
func (f *facts) outlived(h *held) bool {
	return h.DequeueCount >= patience && f.waited(h) >= longPatience
}

// unclaimed reports that the client of a start has had enough time to write the status row.
func (f *facts) unclaimed(h *held) bool {
	return h.DequeueCount >= startPatience && f.waited(h) >= startAge
}

// waited returns for how long a message could have taken effect.
func (f *facts) waited(h *held) time.Duration {
	since := h.InsertedOn
	if due := dueAt(h.Content.Event); due.After(since) {
		since = due
	}
	return f.now.Sub(since)
}

// judgeForeign decides on a message for an execution that is not the current one: either it is
// over, or a write that would make it current is still on its way.
func (f *facts) judgeForeign(h *held) (verdict, string) {
	target := h.Content.Target.ExecutionID
	switch {
	case f.left(target), h.InsertedOn.Add(clockTolerance).Before(f.stored.State.Started().Timestamp):
		return drop, "its execution is over"
	case h.DequeueCount < patience:
		return later, "its execution is not the current one"
	case rowIs(f.row, target) && f.row.Status == history.Pending, f.mayBeRestarted() && !f.outlived(h):
		return later, "its execution has not begun"
	default:
		return drop, "its execution is over"
	}
}

func (f *facts) judgeAnswer(h *held) (verdict, string) {
	event := h.Content.Event
	if history.AnswerTo(event) == history.SplitTimerID {
		return apply, ""
	}
	request := f.stored.State.Request(event)
	switch {
	case request == nil && (f.neverAsked(h) || f.otherwiseUsed(event)):
		return drop, "nobody asked for it"
	case request == nil:
		return later, "what it answers is not in the history yet"
	case f.stored.State.Answered(event):
		return drop, "it was answered before"
	case stale(h, request):
		return drop, "it answers an earlier request of the same number"
	default:
		return apply, ""
	}
}

// neverAsked reports that no episode can still bring the request that the answer belongs to. The
// number in the message is that of the episode that asked, but only for answers that a worker
// sends to itself.
func (f *facts) neverAsked(h *held) bool {
	switch h.Content.Event.Kind() {
	case history.KindTaskCompleted, history.KindTaskFailed, history.KindTimerFired:
		return f.stored.Complete && h.Content.Episode != nil && *h.Content.Episode <= f.stored.State.Episodes()
	default:
		return false
	}
}

// otherwiseUsed reports that the number which an answer names belongs to something else: the
// execution will never use it for what is answered.
func (f *facts) otherwiseUsed(answer history.Event) bool {
	id := history.AnswerTo(answer)
	return f.stored.Complete && id >= 0 && slices.ContainsFunc(f.stored.State.Events(), func(e history.Event) bool {
		switch e.Kind() {
		case history.KindTaskScheduled, history.KindTimerCreated, history.KindSubOrchestrationCreated, history.KindEventSent:
			return e.Head().EventID == id
		default:
			return false
		}
	})
}

// stale reports that an answer belongs to another request than the one in the history: one of a
// turn that was sent, but never stored, and computed again later.
func stale(h *held, request history.Event) bool {
	if fired, ok := h.Content.Event.(*history.TimerFired); ok {
		created, ok := request.(*history.TimerCreated)
		return ok && fired.FireAt.Before(created.FireAt)
	}
	if created, ok := request.(*history.SubOrchestrationCreated); ok {
		sender := h.Content.Sender
		return sender != nil && sender.InstanceID != "" && created.InstanceID != "" && sender.InstanceID != created.InstanceID
	}
	private := h.Content.Private
	scheduled, ok := request.(*history.TaskScheduled)
	if private == nil || !ok || private.TaskName == "" {
		return false
	}
	return private.TaskName != scheduled.Name ||
		!private.ScheduledAt.IsZero() && !private.ScheduledAt.Equal(scheduled.Timestamp)
}

// judgeRequest decides on events, terminations and the like for a live instance. One that was
// meant for an earlier start of the same id is dropped.
func (f *facts) judgeRequest(h *held) (verdict, string) {
	started := f.stored.State.Started()
	early := h.InsertedOn.Before(f.stored.Started) ||
		started.Generation != nil && clearlyBefore(h.InsertedOn, started.Timestamp)
	if early && isOrder(h.Content.Event) {
		return drop, "it was meant for an earlier start"
	}
	return apply, ""
}

// clearlyBefore reports whether a message was put into its queue before something happened by another clock. Queues
// tell times in whole seconds.
func clearlyBefore(inserted, happened time.Time) bool {
	return inserted.Add(clockTolerance + time.Second).Before(happened)
}

// isOrder reports whether an event must not take effect on a later life of its instance.
func isOrder(e history.Event) bool {
	return e.Kind() == history.KindExecutionTerminated || e.Kind() == history.KindExecutionSuspended
}

// putBack is a message to be put back.
type putBack struct {
	message *held
	delay   time.Duration
	reason  string
}

// sorted is a batch of messages after sorting.
type sorted struct {
	// start begins a new execution; nil if the current one goes on.
	start *held
	// apply are the messages whose events belong into the turn, in order, without start.
	apply []*held
	// done are deleted after the turn.
	done   []*held
	later  []putBack
	refuse []*held
	endRow *held
	// turn says that there is something to compute, needsRepair that the status row has to be
	// compared with the history.
	turn, needsRepair bool
}

// unsettled returns the messages that are still held.
func (s *sorted) unsettled() []*held {
	all := append([]*held{}, s.done...)
	if s.start != nil {
		all = append(all, s.start)
	}
	if s.endRow != nil {
		all = append(all, s.endRow)
	}
	return append(append(all, s.apply...), s.refuse...)
}

// add adds the messages of a later batch.
func (s *sorted) add(later *sorted) {
	if later.start != nil {
		s.start = later.start
	}
	s.apply = append(s.apply, later.apply...)
	s.done = append(s.done, later.done...)
}

// sort judges a batch. At most one start begins a new execution; what else is in the batch is
// then judged by that one.
func (f *facts) sort(batch []*held, log func(h *held, reason string)) *sorted {
	out := &sorted{}
	taken := map[string]bool{}
	at := -1
	for i, h := range batch {
		if v, _ := f.judgeIfStart(h); v == begin && out.start == nil {
			out.start, at = h, i
		}
	}
	for i, h := range batch {
		if i == at {
			continue
		}
		v, reason := f.judgeBeside(h, out.start, i < at)
		if v == apply && needsMemory(h.Content.Event) {
			if taken[h.Content.ActivityID] {
				v, reason = drop, "the event came twice"
			}
			taken[h.Content.ActivityID] = true
		}
		switch v {
		case apply, begin:
			out.apply = append(out.apply, h)
		case drop:
			log(h, reason)
			out.done = append(out.done, h)
		case refuse:
			out.refuse = append(out.refuse, h)
		case endRow:
			if out.endRow == nil {
				out.endRow = h
			} else {
				out.done = append(out.done, h)
			}
		case later, missingRow:
			out.later = append(out.later, putBack{h, f.laterDelay(h), reason})
		}
	}
	out.turn = out.start != nil || len(out.apply) > 0
	return out
}

// mayBeRestarted reports that a parent may have started a child anew under its id, of which no status
// row tells before it has begun.
func (f *facts) mayBeRestarted() bool {
	return f.stored.State.Completed() != nil && f.stored.State.Started().Parent != nil
}

// laterDelay is for how long a message that is early is put aside: until a delayed start is due if it
// waits for that.
func (f *facts) laterDelay(h *held) time.Duration {
	delay := min(putBackDelay(h.DequeueCount), longestLater)
	if f.row == nil || f.row.Status != history.Pending || f.row.ScheduledStart == nil || !toInstance(h) {
		return delay
	}
	return max(delay, min(f.row.ScheduledStart.Sub(f.now), maxPutBack))
}

func (f *facts) judgeIfStart(h *held) (verdict, string) {
	if startOf(h.Content) == nil {
		return apply, ""
	}
	return f.judge(h)
}

// judgeBeside judges a message that came together with a start that begins a new execution, or
// without one.
func (f *facts) judgeBeside(h, start *held, before bool) (verdict, string) {
	if start == nil {
		return f.judge(h)
	}
	target := h.Content.Target.ExecutionID
	began := startOf(start.Content).Instance.ExecutionID
	switch {
	case startOf(h.Content) != nil:
		if sameID(startOf(h.Content).Instance.ExecutionID, began) {
			return drop, "the start came twice"
		}
		return later, "another start comes first"
	case needsMemory(h.Content.Event) && f.processed(h.Content.ActivityID):
		return drop, "the event was in the history before"
	case target == "" && f.isForFormer(h, start, before):
		return drop, "it was meant for the execution before"
	case target == "":
		return apply, ""
	case sameID(target, began):
		return later, "its execution is about to start"
	default:
		return f.judgeForeignBeside(h)
	}
}

// isForFormer reports that a message which came together with a start was meant for what was there
// before. The service's times tell, in whole seconds; the order of the batch tells little. In doubt an
// event is kept, and an order is not.
func (f *facts) isForFormer(h, start *held, before bool) bool {
	order := isOrder(h.Content.Event)
	earlier := h.InsertedOn.Before(start.InsertedOn)
	doubtful := h.InsertedOn.Equal(start.InsertedOn) && before
	return order && earlier || f.stored.State.Started() != nil && (earlier || order && doubtful)
}

func (f *facts) judgeForeignBeside(h *held) (verdict, string) {
	if f.stored.State.Started() == nil && h.DequeueCount < patience {
		return later, "its execution is not the current one"
	}
	return drop, "its execution is over"
}
