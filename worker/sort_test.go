package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

var sortNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func sortHeader() history.Header {
	return history.Header{EventID: history.NoEventID, Timestamp: sortNow}
}

// message returns a held message for the current execution "run", delivered once, sent now.
func message(event history.Event, changes ...func(*held)) *held {
	h := &held{Received: store.Received{
		Message: storage.Message{DequeueCount: 1, InsertedOn: sortNow, NextVisible: sortNow.Add(45 * time.Second)},
		Content: &wire.Message{Event: event, Target: history.Instance{InstanceID: "i", ExecutionID: "run"}, ActivityID: "m"},
	}}
	for _, change := range changes {
		change(h)
	}
	return h
}

func to(execution string) func(*held) {
	return func(h *held) { h.Content.Target.ExecutionID = execution }
}

func delivered(n int) func(*held) { return func(h *held) { h.DequeueCount = n } }

func known(id string) func(*held) { return func(h *held) { h.Content.ActivityID = id } }

func sentAgo(d time.Duration) func(*held) { return func(h *held) { h.InsertedOn = sortNow.Add(-d) } }

func episode(n int32) func(*held) { return func(h *held) { h.Content.Episode = &n } }

func private(name string, at time.Time) func(*held) {
	return func(h *held) { h.Content.Private = &wire.Private{TaskName: name, ScheduledAt: at} }
}

func startEvent(execution string, generation int32) *history.ExecutionStarted {
	return &history.ExecutionStarted{
		Header: sortHeader(), Instance: history.Instance{InstanceID: "i", ExecutionID: execution}, Name: "O", Generation: &generation,
	}
}

func childStart(execution string, taskID int32) *history.ExecutionStarted {
	e := startEvent(execution, 0)
	e.Parent = &history.Parent{Name: "P", Instance: history.Instance{InstanceID: "p", ExecutionID: "pe"}, TaskID: taskID}
	return e
}

func event() history.Event { return &history.EventRaised{Header: sortHeader(), Name: "E"} }

func done(id int32) history.Event { return &history.TaskCompleted{Header: sortHeader(), TaskID: id} }

func childDone(id int32) history.Event {
	return &history.SubOrchestrationCompleted{Header: sortHeader(), TaskID: id}
}

func from(sender string) func(*held) {
	return func(h *held) { h.Content.Sender = &history.Instance{InstanceID: sender} }
}

func terminated() history.Event { return &history.ExecutionTerminated{Header: sortHeader()} }

// liveHistory is the history of the execution "run", which waits for activity 0, has the answer to
// activity 1 and waits for timer 2.
func liveHistory(start *history.ExecutionStarted, more ...history.Event) *store.History {
	events := append([]history.Event{
		&history.OrchestratorStarted{Header: sortHeader()}, start,
		&history.TaskScheduled{Header: history.Header{EventID: 0, Timestamp: sortNow}, Name: "A"},
		&history.TaskScheduled{Header: history.Header{EventID: 1, Timestamp: sortNow}, Name: "A"},
		&history.TimerCreated{Header: history.Header{EventID: 2, Timestamp: sortNow}, FireAt: sortNow.Add(time.Minute)},
		&history.OrchestratorCompleted{Header: sortHeader()},
		&history.OrchestratorStarted{Header: sortHeader()}, done(1),
		&history.OrchestratorCompleted{Header: sortHeader()},
	}, more...)
	return &store.History{State: history.NewState(events), ExecutionID: start.Instance.ExecutionID, Complete: true, Replaced: []string{"former"}}
}

func endedHistory() *store.History {
	return liveHistory(startEvent("run", 0), &history.ExecutionCompleted{Header: sortHeader(), Status: history.Completed})
}

func noHistory() *store.History { return &store.History{State: &history.State{}} }

func statusRow(execution string, generation int32, status history.Status) *store.Instance {
	return &store.Instance{Instance: wire.Instance{
		ExecutionID: execution, Generation: generation, HasGeneration: true, Status: status, Created: sortNow,
	}}
}

func newFacts(stored *store.History, row *store.Instance) *facts {
	return &facts{
		stored: stored, row: row, visibility: 45 * time.Second, now: sortNow,
		processed: func(id string) bool { return id == "processed" },
		judged:    func(string) int { return patience },
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	alive, row := liveHistory(startEvent("run", 0)), statusRow("run", 0, history.Running)
	parent := liveHistory(startEvent("run", 0), &history.SubOrchestrationCreated{
		Header: history.Header{EventID: 3, Timestamp: sortNow}, Name: "C", InstanceID: "child",
	})
	fired := func(at time.Time) history.Event {
		return &history.TimerFired{Header: sortHeader(), TimerID: 2, FireAt: at}
	}
	for name, c := range map[string]struct {
		facts *facts
		h     *held
		want  verdict
	}{
		"start, its row is there":             {newFacts(noHistory(), statusRow("run", 0, history.Pending)), message(startEvent("run", 0)), begin},
		"start, row without execution":        {newFacts(noHistory(), statusRow("", 0, history.Pending)), message(startEvent("run", 0)), begin},
		"start, no row":                       {newFacts(noHistory(), nil), message(startEvent("run", 0)), missingRow},
		"start, never a row":                  {newFacts(noHistory(), nil), message(startEvent("run", 0), delivered(10), sentAgo(15*time.Minute)), drop},
		"start, no row in many deliveries":    {newFacts(noHistory(), nil), message(startEvent("run", 0), delivered(30), sentAgo(14*time.Minute)), missingRow},
		"start, terminated before":            {newFacts(noHistory(), statusRow("run", 0, history.Terminated)), message(startEvent("run", 0)), drop},
		"start, again":                        {newFacts(alive, row), message(startEvent("RUN", 0), delivered(2)), drop},
		"start, again, row gone":              {newFacts(alive, nil), message(startEvent("run", 0), delivered(2)), drop},
		"start, continued as new since":       {newFacts(alive, statusRow("former", 0, history.Running)), message(startEvent("former", 0), delivered(2)), drop},
		"start, newer generation":             {newFacts(alive, row), message(startEvent("new", 1)), missingRow},
		"start, newer generation, never":      {newFacts(alive, row), message(startEvent("new", 1), delivered(10), sentAgo(15*time.Minute)), drop},
		"start, older generation":             {newFacts(alive, statusRow("run", 2, history.Running)), message(startEvent("old", 1)), drop},
		"start, new, the row is its":          {newFacts(alive, statusRow("new", 1, history.Pending)), message(startEvent("new", 1)), begin},
		"start, rival was later":              {newFacts(noHistory(), statusRow("rival", 0, history.Running)), message(startEvent("run", 0)), later},
		"start, rival, taken after":           {newFacts(noHistory(), statusRow("rival", 0, history.Running)), message(startEvent("run", 0), delivered(2), func(h *held) { h.NextVisible = sortNow.Add(time.Minute) }), drop},
		"child, new":                          {newFacts(noHistory(), nil), message(childStart("run", 1)), begin},
		"child, again":                        {newFacts(liveHistory(childStart("run", 1)), nil), message(childStart("run", 1)), drop},
		"child, again, other execution":       {newFacts(liveHistory(childStart("run", 1)), nil), message(childStart("other", 1)), drop},
		"child, continued as new since":       {newFacts(liveHistory(childStart("run", 1)), nil), message(childStart("former", 7)), drop},
		"child, id in use":                    {newFacts(alive, row), message(childStart("other", 1)), refuse},
		"child, id free again":                {newFacts(endedHistory(), row), message(childStart("other", 1)), begin},
		"event":                               {newFacts(alive, row), message(event(), to("")), apply},
		"event, again":                        {newFacts(alive, row), message(event(), to(""), known("processed")), drop},
		"event, ended":                        {newFacts(endedHistory(), row), message(event(), to("")), drop},
		"event, pending":                      {newFacts(noHistory(), statusRow("run", 0, history.Pending)), message(event(), to(""), delivered(50)), later},
		"event, nobody":                       {newFacts(noHistory(), nil), message(event(), to(""), delivered(5)), later},
		"event, nobody, for long":             {newFacts(noHistory(), nil), message(event(), to(""), delivered(6)), drop},
		"event, terminated before":            {newFacts(noHistory(), statusRow("run", 0, history.Terminated)), message(event(), to("")), drop},
		"terminate":                           {newFacts(alive, row), message(terminated(), to("")), apply},
		"terminate, pending":                  {newFacts(noHistory(), statusRow("run", 0, history.Pending)), message(terminated(), to("")), endRow},
		"terminate, for an earlier start":     {newFacts(alive, row), message(terminated(), to(""), sentAgo(2*time.Minute)), drop},
		"terminate, clocks apart":             {newFacts(alive, row), message(terminated(), to(""), sentAgo(50*time.Second)), apply},
		"answer":                              {newFacts(alive, row), message(done(0)), apply},
		"answer, again":                       {newFacts(alive, row), message(done(1)), drop},
		"answer, too early":                   {newFacts(alive, row), message(done(9)), later},
		"answer, episode to come":             {newFacts(alive, row), message(done(9), episode(3)), later},
		"answer, never asked":                 {newFacts(alive, row), message(done(9), episode(2)), drop},
		"answer, to another kind":             {newFacts(alive, row), message(done(2)), drop},
		"answer, ours":                        {newFacts(alive, row), message(done(0), private("A", sortNow)), apply},
		"answer, other name":                  {newFacts(alive, row), message(done(0), private("B", sortNow)), drop},
		"answer, other time":                  {newFacts(alive, row), message(done(0), private("A", sortNow.Add(-time.Hour))), drop},
		"answer, time unknown":                {newFacts(alive, row), message(done(0), private("A", time.Time{})), apply},
		"answer, ended":                       {newFacts(endedHistory(), row), message(done(0)), drop},
		"answer, former execution":            {newFacts(alive, row), message(done(0), to("former")), drop},
		"answer, unknown execution":           {newFacts(alive, row), message(done(0), to("other")), later},
		"answer, unknown execution, for long": {newFacts(alive, row), message(done(0), to("other"), delivered(6)), drop},
		"answer, old execution by time":       {newFacts(alive, row), message(done(0), to("other"), sentAgo(2*time.Minute)), drop},
		"answer, child":                       {newFacts(parent, row), message(childDone(3), from("child")), apply},
		"answer, child of another call":       {newFacts(parent, row), message(childDone(3), from("stray")), drop},
		"answer, child, sender unknown":       {newFacts(parent, row), message(childDone(3)), apply},
		"answer, child never asked for":       {newFacts(parent, row), message(childDone(9), from("child"), episode(1)), later},
		"answer, activity, not child":         {newFacts(parent, row), message(childDone(0), from("child")), drop},
		"timer":                               {newFacts(alive, row), message(fired(sortNow.Add(time.Minute))), apply},
		"timer, of a turn never stored":       {newFacts(alive, row), message(fired(sortNow.Add(30 * time.Second))), drop},
		"timer, split by .NET":                {newFacts(alive, row), message(&history.TimerFired{Header: sortHeader(), TimerID: history.SplitTimerID}), apply},
		"entity":                              {newFacts(noHistory(), nil), message(event(), func(h *held) { h.Content.Target.InstanceID = "@e@k" }, delivered(50)), later},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, reason := c.facts.judge(c.h); got != c.want {
				t.Errorf("verdict %d (%s), want %d", got, reason, c.want)
			}
		})
	}
}

// H5: as long as a checkpoint is not complete, an answer to something unknown may still be asked
// for.
func TestJudge_IncompleteCheckpoint(t *testing.T) {
	t.Parallel()
	half := liveHistory(startEvent("run", 0))
	half.Complete = false
	for _, id := range []int32{9, 2} {
		if got, reason := newFacts(half, statusRow("run", 0, history.Running)).judge(message(done(id), episode(2))); got != later {
			t.Errorf("verdict %d (%s) on %d", got, reason, id)
		}
	}
}

// describe shows a sorted batch by the messages' ids.
func describe(s *sorted) string {
	names := func(list []*held) string {
		var ids []string
		for _, h := range list {
			ids = append(ids, h.Content.ActivityID)
		}
		return strings.Join(ids, ",")
	}
	var put []*held
	for _, p := range s.later {
		put = append(put, p.message)
	}
	var start []*held
	if s.start != nil {
		start = []*held{s.start}
	}
	text := fmt.Sprintf("start:%s apply:%s done:%s later:%s refuse:%s", names(start), names(s.apply), names(s.done), names(put), names(s.refuse))
	if s.endRow != nil {
		text += " end:" + s.endRow.Content.ActivityID
	}
	return fmt.Sprintf("%s turn:%t", text, s.turn)
}

func TestSort(t *testing.T) {
	t.Parallel()
	pending, running := statusRow("run", 0, history.Pending), statusRow("run", 0, history.Running)
	again := statusRow("new", 1, history.Pending)
	alive := func() *store.History { return liveHistory(startEvent("run", 0)) }
	for name, c := range map[string]struct {
		facts *facts
		batch []*held
		want  string
	}{
		"nothing": {newFacts(alive(), running), nil, "start: apply: done: later: refuse: turn:false"},
		"start and event, either order": {
			newFacts(noHistory(), pending),
			[]*held{message(event(), to(""), known("e")), message(startEvent("run", 0), known("s")), message(event(), to(""), known("f"))},
			"start:s apply:e,f done: later: refuse: turn:true",
		},
		"the start twice": {
			newFacts(noHistory(), pending),
			[]*held{message(startEvent("run", 0), known("s")), message(startEvent("run", 0), known("t"))},
			"start:s apply: done:t later: refuse: turn:true",
		},
		"a new start takes what comes after it": {
			newFacts(alive(), again),
			[]*held{
				message(event(), to(""), sentAgo(time.Second), known("before")), message(done(0), known("old")),
				message(event(), to(""), known("overtaking")), message(&history.ExecutionTerminated{}, to(""), known("order")),
				message(startEvent("new", 1), to("new"), known("s")), message(event(), to(""), known("after")), message(done(0), to("new"), known("ahead")),
			},
			"start:s apply:overtaking,after done:before,old,order later:ahead refuse: turn:true",
		},
		"one event put twice": {
			newFacts(alive(), running),
			[]*held{message(event(), to(""), known("e")), message(event(), to(""), known("e")), message(event(), to(""), known("f"))},
			"start: apply:e,f done:e later: refuse: turn:true",
		},
		"answers in order, doubles deleted": {
			newFacts(alive(), running),
			[]*held{message(done(1), known("1")), message(done(0), known("0")), message(done(9), known("9"))},
			"start: apply:0 done:1 later:9 refuse: turn:true",
		},
		"nothing new": {
			newFacts(alive(), running),
			[]*held{message(startEvent("run", 0), delivered(2), known("s"))},
			"start: apply: done:s later: refuse: turn:false",
		},
		"a child's id in use": {
			newFacts(alive(), running),
			[]*held{message(childStart("c", 1), known("c")), message(event(), to(""), known("e"))},
			"start: apply:e done: later: refuse:c turn:true",
		},
		"terminated before it began": {
			newFacts(noHistory(), pending),
			[]*held{message(terminated(), to(""), known("t")), message(terminated(), to(""), known("u")), message(event(), to(""), known("e"))},
			"start: apply: done:u later:e refuse: end:t turn:false",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := c.facts.sort(c.batch, func(*held, string) {})
			if got := describe(out); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if n := len(out.unsettled()) + len(out.later); n != len(c.batch) {
				t.Errorf("%d of %d messages are accounted for", n, len(c.batch))
			}
		})
	}
}
