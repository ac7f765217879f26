package simulation_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

// checker watches every request, and says what must not be.
type checker struct {
	w *world

	// mu lets what wakes by itself look beside what the scheduler has let go on.
	mu      sync.Mutex
	records map[string]*record
	// requested are the messages that were ever put, by what they ask for or answer.
	requested map[string]bool
	// bare are the requests of the transaction looked at for which there is no message.
	bare     []int32
	messages map[string]*tracked
	// live are the instances whose status rows say that they have not ended.
	live map[string]bool
	// starts are the executions, by instances, that clients know to have started.
	starts map[string][]string
	// detached are the detached children that have begun, by their nonces and then their ids.
	detached map[string]map[string]bool
	// leases is what each process may think about each partition, claims what is true.
	leases map[leaseKey]*belief
	claims map[string]claim
	// reserved are the workers that are to get a partition next, reservations how many times there was a new one.
	reserved     map[string]string
	reservations int
}

// record is what the history table says about an instance.
type record struct {
	execution string
	rows      int
	state     *history.State
	// begun are all executions that ever had a history; taken the payloads of all events that ever
	// were in one.
	begun, taken map[string]bool
	// renewed counts starts that replaced an execution, and purges.
	renewed int
	// ends are the outcomes that status rows have shown, by execution.
	ends map[string]string
	// early are executions that their rows showed as ended before they had a history.
	early map[string]bool
	// former are executions that were left behind, some of them in the turn in which they began.
	former map[string]bool
	// told is the turn that the row of an execution has told of, by its time.
	told map[string]time.Time
	// blobs are the payloads to which the history refers.
	blobs map[string]bool
}

// tracked is a message in a queue.
type tracked struct {
	content *wire.Message
	by      *process // who has put it
	// got says that somebody has taken it.
	got     bool
	last    *delivery
	large   bool // its content is in a blob
	renewed int  // record.renewed when it was put
}

type leaseKey struct {
	process *process
	queue   string
}

// belief is what a process may think about a partition.
type belief struct {
	proven time.Time // when it last wrote itself into the row
	gone   time.Time // when it last learned that the row names somebody else, or wrote that itself
}

func newChecker(w *world) *checker {
	return &checker{
		w: w, records: map[string]*record{}, requested: map[string]bool{}, messages: map[string]*tracked{},
		live: map[string]bool{}, starts: map[string][]string{}, detached: map[string]map[string]bool{}, leases: map[leaseKey]*belief{}, claims: map[string]claim{}, reserved: map[string]string{},
	}
}

func (c *checker) record(id string) *record {
	r, ok := c.records[id]
	if !ok {
		r = &record{
			state: &history.State{}, begun: map[string]bool{}, taken: map[string]bool{}, ends: map[string]string{}, early: map[string]bool{},
			former: map[string]bool{}, told: map[string]time.Time{},
		}
		c.records[id] = r
	}
	return r
}

func (c *checker) belief(p *process, queue string) *belief {
	key := leaseKey{p, queue}
	b, ok := c.leases[key]
	if !ok {
		b = &belief{}
		c.leases[key] = b
	}
	return b
}

// leaseDuration is how long a claim of a partition lasts.
const leaseDuration = 30 * time.Second

// noticed is how long after it has learned that a partition is gone a process may still read it:
// no time passes between the two, but for what it has to do in between.
const noticed = time.Second

// parked looks at a request that a process has decided on.
func (c *checker) parked(p *process, call *storage.Call) {
	if call.Kind != storage.QueueGet || call.Target == c.w.names.WorkItemQueue() {
		return
	}
	if c.w.rates[twinWorker] > 0 {
		return // two workers of one id believe that they are each other
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, now := c.belief(p, call.Target), time.Now()
	switch {
	case b.proven.IsZero() || now.Sub(b.proven) > leaseDuration:
		c.w.fail("%v reads %s although its last renewal is of %s", p, call.Target, clock(b.proven))
	case b.gone.After(b.proven) && now.Sub(b.gone) > noticed:
		c.w.fail("%v reads %s although it knew at %s that it is not its own any more", p, call.Target, clock(b.gone))
	}
}

// done looks at a request that has reached the store.
func (c *checker) done(st *step, v verdict, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trace(st, v, err)
	if err != nil {
		c.refused(st, err)
		return
	}
	call := st.call
	switch call.Kind {
	case storage.QueuePut:
		c.put(st)
	case storage.QueueUpdate:
		c.hidden(st)
	case storage.QueueGet:
		c.got(st.process, call.Result.(storage.Batch).Messages, v == proceed)
	case storage.QueueDelete:
		c.deleted(st)
	case storage.BlobDelete:
		c.dropped(st.process, call.Key)
	case storage.TableQuery:
		if call.Target == c.w.names.PartitionsTable() && v == proceed {
			c.listed(st.process, call.Result.(storage.Page).Rows)
		}
	case storage.TableReplace, storage.TableInsert, storage.TableMerge, storage.TableDelete, storage.TableTransact:
		c.wrote(st)
	}
}

// got looks at what a queue has handed out. The reply may be late, because payloads have to be read, or lost.
func (c *checker) got(p *process, batch []storage.Message, known bool) {
	for _, m := range batch {
		if t := c.messages[m.ID]; t != nil {
			known = known && !t.large
		}
	}
	for _, m := range batch {
		if t := c.messages[m.ID]; t != nil {
			t.got, t.last = true, nil
			if known {
				t.last = &delivery{p, time.Now()}
			}
		}
	}
}

func (c *checker) wrote(st *step) {
	operations := st.call.Content.([]storage.Operation)
	switch st.call.Target {
	case c.w.names.PartitionsTable():
		for _, operation := range operations {
			c.owned(st.process, operation)
		}
	case c.w.names.HistoryTable():
		c.committed(st, operations)
	case c.w.names.InstancesTable():
		c.shown(st, operations[0])
	}
}

// owned looks at a write to a partition's row.
func (c *checker) owned(p *process, operation storage.Operation) {
	queue := operation.Row.RowKey
	if problem := c.own(queue, operation.Row.Values); problem != "" {
		c.w.fail("%v writes the row of %s: %s", p, queue, problem)
	}
	b := c.belief(p, queue)
	if owner, _ := operation.Row.Values["CurrentOwner"].(string); owner == p.id {
		b.proven = time.Now()
		return
	}
	if b.proven.IsZero() || b.gone.After(b.proven) {
		return
	}
	if _, kept := operation.Row.Values["CurrentOwner"]; !kept && c.w.rates[twinWorker] == 0 {
		b.gone = time.Now()
		if doing := c.busyWith(p, queue); doing != "" {
			c.w.fail("%v releases %s while it %s", p, queue, doing)
		}
	}
}

// listed notes what a process has read about the partitions.
func (c *checker) listed(p *process, rows []storage.Row) {
	for _, row := range rows {
		if owner, _ := row.Values["CurrentOwner"].(string); owner != p.id {
			c.belief(p, row.RowKey).gone = time.Now()
		}
	}
}

// requestKey names what a message asks for, so that it can be found when the history says that it
// was asked for.
func requestKey(kind history.Kind, parts ...any) string {
	return fmt.Sprintln(append([]any{kind}, parts...)...)
}

// keyOf returns the request key of a message.
func keyOf(m *wire.Message) string {
	switch e := m.Event.(type) {
	case *history.TaskScheduled:
		return requestKey(history.KindTaskScheduled, m.Target.InstanceID, m.Target.ExecutionID, e.EventID, e.Name)
	case *history.TimerFired:
		return requestKey(history.KindTimerCreated, m.Target.InstanceID, m.Target.ExecutionID, e.TimerID)
	case *history.ExecutionStarted:
		if e.Parent != nil {
			return requestKey(history.KindSubOrchestrationCreated, e.Parent.Instance.InstanceID, e.Parent.Instance.ExecutionID,
				e.Parent.TaskID, e.Instance.InstanceID)
		}
	case *history.EventRaised:
		return requestKey(history.KindEventSent, m.Target.InstanceID, e.Name, history.TextOr(e.Input, ""))
	case *history.TaskCompleted, *history.TaskFailed:
		return requestKey(history.KindTaskCompleted, m.Target.InstanceID, m.Target.ExecutionID, history.AnswerTo(e))
	}
	return ""
}

func (c *checker) put(st *step) {
	receipt, _ := st.call.Result.(storage.Receipt)
	m, large := c.decode(st.call.Content.(storage.Posted).Text)
	if m == nil {
		return
	}
	c.resting(st.process, m)
	c.requested[keyOf(m)] = true
	c.messages[receipt.ID] = &tracked{content: m, by: st.process, large: large, renewed: c.record(m.Target.InstanceID).renewed}
}

// longestRest is how long a message may be put aside, longestDelay if it waits for something that takes longer.
const (
	longestRest  = time.Minute
	longestDelay = 10 * time.Minute
)

func (c *checker) hidden(st *step) {
	posted := st.call.Content.(storage.Posted)
	t := c.messages[st.call.Key]
	if t != nil {
		t.last = nil
	}
	if t == nil || posted.Hidden <= longestRest {
		return
	}
	limit := longestRest
	switch e := t.content.Event.(type) {
	case *history.TimerFired:
		return // until it is due
	case *history.ExecutionStarted:
		if e.ScheduledStart != nil {
			return
		}
		if t.large {
			limit = longestDelay
		}
	case *history.TaskScheduled:
		limit = longestDelay // too many may be fatal and wait for a time alone
	default:
		if t.large || c.delayed(t.content.Target.InstanceID) { // a payload may be gone
			limit = longestDelay
		}
	}
	if posted.Hidden > limit {
		c.w.fail("%v puts a %s aside for %v", st.process, t.content.Event.Kind(), posted.Hidden)
	}
}

// delayed reports whether an instance waits for the time of its start.
func (c *checker) delayed(id string) bool {
	row, err := c.w.raw.Tables.Read(c.w.background, c.w.names.InstancesTable(), wire.EscapeKey(id), "")
	if err != nil {
		return false
	}
	in, err := wire.DecodeInstance(row.PartitionKey, row.Values)
	return err == nil && in.ScheduledStart != nil
}

// decode reads a message, out of its payload blob if it is in one, which it reports.
func (c *checker) decode(text string) (decoded *wire.Message, large bool) {
	m, blob, err := wire.DecodeMessage(text)
	if err == nil && blob != "" {
		var data []byte
		if data, err = c.w.raw.Blobs.GetBlob(c.w.background, c.w.names.LargeMessages(), blob, 0); err == nil {
			if text, err = wire.Decompress(data, 1<<30); err == nil {
				m, _, err = wire.DecodeMessage(text)
			}
		}
	}
	if errors.Is(err, storage.ErrNotFound) && c.record(store.BlobOwner(blob)).renewed > 0 {
		return nil, true // a purge came between the writing of the payload and that of the message
	}
	if err != nil {
		c.w.fail("a message cannot be read: %v: %.200s", err, text)
		return nil, false
	}
	return m, blob != ""
}

// deleted looks at the deletion of a message: what it was to bring about must be stored, or can
// never be.
func (c *checker) deleted(st *step) {
	t := c.messages[st.call.Key]
	if t == nil {
		return
	}
	delete(c.messages, st.call.Key)
	m := t.content
	r := c.record(m.Target.InstanceID)
	if !t.got && (!leased(m) || !c.counted(m)) {
		c.takenBack(st.process, m)
		return
	}
	over := r.state.Completed() != nil || r.renewed != t.renewed || !c.live[m.Target.InstanceID]
	foreign := m.Target.ExecutionID != "" && !strings.EqualFold(m.Target.ExecutionID, r.execution)
	wrong := false
	switch e := m.Event.(type) {
	case *history.TaskScheduled:
		// What a turn that was never stored has asked for, nobody will count on once another turn is stored instead.
		superseded := !r.recorded(e.EventID) && m.Episode != nil && *m.Episode <= r.state.Episodes()
		wrong = !over && !foreign && !superseded && !r.answered(e.EventID) && !c.doubled(m) &&
			!c.requested[requestKey(history.KindTaskCompleted, m.Target.InstanceID, m.Target.ExecutionID, e.EventID)]
	case *history.ExecutionStarted:
		wrong = !r.begun[e.Instance.ExecutionID] && c.awaited(e) && !c.doubled(m)
	case *history.EventRaised:
		// What a race did not want any more leaves no trace if its generation continues as new at once.
		wrong = !over && !r.has(history.TextOr(e.Input, "")) && !strings.HasPrefix(e.Name, "r")
	case *history.ExecutionTerminated:
		wrong = !over
	default:
		wrong = history.IsAnswer(e) && !over && !foreign && r.state.Request(e) != nil && !r.state.Answered(e) && !c.replaceable(m)
	}
	if wrong {
		c.w.fail("%v deletes a %s for %s although its effect is not stored", st.process, m.Event.Kind(), m.Target.InstanceID)
	} else if problem := c.unattended(m.Target.InstanceID); problem != "" {
		c.w.fail("%v deletes the last message of %s, a %s, although %s", st.process, m.Target.InstanceID, m.Event.Kind(), problem)
	}
}

// takenBack looks at a message that its sender has taken back.
func (c *checker) takenBack(p *process, m *wire.Message) {
	r := c.record(m.Target.InstanceID)
	if e, ok := m.Event.(*history.ExecutionStarted); ok && e.Parent != nil {
		r = c.record(e.Parent.Instance.InstanceID)
		// A worker that believes that it owns the partition may have put the start of a child that another one
		// has begun, and perhaps ended, since.
		begun := len(c.record(e.Instance.InstanceID).begun) > 0
		if strings.EqualFold(r.execution, e.Parent.Instance.ExecutionID) && r.recorded(e.Parent.TaskID) && !begun && !c.doubled(m) {
			c.w.fail("%v takes back the start of child %s, which the history of its parent counts on", p, e.Instance.InstanceID)
		}
		return
	}
	if m.Event.Kind() != history.KindTaskScheduled && m.Event.Kind() != history.KindTimerFired {
		return
	}
	id := m.Event.Head().EventID
	if m.Event.Kind() == history.KindTimerFired {
		id = m.Event.(*history.TimerFired).TimerID
	}
	answered := r.answered(id) || c.requested[requestKey(history.KindTaskCompleted, m.Target.InstanceID, m.Target.ExecutionID, id)]
	over := r.state.Completed() != nil // an instance that has ended counts on nothing
	if strings.EqualFold(r.execution, m.Target.ExecutionID) && r.recorded(id) && !answered && !over && !c.doubled(m) {
		c.w.fail("%v takes back the %s of %s, which its history counts on", p, m.Event.Kind(), m.Target.InstanceID)
	}
}

// leased reports whether the sender of a message has had it from the beginning.
func leased(m *wire.Message) bool { return m.Private != nil && m.Private.Leased }

// counted reports whether a history takes a message for sent. What stands for an instance that is ahead
// of its history is in none.
func (c *checker) counted(m *wire.Message) bool {
	asked, id := m.Target, history.NoEventID
	switch e := m.Event.(type) {
	case *history.TaskScheduled:
		id = e.EventID
	case *history.TimerFired:
		id = e.TimerID
	case *history.ExecutionStarted:
		if e.Parent != nil {
			asked, id = e.Parent.Instance, e.Parent.TaskID
		}
	}
	r := c.record(asked.InstanceID)
	return strings.EqualFold(r.execution, asked.ExecutionID) && r.recorded(id)
}

// replaceable reports whether something is left that will bring an answer again. A worker drops the
// answer to a request that was sent and not stored, if the request was then sent again.
func (c *checker) replaceable(m *wire.Message) bool {
	if c.doubled(m) {
		return true
	}
	id := history.AnswerTo(m.Event)
	for _, other := range c.messages {
		scheduled, ok := other.content.Event.(*history.TaskScheduled)
		if ok && scheduled.EventID == id && other.content.Target == m.Target {
			return true
		}
	}
	return false
}

// doubled reports whether another message asks for the same.
func (c *checker) doubled(m *wire.Message) bool {
	for _, other := range c.messages {
		if keyOf(other.content) == keyOf(m) {
			return true
		}
	}
	return false
}

// has reports whether an event is in the history, or was used up by a generation that continued as
// new in the turn in which it began: what that passed on tells. An input in a blob is not looked at.
func (r *record) has(payload string) bool {
	started := r.state.Started()
	return r.taken[payload] || started != nil &&
		(history.TextOr(started.Input, "") == "" || strings.Contains(*started.Input, payload))
}

func (r *record) recorded(id int32) bool {
	for _, e := range r.state.Events() {
		if isRequest(e) && e.Head().EventID == id {
			return true
		}
	}
	return false
}

func (r *record) answered(id int32) bool {
	for _, e := range r.state.Events() {
		if history.IsAnswer(e) && history.AnswerTo(e) == id {
			return true
		}
	}
	return false
}

func isRequest(e history.Event) bool {
	switch e.(type) {
	case *history.TaskScheduled, *history.TimerCreated, *history.SubOrchestrationCreated, *history.EventSent:
		return true
	default:
		return false
	}
}

// awaited reports whether a start is one that its instance's row, or its parent's history, waits for.
func (c *checker) awaited(e *history.ExecutionStarted) bool {
	if e.Parent != nil {
		r := c.record(e.Parent.Instance.InstanceID)
		return strings.EqualFold(r.execution, e.Parent.Instance.ExecutionID) && r.recorded(e.Parent.TaskID) &&
			r.state.Completed() == nil && !r.answered(e.Parent.TaskID) && c.record(e.Instance.InstanceID).execution == ""
	}
	row, err := c.w.raw.Tables.Read(c.w.background, c.w.names.InstancesTable(), wire.EscapeKey(e.Instance.InstanceID), "")
	if err != nil {
		return false
	}
	in, err := wire.DecodeInstance(row.PartitionKey, row.Values)
	return err == nil && in.ExecutionID == e.Instance.ExecutionID && !in.Status.Terminal()
}

// committed looks at a write to the history table.
func (c *checker) committed(st *step, operations []storage.Operation) {
	id := wire.UnescapeKey(operations[0].Row.PartitionKey)
	r := c.record(id)
	if operations[0].Action == storage.Delete {
		r.execution, r.rows, r.state, r.blobs = "", 0, &history.State{}, map[string]bool{}
		r.renewed++
		return
	}
	last := operations[len(operations)-1]
	guarded := last.Row.RowKey == wire.SentinelKey &&
		(last.Action == storage.Insert || last.Action == storage.Merge && last.ETag != "" && last.ETag != storage.AnyETag)
	if !guarded {
		c.w.fail("%v writes the history of %s without the condition that it has not changed", st.process, id)
	}
	ended := "" // the execution that has ended before
	if r.state.Completed() != nil {
		ended = r.execution
	}
	c.bare = nil
	episodes := 0 // that have begun in this transaction
	for _, operation := range operations {
		if operation.Row.RowKey == wire.SentinelKey {
			r.noteFormer(operation.Row)
			continue
		}
		closed := r.state.AtRest()
		problem := c.row(id, r, operation.Row, ended)
		if problem == "" && r.state.Events()[r.state.Len()-1].Kind() == history.KindOrchestratorStarted {
			if episodes++; episodes > 1 && !closed {
				problem = "an episode begins although the one before is not closed"
			}
		}
		if problem == "" {
			problem = c.moment(st.process, r)
		}
		if problem != "" {
			c.w.fail("%v: history of %s: row %s: %s", st.process, id, operation.Row.RowKey, problem)
			return
		}
	}
	for _, id := range c.bare {
		if !r.answered(id) {
			c.w.fail("%v: history of %s: request %d has no message, and no answer in its transaction", st.process, r.state.Started().Instance, id)
		}
	}
	if kind := r.asksSuspended(); kind != "" {
		c.w.fail("%v: history of %s: a %s although it is suspended", st.process, id, kind)
	}
}

// noteFormer notes the executions that a sentinel names as left behind.
func (r *record) noteFormer(row storage.Row) {
	sentinel, err := wire.DecodeSentinel(row.Values)
	if err != nil {
		return // whoever loads it complains
	}
	for _, execution := range sentinel.Replaced {
		r.former[execution] = true
	}
}

// row adds a history row to the record and says what is wrong with it.
func (c *checker) row(id string, r *record, row storage.Row, ended string) string {
	execution := wire.ExecutionOf(row.Values)
	index, err := strconv.ParseInt(row.RowKey, 16, 64)
	if err != nil {
		return err.Error()
	}
	if execution != r.execution {
		if index != 0 {
			return fmt.Sprintf("execution %s begins there", execution)
		}
		r.execution, r.rows, r.state, r.blobs = execution, 0, &history.State{}, map[string]bool{}
		r.begun[execution] = true
		if r.early[execution] && c.w.orderly() {
			return "begins although its row shows that it has ended"
		}
	} else if execution == ended {
		return "comes after the end"
	}
	if int(index) != r.rows {
		return fmt.Sprintf("comes after %d rows", r.rows)
	}
	r.rows++
	for _, blob := range wire.BlobColumns(row.Values) {
		r.blobs[blob] = true
	}
	event, err := wire.DecodeEvent(row.Values)
	if err != nil {
		return err.Error()
	}
	return c.event(id, r, event)
}

func (c *checker) event(id string, r *record, event history.Event) string {
	if history.IsAnswer(event) && r.state.Request(event) == nil {
		return fmt.Sprintf("%s for %d, which nobody asked for", event.Kind(), history.AnswerTo(event))
	}
	if err := r.state.Append(event); err != nil {
		return err.Error()
	}
	var key string
	switch e := event.(type) {
	case *history.ExecutionStarted:
		c.noteDetached(e)
	case *history.TaskScheduled:
		key = requestKey(e.Kind(), id, r.execution, e.EventID, e.Name)
	case *history.TimerCreated:
		key = requestKey(e.Kind(), id, r.execution, e.EventID)
	case *history.SubOrchestrationCreated:
		key = requestKey(e.Kind(), id, r.execution, e.EventID, e.InstanceID)
	case *history.EventSent:
		key = requestKey(e.Kind(), e.InstanceID, e.Name, history.TextOr(e.Input, ""))
	case *history.EventRaised:
		payload := history.TextOr(e.Input, "")
		for _, other := range r.state.Events()[:r.state.Len()-1] {
			// What an orchestration sends may be sent again with its turn; what a client raises may not double.
			raised, ok := other.(*history.EventRaised)
			if ok && e.Name != signal && history.TextOr(raised.Input, "") == payload {
				return "event " + payload + " for the second time"
			}
		}
		r.taken[payload] = true
	}
	if key != "" && !c.requested[key] {
		c.bare = append(c.bare, event.Head().EventID)
	}
	return ""
}

// shown looks at what a status row says after a write.
func (c *checker) shown(st *step, operation storage.Operation) {
	partitionKey := operation.Row.PartitionKey
	id := wire.UnescapeKey(partitionKey)
	r := c.record(id)
	row, err := c.w.raw.Tables.Read(c.w.background, c.w.names.InstancesTable(), partitionKey, "")
	if err != nil {
		if c.live[id] && !st.orphaned {
			c.w.fail("%v removes the row of %s, which is alive", st.process, id)
		}
		delete(c.live, id)
		r.renewed++
		return
	}
	in, err := wire.DecodeInstance(partitionKey, row.Values)
	if err != nil {
		c.w.fail("status row %s: %v", st.call.Key, err)
		return
	}
	if operation.Action == storage.Replace || operation.Action == storage.Insert && in.HasGeneration {
		r.renewed++ // by a client
	}
	if at := r.told[in.ExecutionID]; at.Sub(in.LastUpdated) > time.Millisecond && in.Status != history.Pending && c.w.rates[clockFault] == 0 {
		c.w.fail("the status row of %s goes back, from %s to %s", id, clock(at), clock(in.LastUpdated))
	}
	if in.Status != history.Pending && !r.early[in.ExecutionID] {
		r.told[in.ExecutionID] = in.LastUpdated
	}
	if !in.Status.Terminal() {
		if end, ended := r.ends[in.ExecutionID]; ended {
			c.w.fail("the status row of %s is %s after it was %s", id, in.Status, end)
		}
		c.live[id] = true
		return
	}
	delete(c.live, id)
	end := fmt.Sprintf("%s %s", in.Status, history.TextOr(in.Output, "-"))
	if before, ended := r.ends[in.ExecutionID]; ended && before != end {
		c.w.fail("the outcome of %s was %.100s and is %.100s now", id, before, end)
	}
	r.ends[in.ExecutionID] = end
	if !r.begun[in.ExecutionID] {
		r.early[in.ExecutionID] = true
	}
}
