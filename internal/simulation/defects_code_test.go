package simulation_test

// codeDefects are mistakes in how code is run and what it decides is recorded.
func codeDefects() []defect {
	return []defect{
		{
			"first-held-event-lost", "the first event that comes while an instance is suspended is lost", "orchestration/execution.go",
			`	for _, e := range held {
		if err`,
			`	for _, e := range held[min(1, len(held)):] {
		if err`,
		},
		{
			"terminated-acts", "what a terminated instance has decided in its last turn is carried out", "orchestration/execution.go",
			`	clear(x.actions) // records of them are let pass, see match
`,
			``,
		},
		{
			"retry-too-early", "the pauses of a retry policy count from the first attempt", "orchestration/retry.go",
			`x.timer(x.now.Add(pause)).onSettled`,
			`x.timer(began.Add(pause)).onSettled`,
		},
		{
			"first-hop-ends-timer", "a long timer ends with its first part", "orchestration/timer.go",
			`x.now.Add(x.options.TimerHop), false`,
			`x.now.Add(x.options.TimerHop), true`,
		},
		{
			"time-goes-back", "the time of an episode may be before that of the one before", "internal/turn/turn.go",
			`	if last := state.LatestTime(); !now.After(last) {`,
			`	if last := state.LatestTime(); now.Equal(last) {`,
		},
		{
			"last-actions-lost", "what a generation decides last is not carried out", "internal/turn/turn.go",
			`		r.act(action) // not held: nobody is left to answer to
`,
			`		if action.ActionID() < 0 {
			r.act(action)
		}
`,
		},
		{
			"decisions-of-groups-lost", "of many answers that land together only the last lead to something", "internal/turn/turn.go",
			`actions = append(actions, decision.Actions...)`,
			`actions = decision.Actions`,
		},
		{
			"answer-lost-between-groups", "of many answers that land together one is left out", "internal/turn/held.go",
			`			begin, size = i, 0
		}
		size += bytes
	}
	if begin`,
			`			begin, size = i+1, 0
		}
		size += bytes
	}
	if begin`,
		},
		{
			"rows-of-former-execution", "rows of a former, longer execution are taken for the current one's", "internal/store/history.go",
			`			return rows[:i], nil
`,
			`			continue
`,
		},
		{
			"batches-by-first-version", "each transaction of a checkpoint builds on the version before the first", "internal/store/history.go",
			`etag, err = h.commitBatch(ctx, c, batch, etag, i`,
			`etag, err = h.commitBatch(ctx, c, batch, c.ETag, i`,
		},
	}
}
