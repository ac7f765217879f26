package simulation_test

// rowDefects are mistakes with what is cached, held and written late.
func rowDefects() []defect {
	return []defect{
		{
			"dropped-by-cache", "messages are dropped by what is in memory, which another worker may have gone on from", "worker/prepare.go",
			`	if cached && out.doubtful() && !s.busy() {`,
			`	if cached && out.doubtful() && s.stored == nil {`,
		},
		{
			"row-not-caught-up", "a redelivered message does not remind of the row of an instance that goes on", "worker/prepare.go",
			`	out.turn = s.exec.Pending() || !s.stored.State.AtRest()
	out.needsRepair = true
`,
			`	out.turn = s.exec.Pending() || !s.stored.State.AtRest()
`,
		},
		{
			"late-row-wins", "a worker that was late writes the row although another has gone on", "worker/row.go",
			`	return current, err
}

// dropOrphan`,
			`	return current || err == nil, err
}

// dropOrphan`,
		},
		{
			"end-overwritten", "an end that the row has shown is written over", "worker/row.go",
			`	return s.row != nil && s.row.Status.Terminal() && sameID(s.row.ExecutionID, s.stored.ExecutionID)
}`,
			`	return false
}`,
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
			"blobs-undone-when-unclear", "the payloads of a turn that may be stored are deleted", "internal/store/history.go",
			`		if err != nil && i == 0 && !errors.Is(err, ErrUnclear) {
			h.undoBlobs(ctx, done.Blobs)
`,
			`		if err != nil {
			h.undoBlobs(ctx, done.Blobs)
		}
		if err != nil && i == 0 && !errors.Is(err, ErrUnclear) {
`,
		},
		{
			"former-payloads-kept", "the payloads of a generation stay when the next is stored", "worker/checkpoint.go",
			`s.r.w.hub.DeletePayloads(ctx, c.orphans); err != nil {`,
			`s.r.w.hub.DeletePayloads(ctx, nil); err != nil {`,
		},
		{
			"drain-skipped", "what waits for its session is not put back when the partition is handed over", "worker/reader.go",
			`		s.releaseAll(r.own, s.inbox, 0)
`,
			``,
		},
	}
}
