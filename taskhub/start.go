package taskhub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/payload"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

const (
	// maxRounds bounds how often a start that lost a race judges anew; somebody else succeeded
	// every time.
	maxRounds = 100
	// maxTries bounds the repetitions of a request whose outcome is unclear, beyond those of the
	// storage client.
	maxTries = 3
	// finishTimeout bounds the rest of a start whose message is sent.
	finishTimeout = 20 * time.Second
	// rowGrace is how long the status row may follow the message without the message being sent again:
	// workers drop a start that stays without a row for long, 15 minutes at least.
	rowGrace = 5 * time.Minute
)

// Start starts an instance of the orchestration and returns a handle on it. It has been accepted
// then and is Pending until a worker takes it. If the id is in use and may not be reused, the
// error is an *ExistsError; arguments that break a rule are an *ArgumentError. An error that
// matches ErrUnclear means that the instance may have been started.
func Start[In, Out any](
	ctx context.Context, c *Client, o orchestration.Orchestrator[In, Out], in In, options ...StartOption,
) (*Instance[Out], error) {
	h, err := c.start(ctx, o.Name(), in, options)
	if err != nil {
		return nil, err
	}
	return &Instance[Out]{h}, nil
}

// StartByName is the untyped twin of Start, for orchestrations that are not declared here. The
// input is stored as its JSON: json.RawMessage as it is, struct{}{} as no input.
func (c *Client) StartByName(
	ctx context.Context, name string, input any, options ...StartOption,
) (*Instance[json.RawMessage], error) {
	h, err := c.start(ctx, name, input, options)
	if err != nil {
		return nil, err
	}
	return &Instance[json.RawMessage]{h}, nil
}

// starter is one call of Start.
type starter struct {
	client  *Client
	name    string
	input   *string
	options startOptions
}

func (c *Client) start(ctx context.Context, name string, input any, options []StartOption) (handle, error) {
	ctx = storage.WithCause(ctx, storage.CauseStart)
	s, err := c.newStarter(name, input, options)
	if err != nil {
		return handle{}, fmt.Errorf("start %q: %w", shown(name), err)
	}
	for range maxRounds {
		h, lost, err := s.round(ctx)
		if err != nil {
			return handle{}, fmt.Errorf("start %q: %w", name, err)
		}
		if !lost {
			return h, nil
		}
	}
	return handle{}, fmt.Errorf("start %q: lost against %d other starts of the same id", name, maxRounds)
}

func (c *Client) newStarter(name string, input any, options []StartOption) (*starter, error) {
	s := &starter{client: c, name: name}
	for _, option := range options {
		option.applyStart(&s.options)
	}
	if err := checkName("orchestration name", name); err != nil {
		return nil, err
	}
	if err := s.options.check(s.client.store.Now()); err != nil {
		return nil, err
	}
	text, err := payload.Encode(input)
	if err != nil {
		return nil, err
	}
	s.input = text
	return s, nil
}

func (o *startOptions) check(now time.Time) error {
	if o.id != nil {
		if err := checkNewID(*o.id); err != nil {
			return err
		}
	}
	if o.version != "" {
		if err := checkName("version", o.version); err != nil {
			return err
		}
	}
	if o.at != nil {
		if err := checkStartAt(*o.at, now); err != nil {
			return err
		}
	}
	if o.reuse < RefuseLive || o.reuse > ReplaceLive {
		return &ArgumentError{Argument: "reuse policy", Value: fmt.Sprint(int(o.reuse)), Rule: "is unknown"}
	}
	return checkTags(o.tags)
}

// round judges what there is and, if the policy allows, starts. It reports whether another start
// was quicker, so that there is something else to judge now.
func (s *starter) round(ctx context.Context) (h handle, lost bool, err error) {
	row := s.newRow()
	var replaces storage.ETag
	if s.options.id != nil {
		existing, err := s.client.read(ctx, row.InstanceID, false)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return h, false, err
		case s.options.reuse == UseExisting:
			return s.client.handleOn(&existing.Instance), false, nil
		case s.options.reuse == RefuseLive && !existing.Status.Terminal():
			return h, false, &ExistsError{InstanceID: row.InstanceID, Status: existing.Status}
		default:
			replaces, row.Generation = existing.ETag, existing.Generation+1
		}
	}
	lost, err = s.write(ctx, row, replaces)
	return s.client.handleOn(&row), lost, err
}

// newRow returns the status row of a new execution.
func (s *starter) newRow() wire.Instance {
	now := wire.Ticks(s.client.store.Now())
	row := wire.Instance{
		ExecutionID: s.client.store.NewID("start"),
		Name:        s.name, Version: s.options.version, Input: s.input, Tags: s.options.tags,
		Created: now, LastUpdated: now, ScheduledStart: s.options.at,
		Status: history.Pending, HasGeneration: true, TaskHubName: s.client.store.Names.Hub(),
	}
	if s.options.id != nil {
		row.InstanceID = *s.options.id
	} else {
		row.InstanceID = s.client.store.NewID("start")
	}
	return row
}

// write sends the start message and then writes the row that makes it count. If the row is not
// written, the message is taken back; should it stay, workers drop it.
func (s *starter) write(ctx context.Context, row wire.Instance, replaces storage.ETag) (lost bool, err error) {
	began := s.client.store.Now().Round(0) // by the wall clock: the machine may be suspended meanwhile
	ring := s.client.hub.aboutToRing(ctx)
	defer func() {
		// Not before the row is there: without it workers leave a start alone.
		if err == nil && !lost && row.ScheduledStart == nil {
			ring.done(s.client.store.ControlQueueOf(row.InstanceID))
		} else {
			ring.drop()
		}
	}()
	sent, err := s.send(ctx, &row)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	blob, err := s.moveInput(ctx, &row, sent)
	if err != nil {
		s.takeBack(ctx, sent, blob)
		return false, err
	}
	lost, err = s.record(ctx, row, replaces)
	switch {
	case lost, err != nil && !errors.Is(err, ErrUnclear):
		s.takeBack(ctx, sent, blob)
	case err == nil && s.client.store.Now().Round(0).Sub(began) > rowGrace:
		return false, s.sendAgain(ctx, row)
	}
	return lost, err
}

// sendAgain sends the start message of a row once more. Workers drop it if the first one is there.
func (s *starter) sendAgain(ctx context.Context, row wire.Instance) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	row.Input = s.input // the row may refer to a blob instead
	if _, err := s.send(ctx, &row); err != nil {
		return fmt.Errorf("%w: %w", ErrUnclear, err)
	}
	return nil
}

// send sends the start message. If it is unclear whether it arrived, it is sent again: workers
// recognize the doubles by their execution.
func (s *starter) send(ctx context.Context, row *wire.Instance) (store.Sent, error) {
	self := history.Instance{InstanceID: row.InstanceID, ExecutionID: row.ExecutionID}
	message := &wire.Message{
		Event: &history.ExecutionStarted{
			Header:   history.Header{EventID: history.NoEventID, Timestamp: row.Created},
			Instance: self, Name: row.Name, Version: row.Version, Input: row.Input, Tags: row.Tags,
			ScheduledStart: row.ScheduledStart, Generation: &row.Generation,
		},
		Target: self,
		Sender: &history.Instance{},
	}
	for try := 1; ; try++ {
		var delay time.Duration
		if row.ScheduledStart != nil {
			delay = row.ScheduledStart.Sub(s.client.store.Now())
		}
		sent, err := s.client.store.Send(ctx, message, delay)
		if !storage.Ambiguous(err) || try == maxTries || ctx.Err() != nil {
			return sent, err
		}
	}
}

// moveInput makes the row refer to its input if that is too long for it, and returns the blob that
// was written for this alone, "" if there is none.
func (s *starter) moveInput(ctx context.Context, row *wire.Instance, sent store.Sent) (string, error) {
	if sent.Blob != "" {
		row.Input = history.Text(s.client.store.PayloadURL(sent.Blob))
		return "", nil
	}
	// Queues count UTF-8 and tables UTF-16, so an input may fit the one and not the other.
	if row.Input == nil || wire.UTF16Bytes(*row.Input) <= wire.LargeLimit {
		return "", nil
	}
	blob, err := s.client.store.PutInput(ctx, row.InstanceID, *row.Input)
	row.Input = history.Text(s.client.store.PayloadURL(blob))
	return blob, err
}

// record writes the row and finds out whether it stands, or another start's.
func (s *starter) record(ctx context.Context, row wire.Instance, replaces storage.ETag) (lost bool, err error) {
	for range maxTries {
		err = s.client.store.CreateInstance(ctx, row, replaces)
		conflict := storage.LostRace(err)
		if err == nil || !conflict && !storage.Ambiguous(err) {
			return false, err
		}
		// The conflict may be with the row that an earlier try of this very request wrote.
		found, readErr := s.client.store.ReadInstance(ctx, row.InstanceID, false)
		switch {
		case readErr == nil && found.ExecutionID == row.ExecutionID:
			return false, nil
		case readErr == nil && found.ETag != replaces:
			return true, nil
		case readErr != nil && !errors.Is(readErr, storage.ErrNotFound):
			return false, fmt.Errorf("%w: %w", ErrUnclear, readErr)
		case conflict && !storage.Ambiguous(err):
			return true, nil // with a row that has been purged since
		}
	}
	return false, explain(err)
}

// takeBack removes what a start without a row has stored. What stays behind harms nobody: workers
// drop the message, a purge finds the blobs.
func (s *starter) takeBack(ctx context.Context, sent store.Sent, blob string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	_ = s.client.store.Unsend(ctx, []store.Sent{sent}) // see above
	if blob != "" {
		_ = s.client.store.DeletePayloads(ctx, []string{blob}) // see above
	}
}
