package worker

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// items reads the work-item queue and runs activities.
type items struct {
	w     *Worker
	pace  *pace
	slots *lanes
	// more says that the last request brought as much as it asked for; it belongs to the goroutine of run.
	more bool
	// lane is that of the work-item queue; sessions have their own.
	lane *lane
	// names limits activities that have a limit of their own.
	names map[string]slots
	// queued limits how many items wait to be tried alone; others are left to the fleet.
	queued slots
	group  run.Group
}

func newItems(w *Worker) *items {
	i := &items{
		w: w, pace: w.newPace(w.hub.Names.WorkItemQueue()), slots: newLanes(w.opts.MaxActivities),
		names: map[string]slots{}, queued: newSlots(w.opts.MaxActivities),
	}
	i.lane = i.slots.lane()
	for key, binding := range w.registry.activities {
		if binding.Limit > 0 {
			i.names[key] = newSlots(binding.Limit)
		}
	}
	return i
}

// limitOf returns the slots of an activity that has a limit of its own, else nil.
func (i *items) limitOf(binding activity.Binding) slots {
	return i.names[strings.ToLower(binding.Name)]
}

// signal wakes the poller.
func (i *items) signal() { i.pace.signal() }

// run takes work items until intake ends. What it took runs on under work.
func (i *items) run(intake, work context.Context) {
	run.Loop(intake, i.w.opts.Logger, "work items", func(context.Context) error {
		return i.poll(intake, work)
	})
}

// gatherSlots is how long the next request waits for more slots when there is more to do than there were:
// activities that began together end together.
const gatherSlots = 10 * time.Millisecond

// poll takes as many work items as there are free slots.
func (i *items) poll(intake, work context.Context) error {
	if !i.lane.acquire(intake, intake) {
		return nil
	}
	if i.more && !run.Sleep(intake, gatherSlots) {
		i.slots.release()
		return nil
	}
	free := 1
	for free < storage.MaxMessagesPerGet && i.slots.tryAcquire() {
		free++
	}
	// The request is not cut short by a stop: what it brings is put back.
	ctx, cancel := context.WithTimeout(work, getTimeout)
	sent := time.Now()
	received, _, err := i.w.hub.Receive(storage.WithCause(ctx, storage.CauseReceive), i.w.hub.Names.WorkItemQueue(), free, i.w.opts.Visibility)
	cancel()
	i.more = err == nil && len(received) == free
	for range free - len(received) {
		i.slots.release()
	}
	if err != nil {
		return fmt.Errorf("read work items: %w", err)
	}
	if len(received) == 0 {
		i.pace.wait(intake, nil)
		return nil
	}
	i.pace.busy()
	for _, message := range received {
		i.accept(intake, work, message, sent)
	}
	return nil
}

// accept starts the activity of a work item. The slot taken for it is released when it is
// settled.
func (i *items) accept(intake, work context.Context, message store.Received, sent time.Time) {
	h := i.w.keeper.take(message, sent)
	if h == nil {
		i.slots.release()
		return
	}
	i.start(intake, work, h)
}

func (i *items) start(intake, work context.Context, h *held) {
	i.group.Go(work, "worker: work item", func(ctx context.Context) {
		place := &seat{of: i.slots.lane(), taken: true}
		defer place.leave()
		i.handle(ctx, intake, h, place)
	})
}

// begin begins with a work item that this worker put itself and has had from the beginning; there is a
// slot for it. It is nil if it was delivered to this worker meanwhile, and so has begun.
func (i *items) begin(h *held) {
	if h == nil {
		i.slots.release()
		return
	}
	i.start(i.w.intake, i.w.work, h)
}

func (i *items) handle(ctx, intake context.Context, h *held, place *seat) {
	scheduled := scheduledIn(h)
	if scheduled == nil {
		i.w.unreadable(ctx, h)
		return
	}
	binding, ok := i.w.registry.activity(scheduled.Name)
	if !ok {
		i.turnAway(ctx, h, scheduled)
		return
	}
	if n := h.crashes(); n >= i.w.opts.maxCrashes() {
		i.condemn(ctx, h, scheduled, n)
		return
	}
	if h.suspect() {
		if !i.queued.tryAcquire() {
			h.because("it may make workers crash, and waits to be tried alone")
			h.putBack(ctx, putBackDelay(h.DequeueCount))
			return
		}
		defer i.queued.release()
	}
	if intake.Err() != nil || !i.admit(ctx, intake, h, binding, place) {
		h.putBack(ctx, 0)
		return
	}
	defer i.leave(h, binding)
	if h.suspect() {
		if err := h.mark(ctx); err != nil {
			i.w.opts.Logger.Warn("work item not tried; put back", "activity", scheduled.Name,
				"instance", h.Content.Target.InstanceID, "error", err)
			h.because("the attempt could not be noted: " + err.Error())
			h.putBack(ctx, i.w.delayAfter(err, h.DequeueCount))
			return
		}
		defer i.w.attempt(ctx, taskhub.Attempt{
			Kind: taskhub.ActivityName, Name: scheduled.Name, InstanceID: h.Content.Target.InstanceID, Number: h.crashes() + 1,
		})()
	}
	i.perform(ctx, h, scheduled, binding)
}

// turnAway puts a work item back whose activity is not bound here. One that nobody waits for any more
// is deleted in the end.
func (i *items) turnAway(ctx context.Context, h *held, scheduled *history.TaskScheduled) {
	target := h.Content.Target
	if h.DequeueCount >= startPatience && i.w.abandoned(ctx, target) {
		i.w.opts.Logger.Info("work item deleted: its execution is over", "activity", scheduled.Name, "instance", target.InstanceID)
		h.remove(ctx)
		return
	}
	if i.w.unknown.add(taskhub.ActivityName, scheduled.Name) {
		i.w.alarm()
	}
	delay := putBackDelay(h.DequeueCount)
	i.w.opts.Logger.Warn("activity is not bound in this worker; put back", "activity", scheduled.Name,
		"instance", target.InstanceID, "delay", delay)
	h.lacks(taskhub.ActivityName, scheduled.Name)
	h.putBack(ctx, delay)
}

// scheduledIn returns what a work item asks for, nil if it cannot be read or asks for nothing.
func scheduledIn(h *held) *history.TaskScheduled {
	if h.Err != nil {
		return nil
	}
	scheduled, _ := h.Content.Event.(*history.TaskScheduled)
	return scheduled
}

// admit waits until the rule that work which may crash workers runs by itself, and the activity's own
// limit, let it run. It reports false if the worker stops first.
func (i *items) admit(ctx, intake context.Context, h *held, binding activity.Binding, place *seat) bool {
	if h.suspect() && !i.goAlone(ctx, intake, place) {
		return false
	}
	if limit := i.limitOf(binding); limit != nil && !limit.acquire(ctx, intake) {
		if h.suspect() {
			i.w.aloneItems.release()
		}
		return false
	}
	return true
}

func (i *items) leave(h *held, binding activity.Binding) {
	if limit := i.limitOf(binding); limit != nil {
		limit.release()
	}
	if h.suspect() {
		i.w.aloneItems.release()
	}
}

// perform runs the activity and sees to its outcome.
func (i *items) perform(ctx context.Context, h *held, scheduled *history.TaskScheduled, binding activity.Binding) {
	info := infoOf(h, scheduled)
	ctx, end := i.w.running.begin(ctx, info)
	defer end()
	h.watch(i.w.checkWanted(h.Content.Target))
	result, failed := i.call(ctx, info, scheduled, binding)
	i.conclude(ctx, h, scheduled, newAnswer(scheduled, i.w.hub.Now(), result, failed), context.Cause(ctx))
}

// conclude brings the outcome of an activity to its orchestration: through memory if that is here, else
// by a message. cause is why the run was to end early, nil if it was not.
func (i *items) conclude(ctx context.Context, h *held, scheduled *history.TaskScheduled, answer history.Event, cause error) {
	work, done := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer done()
	switch {
	case cause == activity.ErrStopping && answer.Kind() == history.KindTaskFailed: //nolint:errorlint // causes are set by us, unwrapped
		h.putBack(work, 0)
		return
	case cause == activity.ErrUnwanted: //nolint:errorlint // as above
		h.remove(work)
		return
	}
	message := answerTo(h, scheduled, answer)
	// A work item that may be fatal counts its own deliveries, which say nothing about the answer.
	if reader := i.w.readers.of(i.w.hub.QueueOf(message)); reader != nil && !i.w.opts.NoInline && !h.suspect() && reader.hand(h, message) {
		return
	}
	i.send(work, h, message)
}

// tell sends an answer that was handed over in memory and could not be used there. It may have been stored all the
// same, with what follows from it unfinished, so it does not come for the first time.
func (i *items) tell(ctx context.Context, h *held) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer done()
	answer := *h.Content
	if answer.Private != nil {
		private := *answer.Private
		answer.Private = &private
	}
	lease(&answer)
	i.send(ctx, h, &answer)
}

// send sends the answer to a work item and deletes the item, in this order: a crash in between repeats
// the activity, and of two answers the first counts.
func (i *items) send(ctx context.Context, h *held, answer *wire.Message) {
	for attempt := 1; ; attempt++ {
		err := i.w.send(ctx, answer)
		if err == nil {
			h.remove(ctx)
			return
		}
		i.w.opts.Logger.Warn("answer of an activity not sent; trying again", "activity", answer.Private.TaskName,
			"instance", answer.Target.InstanceID, "error", err, "attempt", attempt)
		if completed, ok := answer.Event.(*history.TaskCompleted); ok && store.InData(err) {
			// It cannot be stored however often it is sent, so the activity has failed.
			refused := *answer
			refused.Event = failedAnswer(completed.TaskID, completed.Timestamp, failure.FromError(fmt.Errorf("store the result: %w", err)))
			answer = &refused
			continue
		}
		if !run.Sleep(ctx, run.Backoff(attempt, 200*time.Millisecond, 10*time.Second)) {
			i.w.abandon(ctx, h)
			return
		}
	}
}

// settleTimeout bounds what is done about a work item after its activity has ended. Past it, the
// item comes back by itself.
const settleTimeout = time.Minute

func infoOf(h *held, scheduled *history.TaskScheduled) activity.Info {
	info := activity.Info{
		Name:        scheduled.Name,
		InstanceID:  h.Content.Target.InstanceID,
		ExecutionID: h.Content.Target.ExecutionID,
		TaskID:      scheduled.EventID,
		CallID:      fmt.Sprintf("%s:%d", h.Content.Target.ExecutionID, scheduled.EventID),
		Attempt:     1,
		Delivery:    h.deliveries(),
		Tags:        scheduled.Tags,
	}
	if private := h.Content.Private; private != nil {
		if private.CallID != "" {
			info.CallID = private.CallID
		}
		info.Attempt = max(info.Attempt, private.Attempt)
	}
	return info
}

// call runs the activity's code; a panic becomes a failure.
func (i *items) call(
	ctx context.Context, info activity.Info, scheduled *history.TaskScheduled, binding activity.Binding,
) (result *string, failed *history.FailureDetails) {
	i.w.stats.activities.Add(1)
	if info.Delivery > 1 {
		i.w.stats.redelivered.Add(1)
	}
	var err error
	ctx = activity.NewContext(ctx, info)
	if binding.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, binding.Timeout, activity.ErrTimeout)
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			result, failed = nil, failure.FromPanic(p, debug.Stack())
			err = fmt.Errorf("panic: %v", p)
		}
		i.w.metrics.Activity(ctx, info.Name, failed != nil)
		if i.w.opts.OnActivity != nil {
			i.w.opts.OnActivity(info, err)
		}
	}()
	began := time.Now()
	result, err = binding.Run(ctx, scheduled.Input)
	if context.Cause(ctx) == nil {
		i.w.speeds.note(info.Name, time.Since(began))
	}
	if err != nil {
		if context.Cause(ctx) == activity.ErrTimeout { //nolint:errorlint // causes are set by us, unwrapped
			err = fmt.Errorf("%w of %v: %w", activity.ErrTimeout, binding.Timeout, err)
		}
		return nil, failure.FromError(err)
	}
	return result, nil
}

// newAnswer is the event that brings an activity's outcome to its orchestration.
func newAnswer(scheduled *history.TaskScheduled, now time.Time, result *string, failed *history.FailureDetails) history.Event {
	if failed != nil {
		return failedAnswer(scheduled.EventID, now.UTC(), failed)
	}
	return &history.TaskCompleted{
		Header: history.Header{EventID: history.NoEventID, Timestamp: now.UTC()}, TaskID: scheduled.EventID, Result: result,
	}
}

func failedAnswer(taskID int32, now time.Time, failed *history.FailureDetails) history.Event {
	return &history.TaskFailed{
		Header: history.Header{EventID: history.NoEventID, Timestamp: now},
		TaskID: taskID, Reason: history.Text(failed.Message), Failure: failed,
	}
}

// answerTo makes the message that brings an activity's outcome to its orchestration. It names
// the request, so that it cannot be taken for the answer to another one. The time of the request
// does that only if we made it: with .NET, message and history row differ in it.
func answerTo(h *held, scheduled *history.TaskScheduled, answer history.Event) *wire.Message {
	private := &wire.Private{TaskName: scheduled.Name}
	if h.Content.Private != nil {
		private.ScheduledAt = scheduled.Timestamp
	}
	return &wire.Message{
		Event:   answer,
		Target:  h.Content.Target,
		Episode: h.Content.Episode,
		Sender:  &h.Content.Target,
		Private: private,
	}
}
