package taskhub

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

const (
	// childDepth is how deep a diagnosis follows children, maxChildren how many it looks at.
	childDepth  = 3
	maxChildren = 50
	// examineParallel is how many instances are read at a time.
	examineParallel = 8
)

// examiner reads what is to be known about instances. The order of reading is what makes
// conclusions possible: histories and rows, children, the queue of activities, control queues, and
// rows and sentinels once more; see package diagnosis.
type examiner struct {
	client    *Client
	hub       *diagnosis.Hub
	instances map[string]*diagnosis.Instance
	// order holds the instances as they were found, parents before children.
	order []string
	// before holds the versions of row and history at the first look.
	before  map[string]versions
	results map[string]diagnosis.Diagnosis
}

type versions struct{ row, history storage.ETag }

func (c *Client) examine(ctx context.Context, ids []string, depth int) (*examiner, error) {
	hub, err := c.hub.facts(ctx)
	if err != nil {
		return nil, err
	}
	e := &examiner{
		client: c, hub: hub, instances: map[string]*diagnosis.Instance{}, before: map[string]versions{},
		results: map[string]diagnosis.Diagnosis{},
	}
	for level := ids; len(level) > 0 && depth >= 0; depth-- {
		if err := e.begin(ctx, level); err != nil {
			return nil, err
		}
		level = e.nextLevel(level)
	}
	for _, step := range []func(context.Context) error{e.readChildren, e.lookAtQueues, e.checkChildren, e.checkAgain} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// each calls f for all instances, a few at a time.
func (e *examiner) each(ctx context.Context, ids []string, f func(ctx context.Context, in *diagnosis.Instance) error) error {
	errs := make([]error, len(ids))
	run.Each(ctx, "taskhub: examine instances", len(ids), examineParallel, func(ctx context.Context, i int) {
		errs[i] = f(ctx, e.instances[ids[i]])
	})
	return errors.Join(errs...)
}

// begin reads rows and histories of instances that have not been looked at yet.
func (e *examiner) begin(ctx context.Context, ids []string) error {
	var fresh []string
	for _, id := range ids {
		if e.instances[id] == nil {
			e.instances[id] = &diagnosis.Instance{
				ID: id, Hub: e.hub, Queue: e.client.store.ControlQueueOf(id), WorkItems: e.client.store.Names.WorkItemQueue(),
				Children: map[int32]diagnosis.Child{},
			}
			e.order = append(e.order, id)
			fresh = append(fresh, id)
		}
	}
	var mu sync.Mutex
	return e.each(ctx, fresh, func(ctx context.Context, in *diagnosis.Instance) error {
		err := e.readHistory(ctx, in)
		if err == nil {
			err = e.readRow(ctx, in)
		}
		mu.Lock()
		defer mu.Unlock()
		e.before[in.ID] = versionsOf(in)
		return err
	})
}

func versionsOf(in *diagnosis.Instance) versions {
	var v versions
	if in.Row != nil {
		v.row = in.Row.ETag
	}
	if in.History != nil {
		v.history = in.History.ETag
	}
	return v
}

func (e *examiner) readHistory(ctx context.Context, in *diagnosis.Instance) error {
	loaded, err := e.client.store.LoadHistory(ctx, in.ID)
	if store.InData(err) {
		in.HistoryErr = err
		return nil
	}
	in.History = loaded
	return err
}

func (e *examiner) readRow(ctx context.Context, in *diagnosis.Instance) error {
	row, err := e.client.store.ReadInstance(ctx, in.ID, false)
	in.Row, in.RowErr = nil, nil
	switch {
	case err == nil:
		in.Row = &row
	case errors.Is(err, storage.ErrNotFound):
	case store.InData(err):
		in.RowErr = err
	default:
		return err
	}
	return nil
}

// openChildren returns the children that an instance waits for.
func openChildren(in *diagnosis.Instance) []*history.SubOrchestrationCreated {
	if in.History == nil || in.History.State.Completed() != nil {
		return nil
	}
	var open []*history.SubOrchestrationCreated
	for _, event := range in.History.State.Events() {
		created, ok := event.(*history.SubOrchestrationCreated)
		if ok && !in.History.State.Answered(&history.SubOrchestrationCompleted{TaskID: created.EventID}) {
			open = append(open, created)
		}
	}
	return open
}

// nextLevel returns the children of a level, as far as there are not too many.
func (e *examiner) nextLevel(ids []string) []string {
	var next []string
	for _, id := range ids {
		for _, created := range openChildren(e.instances[id]) {
			if len(e.order)+len(next) < maxChildren && !strings.HasPrefix(created.InstanceID, "@") {
				next = append(next, created.InstanceID)
			}
		}
	}
	return next
}

// readChildren finds out which children had ended before the queues are looked at.
func (e *examiner) readChildren(ctx context.Context) error {
	return e.each(ctx, e.order, func(ctx context.Context, in *diagnosis.Instance) error {
		for _, created := range openChildren(in) {
			child := diagnosis.Child{ID: created.InstanceID, Queue: e.client.store.ControlQueueOf(created.InstanceID)}
			ended, err := e.endOf(ctx, in, created)
			if err != nil {
				return err
			}
			child.Ended = ended
			in.Children[created.EventID] = child
		}
		return nil
	})
}

// endOf returns the end of a child if it has ended, and the call is the one that started it.
func (e *examiner) endOf(
	ctx context.Context, parent *diagnosis.Instance, created *history.SubOrchestrationCreated,
) (*history.ExecutionCompleted, error) {
	row, err := e.client.store.ReadInstance(ctx, created.InstanceID, false)
	if errors.Is(err, storage.ErrNotFound) || store.InData(err) || err == nil && !row.Status.Terminal() {
		return nil, nil //nolint:nilnil // it has not ended
	}
	if err != nil {
		return nil, err
	}
	loaded, err := e.client.store.LoadHistory(ctx, created.InstanceID)
	if store.InData(err) {
		return nil, nil //nolint:nilnil // nothing can be concluded from it
	}
	if err != nil {
		return nil, err
	}
	started := loaded.State.Started()
	if started == nil || started.Parent == nil || started.Parent.TaskID != created.EventID ||
		started.Parent.Instance.InstanceID != parent.ID || !strings.EqualFold(started.Parent.Instance.ExecutionID, parent.History.ExecutionID) {
		return nil, nil //nolint:nilnil // it is another call's
	}
	return loaded.State.Completed(), nil
}

// lookAtQueues looks at the queue of activities first: an answer is sent before a work item is
// deleted.
func (e *examiner) lookAtQueues(ctx context.Context) error {
	var queues []string
	for _, in := range e.instances {
		queues = append(queues, in.Queue)
		for _, child := range in.Children {
			queues = append(queues, child.Queue)
		}
	}
	slices.Sort(queues)
	queues = append([]string{e.client.store.Names.WorkItemQueue()}, slices.Compact(queues)...)
	return e.client.hub.glance(ctx, e.hub, queues, 2)
}

// lookEverywhere looks at the control queues that have not been looked at: a message that seems to be lost may be in
// one where nobody looks for it.
func (e *examiner) lookEverywhere(ctx context.Context) error {
	queues := slices.DeleteFunc(slices.Clone(e.hub.ControlQueues), func(queue string) bool {
		_, seen := e.hub.Looks[queue]
		return seen
	})
	return e.client.hub.glance(ctx, e.hub, queues, 1)
}

// checkChildren finds out which children exist after the queues were looked at: a start is deleted
// only when what it began is stored.
func (e *examiner) checkChildren(ctx context.Context) error {
	return e.each(ctx, e.order, func(ctx context.Context, in *diagnosis.Instance) error {
		for id, child := range in.Children {
			row, err := e.client.store.ReadInstance(ctx, child.ID, false)
			switch {
			case err == nil:
				child.Exists, child.Line = true, "is "+string(row.Status)
			case store.InData(err):
				child.Exists, child.Line = true, "has a status row that cannot be read"
			case !errors.Is(err, storage.ErrNotFound):
				return err
			default:
				sentinel, err := e.client.store.ReadSentinel(ctx, child.ID)
				if err != nil && !store.InData(err) {
					return err
				}
				child.Exists, child.Line = sentinel != nil || err != nil, "has no status row"
			}
			in.Children[id] = child
		}
		return nil
	})
}

// checkAgain reads rows and sentinels once more, and notes whether they have changed.
func (e *examiner) checkAgain(ctx context.Context) error {
	return e.each(ctx, e.order, func(ctx context.Context, in *diagnosis.Instance) error {
		if err := e.readRow(ctx, in); err != nil {
			return err
		}
		sentinel, err := e.client.store.ReadSentinel(ctx, in.ID)
		if err != nil && !store.InData(err) {
			return err
		}
		in.Sentinel = sentinel
		if err := e.readAside(ctx, in); err != nil {
			return err
		}
		now := versions{}
		if in.Row != nil {
			now.row = in.Row.ETag
		}
		if sentinel != nil {
			now.history = sentinel.ETag
		}
		in.Steady = now == e.before[in.ID]
		return nil
	})
}

// maxAside is how many records of an instance's poison messages are read.
const maxAside = 20

// readAside reads the messages of an instance that were moved aside.
func (e *examiner) readAside(ctx context.Context, in *diagnosis.Instance) error {
	in.Aside = nil
	if in.Row == nil || in.Row.Poison == nil {
		return nil
	}
	ids := in.Row.Poison.IDs
	for _, id := range ids[:min(len(ids), maxAside)] {
		record, err := e.client.store.Poison(ctx, id)
		switch {
		case errors.Is(err, storage.ErrNotFound), errors.Is(err, wire.ErrMalformed), errors.Is(err, storage.ErrTooLarge):
			continue
		case err != nil:
			return err
		}
		content, _, err := wire.DecodeMessage(record.Text)
		if err != nil {
			content = nil // that is why it was moved
		}
		in.Aside = append(in.Aside, diagnosis.Aside{Poison: record, Content: content})
	}
	return nil
}

// diagnose fills in what follows for each instance. If a message seems to be lost, or it is in doubt where messages
// belong, the other queues are searched first.
func (e *examiner) diagnose(ctx context.Context) error {
	e.conclude()
	if e.hub.Doubt() == "" && !e.losses() {
		return nil
	}
	if err := e.lookEverywhere(ctx); err != nil {
		return err
	}
	e.conclude()
	return nil
}

func (e *examiner) losses() bool {
	for _, id := range e.order {
		for _, f := range e.results[id].Findings {
			if f.Code == diagnosis.StartLost || f.Code == diagnosis.MessageLost || f.Code == diagnosis.AnswerLost {
				return true
			}
		}
	}
	return false
}

// conclude fills in what follows for each instance; children come first, which tell their state to
// their parents in a line.
func (e *examiner) conclude() {
	for _, id := range slices.Backward(e.order) {
		in := e.instances[id]
		for task, child := range in.Children {
			if result, known := e.results[child.ID]; known && child.Exists {
				child.Line = result.Summary
				in.Children[task] = child
			}
		}
		e.results[id] = in.Diagnose()
	}
}

// exists reports whether anything is stored about an instance.
func (e *examiner) exists(id string) bool {
	in := e.instances[id]
	return in.Row != nil || in.RowErr != nil || in.HistoryErr != nil || in.History.Rows > 0
}
