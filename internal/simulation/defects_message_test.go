package simulation_test

// messageDefects are mistakes in how messages are held, and in activities and payloads.
func messageDefects() []defect {
	return []defect{
		{
			"renewals-forgotten", "messages that are held are not renewed", "worker/held.go",
			`		if now.Sub(h.renewed) >= k.visibility/3 {`,
			`		if now.Sub(h.renewed) < 0 {`,
		},
		{
			"hidden-for-a-second", "work items are hidden for a second only", "worker/items.go",
			`free, i.w.opts.Visibility)`,
			`free, time.Second)`,
		},
		{
			"timer-early", "a timer fires when its message comes, due or not", "worker/reader.go",
			`	case early <= 0:`,
			`	case early <= 0 || message.Content.Event.Kind() == history.KindTimerFired:`,
		},
		{
			"item-deleted-early", "a work item is deleted before the answer is sent", "worker/items.go",
			`	message := answerTo(h, scheduled, answer)
`,
			`	message := answerTo(h, scheduled, answer)
	h.remove(work)
`,
		},
		{
			"stopped-item-deleted", "an activity that a stop has cut short is not put back", "worker/items.go",
			`		h.putBack(work, 0)
		return
	case cause == activity.ErrUnwanted:`,
			`		h.remove(work)
		return
	case cause == activity.ErrUnwanted:`,
		},
		{
			"inbox-lost", "a session that has not begun when the lease is lost takes its inbox along", "worker/session.go",
			`	case s.r.draining, len(s.inbox) > 0 && s.r.own.Err() != nil:
		return false // finish puts back what is left in the inbox
	case len(s.inbox) > 0:`,
			`	case s.r.draining:
		return false
	case len(s.inbox) > 0 && s.r.own.Err() == nil:`,
		},
		{
			"payload-deleted-with-message", "the payload of a message is deleted with it, although the status row refers to it", "worker/session.go",
			`if batch[i].Blob != "" && s.nowhere() {`,
			`if batch[i].Blob != "" {`,
		},
		{
			"former-payloads-deleted-early", "the payloads of a generation are deleted before the next one is stored", "worker/checkpoint.go",
			`	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
`,
			`	_ = s.r.w.hub.DeletePayloads(ctx, c.orphans)
	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
`,
		},
		{
			"slot-leaked", "a slot for an activity is lost with each poll that brings less than it asked for", "worker/items.go",
			`	for range free - len(received) {`,
			`	for range free - len(received) - 1 {`,
		},
		{
			"slot-leaked-by-redelivery", "a slot is lost when a work item comes again", "worker/items.go",
			`	h := i.w.keeper.take(message, sent)
	if h == nil {
		i.slots.release()
		return`,
			`	h := i.w.keeper.take(message, sent)
	if h == nil {
		return`,
		},
		{
			"lane-forgotten", "who waits for several slots gets only the first", "worker/lanes.go",
			`	if len(next.queue) > 0 {
		l.waiting = append(l.waiting, next)
	}
`,
			``,
		},
		{
			"delayed-start-early", "a start begins when its message comes, due or not", "worker/reader.go",
			`			return *e.ScheduledStart
`,
			`			return time.Time{}
`,
		},
		{
			"marked-receipt-dropped", "the receipt of a message in which an attempt was noted is not kept", "worker/lone.go",
			`			h.replaceReceipt(renewed.PopReceipt, sent)
`,
			`			_, _ = renewed, sent
`,
		},
		{
			"buffer-leaked", "messages that were deleted count as held", "worker/reader.go",
			`	r.w.uncount(h)
	if !needsMemory`,
			`	if !needsMemory`,
		},
		{
			"outage-delays-grow", "what storage fails for is put back for longer each time", "worker/delay.go",
			`		return min(delay, w.opts.Visibility)
`,
			`		return delay
`,
		},
		{
			"purged-payload-waited-for", "a message whose payload was purged circulates for ever", "worker/poison.go",
			`	return errors.Is(err, storage.ErrNotFound) && sentinel == nil
`,
			`	return false
`,
		},
	}
}
