package turn

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
	"github.com/durafleet/durafleet/orchestration"
)

// Limits bounds what one instance may do.
type Limits struct {
	// Generations is how many times in a row an instance may continue as new within one turn
	// without consuming an event. Default 100.
	Generations int
	// History is how many events the history of one execution may have. Default 100,000.
	History int
}

func (l Limits) withDefaults() Limits {
	l.Generations = cmp.Or(l.Generations, 100)
	l.History = cmp.Or(l.History, 100_000)
	return l
}

// Input is what a turn is computed from.
type Input struct {
	// State is the stored history of the current execution, empty for a new one. The turn
	// appends to it.
	State *history.State
	// Execution has been replayed to the end of State. The turn advances it.
	Execution *orchestration.Execution
	// Events are the new events in the order in which they take effect. For a new execution the
	// first is its ExecutionStarted.
	Events []history.Event
	// Now is the current time.
	Now time.Time
	// NewExecution returns an execution of the same orchestration that has seen nothing; it runs
	// the next generation.
	NewExecution func() *orchestration.Execution
	// NewID returns a new execution id.
	NewID func() string
	// FailDivergent ends an instance whose code does not match its history as Failed instead of
	// returning the *orchestration.NonDeterminismError.
	FailDivergent bool
	// Diverged is set if replaying State has already shown that the code does not match, and the
	// instance is to fail for it. Execution is nil then.
	Diverged error
	Limits   Limits
	// Hold says which actions are to be carried out ahead of the history: they are neither recorded
	// nor sent, and come out as Outcome.Held. Nil means none. It is asked about activities and
	// timers, in the order of their ids; what an ending generation decides is never held.
	Hold func(orchestration.Action) bool
	// Answered are held actions of earlier turns that have been carried out. They are recorded with
	// their answers, which take effect before Events.
	Answered []Answered
	// Firsthand says that there are answers among Events that nobody could give a second time. They are
	// settled, as those of what was held.
	Firsthand bool
	// Open says that the last episode of State was left open by the turn before; see Outcome.Open.
	Open bool
}

// Outcome is the result of a turn. Nothing of it has been stored or sent.
type Outcome struct {
	// State is the history after the turn; its last len(New) events are New.
	State *history.State
	New   []history.Event
	// Replaced says that the instance continued as new: New is the whole history of another
	// execution and is stored from the first row on.
	Replaced bool
	// Settled records Input.Answered, and every event that took effect with them. It belongs to the
	// execution as it was before the turn and comes before New. What the orchestrator decided rests on
	// it, so it is stored before any of that has an effect. Empty if nothing had been held and nothing is
	// Firsthand.
	Settled []history.Event
	// Held are the actions that Input.Hold claimed.
	Held []Held
	// Open says that the last episode is not closed: all that it decided is held, and is recorded in
	// it later. Close closes it without.
	Open bool
	// Execution is the live execution that State belongs to.
	Execution *orchestration.Execution
	// Messages are the messages to send.
	Messages []Message
	// CustomStatus is the stored text of the custom status, nil if there is none.
	CustomStatus *string
	// Completed is the end of the instance, nil while it is alive.
	Completed *history.ExecutionCompleted
	// Suspended says that the instance is suspended.
	Suspended bool
	// Divergence is set if FailDivergent turned it into a failure of the instance.
	Divergence error
}

// Instance identifies the execution the outcome belongs to.
func (o *Outcome) Instance() history.Instance { return o.State.Started().Instance }

// Run computes a turn. What New holds of it is the caller's to store, after Settled. On a *orchestration.NonDeterminismError the instance has to be held: the
// Input's State and Execution, which is closed, are of no use any more and nothing may be stored.
func Run(in Input) (*Outcome, error) {
	in.Limits = in.Limits.withDefaults()
	r := &runner{in: in, out: &Outcome{State: in.State, Execution: in.Execution}}
	if err := r.run(); err != nil {
		if r.out.Execution != nil {
			r.out.Execution.Close()
		}
		return nil, err
	}
	return r.out, nil
}

type runner struct {
	in  Input
	out *Outcome
	at  time.Time // the current time of the episode
}

func (r *runner) run() error {
	decision, err := r.firstEpisodes()
	if err != nil {
		return err
	}
	idle := 0
	for decision.Complete() != nil && decision.Complete().ContinueAsNew != nil {
		carried := len(decision.Complete().ContinueAsNew.Carried)
		if decision, err = r.nextGeneration(decision); err != nil {
			return err
		}
		idle = r.stillIdle(idle, carried, decision)
		if idle > r.in.Limits.Generations {
			decision = r.fail(fmt.Errorf("%w: %d generations in a row consumed no event", errRestless, idle))
		}
	}
	if r.out.State.Len()+len(decision.Actions) >= r.in.Limits.History && decision.Complete() == nil {
		decision = r.fail(fmt.Errorf("%w: it has %d events, the limit is %d",
			errLongHistory, r.out.State.Len(), r.in.Limits.History))
	}
	r.settle(decision)
	return nil
}

var (
	errRestless    = errors.New("the orchestrator continues as new without ever waiting")
	errLongHistory = errors.New("the history of the instance is too long; continue as new in time")
)

// firstEpisodes runs the code over the answers to what was held, and over the new events. Answers that
// are too many for one transaction make several episodes; what was decided in all of them is one
// decision.
func (r *runner) firstEpisodes() (orchestration.Decision, error) {
	groups := groupsOf(r.in.Answered)
	if len(groups) == 0 {
		r.closeEpisode(nil)
		decision, err := r.episode(r.in.Events)
		if r.in.Firsthand {
			r.out.Settled, r.out.New = r.out.New, nil
		}
		return decision, err
	}
	var actions []orchestration.Action
	var decision orchestration.Decision
	for i, group := range groups {
		r.closeEpisode(group)
		events := answersIn(group)
		if i == len(groups)-1 {
			events = append(events, r.in.Events...)
		}
		var err error
		if decision, err = r.episode(events); err != nil {
			return decision, err
		}
		actions = append(actions, decision.Actions...)
		if decision.Complete() != nil {
			break // what else was answered makes no difference any more
		}
	}
	decision.Actions = actions
	r.out.Settled, r.out.New = r.out.New, nil
	return decision, nil
}

// episode begins an episode with the given events and runs the code over it.
func (r *runner) episode(events []history.Event) (orchestration.Decision, error) {
	batch := r.begin(events)
	if r.in.Diverged != nil {
		return r.diverged(r.in.Diverged), nil
	}
	decision, err := r.out.Execution.Advance(batch)
	if err != nil && r.in.FailDivergent && errors.Is(err, orchestration.ErrNonDeterminism) {
		return r.diverged(err), nil
	}
	return decision, err
}

// begin records the beginning of an episode and returns its events, without duplicates.
func (r *runner) begin(events []history.Event) []history.Event {
	r.at = episodeTime(r.in.Now, r.out.State, events)
	batch := []history.Event{&history.OrchestratorStarted{Header: r.header(history.NoEventID)}}
	r.record(batch[0])
	for _, e := range events {
		if r.record(e) {
			batch = append(batch, e)
		}
	}
	return batch
}

// diverged ends the instance because its code does not match its history.
func (r *runner) diverged(err error) orchestration.Decision {
	r.out.Divergence = err
	return r.fail(err)
}

// record appends an event to the history and reports whether it was new.
func (r *runner) record(e history.Event) bool {
	if r.out.State.Append(e) != nil {
		return false
	}
	r.out.New = append(r.out.New, e)
	return true
}

func (r *runner) header(id int32) history.Header {
	return history.Header{EventID: id, Timestamp: r.at}
}

// episodeTime is the orchestrator's current time in an episode: now, but later than any episode
// before it and not before a timer that is taken as due.
func episodeTime(now time.Time, state *history.State, events []history.Event) time.Time {
	now = now.UTC().Truncate(history.Tick)
	if last := state.LatestTime(); !now.After(last) {
		now = last.Add(history.Tick)
	}
	for _, e := range events {
		if fired, ok := e.(*history.TimerFired); ok && fired.FireAt.After(now) {
			now = fired.FireAt
		}
	}
	return now
}

// fail drops what the code decided and ends the instance as Failed.
func (r *runner) fail(err error) orchestration.Decision {
	details := failure.FromError(err)
	var status *string
	if r.out.Execution != nil {
		status = r.out.Execution.CustomStatus()
	}
	return orchestration.Decision{
		CustomStatus: status,
		Actions: []orchestration.Action{&orchestration.CompleteAction{
			ID:      r.out.State.NextActionID(),
			Status:  history.Failed,
			Result:  history.Text(details.Message),
			Failure: details,
		}},
	}
}

// nextGeneration sends what the ending generation decided and starts the next one.
func (r *runner) nextGeneration(decision orchestration.Decision) (orchestration.Decision, error) {
	actions := decision.Actions
	end := decision.Complete().ContinueAsNew
	for _, action := range actions[:len(actions)-1] {
		r.act(action) // not held: nobody is left to answer to
	}
	r.out.Execution.Close()
	before := r.out.State.Started()
	r.out.State, r.out.New, r.out.Replaced = &history.State{}, nil, true
	r.out.Execution = r.in.NewExecution()

	next := *before
	next.Header = r.header(history.NoEventID)
	next.Instance.ExecutionID = r.in.NewID()
	next.Input = end.Input
	next.Generation, next.ScheduledStart = nil, nil
	if end.Version != nil {
		next.Version = *end.Version
	}
	events := []history.Event{&next}
	for _, carried := range end.Carried {
		events = append(events, carried)
	}
	if end.Suspended != nil {
		events = append(events, end.Suspended)
	}
	decision, err := r.episode(events)
	if err == nil {
		r.record(&history.OrchestratorCompleted{Header: r.header(history.NoEventID)})
	}
	return decision, err
}

// stillIdle counts generations in a row that consumed no event.
func (r *runner) stillIdle(idle, carried int, decision orchestration.Decision) int {
	end := decision.Complete()
	if end == nil || end.ContinueAsNew == nil || len(end.ContinueAsNew.Carried) < carried {
		return 0
	}
	return idle + 1
}

// settle records the last generation's decisions and the end of the turn.
func (r *runner) settle(decision orchestration.Decision) {
	recorded := 0
	for _, action := range decision.Actions {
		if decision.Complete() == nil && r.hold(action) {
			continue
		}
		r.act(action)
		recorded++
	}
	r.out.Open = len(r.out.Held) > 0 && recorded == 0 && !r.out.State.AtRest()
	r.out.CustomStatus = decision.CustomStatus
	r.out.Suspended = r.out.State.Suspended()
	r.out.Completed = r.out.State.Completed()
	if r.out.Open {
		return
	}
	// A generation that decided nothing ends where its beginning did, as with .NET.
	if events := r.out.State.Events(); events[len(events)-1].Kind() != history.KindOrchestratorCompleted {
		r.record(&history.OrchestratorCompleted{Header: r.header(history.NoEventID)})
	}
}
