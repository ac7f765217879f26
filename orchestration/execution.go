package orchestration

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
)

// Options adjusts how an execution is replayed. The zero value means all defaults.
type Options struct {
	// TimerHop splits long timers: a timer due in more than TimerLimit is set as a chain of
	// timers of TimerHop each. Defaults 6 and 3 days, as the .NET line does, because a queue
	// message cannot be delayed for more than 7 days.
	TimerLimit time.Duration
	TimerHop   time.Duration
	// Logger is the base of Context.Logger. Default: discard.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.TimerLimit = cmp.Or(o.TimerLimit, 6*24*time.Hour)
	o.TimerHop = cmp.Or(o.TimerHop, 3*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Execution runs the code of one execution of an instance over its events. It is pure: events
// come in, actions go out. It is not safe for concurrent use, but it may be driven by different
// goroutines one after the other. Close must be called when it is no longer needed.
type Execution struct {
	binding Binding
	options Options

	started   *history.ExecutionStarted
	now       time.Time
	replaying bool
	played    bool                            // the answer being applied was recorded by an in-process .NET executor
	ahead     map[int32]*history.TimerCreated // timers in the part of the history still to be replayed
	suspended bool
	held      []history.Event // events that came while suspended

	nextID     int32
	uuids      int
	actions    map[int32]*pendingAction // produced, not yet recorded or handed out
	open       map[int32]*openAction    // waiting for their answer
	early      map[earlyKey]answer      // answers that came before their action
	keep       bool                     // open actions are kept whole, see Owed
	inbox      mailbox
	status     *string
	cont       *Continuation
	dropEvents bool
	outcome    *CompleteAction

	strands []*coroutine
	ready   []*coroutine
	current *coroutine

	running   atomic.Bool
	foreign   atomic.Bool
	stopped   atomic.Bool
	lateCalls int
}

// pendingAction is an action the code produced and the history does not show yet. One that was
// withdrawn is not handed out, but the history may show it.
type pendingAction struct {
	action    Action
	withdrawn bool
}

// openAction is an action whose answer is awaited.
type openAction struct {
	kind   history.Kind
	name   string
	future *future
	action Action // nil unless the execution keeps it
}

// earlyKey tells what an early answer is for. An answer of another kind than the action that gets
// the id is for none, and must not keep out the right one.
type earlyKey struct {
	id   int32
	kind history.Kind
}

// answer is the outcome of an action as an event brings it.
type answer struct {
	kind    history.Kind
	value   *string
	failure *history.FailureDetails
}

// NewExecution returns an execution that has seen nothing. The binding is the code to run.
func NewExecution(binding Binding, options Options) *Execution {
	return &Execution{
		binding: binding,
		options: options.withDefaults(),
		actions: map[int32]*pendingAction{},
		open:    map[int32]*openAction{},
		early:   map[earlyKey]answer{},
	}
}

// Decision is what the code decided on the events given to Advance.
type Decision struct {
	// Actions are the new actions in the order of their ids; those that were decided before but
	// never recorded come first. A CompleteAction is the last one.
	Actions []Action
	// CustomStatus is the stored text of the custom status, nil if there is none.
	CustomStatus *string
	// Suspended says that the execution is suspended.
	Suspended bool
}

// Complete returns the end of the execution if it is among the actions, or else nil.
func (d Decision) Complete() *CompleteAction {
	if len(d.Actions) == 0 {
		return nil
	}
	complete, _ := d.Actions[len(d.Actions)-1].(*CompleteAction)
	return complete
}

// Replay runs the code over the recorded history. Call it at most once, before Advance. It
// returns a *NonDeterminismError if the code does not do what was recorded; the execution is of
// no use then.
func (x *Execution) Replay(recorded []history.Event) error {
	x.replaying = true
	defer func() { x.replaying = false }()
	x.ahead = map[int32]*history.TimerCreated{}
	for _, e := range recorded {
		if timer, ok := e.(*history.TimerCreated); ok {
			x.ahead[timer.EventID] = timer
		}
	}
	for _, e := range recorded {
		if err := x.apply(e); err != nil {
			return err
		}
	}
	x.ahead = nil
	return nil
}

// Advance runs the code over new events, which begin with an OrchestratorStarted, and returns
// what it decided, including what replay brought up beyond the recorded history. The actions
// returned count as recorded from then on: if storing them fails, the execution must be thrown
// away. It returns a *NonDeterminismError if an event contradicts what the code did.
func (x *Execution) Advance(events []history.Event) (Decision, error) {
	for _, e := range events {
		if err := x.apply(e); err != nil {
			return Decision{}, err
		}
	}
	if x.foreign.Load() {
		x.end(&CompleteAction{Status: history.Failed, Failure: failure.FromError(errForeign)})
	}
	return x.decide(), nil
}

// Pending reports whether replay brought up actions that the history does not show.
func (x *Execution) Pending() bool {
	if x.suspended && x.outcome == nil {
		return false
	}
	for _, p := range x.actions {
		if !p.withdrawn {
			return true
		}
	}
	return false
}

// CustomStatus returns the stored text of the current custom status, nil if there is none.
func (x *Execution) CustomStatus() *string { return x.status }

func (x *Execution) decide() Decision {
	decision := Decision{CustomStatus: x.status, Suspended: x.suspended && x.outcome == nil}
	if decision.Suspended {
		return decision
	}
	if x.outcome != nil && x.outcome.ContinueAsNew != nil && !x.dropEvents {
		x.cont.Carried = x.inbox.unread
	}
	for _, id := range slices.Sorted(maps.Keys(x.actions)) {
		if p := x.actions[id]; !p.withdrawn {
			decision.Actions = append(decision.Actions, p.action)
		}
	}
	clear(x.actions)
	return decision
}

// apply lets one event take effect and runs the code as far as it goes.
func (x *Execution) apply(e history.Event) error {
	if x.suspended && x.outcome == nil && x.hold(e) {
		return nil
	}
	switch e := e.(type) {
	case *history.OrchestratorStarted:
		if e.Timestamp.After(x.now) { // the clock of another worker may be behind
			x.now = e.Timestamp
		}
	case *history.ExecutionStarted:
		return x.begin(e)
	case *history.ExecutionSuspended:
		x.suspend(e)
	case *history.ExecutionResumed:
		return x.unsuspend()
	case *history.ExecutionTerminated:
		x.terminate(e)
	case *history.EventRaised:
		x.raise(e)
	case *history.TaskScheduled, *history.TimerCreated, *history.SubOrchestrationCreated, *history.EventSent:
		return x.match(e)
	case *history.ExecutionCompleted:
		return x.matchCompletion(e)
	case *history.TaskCompleted:
		x.answer(e.TaskID, answer{kind: history.KindTaskScheduled, value: e.Result}, false)
	case *history.SubOrchestrationCompleted:
		x.answer(e.TaskID, answer{kind: history.KindSubOrchestrationCreated, value: e.Result}, false)
	case *history.TimerFired:
		x.answer(e.TimerID, answer{kind: history.KindTimerCreated}, false)
	case *history.TaskFailed:
		details := detailsOf(e.Reason, e.Details, e.Failure)
		x.answer(e.TaskID, answer{kind: history.KindTaskScheduled, failure: details}, e.IsPlayed)
	case *history.SubOrchestrationFailed:
		details := detailsOf(e.Reason, e.Details, e.Failure)
		x.answer(e.TaskID, answer{kind: history.KindSubOrchestrationCreated, failure: details}, e.IsPlayed)
	}
	x.resume()
	return nil
}

// hold keeps an event back while the execution is suspended. Records of actions are matched all
// the same: they say what had been decided before. Suspending twice is one suspension.
func (x *Execution) hold(e history.Event) bool {
	switch e.(type) {
	case *history.ExecutionSuspended:
		return true
	case *history.ExecutionResumed, *history.ExecutionTerminated, *history.ExecutionCompleted,
		*history.OrchestratorStarted, *history.TaskScheduled, *history.TimerCreated,
		*history.SubOrchestrationCreated, *history.EventSent:
		return false
	default:
		x.held = append(x.held, e)
		return true
	}
}

// suspend pauses the execution. One that is about to continue as new pauses as the next one.
func (x *Execution) suspend(e *history.ExecutionSuspended) {
	switch {
	case x.outcome == nil:
		x.suspended = true
	case x.outcome.ContinueAsNew != nil:
		x.cont.Suspended = e
	}
}

func (x *Execution) unsuspend() error {
	if x.cont != nil {
		x.cont.Suspended = nil
	}
	held := x.held
	x.suspended, x.held = false, nil
	for _, e := range held {
		if err := x.apply(e); err != nil {
			return err
		}
	}
	return nil
}

func (x *Execution) begin(e *history.ExecutionStarted) error {
	if x.started != nil {
		return nil // a second start of an execution has no effect
	}
	if x.now.IsZero() {
		return fmt.Errorf("%w: instance %q starts without an episode", ErrCorruptHistory, e.Instance.InstanceID)
	}
	x.started = e
	ctx := &Context{x: x}
	x.spawn(func() { x.finish(x.binding.Run(ctx, e.Input)) }, x.panicked)
	x.resume()
	return nil
}

// finish ends the execution with what the orchestrator returned.
func (x *Execution) finish(result *string, err error) {
	switch {
	case err != nil:
		x.end(&CompleteAction{Status: history.Failed, Result: history.Text(err.Error()), Failure: failure.FromError(err)})
	case x.cont != nil:
		x.end(&CompleteAction{Status: history.ContinuedAsNew, ContinueAsNew: x.cont})
	default:
		x.end(&CompleteAction{Status: history.Completed, Result: result})
	}
}

// panicked ends the execution after the orchestrator's strand did, if that was a panic.
func (x *Execution) panicked(details *history.FailureDetails) {
	if details != nil {
		x.end(&CompleteAction{Status: history.Failed, Result: history.Text(details.Message), Failure: details})
	}
}

// end settles how the execution ends; the first end counts.
func (x *Execution) end(complete *CompleteAction) {
	if x.outcome != nil {
		return
	}
	if complete.Failure != nil && complete.Result == nil {
		complete.Result = history.Text(complete.Failure.Message)
	}
	complete.ID = x.takeID()
	x.outcome = complete
	x.actions[complete.ID] = &pendingAction{action: complete}
}

// terminate ends the execution by request. What the code decided in the same episode is dropped;
// an end that came before stands, unless it was a continue-as-new.
func (x *Execution) terminate(e *history.ExecutionTerminated) {
	if x.outcome != nil {
		if x.outcome.ContinueAsNew == nil {
			return
		}
		x.nextID, x.outcome = x.outcome.ID, nil
	}
	clear(x.actions) // records of them are let pass, see match
	x.suspended, x.held = false, nil
	x.end(&CompleteAction{Status: history.Terminated, Result: e.Reason})
}

func (x *Execution) takeID() int32 {
	id := x.nextID
	x.nextID++
	return id
}

// request adds an action that expects an answer and returns the future of the answer.
func (x *Execution) request(kind history.Kind, name string, action Action) *future {
	f := x.newFuture()
	id := action.ActionID()
	waiting := &openAction{kind: kind, name: name, future: f}
	key := earlyKey{id, kind}
	if reply, ok := x.early[key]; ok {
		delete(x.early, key)
		waiting.settle(id, reply)
		return f
	}
	x.actions[id] = &pendingAction{action: action}
	x.open[id] = waiting
	if x.keep {
		waiting.action = action
	}
	return f
}

// answer settles the action that an event answers. An answer to an action that has one already
// is ignored; one that comes before its action is kept for it. played says that an in-process
// .NET executor recorded the event.
func (x *Execution) answer(id int32, reply answer, played bool) {
	if id == history.SplitTimerID || x.outcome != nil {
		return
	}
	waiting, ok := x.open[id]
	if !ok {
		key := earlyKey{id, reply.kind}
		if _, kept := x.early[key]; !kept && id >= x.nextID {
			x.early[key] = reply
		}
		return
	}
	if waiting.kind != reply.kind {
		return
	}
	delete(x.open, id)
	x.played = played
	waiting.settle(id, reply)
	x.played = false
}

func (o *openAction) settle(id int32, reply answer) {
	if reply.failure == nil {
		o.future.settle(reply.value, nil)
		return
	}
	task := ActivityTask
	if o.kind == history.KindSubOrchestrationCreated {
		task = SubOrchestrationTask
	}
	o.future.settle(nil, &TaskError{Task: task, Name: o.name, ID: id, Details: reply.failure})
}

// detailsOf returns the failure an event reports. Peers that serialise exceptions send a reason
// and, if they are set up to, the exception.
func detailsOf(reason, exception *string, details *history.FailureDetails) *history.FailureDetails {
	if details != nil {
		return details
	}
	if details = failure.FromException(exception); details != nil {
		details.Message = cmp.Or(details.Message, history.TextOr(reason, ""))
		return details
	}
	return &history.FailureDetails{Type: unknownFailureType, Message: history.TextOr(reason, "")}
}

// unknownFailureType is the type name of a failure whose sender did not give one.
const unknownFailureType = "unknown"

func sameName(a, b string) bool { return strings.EqualFold(a, b) }
