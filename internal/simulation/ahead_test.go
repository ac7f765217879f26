package simulation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/internal/wire"
)

// inlining says which workers of a fleet carry out ahead of the history what they decide.
type inlining string

const (
	always    inlining = "always"
	sometimes inlining = "sometimes" // about half of them
	never     inlining = "never"
	atFirst   inlining = "at first" // those that the fleet begins with, and not those that take over
)

// ahead is what one worker may carry out ahead of the history.
type ahead struct {
	never  bool
	window time.Duration // 0 for the usual one
	// activities is how many run at once.
	activities int
}

// chooseAhead decides on it; first says that the worker takes nobody's place.
func (w *world) chooseAhead(first bool) ahead {
	if w.cut != nil {
		return ahead{never: w.setup.inlining == never || w.setup.inlining == atFirst && !first, window: w.setup.window, activities: 100}
	}
	a := ahead{
		never:      w.setup.inlining == never || w.setup.inlining == sometimes && w.dice.IntN(2) == 0,
		window:     []time.Duration{0, 0, 20 * time.Millisecond, time.Second, 4 * time.Second}[w.dice.IntN(5)],
		activities: []int{1, 3, 10, 100}[w.dice.IntN(4)],
	}
	if w.extras.wide {
		a.activities = 150 // so that many end together
	}
	return a
}

// inTheAir reports whether an activity has begun.
func (w *world) inTheAir() bool {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.begun > 0
}

// handOver stops the worker in order as soon as an activity has begun, and starts another one.
func (w *world) handOver() {
	workers := w.liveWorkers()
	if len(workers) == 0 || !w.inTheAir() {
		w.sched.at(200*time.Millisecond, w.handOver)
		return
	}
	w.replace(workers[0])
}

// begun looks at the beginning of an activity that is not local.
func (c *checker) begun(p *process, info activity.Info, t task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Between two attempts there are a failure and a timer.
	if problem := c.rests(info.InstanceID, info.ExecutionID, t.Rests+2*(info.Attempt-1)); problem != "" {
		c.w.fail("%v runs activity %d of %s although %s", p, info.TaskID, info.InstanceID, problem)
	}
	// Who looks for an instance that is ahead of its history has to find it; nobody but a purge removes its row.
	r := c.record(info.InstanceID)
	if c.requested[requestKey(history.KindTaskScheduled, info.InstanceID, info.ExecutionID, info.TaskID, info.Name)] {
		return
	}
	if _, err := c.w.raw.Tables.Read(c.w.background, c.w.names.InstancesTable(), wire.EscapeKey(info.InstanceID), ""); err != nil && r.renewed == 0 && !r.begun[info.ExecutionID] {
		c.w.fail("%v runs activity %d of %s, which has no row yet", p, info.TaskID, info.InstanceID)
	}
}

// resting looks at a message that an orchestration sends: the answers that it rests on must not get lost
// with the process that sends it.
func (c *checker) resting(p *process, m *wire.Message) {
	self, rests := m.Target, 0
	switch e := m.Event.(type) {
	case *history.TaskScheduled:
		var t task
		if text := payload.UnwrapActivityInput(e.Input); text == nil || json.Unmarshal([]byte(*text), &t) != nil {
			return // in a blob
		}
		rests = t.Rests
	case *history.ExecutionStarted:
		var in input
		if e.Parent == nil || e.Input == nil || json.Unmarshal([]byte(*e.Input), &in) != nil {
			return
		}
		self, rests = e.Parent.Instance, in.Rests
	default:
		return
	}
	if problem := c.rests(self.InstanceID, self.ExecutionID, rests); problem != "" {
		c.w.fail("%v sends a %s of %s although %s", p, m.Event.Kind(), self.InstanceID, problem)
	}
}

// rests says what is wrong with an action that rests on a number of answers, "" for nothing: each of them
// has to be in the history or in a queue, or else a crash could bring another one in its place.
func (c *checker) rests(id, execution string, n int) string {
	r := c.record(id)
	if !strings.EqualFold(r.execution, execution) && r.begun[execution] || r.state.Completed() != nil {
		return "" // it is over, and what came for it was dropped
	}
	answers := map[int32]bool{}
	if strings.EqualFold(r.execution, execution) {
		for _, e := range r.state.Events() {
			if history.IsAnswer(e) {
				answers[history.AnswerTo(e)] = true
			}
		}
	}
	for _, t := range c.messages {
		if e := t.content.Event; history.IsAnswer(e) && t.content.Target.InstanceID == id && strings.EqualFold(t.content.Target.ExecutionID, execution) {
			answers[history.AnswerTo(e)] = true
		}
	}
	if len(answers) >= n {
		return ""
	}
	return fmt.Sprintf("only %d of the %d answers that it rests on are stored", len(answers), n)
}
