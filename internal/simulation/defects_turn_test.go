package simulation_test

// turnDefects are mistakes in how a turn is computed and stored.
func turnDefects() []defect {
	return []defect{
		{
			"history-before-messages", "the history is written before the messages that it counts as sent", "worker/checkpoint.go",
			`	sent, err := s.r.w.hub.SendAll(sending, c.puts)
	if err != nil {
		s.undo(sending, sent)
		return s.dismiss(c, err)
	}
	// 2. History. If it was surely not stored, nothing of the turn has happened.
	c.history.Cost = s.costOfRest(p, c, deletes)
	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
	if err != nil {
		if errors.Is(err, store.ErrUnstored) {
			s.undo(sending, sent)
		}
		return s.dismiss(c, err)
	}
`,
			`	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
	if err != nil {
		return s.dismiss(c, err)
	}
	sent, err := s.r.w.hub.SendAll(sending, c.puts)
	if err != nil && !errors.Is(err, store.ErrRefused) {
		return s.dismiss(c, err)
	}
`,
		},
		{
			"row-before-history", "the status row is written before the history that it tells of", "worker/checkpoint.go",
			`	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
`,
			`	if c.row != nil {
		if err := s.writeRow(ctx, *c.row, p.before.executionID); err != nil {
			return err
		}
		c.row = nil
	}
	committed, err := s.r.w.hub.CommitHistory(ctx, c.history)
`,
		},
		{
			"messages-deleted-early", "messages are deleted before what they brought is stored", "worker/checkpoint.go",
			`	sent, err := s.r.w.hub.SendAll(sending, c.puts)
`,
			`	s.discard(ctx, deletes)
	deletes = nil
	sent, err := s.r.w.hub.SendAll(sending, c.puts)
`,
		},
		{
			"history-without-condition", "the sentinel is merged whatever its version", "internal/store/history.go",
			`sentinel.Action, sentinel.ETag = storage.Merge, etag`,
			`sentinel.Action, sentinel.ETag = storage.Merge, storage.AnyETag`,
		},
		{
			"history-without-sentinel", "the sentinel is left out of the transaction", "internal/store/history.go",
			`append(operations, sentinel), true)`,
			`append(operations, sentinel)[:len(operations)], true)`,
		},
		{
			"undo-when-unclear", "messages are taken back although the turn may be stored", "worker/checkpoint.go",
			`if errors.Is(err, store.ErrUnstored) {`,
			`if err != nil {`,
		},
		{
			"unclear-taken-for-refused", "a transaction whose reply was lost counts as refused", "internal/store/history.go",
			`return h.readBack(ctx, c, batch[0], err)`,
			`return "", &RefusedError{InstanceID: c.InstanceID, Err: err}`,
		},
		{
			"unclear-taken-for-stored", "a transaction whose reply was lost counts as stored, whoever wrote what is there", "internal/store/history.go",
			`	stored, err := h.Account.Tables.Read(ctx, table, first.PartitionKey, first.RowKey)
`,
			`	if err == nil {
		return sentinel.ETag, nil
	}
	stored, err := h.Account.Tables.Read(ctx, table, first.PartitionKey, first.RowKey)
`,
		},
		{
			"processed-not-checked", "events that were taken in before are taken in again", "worker/prepare.go",
			`return slices.Contains(s.stored.Processed, activityID) || s.r.w.confirmed.has(activityID) || s.pending.applies(activityID)`,
			`return false`,
		},
		{
			"processed-not-stored", "the sentinel does not remember which messages were taken in", "worker/checkpoint.go",
			`c.history.Processed = append(c.history.Processed, h.Content.ActivityID)`,
			`c.history.Processed = nil`,
		},
		{
			"copy-in-one-batch", "a message that came twice in one batch counts twice", "worker/sort.go",
			`if taken[h.Content.ActivityID] {`,
			`if false {`,
		},
		{
			"early-answer-dropped", "an answer is deleted if the history does not know the call yet", "worker/sort.go",
			`return later, "what it answers is not in the history yet"`,
			`return drop, "what it answers is not in the history yet"`,
		},
		{
			"early-event-dropped", "an event for an instance that is Pending is deleted", "worker/sort.go",
			`return later, "the instance has not started yet"`,
			`return drop, "the instance has not started yet"`,
		},
		{
			"stale-answer-taken", "the answer to a call of a turn that was never stored is taken for another call's", "worker/sort.go",
			`case stale(h, request):`,
			`case false:`,
		},
		{
			"foreign-answer-taken", "an answer to the generation before is taken in by the next", "worker/sort.go",
			`case h.Content.Target.ExecutionID != "" && !sameID(h.Content.Target.ExecutionID, f.stored.ExecutionID):`,
			`case false:`,
		},
		{
			"start-taken-twice", "a start whose execution has begun begins it once more", "worker/sort.go",
			`case sameID(f.stored.ExecutionID, id) && f.stored.State.Started() != nil:`,
			`case false:`,
		},
		{
			"pending-not-terminated", "an order to end an instance that has not begun is dropped", "worker/sort.go",
			`return endRow, ""`,
			`return drop, "the instance has not started yet"`,
		},
		{
			"refused-state-kept", "a session goes on from its own idea of the history after a turn was refused", "worker/session.go",
			`	s.forget()
	return messages`,
			`	return messages`,
		},
		{
			"row-without-condition", "the status row is merged whatever its version", "worker/row.go",
			`			etag = s.row.ETag
		} else if`,
			`			etag = storage.AnyETag
		} else if`,
		},
		{
			"row-not-repaired", "the redelivered message of a turn that ended its instance does not remind of the row", "worker/prepare.go",
			`	if s.stored.State.Completed() != nil {
		out.needsRepair = true
		return nil
	}`,
			`	if s.stored.State.Completed() != nil {
		return nil
	}`,
		},
		{
			"carried-events-lost", "events that a generation leaves unread do not reach the next", "internal/turn/turn.go",
			`	for _, carried := range end.Carried {
		events = append(events, carried)
	}
`,
			``,
		},
		{
			"suspended-goes-on", "a suspended instance takes events in and acts on them", "orchestration/execution.go",
			`		x.suspended = true
`,
			`		x.suspended = false
`,
		},
		{
			"suspended-acts", "what a suspended instance has decided is carried out", "orchestration/execution.go",
			`	if decision.Suspended {
		return decision
	}`,
			``,
		},
		{
			"parent-not-told", "the end of a child is not sent to its parent", "internal/turn/message.go",
			`	r.send(Message{Event: report(self.Parent.TaskID, r.at, a), Target: self.Parent.Instance})
`,
			``,
		},
		{
			"child-without-fixed-id", "the id of a child is not derived from the call", "orchestration/suborchestration.go",
			`instanceID = fmt.Sprintf("%s:%d", c.ExecutionID(), id)`,
			`instanceID = fmt.Sprintf("%s:%d:%d", c.ExecutionID(), id, c.x.now.UnixNano())`,
		},
		{
			"next-generation-cancelled", "the end of a generation cancels the activities of the next", "worker/running.go",
			`if c.info.InstanceID == target.InstanceID && sameID(c.info.ExecutionID, target.ExecutionID) {`,
			`if c.info.InstanceID == target.InstanceID {`,
		},
		{
			"first-ever-assumed", "a start that comes again is taken for the first ever", "worker/prepare.go",
			`return start.DequeueCount == 1 && generation != nil`,
			`return generation != nil`,
		},
	}
}
