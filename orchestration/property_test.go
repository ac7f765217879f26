package orchestration_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// Y06: whatever the code and whatever the order of events, a replayed execution decides what a
// cached one does (the driver checks that at each turn), from any prefix of the history, and ids
// are unique, in order, and without gaps unless something was withdrawn.
func TestProperty_ReplayFromAnyPrefix_Y06(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := programs(3).Draw(t, "program")
		w := &world{driver: drive(t, p.binding(), short), rapid: t, quiet: true}
		w.round(started("Job", `""`))
		for range rapid.IntRange(0, 25).Draw(t, "turns") {
			if w.ended {
				break
			}
			w.round(w.batch()...)
		}
		if w.quiet && p.dense() && len(w.ids) > 0 && int(slices.Max(w.ids)) != len(w.ids)-1 {
			t.Errorf("ids have gaps: %v", w.ids)
		}
		w.checkPrefixes()
	})
}

// world makes up what happens to an execution.
type world struct {
	*driver
	rapid *rapid.T
	open  []orchestration.Action
	over  []orchestration.Action
	ids   []int32
	ended bool
	// quiet says that nothing happened that withdraws actions: no termination, no early answer.
	quiet bool
	turns []turnTaken
}

// turnTaken is a turn in the log: where its records begin, and what was decided.
type turnTaken struct {
	records int
	actions []orchestration.Action
}

func (w *world) round(batch ...history.Event) {
	pause := time.Duration(rapid.IntRange(0, 4).Draw(w.rapid, "pause")) * sec
	records := len(w.log) + 1 + len(batch)
	decision := w.turnAfter(pause, batch...)
	w.turns = append(w.turns, turnTaken{records: records, actions: decision.Actions})
	for i, action := range decision.Actions {
		if i > 0 && action.ActionID() <= decision.Actions[i-1].ActionID() || slices.Contains(w.ids, action.ActionID()) {
			w.t.Errorf("ids of %q after %v", render(decision.Actions, w.now), w.ids)
		}
		switch a := action.(type) {
		case *orchestration.ActivityAction, *orchestration.TimerAction:
			w.open = append(w.open, a)
		case *orchestration.SubOrchestrationAction:
			if !a.Detached {
				w.open = append(w.open, a)
			}
		case *orchestration.CompleteAction:
			w.ended = true
		}
	}
	for _, action := range decision.Actions {
		w.ids = append(w.ids, action.ActionID())
	}
}

var happenings = []string{
	"answer", "answer", "answer", "answer", "answer", "answer", "event", "event", "again", "early", "suspend", "resume", "resume", "terminate",
}

func (w *world) batch() []history.Event {
	var batch []history.Event
	for range rapid.IntRange(0, 4).Draw(w.rapid, "events") {
		switch what := rapid.SampledFrom(happenings).Draw(w.rapid, "what"); {
		case what == "answer" && len(w.open) > 0:
			i := rapid.IntRange(0, len(w.open)-1).Draw(w.rapid, "which")
			batch = append(batch, w.answerTo(w.open[i]))
			w.over = append(w.over, w.open[i])
			w.open = slices.Delete(w.open, i, i+1)
		case what == "again" && len(w.over) > 0:
			batch = append(batch, w.answerTo(rapid.SampledFrom(w.over).Draw(w.rapid, "which")))
		case what == "event":
			number := rapid.IntRange(0, 9).Draw(w.rapid, "number")
			batch = append(batch, raised(fmt.Sprint("E", number%2), fmt.Sprint(number)))
		case what == "early":
			w.quiet = false
			id := int32(rapid.IntRange(0, 12).Draw(w.rapid, "id"))
			batch = append(batch, rapid.SampledFrom([]history.Event{
				done(id, `"early"`), failed(id, "early"), fired(id), childDone(id, `"early"`),
			}).Draw(w.rapid, "early"))
		case what == "suspend":
			batch = append(batch, suspend())
		case what == "resume":
			batch = append(batch, resume())
		case what == "terminate" && rapid.IntRange(0, 3).Draw(w.rapid, "really") == 0:
			w.quiet = false
			batch = append(batch, terminated("stop"))
		}
	}
	return batch
}

func (w *world) answerTo(action orchestration.Action) history.Event {
	id, fails := action.ActionID(), rapid.IntRange(0, 2).Draw(w.rapid, "fails") == 0
	switch action.(type) {
	case *orchestration.TimerAction:
		return fired(id)
	case *orchestration.SubOrchestrationAction:
		if fails {
			return childFailed(id, fmt.Sprint("no ", id))
		}
		return childDone(id, fmt.Sprintf("%q", fmt.Sprint("child ", id)))
	default:
		if fails {
			permanent := rapid.Bool().Draw(w.rapid, "permanent")
			return failedWith(id, &history.FailureDetails{Type: "x", Message: fmt.Sprint("no ", id), NonRetriable: permanent})
		}
		return done(id, fmt.Sprintf("%q", fmt.Sprint("result ", id)))
	}
}

// checkPrefixes replays every prefix of the history, twice. One that ends among the records of a
// turn owes the rest of the turn's actions.
func (w *world) checkPrefixes() {
	for cut := range len(w.log) + 1 {
		first, second := w.owed(cut), w.owed(cut)
		if diff := cmp.Diff(first, second, sameDecision); diff != "" {
			w.t.Fatalf("two replays of %d events differ:\n%s", cut, diff)
		}
		turn := w.turns[0]
		for _, later := range w.turns {
			if later.records <= cut {
				turn = later
			}
		}
		recorded := cut - turn.records
		if recorded < 0 || !w.atTurn(cut) {
			continue // in the middle of what comes in
		}
		rest := turn.actions[min(recorded, w.recordsOf(turn)):]
		if diff := cmp.Diff(rest, first.Actions, sameDecision); diff != "" {
			w.t.Fatalf("replay of %d events owes otherwise (-decided +owed):\n%s", cut, diff)
		}
	}
}

func (w *world) owed(cut int) orchestration.Decision {
	x := orchestration.NewExecution(w.binding, w.options)
	defer x.Close()
	if err := x.Replay(w.log[:cut]); err != nil {
		w.t.Fatalf("replay of %d events: %v", cut, err)
	}
	decision, err := x.Advance(nil)
	if err != nil {
		w.t.Fatalf("advance after %d events: %v", cut, err)
	}
	return decision
}

// atTurn reports whether the prefix ends among the records of a turn or right after them.
func (w *world) atTurn(cut int) bool {
	for _, turn := range w.turns {
		if cut >= turn.records && cut <= turn.records+w.recordsOf(turn)+1 {
			return true
		}
	}
	return false
}

func (w *world) recordsOf(turn turnTaken) int {
	n := 0
	for _, action := range turn.actions {
		n += len(recordOf(action, epoch))
	}
	return n
}
