package simulation_test

// rowDefects are mistakes with what is cached, held and written late.
func rowDefects() []defect {
	return []defect{
		{
			"row-not-caught-up", "a redelivered message does not remind of the row of an instance that goes on", "worker/prepare.go",
			`	out.turn = s.exec.Pending() || !s.stored.State.AtRest()
	out.needsRepair = true
`,
			`	out.turn = s.exec.Pending() || !s.stored.State.AtRest()
`,
		},
		{
			"old-receipt-kept", "a message that comes again is held with its former receipt", "worker/held.go",
			`			older.replaceReceipt(received.PopReceipt, sent)
`,
			`			_, _ = older, sent
`,
		},
		{
			"held-twice", "a message that comes again is held twice", "worker/held.go",
			`	if older, ok := k.held[received.ID]; ok {
`,
			`	if older, ok := k.held[received.ID]; ok && older.lost() {
`,
		},
		{
			"former-payloads-kept", "the payloads of a generation stay when the next is stored", "worker/checkpoint.go",
			`s.r.w.hub.DeletePayloads(ctx, c.orphans); err != nil {`,
			`s.r.w.hub.DeletePayloads(ctx, nil); err != nil {`,
		},
		{
			"dropped-by-cache", "messages are dropped by what is in memory, which another worker may have gone on from", "worker/prepare.go",
			`	if cached && out.doubtful() && !s.busy() {`,
			`	if cached && out.doubtful() && s.stored == nil {`,
		},
		{
			"drain-skipped", "what waits for its session is not put back when the partition is handed over", "worker/reader.go",
			`		s.releaseAll(r.own, s.inbox, 0)
`,
			``,
		},
		{
			"custom-status-unsaid", "a change of the custom status alone is not written", "worker/row.go",
			`said := sameText(p.before.customStatus, out.CustomStatus) && p.suspension`,
			`said := p.suspension`,
		},
		{
			"suspension-with-answers-unsaid", "a suspend that comes together with answers is not shown", "worker/pending.go",
			`store.LastSuspension(slices.Concat(out.Settled, out.New))`,
			`store.LastSuspension(out.New)`,
		},
		{
			"repeated-drop-ignored", "a turn beside a redelivered message does not write the whole row", "worker/row.go",
			`repeated := maxDeliveries(p.in.done) > 1`,
			`repeated := maxDeliveries(p.in.done) > 2`,
		},
		{
			"payloads-forgotten", "a session forgets the payloads of the turns before", "worker/checkpoint.go",
			`		payloads.Blobs = append(s.stored.Blobs, payloads.Blobs...)
`,
			``,
		},
		{
			"late-row-wins", "a worker that was late writes the row although another has gone on", "worker/row.go",
			`	if err == nil && !current {
		err = fmt.Errorf("status of instance %q: another`,
			`	if err == nil && !current {
		return true, nil
	}
	if err == nil && !current {
		err = fmt.Errorf("status of instance %q: another`,
		},
		{
			"purged-left", "a history that was written after the purge stays", "worker/row.go",
			`		_, err := s.r.w.hub.DropHistory(ctx, s.id, s.stored.Rows, s.stored.ETag)
		return false, err
	case s.row.HasGeneration`,
			`		return false, nil
	case s.row.HasGeneration`,
		},
		{
			"debt-not-doubted", "nobody looks whether a history that was begun belongs to an instance that was purged", "worker/session.go",
			`	if s.debt != nil && s.debt.whole {
		s.doubtBeginning()
	}
`,
			``,
		},
		{
			"unclear-not-doubted", "a beginning that may have been stored is not looked for", "internal/store/history.go",
			`				h.Doubt(c.InstanceID, c.ExecutionID)
`,
			``,
		},
		{
			"doubt-in-vain", "what is in doubt is never looked into", "worker/tidy.go",
			`		w.hub.TidyUp(ctx, tidyAge)
`,
			``,
		},
	}
}
