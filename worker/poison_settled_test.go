package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// strays are messages that have no business with an instance, or only while it is alive, by name.
// Those of the second half name an execution.
func strays(self history.Instance) map[string]*wire.Message {
	header := history.Header{EventID: history.NoEventID, Timestamp: time.Now()}
	one, text := int32(1), "x"
	all := map[string]*wire.Message{
		"event":     numberFor(self.InstanceID, 1),
		"terminate": {Event: &history.ExecutionTerminated{Header: header, Reason: &text}},
		"suspend":   {Event: &history.ExecutionSuspended{Header: header, Reason: &text}},
		"resume":    {Event: &history.ExecutionResumed{Header: header, Reason: &text}},
		"generic":   {Event: &history.GenericEvent{Header: header}},
	}
	for _, m := range all {
		m.Target, m.Sender = history.Instance{InstanceID: self.InstanceID}, &history.Instance{}
	}
	for name, event := range map[string]history.Event{
		"result":       &history.TaskCompleted{Header: header, TaskID: 7, Result: &text},
		"failure":      &history.TaskFailed{Header: header, TaskID: 7, Reason: &text},
		"timer":        &history.TimerFired{Header: header, TimerID: 7, FireAt: time.Now()},
		"child result": &history.SubOrchestrationCompleted{Header: header, TaskID: 7, Result: &text},
	} {
		all[name] = &wire.Message{Event: event, Target: self, Sender: &self, Episode: &one}
	}
	all["start"] = &wire.Message{Target: self, Sender: &history.Instance{}, Event: &history.ExecutionStarted{
		Header: header, Instance: self, Name: ctlCollect.Name(), Generation: new(int32),
	}}
	return all
}

// O14: messages to instances that are not there, not there any more, or have ended, are settled: they
// end, are no poison, and change nothing.
func TestSettled_NothingToDo(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"missing", "purged", "finished", "terminated before it began"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				lazy := lazyOptions()
				lazy.MaxDeliveries = 3
				w.Start(lazy, ctlCollect.With(collectNumbers))
				want := map[string]string{}
				for name := range strays(history.Instance{}) {
					self := history.Instance{InstanceID: "to-" + name, ExecutionID: w.Hub.Store().NewID("test")}
					if state != "missing" {
						self.ExecutionID = bringTo(t, w, self.InstanceID, state)
					}
					want[self.InstanceID] = stateOf(w, self.InstanceID)
					w.Put(strays(self)[name], 0)
				}
				w.DrainedWithin(2 * time.Hour)
				for id, before := range want {
					if after := stateOf(w, id); after != before {
						t.Errorf("%s: %s became %s", id, before, after)
					}
				}
				untouched(t, w)
			})
		})
	}
}

// bringTo brings an instance into a state and returns its execution.
func bringTo(t *testing.T, w *fleettest.World, id, state string) string {
	t.Helper()
	if state == "terminated before it began" {
		instance := launch(t, w, ctlCollect, 1, taskhub.InstanceID(id), taskhub.StartAt(time.Now().Add(time.Hour)))
		check(t, w.Client.Terminate(w.Context(), id, "changed my mind"))
		reach(t, w, id, history.Terminated)
		return instance.ExecutionID()
	}
	instance := launch(t, w, ctlCollect, 0, taskhub.InstanceID(id))
	resultOf(t, w, instance)
	if state == "purged" {
		check(t, w.Client.Purge(w.Context(), id))
	}
	return instance.ExecutionID()
}

// stateOf describes everything that is stored about an instance, without versions.
func stateOf(w *fleettest.World, id string) string {
	text := ""
	if row, ok := w.Row(id); ok {
		text = fmt.Sprint(row.Values)
	}
	for _, row := range w.HistoryRows(id) {
		delete(row.Values, "DurafleetProcessed")
		text += fmt.Sprint(row.RowKey, row.Values)
	}
	return text
}

// Commands and events to an instance that is scheduled for later are neither lost nor moved: they
// take effect when it starts, but for a termination, which does at once.
func TestSettled_NotYetStarted(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]history.Status{
		"event": history.Completed, "terminate": history.Terminated, "suspend": history.Suspended, "resume": history.Running,
		"result": history.Running, "timer": history.Running, "child result": history.Running, "start": history.Running,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				lazy := lazyOptions()
				lazy.MaxDeliveries = 3
				w.Start(lazy, ctlCollect.With(collectNumbers))
				instance := launch(t, w, ctlCollect, 1, taskhub.InstanceID("later"), taskhub.StartAt(time.Now().Add(2*time.Hour)))
				stray := strays(history.Instance{InstanceID: "later", ExecutionID: instance.ExecutionID()})[name]
				if started, ok := stray.Event.(*history.ExecutionStarted); ok { // put twice by its client
					at := time.Now().Add(2 * time.Hour)
					started.ScheduledStart, started.Input = &at, history.Text("1")
				}
				w.Put(stray, 0)
				pass(t, w, time.Hour)
				early := statusOf(t, w, "later").Status
				if name == "terminate" && early != history.Terminated || name != "terminate" && early != history.Pending {
					t.Errorf("an hour ahead it is %s", early)
				}
				pass(t, w, 90*time.Minute)
				if got := statusOf(t, w, "later").Status; got != want {
					t.Errorf("half an hour after its start it is %s, want %s", got, want)
				}
				w.DrainedWithin(10 * time.Minute)
				untouched(t, w)
			})
		})
	}
}

// Answers that a live instance never asked for, messages of executions that are over, and whatever
// comes twice are deleted, and the instance goes on undisturbed.
func TestSettled_LiveInstance(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		lazy := lazyOptions()
		lazy.MaxDeliveries = 3
		w.Start(lazy, ctlCollect.With(collectNumbers))
		instance := launch(t, w, ctlCollect, 2)
		self := history.Instance{InstanceID: instance.ID(), ExecutionID: instance.ExecutionID()}
		reach(t, w, self.InstanceID, history.Running)
		event := withID(numberFor(self.InstanceID, 1))
		w.Put(event, 0)
		w.DrainedWithin(soon)
		w.Put(event, 0) // as when a request is sent twice
		over := history.Instance{InstanceID: self.InstanceID, ExecutionID: "over"}
		for _, name := range []string{"result", "failure", "timer", "start"} {
			w.Put(strays(self)[name], 0)
			w.Put(strays(over)[name], 0)
		}
		w.Put(strays(over)["child result"], 0)
		w.Put(unknownItem(1), 0) // nobody reads work items here
		w.Eventually(2*time.Hour, "only the work item is left", func() bool { return w.MessagesLeft() == 1 })
		if s := statusOf(t, w, self.InstanceID); s.Status != history.Running || s.Generation != 0 {
			t.Errorf("the instance is %+v", s)
		}
		raise(t, w, self.InstanceID, ctlNumber, 2)
		if got := resultOf(t, w, instance); fmt.Sprint(got) != "[1 2]" {
			t.Errorf("the result is %v", got)
		}
		untouched(t, w)
	})
}

// A work item that nobody knows and nobody waits for any more does not circulate for ever.
func TestSettled_WorkItemOfNobody(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(lazyOptions(), ruleOne.With(callOne), poisonWork.With(nil))
		waiting, gone, purged := launch(t, w, ruleOne, "x"), launch(t, w, ruleOne, "x"), launch(t, w, ruleOne, "x")
		for _, instance := range []*taskhub.Instance[string]{waiting, gone, purged} {
			reach(t, w, instance.ID(), history.Running)
		}
		check(t, w.Client.Terminate(w.Context(), gone.ID(), ""))
		check(t, w.Client.Purge(w.Context(), purged.ID(), taskhub.Force{}))
		pass(t, w, 3*time.Hour)
		if n := w.MessagesLeft(); n != 1 {
			t.Errorf("%d messages are left, want that of the instance that waits", n)
		}
		w.Start(lazyOptions(), ruleWork.With(func(_ context.Context, in string) (string, error) { return in, nil }))
		if got, err := waiting.Wait(w.Timeout(48 * time.Hour)); err != nil || got != "x" {
			t.Errorf("the end is %q, %v", got, err)
		}
	})
}
