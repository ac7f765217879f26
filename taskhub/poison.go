package taskhub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

var (
	// ErrPoisonNotFound is matched by every *PoisonNotFoundError.
	ErrPoisonNotFound = errors.New("poison message not found")
	// ErrPoisonUnreadable reports a poison message whose record was damaged. It can only be dropped.
	ErrPoisonUnreadable = errors.New("record of the poison message cannot be read")
)

// PoisonNotFoundError reports a poison message that does not exist, perhaps because it was retried
// or dropped. It matches ErrPoisonNotFound.
type PoisonNotFoundError struct{ ID string }

// Error implements error.
func (e *PoisonNotFoundError) Error() string { return fmt.Sprintf("poison message %q not found", e.ID) }

// Is makes the error match ErrPoisonNotFound.
func (e *PoisonNotFoundError) Is(target error) bool { return target == ErrPoisonNotFound }

// PoisonMessage is a message that a worker moved out of its queue, because it could not be worked on
// however often it was delivered.
type PoisonMessage struct {
	// ID names the message in RetryPoison and DropPoison.
	ID    string
	Queue string
	// What the message is about, as far as it can be read: the instance, the kind of event, and the
	// name of the activity, orchestration or event.
	InstanceID  string
	ExecutionID string
	Kind        history.Kind
	Name        string
	// Reason says why the message was moved.
	Reason string
	// Deliveries is how often it was delivered; Crashes is how many of these ended with the death of
	// the worker.
	Deliveries int
	Crashes    int
	// Inserted is when the message was put into the queue, Moved when it was moved out of it, by
	// WorkerID.
	Inserted time.Time
	Moved    time.Time
	WorkerID string
	// Answered says that the orchestration was told that its activity has failed.
	Answered bool
	// Text is what stood in the queue. PayloadBlob is the blob that it points to, "" for none.
	Text        string
	PayloadBlob string
	// Unreadable says that the record itself is damaged. Only ID and Reason are known then.
	Unreadable bool
}

func poisonOf(p *wire.Poison) *PoisonMessage {
	return &PoisonMessage{
		ID: p.ID, Queue: p.Queue, InstanceID: p.InstanceID, ExecutionID: p.ExecutionID, Kind: p.Kind, Name: p.Name,
		Reason: p.Reason, Deliveries: p.Deliveries, Crashes: p.Crashes, Inserted: p.Inserted, Moved: p.Moved,
		WorkerID: p.Worker, Answered: p.Answered, Text: p.Text, PayloadBlob: p.Payload,
	}
}

// PoisonMark says that messages of an instance were moved aside, so that it may wait for ever.
type PoisonMark struct {
	// IDs are the poison messages, oldest first; more than a hundred are not named.
	IDs []string
	// Reason is why the last one was moved, Moved is when.
	Reason string
	Moved  time.Time
}

// Count is how many poison messages the mark names.
func (m *PoisonMark) Count() int { return len(m.IDs) }

func markOf(m *wire.PoisonMark) *PoisonMark {
	if m == nil {
		return nil
	}
	return &PoisonMark{IDs: m.IDs, Reason: m.Reason, Moved: m.Moved}
}

// PoisonQuery selects poison messages. Empty fields select all.
type PoisonQuery struct {
	// InstanceID is the instance that the messages are about.
	InstanceID string
	// PageSize is how many messages a page holds, at most 1000. Default 100.
	PageSize int
	// Token continues after a page: its Next.
	Token string
}

// PoisonPage is a part of the answer to a PoisonQuery.
type PoisonPage struct {
	// Messages are in the order of their ids: by queue, then by the id of the message in it.
	Messages []*PoisonMessage
	// Next is the PoisonQuery.Token of the next page, "" on the last one.
	Next string
}

// ListPoison returns one page of the poison messages that a query selects.
func (c *Client) ListPoison(ctx context.Context, q PoisonQuery) (*PoisonPage, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	if q.PageSize < 0 || q.PageSize > storage.MaxPage {
		return nil, fmt.Errorf("list poison messages: %w", &ArgumentError{
			Argument: "page size", Value: strconv.Itoa(q.PageSize),
			Rule: fmt.Sprintf("must be 1 to %d, or 0 for the default", storage.MaxPage),
		})
	}
	if q.PageSize == 0 {
		q.PageSize = defaultPage
	}
	ids, err := c.store.PoisonIDs(ctx)
	if err != nil {
		return nil, err
	}
	from, found := slices.BinarySearch(ids, q.Token)
	if found {
		from++
	}
	page := &PoisonPage{}
	for from < len(ids) && len(page.Messages) < q.PageSize {
		chunk := ids[from:min(len(ids), from+q.PageSize-len(page.Messages))]
		from += len(chunk)
		messages, err := c.lookAtAll(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("list poison messages: %w", err)
		}
		for _, message := range messages {
			if message != nil && (q.InstanceID == "" || q.InstanceID == message.InstanceID) {
				page.Messages = append(page.Messages, message)
			}
		}
	}
	if from < len(ids) {
		page.Next = ids[from-1]
	}
	return page, nil
}

// parallelReads is how many records are read at a time.
const parallelReads = 16

func (c *Client) lookAtAll(ctx context.Context, ids []string) ([]*PoisonMessage, error) {
	messages, errs := make([]*PoisonMessage, len(ids)), make([]error, len(ids))
	run.Each(ctx, "taskhub: read poison messages", len(ids), parallelReads, func(ctx context.Context, i int) {
		messages[i], errs[i] = c.lookAtPoison(ctx, ids[i])
	})
	return messages, errors.Join(errs...)
}

// lookAtPoison returns a message for a list: nil if it has just gone, what is known if its record is
// damaged.
func (c *Client) lookAtPoison(ctx context.Context, id string) (*PoisonMessage, error) {
	p, err := c.store.Poison(ctx, id)
	switch {
	case err == nil:
		return poisonOf(p), nil
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil //nolint:nilnil // nothing to list
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, storage.ErrTooLarge):
		return &PoisonMessage{ID: id, Reason: err.Error(), Unreadable: true}, nil
	default:
		return nil, err
	}
}

// AllPoison returns all poison messages that a query selects, page by page. It ends after the first
// error.
func (c *Client) AllPoison(ctx context.Context, q PoisonQuery) iter.Seq2[*PoisonMessage, error] {
	return func(yield func(*PoisonMessage, error) bool) {
		for {
			page, err := c.ListPoison(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, message := range page.Messages {
				if !yield(message, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Token = page.Next
		}
	}
}

// PoisonCount returns how many poison messages the hub holds.
func (c *Client) PoisonCount(ctx context.Context) (int, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	ids, err := c.store.PoisonIDs(ctx)
	return len(ids), err
}

// GetPoison returns a poison message. An unknown one is a *PoisonNotFoundError, one whose record is
// damaged is ErrPoisonUnreadable.
func (c *Client) GetPoison(ctx context.Context, id string) (*PoisonMessage, error) {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	p, err := c.readPoison(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("get poison message: %w", err)
	}
	return poisonOf(p), nil
}

func (c *Client) readPoison(ctx context.Context, id string) (*wire.Poison, error) {
	if err := checkPoisonID(id); err != nil {
		return nil, err
	}
	p, err := c.store.Poison(ctx, id)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, &PoisonNotFoundError{ID: id}
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, storage.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", ErrPoisonUnreadable, err)
	}
	return p, err
}

// RetryPoison puts a poison message into its queue again, as it was, and forgets it here. Its
// deliveries count from the beginning. If it is cut off in between, or a reply is lost, which is
// ErrUnclear, the message may be in both places; retried once more then, it comes twice. Workers
// recognise starts and answers that come twice, and events as long as they remember them; so look
// first whether the message has taken effect, and drop it if it has.
//
// An activity of which the orchestration was told that it failed runs again, but its result comes
// too late to matter. Errors are those of GetPoison.
func (c *Client) RetryPoison(ctx context.Context, id string) error {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	p, err := c.readPoison(ctx, id)
	if err != nil {
		return fmt.Errorf("retry poison message: %w", explain(err))
	}
	ring := c.hub.aboutToRing(ctx)
	if err := c.store.Requeue(ctx, p); err != nil {
		ring.drop()
		return fmt.Errorf("retry poison message: %w", explain(err))
	}
	ring.done(p.Queue)
	return nil
}

// DropPoison removes a poison message for good, and the blob that it points to unless something
// else does, too. What waits for the message goes on waiting. A damaged record can be dropped as
// well; its payload stays until its instance is purged. An unknown message is a
// *PoisonNotFoundError.
func (c *Client) DropPoison(ctx context.Context, id string) error {
	ctx = storage.WithCause(ctx, storage.CauseAdmin)
	if err := c.dropPoison(ctx, id); err != nil {
		return fmt.Errorf("drop poison message: %w", explain(err))
	}
	return nil
}

func (c *Client) dropPoison(ctx context.Context, id string) error {
	p, err := c.readPoison(ctx, id)
	if errors.Is(err, ErrPoisonUnreadable) {
		p, err = &wire.Poison{ID: id}, nil
	}
	if err != nil {
		return err
	}
	// The record first: a payload without it is garbage, a record without its payload is a lie.
	if err := c.store.ForgetPoison(ctx, p); err != nil {
		return err
	}
	return c.store.DropPoisonPayload(ctx, p)
}

const maxPoisonID = 200

// checkPoisonID checks an id before it becomes the name of a blob.
func checkPoisonID(id string) error {
	valid := len(id) <= maxPoisonID && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	switch {
	case id == "":
		return &ArgumentError{Argument: "poison message id", Value: id, Rule: "must not be empty"}
	case !valid:
		return &ArgumentError{
			Argument: "poison message id", Value: shown(id),
			Rule: fmt.Sprintf("must be at most %d letters, digits and hyphens", maxPoisonID),
		}
	}
	return nil
}
