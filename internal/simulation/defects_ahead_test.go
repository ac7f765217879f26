package simulation_test

// aheadDefects are mistakes in what is carried out ahead of the history.
func aheadDefects() []defect {
	return []defect{
		{
			"guard-not-kept", "the guard is deleted with the checkpoint although something stays in the air", "worker/checkpoint.go",
			`return slices.DeleteFunc(deletes, func(h *held) bool { return h == guard })`,
			`return deletes`,
		},
		{
			"guard-deleted-early", "the guard is deleted before what landed is stored", "worker/checkpoint.go",
			`	deletes := s.toDelete(c, at, guard)
`,
			`	deletes := s.toDelete(c, at, guard)
	if s.guard != nil && guard == nil {
		s.discard(ctx, []*held{s.guard})
	}
`,
		},
		{
			"guard-not-put", "nothing stands for what is in the air if no message of the instance can", "worker/guard.go",
			`	if guard == nil {
		var err error
`,
			`	if guard == nil && old == nil {
		return nil, nil
	} else if guard == nil {
		var err error
`,
		},
		{
			"start-survives-generation", "the start of an execution is a guard still when the instance has continued as new", "worker/guard.go",
			`		return sameID(started.Instance.ExecutionID, execution)
	}
	if`,
			`		return true
	}
	if`,
		},
		{
			"begins-on-unstored-answers", "an activity begins before the answers that it rests on are stored", "worker/pending.go",
			`	case p.answered && slices.ContainsFunc(out.Held, isRemote):
		return false
`,
			``,
		},
		{
			"sends-on-unstored-answers", "messages are sent before the answers that they rest on are stored", "worker/pending.go",
			`	if p.answered && len(out.Messages) > 0 {`,
			`	if p.answered && len(out.Messages) > 1000 {`,
		},
		{
			"memory-trusted", "a result that came through memory has an effect before it is stored", "worker/turn.go",
			`		Firsthand:     in.firsthand(),
`,
			``,
		},
		{
			"units-torn-apart", "an action without a message and its answer are stored in two transactions", "internal/store/history.go",
			`splitRows(rows, units(c.Events, c.Unsent))`,
			`splitRows(rows, units(c.Events, nil))`,
		},
		{
			"children-ahead", "the first checkpoint of a child waits for what is in the air", "worker/pending.go",
			`return !p.before.fresh || out.State.Started().Parent == nil`,
			`return true`,
		},
		{
			"former-flights-land", "what a generation has in the air lands in the next one", "worker/pending.go",
			`	if out.Replaced || out.Completed != nil {
		s.dropFlights`,
			`	if out.Completed != nil {
		s.dropFlights`,
		},
		{
			"landed-forgotten", "a session forgets its guard when its last flight has landed", "worker/session.go",
			`s.pending != nil || s.guard != nil }`,
			`s.pending != nil }`,
		},
		{
			"kept-timer-not-given-back", "the timers in memory are kept when the partition is handed over", "worker/timers.go",
			`		h.putBack(ctx, timer.due.Sub(t.r.w.hub.Now()))
`,
			``,
		},
		{
			"next-timers-deleted", "the end of a generation deletes the timers of the next", "worker/timers.go",
			`over := t.ofExecution(id, execution)`,
			`over := slices.Clone(t.of[id])`,
		},
		{
			"first-checkpoint-overwrites", "the first checkpoint of an execution takes the place of whatever is there", "internal/store/history.go",
			`sentinel := storage.Operation{Action: storage.Insert, Row: sentinelRow(c, last)}`,
			`sentinel := storage.Operation{Action: storage.InsertOrReplace, Row: sentinelRow(c, last)}`,
		},
		{
			"run-here-and-there", "the work item of an activity that runs already is there for others at once", "worker/checkpoint.go",
			`		default:
			c.puts[i].Delay = s.r.w.opts.Visibility
		}`,
			`		case flown:
		default:
			c.puts[i].Delay = s.r.w.opts.Visibility
		}`,
		},
		{
			"debt-forgotten", "the row is not written when nothing is in the air any more", "worker/row.go",
			`	due := whole || !said || s.debt != nil || `,
			`	due := p.before.fresh || p.replaced || repeated || !said || `,
		},
		{
			"first-answers-leave-no-debt", "the checkpoint after one that stored answers only takes the row for written", "worker/checkpoint.go",
			`			s.debt = &debt{since: time.Now(), whole: true}
`,
			``,
		},
		{
			"leaves-on-unstored-answers", "what has been in the air for too long is sent before the answers that it rests on are stored", "worker/pending.go",
			`	if s.pending.answered && len(leaving) > 0 {`,
			`	if s.pending.answered && len(leaving) > 1000 {`,
		},
		{
			"closed-too-late", "an event that arrives while something is in the air follows an episode that is not closed", "internal/turn/held.go",
			`	if len(group) > 0 || r.in.Open && !r.out.State.AtRest() {`,
			`	if len(group) > 0 {`,
		},
		{
			"handed-not-put-back", "a message for an instance of a partition that has just been lost is kept", "worker/keep.go",
			`	if r := w.readers.of(h.Queue); r == nil || !r.take(h) {
		h.putBack(ctx, 0)
	}
`,
			`	if r := w.readers.of(h.Queue); r != nil {
		r.take(h)
	}
`,
		},
		{
			"guard-not-given-back", "the guard is kept when the session gives up", "worker/session.go",
			`	if s.guard != nil && !slices.Contains(messages, s.guard) {
		messages = append(messages, s.guard)
	}
	if`,
			`	if`,
		},
		{
			"answer-while-leaving-lost", "the answer of an activity that ends while it becomes a work item is lost", "worker/ahead.go",
			`	if answer != nil {
		w.items`,
			`	if answer != nil && f.cancel == nil {
		w.items`,
		},
	}
}
