package taskhub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/turn"
	"github.com/durafleet/durafleet/internal/wire"
)

var (
	// ErrNotFixable reports a finding that nothing can safely be done about from here.
	ErrNotFixable = errors.New("finding cannot be fixed")
	// ErrMoved reports a finding that is not true any more: what it is about has changed since.
	// Diagnose again.
	ErrMoved = errors.New("it has changed since it was diagnosed")
)

// Fix does what can safely be done about a finding of Diagnose or Doctor, and says in a sentence what
// it did. A finding that is not Fixable is ErrNotFixable, one that is not true any more ErrMoved.
//
// A status row is written under the condition that it has not changed. Messages that are sent again
// are recognised by their receivers, should the first ones turn up after all; only an activity may
// run once more then. To have the messages of activities and children sent again, the worker that
// owns the instance is asked, because the history does not hold their inputs: it obeys when it gets
// to it, if it is a Durafleet worker of this version and has the code; others ignore the request.
// To delete a settled message, it has to be taken out of its queue, and with it others, which are put
// back at once: they count as delivered once more. Fixing twice does no harm.
func (c *Client) Fix(ctx context.Context, f *Finding) (done string, err error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	if !f.Fixable {
		return "", fmt.Errorf("fix %s: %w: %s", f.Code, ErrNotFixable, f.Advice)
	}
	if err := c.mayFix(ctx, f); err != nil {
		return "", fmt.Errorf("fix %s: %w", f.Code, explain(err))
	}
	switch f.repair.Kind {
	case diagnosis.WriteRow:
		done, err = c.fixRow(ctx, f.InstanceID)
	case diagnosis.SendStart:
		done, err = c.fixStart(ctx, f.InstanceID)
	case diagnosis.SendTimers:
		done, err = c.fixTimers(ctx, f.InstanceID, f.repair.Tasks)
	case diagnosis.AskOwner:
		done, err = c.askOwner(ctx, f.InstanceID, f.repair.Tasks)
	case diagnosis.SendAnswer:
		done, err = c.fixAnswers(ctx, f.InstanceID, f.repair.Tasks)
	case diagnosis.EndHistory:
		done, err = c.endHistory(ctx, f.InstanceID)
	case diagnosis.DropHistory:
		done, err = c.dropHistory(ctx, f.InstanceID)
	case diagnosis.DeletePayloads:
		done, err = c.fixPayloads(ctx, f.repair.Names)
	case diagnosis.DeleteMessages:
		done, err = c.fixMessages(ctx, f.InstanceID, f.repair.Queue, f.repair.Names)
	case diagnosis.DeleteReports:
		done, err = c.fixReports(ctx, f.repair.Names)
	default:
		err = ErrNotFixable
	}
	if err != nil {
		return "", fmt.Errorf("fix %s: %w", f.Code, explain(err))
	}
	return done, nil
}

// mayFix refuses to send messages while it is in doubt where they belong.
func (c *Client) mayFix(ctx context.Context, f *Finding) error {
	switch f.repair.Kind {
	case diagnosis.SendStart, diagnosis.SendTimers, diagnosis.AskOwner, diagnosis.SendAnswer, diagnosis.EndHistory:
	default:
		return nil
	}
	hub, err := c.hub.topology(ctx)
	if err != nil {
		return err
	}
	if doubt := hub.Doubt(); doubt != "" {
		return fmt.Errorf("%w: where messages belong cannot be told while %s", ErrNotFixable, doubt)
	}
	return nil
}

// fixRow writes the status row as the history says, by the rules of the workers.
func (c *Client) fixRow(ctx context.Context, id string) (string, error) {
	// The row is read before the history: should a worker write both in between, the condition on the
	// row fails.
	row, err := c.store.ReadInstance(ctx, id, false)
	missing := errors.Is(err, storage.ErrNotFound)
	if err != nil && !missing {
		return "", err
	}
	loaded, err := c.store.LoadHistory(ctx, id)
	if err != nil {
		return "", err
	}
	switch {
	case loaded.State.Started() == nil, !missing && !loaded.Leads(&row):
		return "", ErrMoved
	case missing && loaded.State.Started().Parent == nil:
		return "", ErrMoved // it was purged since
	case row.Status.Terminal() && strings.EqualFold(row.ExecutionID, loaded.ExecutionID):
		return "", ErrMoved // clients have seen an end
	}
	current, err := c.store.Current(ctx, id, loaded.ETag)
	if err != nil {
		return "", err
	}
	if !current {
		return "", ErrMoved
	}
	update := c.store.WholeUpdate(loaded, row.CustomStatus)
	if err := c.store.PlaceLarge(ctx, id, &update); err != nil {
		return "", err
	}
	_, err = c.store.UpdateInstance(ctx, id, update.Encode(), row.ETag)
	if storage.LostRace(err) {
		return "", ErrMoved
	}
	return fmt.Sprintf("wrote the status row of instance %q: it is %s", id, update.Status), err
}

// fixStart sends the start message again that a Pending row stands for.
func (c *Client) fixStart(ctx context.Context, id string) (string, error) {
	row, err := c.store.ReadInstance(ctx, id, true)
	if err != nil {
		return "", err
	}
	if row.Status != history.Pending {
		return "", ErrMoved
	}
	if err := c.store.ResolvePayloads(ctx, &row.Instance); err != nil {
		return "", fmt.Errorf("read the input: %w", err)
	}
	s := &starter{client: c, name: row.Name, input: row.Input}
	if _, err := s.send(ctx, &row.Instance); err != nil {
		return "", err
	}
	return fmt.Sprintf("sent the start message of instance %q again", id), nil
}

// current loads the history of an instance that is alive.
func (c *Client) current(ctx context.Context, id string) (*store.History, error) {
	loaded, err := c.store.LoadHistory(ctx, id)
	if err != nil {
		return nil, err
	}
	if loaded.State.Started() == nil || loaded.State.Completed() != nil {
		return nil, ErrMoved
	}
	return loaded, nil
}

// sendTurn sends a message of an instance again.
func (c *Client) sendTurn(ctx context.Context, sender history.Instance, m *turn.Message) error {
	message := &wire.Message{Event: m.Event, Target: m.Target, Episode: &m.Episode, Sender: &sender}
	_, err := c.store.Send(ctx, message, m.VisibleAt.Sub(c.store.Now()))
	return err
}

func (c *Client) fixTimers(ctx context.Context, id string, tasks []int32) (string, error) {
	loaded, err := c.current(ctx, id)
	if err != nil {
		return "", err
	}
	sent := 0
	for _, task := range tasks {
		message, open := turn.TimerAgain(loaded.State, task)
		if !open {
			continue
		}
		if err := c.sendTurn(ctx, message.Target, &message); err != nil {
			return "", err
		}
		sent++
	}
	if sent == 0 {
		return "", ErrMoved
	}
	return fmt.Sprintf("sent the messages of %s of instance %q again", plural(sent, "timer"), id), nil
}

// askOwner asks the owner of an instance to send messages again. The request names the execution,
// so that it does nothing to another one.
func (c *Client) askOwner(ctx context.Context, id string, tasks []int32) (string, error) {
	loaded, err := c.current(ctx, id)
	if err != nil {
		return "", err
	}
	request := &wire.Message{
		Event:   &history.GenericEvent{Header: c.header()},
		Target:  loaded.State.Started().Instance,
		Sender:  &history.Instance{},
		Private: &wire.Private{Owed: tasks},
	}
	ring := c.hub.aboutToRing(ctx)
	sent, err := c.store.Send(ctx, request, 0)
	if err != nil {
		ring.drop()
		return "", err
	}
	ring.done(sent.Queue)
	return fmt.Sprintf("asked for the messages of calls %v of instance %q to be sent again: %s", tasks, id, c.obeys(ctx, sent.Queue)), nil
}

// obeys says who will do what the owner of a partition is asked for.
func (c *Client) obeys(ctx context.Context, queue string) string {
	hub, err := c.hub.topology(ctx)
	if err != nil {
		return "the owner of its partition does it when it gets to it" // it is asked, whoever it is
	}
	lease := hub.Lease(queue)
	if lease == nil || lease.CurrentOwner == "" || lease.Expired(hub.Now) {
		return "nobody owns its partition, so that waits until a worker runs that has the code"
	}
	return fmt.Sprintf("worker %s does it when it gets to it, if it has the code", lease.CurrentOwner)
}

// fixAnswers sends a parent again what its children told it when they ended.
func (c *Client) fixAnswers(ctx context.Context, id string, tasks []int32) (string, error) {
	loaded, err := c.current(ctx, id)
	if err != nil {
		return "", err
	}
	sent := 0
	for _, event := range loaded.State.Events() {
		created, ok := event.(*history.SubOrchestrationCreated)
		if !ok || !slices.Contains(tasks, created.EventID) {
			continue
		}
		child, err := c.store.LoadHistory(ctx, created.InstanceID)
		if err != nil {
			return "", err
		}
		answer, ended := turn.AnswerAgain(child.State)
		if !ended || answer.Target != loaded.State.Started().Instance || history.AnswerTo(answer.Event) != created.EventID {
			continue
		}
		if err := c.sendTurn(ctx, child.State.Started().Instance, &answer); err != nil {
			return "", err
		}
		sent++
	}
	if sent == 0 {
		return "", ErrMoved
	}
	return fmt.Sprintf("told instance %q again how children of it ended: %d", id, sent), nil
}

// fixPayloads deletes payload blobs after a last look: nothing may refer to them still.
func (c *Client) fixPayloads(ctx context.Context, names []string) (string, error) {
	hub, err := c.wholeHub(ctx)
	if err != nil {
		return "", err
	}
	search, err := c.newOrphanSearch(ctx, hub)
	if err != nil {
		return "", err
	}
	var garbage []string
	for _, name := range names {
		old, err := search.orphans(ctx, store.BlobOwner(name), []string{name})
		if err != nil {
			return "", err
		}
		garbage = append(garbage, old...)
	}
	if len(garbage) == 0 {
		return "", ErrMoved
	}
	if err := c.store.DeletePayloads(ctx, garbage); err != nil {
		return "", err
	}
	return fmt.Sprintf("deleted %s that nothing referred to", plural(len(garbage), "payload blob")), nil
}

func (c *Client) fixReports(ctx context.Context, workers []string) (string, error) {
	for _, worker := range workers {
		if err := c.store.DeleteReport(ctx, worker); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("deleted the health reports of %s that are gone", plural(len(workers), "worker")), nil
}

// plural returns the number with the right form of the word.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
