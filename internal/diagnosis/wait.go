package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/store"
)

// judgeWaits says what a live instance waits for, and finds what it waits for in vain.
func (x *examination) judgeWaits() {
	state := x.History.State
	if state.Suspended() {
		x.Waits = append(x.Waits, suspension(state))
	}
	missing := &losses{}
	for _, event := range state.Events() {
		if event.Head().EventID == history.SplitTimerID || !open(state, event) {
			continue
		}
		switch e := event.(type) {
		case *history.TaskScheduled:
			x.waitActivity(e, missing)
		case *history.TimerCreated:
			x.waitTimer(e, missing)
		case *history.SubOrchestrationCreated:
			x.waitChild(e, missing)
		}
	}
	x.report(missing)
	x.unknown(orchestrationName, state.Started().Name, x.Queue)
	x.waitEvents()
	if len(x.Waits) == 0 {
		x.Waits = append(x.Waits, x.idleWait())
	}
}

// open reports whether an event is a request that waits for its answer.
func open(state *history.State, event history.Event) bool {
	id := event.Head().EventID
	switch e := event.(type) {
	case *history.TaskScheduled:
		return !state.Answered(&history.TaskCompleted{TaskID: id})
	case *history.TimerCreated:
		return !state.Answered(&history.TimerFired{TimerID: id})
	case *history.SubOrchestrationCreated:
		_, detached := e.Tags[history.FireAndForget]
		return !detached && !state.Answered(&history.SubOrchestrationCompleted{TaskID: id})
	}
	return false
}

func suspension(state *history.State) Wait {
	wait := Wait{Kind: WaitResume, Text: "it is suspended"}
	for _, event := range state.Events() {
		if suspended, ok := event.(*history.ExecutionSuspended); ok {
			wait.Since = suspended.Timestamp
			wait.Text = "it is suspended since " + when(suspended.Timestamp)
			if reason := history.TextOr(suspended.Reason, ""); reason != "" {
				wait.Text += ": " + reason
			}
		}
	}
	return wait
}

// waitEvents says which external events an instance waits for, as far as the worker that did its last turn has
// noted them.
func (x *examination) waitEvents() {
	if x.Sentinel == nil || !same(x.Sentinel.ExecutionID, x.History.ExecutionID) || x.Sentinel.ETag != x.History.ETag {
		return
	}
	for _, wait := range x.Sentinel.Waits {
		text := fmt.Sprintf("it waits for event %q since %s", wait.Name, when(wait.Since))
		at, message := x.seen(x.Queue, func(m *Message) bool {
			raised, ok := m.Content.Event.(*history.EventRaised)
			return ok && x.forUs(m) && strings.EqualFold(raised.Name, wait.Name)
		})
		if message != nil {
			text += ": it is in queue " + x.Queue + place(at, message, x.Hub.Now)
		}
		x.Waits = append(x.Waits, Wait{Kind: WaitEvent, Name: wait.Name, Since: wait.Since, Text: text})
	}
}

// idleWait is what an instance waits for that has asked for nothing.
func (x *examination) idleWait() Wait {
	state := x.History.State
	events := state.Events()
	wait := Wait{Kind: WaitEvent, Since: events[len(events)-1].Head().Timestamp}
	switch {
	case !state.AtRest() || !x.History.Complete:
		wait.Kind, wait.Text = WaitWorker, "its last turn is stored in part; the worker that gets its messages again completes it"
	default:
		wait.Text = "it waits for an event, or for nothing; the history does not tell for which"
		if x.Row != nil && x.Row.CustomStatus != nil {
			wait.Text += "; its custom status is " + *x.Row.CustomStatus
		}
	}
	return wait
}

// losses are the calls whose messages are gone.
type losses struct {
	timers, others             []int32
	likelyTimers, likelyOthers []int32
	evidence, guesses          []string
	// aside is a message that was moved aside and cannot be read, and may be one of them.
	aside *Aside
}

// report turns losses into findings: timers are sent again by anyone, the others by a worker that
// has the code, because the history does not hold their inputs.
func (x *examination) report(l *losses) {
	add := func(tasks []int32, likely bool, repair RepairKind, text string, evidence []string) {
		if len(tasks) > 0 {
			f := Finding{Code: MessageLost, Likely: likely, Text: text, Evidence: evidence, Repair: Repair{Kind: repair, Tasks: tasks}}
			if repair == "" {
				f.Why = "it is not sure, and what may still run is not started a second time on a guess"
			}
			x.lost(f, l.aside)
		}
	}
	add(l.timers, false, SendTimers, plural(len(l.timers), "timer")+" will never fire: their messages are gone", l.evidence)
	add(l.others, false, AskOwner, "the messages of "+plural(len(l.others), "call")+" are gone: the instance waits for their results in vain", l.evidence)
	add(l.likelyTimers, true, SendTimers, plural(len(l.likelyTimers), "timer")+" will probably never fire", l.guesses)
	// An activity that may still be running is not started a second time on a guess.
	add(l.likelyOthers, true, "", "the messages of "+plural(len(l.likelyOthers), "call")+" are probably gone", l.guesses)
}

func (x *examination) waitActivity(e *history.TaskScheduled, missing *losses) {
	wait := Wait{Kind: WaitActivity, Name: e.Name, TaskID: e.EventID, Since: e.Timestamp}
	text := fmt.Sprintf("it waits for activity %q (call %d) since %s", e.Name, e.EventID, when(e.Timestamp))
	item, asked := x.seen(x.WorkItems, func(m *Message) bool {
		scheduled, ok := m.Content.Event.(*history.TaskScheduled)
		return ok && scheduled.EventID == e.EventID && x.forUs(m)
	})
	like := &history.TaskCompleted{TaskID: e.EventID}
	answer, answered := x.answer(like)
	worker, running := x.running(e)
	aside, sure := x.aside(x.History.ExecutionID, func(event history.Event) bool {
		scheduled, ok := event.(*history.TaskScheduled)
		return ok && scheduled.EventID == e.EventID || answers(event, like)
	}, history.KindTaskScheduled, history.KindTaskCompleted, history.KindTaskFailed)
	switch {
	case answered != nil:
		wait.Text = text + ": its result waits in queue " + x.Queue + place(answer, answered, x.Hub.Now)
	case asked != nil:
		wait.Text = text + ": it waits for a worker in the queue of activities" + place(item, asked, x.Hub.Now)
	case running != nil:
		wait.Text = fmt.Sprintf("%s: worker %s runs it since %s", text, worker, when(running.Since))
	case sure && !aside.Answered:
		x.waitAside = true
		wait.Text = text + ": " + moved("its message", aside)
	case x.doubt != "":
		wait.Text = text + ": neither its work item nor its result is to be seen" + x.unsure(x.Queue, x.isAnswer(like))
	case x.Steady && x.whole(x.WorkItems) && x.whole(x.Queue):
		missing.aside = aside
		wait.Text = text + ", in vain"
		missing.others = append(missing.others, e.EventID)
		missing.evidence = append(missing.evidence, fmt.Sprintf("activity %q (call %d): neither its work item nor a result is in a queue, and none is hidden", e.Name, e.EventID))
	case x.Steady && x.itemsIdle(e):
		wait.Text = text + ", probably in vain"
		missing.likelyOthers = append(missing.likelyOthers, e.EventID)
		missing.guesses = append(missing.guesses, fmt.Sprintf(
			"activity %q (call %d): no worker reports to run it, and the queue of activities is not behind; %s", e.Name, e.EventID, x.hidden(x.WorkItems)))
	default:
		wait.Text = text + ": its work item is not to be seen: a worker has it, it was put back for a while, or it is lost; " + x.hidden(x.WorkItems)
	}
	if answered == nil && running == nil {
		x.unknown("activity", e.Name, "")
	}
	x.Waits = append(x.Waits, wait)
}

// running returns the report of an activity that runs.
func (x *examination) running(e *history.TaskScheduled) (string, *store.ReportActivity) {
	for i := range x.Hub.Reports {
		report := &x.Hub.Reports[i]
		if !x.Hub.Fresh(report) {
			continue
		}
		for j := range report.Running {
			r := &report.Running[j]
			if r.InstanceID == x.ID && r.TaskID == e.EventID && same(r.ExecutionID, x.History.ExecutionID) {
				return report.WorkerID, r
			}
		}
	}
	return "", nil
}

func (x *examination) waitTimer(e *history.TimerCreated, missing *losses) {
	wait := Wait{Kind: WaitTimer, TaskID: e.EventID, Since: e.Timestamp, Due: e.FireAt}
	left := e.FireAt.Sub(x.Hub.Now)
	text := fmt.Sprintf("it waits for a timer (call %d) due at %s, in %s", e.EventID, when(e.FireAt), span(left))
	if left <= 0 {
		text = fmt.Sprintf("it waits for a timer (call %d) that was due at %s, %s ago", e.EventID, when(e.FireAt), span(left))
	}
	like := &history.TimerFired{TimerID: e.EventID}
	at, message := x.answer(like)
	aside, sure := x.aside(x.History.ExecutionID, func(event history.Event) bool { return answers(event, like) }, history.KindTimerFired)
	switch {
	case message != nil:
		wait.Text = text + ": it waits in queue " + x.Queue + place(at, message, x.Hub.Now)
	case sure:
		x.waitAside = true
		wait.Text = text + ": " + moved("its message", aside)
	case x.doubt != "":
		wait.Text = text + x.unsure(x.Queue, x.isAnswer(like))
	case x.Steady && x.whole(x.Queue):
		missing.aside = aside
		wait.Text = text + ", in vain"
		missing.timers = append(missing.timers, e.EventID)
		missing.evidence = append(missing.evidence, fmt.Sprintf("timer %d, due at %s: queue %s was seen as a whole and does not hold it", e.EventID, when(e.FireAt), x.Queue))
	case x.Steady && x.idle(x.Queue, e.FireAt):
		wait.Text = text + ", probably in vain"
		missing.likelyTimers = append(missing.likelyTimers, e.EventID)
		missing.guesses = append(missing.guesses, fmt.Sprintf("timer %d was due at %s", e.EventID, when(e.FireAt)))
		missing.guesses = append(missing.guesses, x.idleEvidence(x.Queue)...)
	case left > 0:
		wait.Text = text
	default:
		wait.Text = text + ": its message is not to be seen: a worker has it, or it is lost; " + x.hidden(x.Queue)
	}
	x.Waits = append(x.Waits, wait)
}

func (x *examination) waitChild(e *history.SubOrchestrationCreated, missing *losses) {
	child := x.Children[e.EventID]
	wait := Wait{Kind: WaitChild, Name: e.Name, InstanceID: e.InstanceID, TaskID: e.EventID, Since: e.Timestamp}
	text := fmt.Sprintf("it waits for child %q of %q (call %d) since %s", e.InstanceID, e.Name, e.EventID, when(e.Timestamp))
	like := &history.SubOrchestrationCompleted{TaskID: e.EventID}
	answer, answered := x.answer(like)
	isStart := func(m *Message) bool {
		started, ok := m.Content.Event.(*history.ExecutionStarted)
		return ok && started.Parent != nil && started.Parent.TaskID == e.EventID &&
			started.Parent.Instance.InstanceID == x.ID && same(started.Parent.Instance.ExecutionID, x.History.ExecutionID)
	}
	start, starting := x.seen(child.Queue, isStart)
	aside, sure := x.aside(x.History.ExecutionID, func(event history.Event) bool { return answers(event, like) },
		history.KindSubOrchestrationCompleted, history.KindSubOrchestrationFailed)
	switch {
	case answered != nil:
		wait.Text = text + ": its result waits in queue " + x.Queue + place(answer, answered, x.Hub.Now)
	case starting != nil:
		wait.Text = text + ": its start waits in queue " + child.Queue + place(start, starting, x.Hub.Now)
	case sure:
		x.waitAside = true
		wait.Text = text + ": " + moved("its answer", aside)
	case x.doubt != "" && child.Ended != nil:
		wait.Text = text + ": the child has ended" + x.unsure(x.Queue, x.isAnswer(like))
	case x.doubt != "" && !child.Exists:
		wait.Text = text + ": it has not begun" + x.unsure(child.Queue, isStart)
	case child.Ended != nil && x.Steady && x.whole(x.Queue):
		wait.Text = text + ", in vain: the child has ended"
		x.lost(Finding{
			Code: AnswerLost, Repair: Repair{Kind: SendAnswer, Tasks: []int32{e.EventID}},
			Text:     fmt.Sprintf("child %q has ended as %s, and what it told its parent is gone", e.InstanceID, child.Ended.Status),
			Evidence: []string{"queue " + x.Queue + " was seen as a whole and does not hold the answer"},
		}, aside)
	case !child.Exists && child.Queue != "" && x.Steady && x.whole(child.Queue) && x.whole(x.Queue):
		wait.Text = text + ", in vain: it was never started, or was purged"
		missing.others = append(missing.others, e.EventID)
		missing.evidence = append(missing.evidence, fmt.Sprintf(
			"child %q (call %d): nothing is stored about it, and queue %s was seen as a whole and does not hold its start", e.InstanceID, e.EventID, child.Queue))
	case !child.Exists:
		wait.Text = text + ": it has not begun; " + x.hidden(child.Queue)
		x.unknown(orchestrationName, e.Name, child.Queue)
	default:
		wait.Text = text + ": the child " + child.Line
	}
	x.Waits = append(x.Waits, wait)
}

// forUs reports whether a message is for the execution of the history.
func (x *examination) forUs(m *Message) bool {
	target := m.Content.Target
	return target.InstanceID == x.ID && (target.ExecutionID == "" || same(target.ExecutionID, x.History.ExecutionID))
}

// answer looks for a message that answers the same request as the given event.
func (x *examination) answer(like history.Event) (int, *Message) {
	return x.seen(x.Queue, x.isAnswer(like))
}

func (x *examination) isAnswer(like history.Event) func(m *Message) bool {
	request := x.History.State.Request(like)
	return func(m *Message) bool {
		return x.forUs(m) && answers(m.Content.Event, like) && x.History.State.Request(m.Content.Event) == request
	}
}

// answers reports whether an event answers the call of the same number as another one.
func answers(e, like history.Event) bool {
	return history.IsAnswer(e) && history.AnswerTo(e) == history.AnswerTo(like)
}

// unsure says that a message that is not in its queue cannot be said to be lost, and where it is if that is seen.
func (x *examination) unsure(queue string, matches func(m *Message) bool) string {
	for _, other := range x.Hub.seenQueues() {
		if other == queue || !isControl(other) {
			continue
		}
		if _, message := x.seen(other, matches); message != nil {
			return fmt.Sprintf("; its message is in queue %s, where nobody looks for it while %s", other, x.doubt)
		}
	}
	return "; whether its message is lost cannot be told while " + x.doubt
}

// seen returns the first visible message of a queue that matches, and its place.
func (x *examination) seen(queue string, matches func(m *Message) bool) (int, *Message) {
	messages := x.Hub.Looks[queue].Messages
	at := slices.IndexFunc(messages, func(m Message) bool { return m.Content != nil && matches(&m) })
	if at < 0 {
		return 0, nil
	}
	return at, &messages[at]
}

// whole reports that all messages of a queue were seen.
func (x *examination) whole(queue string) bool { return x.Hub.Looks[queue].Whole }

// hidden says how many messages of a queue were not seen.
func (x *examination) hidden(queue string) string {
	if x.Hub.Looks[queue].Missing {
		return "queue " + queue + " does not exist"
	}
	return fmt.Sprintf("%s of queue %s cannot be seen", plural(x.Hub.Looks[queue].Hidden(), "message"), queue)
}

// place says where in a queue a message stands and since when.
func place(at int, m *Message, now time.Time) string {
	text := fmt.Sprintf(" behind %s, for %s", plural(at, "other"), span(now.Sub(m.Inserted)))
	if at == 0 {
		text = fmt.Sprintf(" as the first, for %s", span(now.Sub(m.Inserted)))
	}
	switch {
	case m.Deliveries == 1:
		text += ", after 1 delivery"
	case m.Deliveries > 1:
		text += fmt.Sprintf(", after %d deliveries", m.Deliveries)
	}
	return text
}

// idle reports that the reader of a partition would have dealt with a message that was due at the
// given time: long ago, and it reads, holds nothing, turns nothing away, and finds nothing to read.
func (x *examination) idle(queue string, due time.Time) bool {
	report, owned := x.Hub.OwnerReport(queue)
	if owned == nil || x.Hub.Now.Sub(due) < longGone || len(x.Hub.Looks[queue].Messages) > 0 {
		return false
	}
	return owned.Messages == 0 && report.At.Sub(owned.LastPolled) < pollPatience && report.At.Sub(owned.Since) > longGone &&
		len(report.Unknown) == 0 && len(report.Held) == 0
}

func (x *examination) idleEvidence(queue string) []string {
	report, _ := x.Hub.OwnerReport(queue)
	return []string{
		fmt.Sprintf("worker %s reads queue %s, holds no message of it and finds none", report.WorkerID, queue), x.hidden(queue),
	}
}

// itemsIdle reports that a worker would run an activity by now: it was asked for long ago, no work
// items wait, and every worker tells what it runs and is not asked for what it does not know.
func (x *examination) itemsIdle(e *history.TaskScheduled) bool {
	if x.Hub.Now.Sub(e.Timestamp) < longGone || len(x.Hub.Looks[x.WorkItems].Messages) > 0 || len(x.Hub.Reports) == 0 {
		return false
	}
	for i := range x.Hub.Leases {
		if owner := x.Hub.Leases[i].CurrentOwner; owner == "" || x.Hub.Report(owner) == nil {
			return false
		}
	}
	for i := range x.Hub.Reports {
		r := &x.Hub.Reports[i]
		if !x.Hub.Fresh(r) || len(r.Unknown) > 0 || r.Activities != len(r.Running) || r.At.Sub(r.Started) < longGone {
			return false
		}
	}
	return true
}
