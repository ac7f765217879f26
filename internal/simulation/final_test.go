package simulation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

// quiet reports whether no instance is alive and no message is left.
func (c *checker) quiet() bool {
	if len(c.live) > 0 {
		return false
	}
	for _, queue := range c.w.queues {
		if n, err := c.w.raw.Queues.Count(c.w.background, queue); n > 0 || err != nil {
			return false
		}
	}
	return true
}

// explainUnsettled says what keeps the fleet from coming to rest.
func (c *checker) explainUnsettled() {
	var left []string
	for _, a := range c.w.actors {
		if !a.done.Load() {
			left = append(left, fmt.Sprintf("client of %s has %d steps to do", a.name, len(a.script)))
		}
	}
	for _, id := range sortedKeys(c.live) {
		left = append(left, "instance "+id+" is alive")
	}
	for _, queue := range c.w.queues {
		for _, m := range c.w.store.Messages(queue) {
			left = append(left, fmt.Sprintf("%s holds %s (%d deliveries, visible at %s) %s",
				queue, short(m.ID), m.DequeueCount, clock(m.Visible), message(m.Text)))
		}
	}
	c.w.fail("not settled: %s", strings.Join(left, "\n\t"))
}

// balanced says what is wrong with the way the partitions are shared, "" for nothing.
func (c *checker) balanced() string {
	rows, _, err := storage.All(c.w.background, c.w.raw.Tables, c.w.names.PartitionsTable(), storage.Query{})
	if err != nil {
		return err.Error()
	}
	counts := map[string]int{}
	for _, p := range c.w.liveWorkers() {
		counts[p.id] = 0
	}
	for _, row := range rows {
		owner, _ := row.Values["CurrentOwner"].(string)
		if _, known := counts[owner]; !known {
			return fmt.Sprintf("partition %s is owned by %q", row.RowKey, owner)
		}
		counts[owner]++
	}
	var all []int
	for _, owner := range sortedKeys(counts) {
		all = append(all, counts[owner])
	}
	if slices.Max(all)-slices.Min(all) > 1 {
		return fmt.Sprintf("partitions are not balanced: %v", counts)
	}
	return ""
}

// final looks at what is stored when everything is over, and whether a purge leaves nothing.
func (c *checker) final() {
	hub, err := taskhub.Open(c.w.background, taskhub.Ports(c.w.raw), hubName, nil)
	if err != nil {
		c.w.fail("open the hub: %v", err)
		return
	}
	client := taskhub.NewClient(hub)
	for _, a := range c.w.actors {
		if !a.contested {
			c.outcome(client, a)
		}
	}
	c.judgeStarts()
	rows, _, err := storage.All(c.w.background, c.w.raw.Tables, c.w.names.InstancesTable(), storage.Query{})
	if err != nil {
		c.w.fail("list the instances: %v", err)
	}
	for _, row := range rows {
		c.whole(hub.Store(), client, wire.UnescapeKey(row.PartitionKey))
	}
	if len(c.w.rates) == 0 && !c.w.extras.deadly && (c.w.cut == nil || c.w.cut.at == 0) {
		for _, call := range sortedKeys(c.w.ledger.runs) {
			if n := c.w.ledger.runs[call]; n != 1 {
				c.w.fail("activity %s ran %d times although nothing went wrong", call, n)
			}
		}
		if blob := c.garbage(); blob != "" {
			c.w.fail("%s is left although nothing went wrong, and nothing refers to it", blob)
		}
	}
	c.judgePoison(client)
	c.purgeAll(client, rows)
}

// outcome compares what came of an instance with what its clients know.
func (c *checker) outcome(client *taskhub.Client, a *actor) {
	status, err := client.Get(c.w.background, a.id)
	var last *attempt
	for _, at := range a.attempts {
		if at.known == accepted {
			last = at
		}
	}
	if err != nil {
		if last != nil && last.purged == refused {
			c.w.fail("%s is gone: %v", a.id, err)
		}
		return
	}
	nonce := nonceOf(status)
	i := slices.IndexFunc(a.attempts, func(at *attempt) bool { return at.input.Nonce == nonce })
	if i < 0 || a.attempts[i].known == refused || a.attempts[i] != last && a.attempts[i].known == accepted {
		c.w.fail("%s is of the start %q, which should not be", a.id, nonce)
		return
	}
	c.judgeEnd(a, a.attempts[i], status)
}

func (c *checker) judgeEnd(a *actor, at *attempt, status *taskhub.Status) {
	expected := expect(at.input)
	switch {
	case status.Status == history.Terminated && (at.terminated != refused || at.begun.Sub(a.terminatedAt) < c.margin(status)):
	case status.Status == history.Failed && expected.failed:
	case status.Status == history.Completed && !expected.failed:
		var out output
		if err := json.Unmarshal(status.Output, &out); err != nil {
			c.w.fail("%s returned %s: %v", a.id, status.Output, err)
			return
		}
		if !slices.Equal(out.Log, expected.log) {
			c.w.fail("%s did\n\t%q, not\n\t%q", a.id, out.Log, expected.log)
		}
		c.judgeEvents(a, expected, out.Seen)
		c.judgeDetached(a, at.input)
	default:
		c.w.fail("%s ended as %s: %s%s", a.id, status.Status, status.Failure, status.Reason)
	}
}

// margin is how long before a start an order to end may have been given that ends it nevertheless.
// Queues tell times in whole seconds; before an instance begins, only the clock of the client that
// started it says when that was.
func (c *checker) margin(status *taskhub.Status) time.Duration {
	if c.record(status.InstanceID).begun[status.ExecutionID] {
		return 2 * time.Second
	}
	return 3 * time.Minute
}

// judgeEvents checks that an instance got every event once at most, only events that may have been
// raised, and as many as it waits for.
func (c *checker) judgeEvents(a *actor, expected expectation, seen []string) {
	counts := map[string]int{}
	for i, payload := range seen {
		k := slices.IndexFunc(a.events, func(e *raised) bool { return e.payload == payload })
		switch {
		case k < 0 || a.events[k].known == refused:
			c.w.fail("%s got the event %q, which was not raised", a.id, payload)
			return
		case slices.Contains(seen[:i], payload):
			c.w.fail("%s got the event %q twice", a.id, payload)
		}
		counts[a.events[k].name]++
	}
	for _, name := range sortedKeys(expected.events) {
		if counts[name] != expected.events[name] {
			c.w.fail("%s got %d events %s, not %d", a.id, counts[name], name, expected.events[name])
		}
	}
}

// noteDetached notes the beginning of a detached child.
func (c *checker) noteDetached(e *history.ExecutionStarted) {
	var in input
	if _, detached := e.Tags[history.FireAndForget]; !detached || json.Unmarshal([]byte(history.TextOr(e.Input, "")), &in) != nil {
		return
	}
	if c.detached[in.Nonce] == nil {
		c.detached[in.Nonce] = map[string]bool{}
	}
	c.detached[in.Nonce][e.Instance.InstanceID] = true
}

// start notes that a client knows that an execution was started.
func (c *checker) start(id, execution string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts[id] = append(c.starts[id], execution)
}

// judgeStarts checks that whatever was started has begun, or was terminated before.
func (c *checker) judgeStarts() {
	for _, id := range sortedKeys(c.starts) {
		r := c.record(id)
		for _, execution := range c.starts[id] {
			if !r.begun[execution] && !r.early[execution] && !r.former[execution] {
				c.w.fail("execution %s of %s was started, and has not begun", execution, id)
			}
		}
	}
}

// judgePoison checks that nothing was taken for poison but that of which workers die, and that the status
// row tells of it unless the instance has gone on without it.
func (c *checker) judgePoison(client *taskhub.Client) {
	for m, err := range client.AllPoison(c.w.background, taskhub.PoisonQuery{}) {
		if err != nil {
			c.w.fail("list the poison messages: %v", err)
		} else if m.Kind != history.KindTaskScheduled || !strings.Contains(m.Text, "deadly") {
			c.w.fail("%s of %s was taken for poison: %s", m.Kind, m.InstanceID, m.Reason)
		} else if status, err := client.Get(c.w.background, m.InstanceID, taskhub.NoPayloads{}); err == nil &&
			status.ExecutionID == m.ExecutionID && (status.Poison == nil || !slices.Contains(status.Poison.IDs, m.ID)) {
			c.w.fail("the row of %s does not tell of the poison message %s", m.InstanceID, m.ID)
		}
	}
}

// judgeDetached checks that all detached children of an instance have begun. There may be more than it has
// started: those of turns that were not stored.
func (c *checker) judgeDetached(a *actor, in input) {
	for _, o := range in.Ops {
		if o.Kind != opDetach {
			continue
		}
		if n := len(c.detached[detachedNonce(in.Nonce, o)]); n < in.Rounds+1 {
			c.w.fail("%s has started %s %d times, and %d such children have begun", a.id, o.Key, in.Rounds+1, n)
		}
	}
}

// whole checks that an instance's history and status row are whole and say the same, and that its
// children exist.
func (c *checker) whole(hub *store.Hub, client *taskhub.Client, id string) {
	loaded, err := hub.LoadHistory(c.w.background, id)
	if err != nil {
		c.w.fail("%v", err)
		return
	}
	status, err := client.Get(c.w.background, id)
	if err != nil {
		c.w.fail("%v", err)
		return
	}
	end := loaded.State.Completed()
	if status.Status == history.Terminated && c.record(id).early[status.ExecutionID] {
		return // before it began; a worker that stood still may have begun it afterwards
	}
	if end == nil || !loaded.State.AtRest() || !loaded.Complete {
		c.w.fail("history of %s has no proper end", id)
		return
	}
	if loaded.Rows != loaded.State.Len() {
		c.w.fail("history of %s: %d of %d rows repeat another", id, loaded.Rows-loaded.State.Len(), loaded.Rows)
	}
	if status.Status != end.Status || status.ExecutionID != loaded.ExecutionID || status.Completed == nil {
		c.w.fail("row of %s: %s of execution %s; its history: %s of execution %s",
			id, status.Status, status.ExecutionID, end.Status, loaded.ExecutionID)
	}
	if end.Status == history.Completed && history.TextOr(status.RawOutput, "none") != history.TextOr(end.Result, "none") {
		c.w.fail("row of %s: output %q; its history: %q",
			id, history.TextOr(status.RawOutput, "none"), history.TextOr(end.Result, "none"))
	}
	c.replays(id, loaded.State, status)
	for _, e := range loaded.State.Events() {
		if created, ok := e.(*history.SubOrchestrationCreated); ok {
			if _, err := client.Get(c.w.background, created.InstanceID, taskhub.NoPayloads{}); err != nil {
				c.w.fail("child %s of %s: %v", created.InstanceID, id, err)
			}
		}
	}
}

// replays checks that the code does over the history what it has done, and nothing beyond.
func (c *checker) replays(id string, state *history.State, status *taskhub.Status) {
	exec := orchestration.NewExecution(program.With(runProgram), c.w.codeOptions())
	defer exec.Close()
	if err := exec.Replay(state.Events()); err != nil {
		c.w.fail("history of %s: %v", id, err)
	} else if exec.Pending() && (c.w.setup.inlining == never || !aheadAtEnd(state)) {
		c.w.fail("history of %s lacks what the code does", id)
	} else if want := history.TextOr(exec.CustomStatus(), ""); string(status.CustomStatus) != want {
		c.w.fail("row of %s: custom status %q; its code: %q", id, status.CustomStatus, want)
	}
}

// aheadAtEnd reports whether something was in the air when an execution ended: what had been decided before
// its end, and was carried out ahead of the history, is dropped with it.
func aheadAtEnd(state *history.State) bool {
	recorded := int32(0)
	for _, e := range state.Events() {
		if isRequest(e) {
			recorded++
		}
	}
	return state.Completed() != nil && recorded < state.Completed().EventID
}

// neglected says which messages nobody takes although they can be taken, "" for none. Work items may
// have to wait for a slot.
func (c *checker) neglected() string {
	limit := 90 * time.Second
	if c.w.extras.deadly {
		limit = 5 * time.Minute // workers go on dying
	}
	for _, queue := range c.w.queues[1:] {
		for _, m := range c.w.store.Messages(queue) {
			if time.Since(m.Visible) > limit {
				return fmt.Sprintf("%s of %s could have been taken since %s: %s", short(m.ID), queue, clock(m.Visible), message(m.Text))
			}
		}
	}
	return ""
}

func (c *checker) purgeAll(client *taskhub.Client, rows []storage.Row) {
	var marked []string
	for _, row := range rows {
		if mark := wire.DecodePoisonMark(row.Values); mark != nil {
			marked = append(marked, mark.IDs...)
		}
		if err := client.Purge(c.w.background, wire.UnescapeKey(row.PartitionKey)); err != nil {
			c.w.fail("%v", err)
		}
	}
	left := c.left(marked)
	if left != "" && !c.w.failed() {
		// What came late after an earlier purge is removed by who has sent it, in a while.
		begin := time.Now()
		c.w.sched.run(func() bool { return c.w.failed() || time.Since(begin) > stallAftermath })
		left = c.left(marked)
	}
	if left != "" && slices.ContainsFunc(c.w.workers, func(p *process) bool { return p.dead.Load() }) {
		c.doctor(client) // who has sent it may have died since
		left = c.left(marked)
	}
	if left != "" {
		c.w.fail("after all was purged, %s", left)
	}
}

// doctor lets everything stand for some hours and repairs the hub then.
func (c *checker) doctor(client *taskhub.Client) {
	for _, p := range c.w.liveWorkers() {
		p.kill()
	}
	run.Sleep(c.w.background, 3*time.Hour)
	found, err := client.Doctor(c.w.background, nil)
	if err != nil {
		c.w.fail("doctor: %v", err)
		return
	}
	for i := range found.Findings {
		if found.Findings[i].Fixable {
			_, err := client.Fix(c.w.background, &found.Findings[i])
			c.w.note("doctor: %s: %v", found.Findings[i].Text, err)
		}
	}
}

// left says what is stored of instances, "" for nothing. Marked are the poison messages of which rows told.
func (c *checker) left(marked []string) string {
	for _, table := range []string{c.w.names.HistoryTable(), c.w.names.InstancesTable()} {
		rows, _, err := storage.All(c.w.background, c.w.raw.Tables, table, storage.Query{})
		if err != nil || len(rows) > 0 {
			return fmt.Sprintf("%d rows are left in %s, %v", len(rows), table, err)
		}
	}
	// There are no containers before they are used.
	if blobs, _ := c.w.raw.Blobs.ListBlobs(c.w.background, c.w.names.LargeMessages(), ""); len(blobs) > 0 {
		return fmt.Sprintf("%s holds %q", c.w.names.LargeMessages(), blobs)
	}
	poison, _ := c.w.raw.Blobs.ListBlobs(c.w.background, c.w.names.Poison(), "")
	for _, blob := range poison {
		if slices.Contains(marked, strings.TrimSuffix(blob, ".json")) { // another start of its id may have removed the mark
			return "there is the poison message " + blob
		}
	}
	return ""
}
