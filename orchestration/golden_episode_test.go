package orchestration_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// differences lists the episodes, by number from 0, in which we decide otherwise than .NET did,
// and why that is right.
var differences = map[string]map[int]string{
	"start-with-event/start-event":   {0: "a timer that is cancelled in the episode that set it is not asked for"},
	"terminate-pending/term-pending": {0: "what was decided before a termination in the same episode is dropped"},
	"retry-exhausted/retry-2":        {3: "the timer that .NET sets after the last attempt is only repeated, never set"},
	"recover-mid-history/recover-1":  {0: "the worker was killed when it had recorded the first 97 of its 120 actions"},
	"rewind/rewind-1": {
		1: "the record of an activity was blotted out by the rewind, so the activity is asked for again",
		2: "still the same activity; what came back of it was blotted out, too",
	},
	"failing-exceptions/f-caught":      {1: "the text tells of a serialised .NET exception, which we have no use for"},
	"failing-exceptions-bare/f-caught": {1: "a failure without details has a type for us, namely that it is unknown"},
}

// Y06 on real data: replaying a recorded history up to any turn and giving the code the events of
// that turn decides what .NET recorded in it.
func TestGolden_Episodes(t *testing.T) {
	t.Parallel()
	eachRecording(t, func(t *testing.T, r recording) {
		for i, e := range episodesOf(r.events) {
			got, want := decideEpisode(t, r, e)
			diff := gocmp.Diff(want, got, cmpopts.EquateEmpty())
			if _, expected := differences[r.key][i]; expected != (diff != "") {
				t.Errorf("episode %d at event %d (-.NET +ours):\n%s", i, len(e.before), diff)
			}
		}
	})
}

// episode is one turn of a recorded history.
type episode struct {
	before   []history.Event
	now      time.Time
	inbound  []history.Event
	recorded []history.Event
	// cut says that .NET split the turn's actions over several turns.
	cut bool
}

func episodesOf(events []history.Event) []episode {
	var episodes []episode
	for i, event := range events {
		if turn, ok := event.(*history.OrchestratorStarted); ok {
			episodes = append(episodes, episode{before: events[:i], now: turn.Timestamp})
		}
		e := &episodes[len(episodes)-1]
		switch event.(type) {
		case *history.OrchestratorCompleted:
		case *history.TaskScheduled, *history.TimerCreated, *history.SubOrchestrationCreated, *history.EventSent,
			*history.ExecutionCompleted:
			if event.Head().EventID == history.SplitTimerID {
				e.cut = true
				continue
			}
			e.recorded = append(e.recorded, event)
		default:
			e.inbound = append(e.inbound, event)
		}
	}
	return episodes
}

func decideEpisode(t *testing.T, r recording, e episode) (got, want []string) {
	t.Helper()
	x := orchestration.NewExecution(bindingOf(t, r.name), orchestration.Options{})
	defer x.Close()
	if err := x.Replay(e.before); err != nil {
		t.Fatalf("replay of %d events: %v", len(e.before), err)
	}
	decision, err := x.Advance(e.inbound)
	if err != nil {
		t.Fatalf("advance after %d events: %v", len(e.before), err)
	}
	slices.SortFunc(e.recorded, func(a, b history.Event) int { return cmp.Compare(a.Head().EventID, b.Head().EventID) })
	if e.cut && len(decision.Actions) > len(e.recorded) {
		decision.Actions = decision.Actions[:len(e.recorded)]
	}
	recorded := map[int32]history.Event{}
	for _, event := range e.recorded {
		recorded[event.Head().EventID] = event
		want = append(want, describeRecord(event, e.now))
	}
	for _, action := range decision.Actions {
		got = append(got, describeDecision(action, recorded[action.ActionID()], e.now))
	}
	return got, want
}

// describeRecord describes what .NET recorded. Fire times are relative to the clock of the turn.
func describeRecord(event history.Event, now time.Time) string {
	about := ""
	switch e := event.(type) {
	case *history.TaskScheduled:
		about = "activity " + e.Name + "/" + e.Version + jsonText(e.Input) + renderTags(e.Tags)
	case *history.TimerCreated:
		about = "timer +" + e.FireAt.Sub(now).Round(time.Microsecond).String()
	case *history.SubOrchestrationCreated:
		about = "child " + e.Name + "/" + e.Version + " as " + e.InstanceID + jsonText(e.Input) + renderTags(e.Tags)
	case *history.EventSent:
		about = "event " + e.Name + " to " + e.InstanceID + jsonText(e.Input)
	case *history.ExecutionCompleted:
		about = "end " + string(e.Status) + jsonText(e.Result)
	}
	return fmt.Sprintf("%d %s", event.Head().EventID, about)
}

// describeDecision describes our action in the same way. What .NET did not record is left out:
// inputs, unless asked to, and the sentence around the cause of a failure.
func describeDecision(action orchestration.Action, recorded history.Event, now time.Time) string {
	about := ""
	switch a := action.(type) {
	case *orchestration.ActivityAction:
		about = "activity " + a.Name + "/" + a.Version
		if e, ok := recorded.(*history.TaskScheduled); ok && e.Input != nil {
			about += jsonText(a.Input)
		}
		about += renderTags(a.Tags)
	case *orchestration.TimerAction:
		about = "timer +" + a.FireAt.Sub(now).Round(time.Microsecond).String()
	case *orchestration.SubOrchestrationAction:
		about = "child " + a.Name + "/" + a.Version + " as " + a.InstanceID
		if e, ok := recorded.(*history.SubOrchestrationCreated); ok && e.Input != nil {
			about += jsonText(a.Input)
		}
		about += renderTags(a.Tags)
	case *orchestration.EventAction:
		about = "event " + a.Name + " to " + a.InstanceID + jsonText(a.Input)
	case *orchestration.CompleteAction:
		about = "end " + string(a.Status) + describeResult(a, recorded)
	}
	return fmt.Sprintf("%d %s", action.ActionID(), about)
}

func describeResult(a *orchestration.CompleteAction, recorded history.Event) string {
	e, ok := recorded.(*history.ExecutionCompleted)
	if !ok || a.Status != history.Failed {
		return jsonText(a.Result)
	}
	if e.Failure != nil && (a.Failure == nil || a.Failure.Type != e.Failure.Type) {
		return fmt.Sprintf(" of type %v, not %s", a.Failure, e.Failure.Type)
	}
	if cause := history.TextOr(e.Result, ""); strings.HasSuffix(history.TextOr(a.Result, ""), cause) {
		return " " + cause
	}
	return text(a.Result)
}

// jsonText returns a text with the escapes of its JSON undone, as far as it is JSON.
func jsonText(p *string) string {
	if p == nil {
		return ""
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader([]byte(*p)))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return " " + *p
	}
	return fmt.Sprintf(" %#v", value)
}
