package simulation_test

// judgeDefects are mistakes in what becomes of a message.
func judgeDefects() []defect {
	return []defect{
		{
			"terminated-start-begins", "a start begins although its row shows the end", "worker/sort.go",
			`	case sameID(f.row.ExecutionID, id) && f.row.Status.Terminal():
		return drop, "the instance ended before it began"
`,
			``,
		},
		{
			"child-first-again", "the start of a child that comes again is taken for the first", "worker/prepare.go",
			`	if start == nil || start.deliveries() > 1 {`,
			`	if start == nil {`,
		},
		{
			"ended-row-not-read", "an event for a new life is judged by the end of the one before", "worker/prepare.go",
			`(never || ended && slices.ContainsFunc(batch, toInstance) || `,
			`(never || ended && len(batch) == 0 || `,
		},
		{
			"unfinished-seen-late", "a message that comes for the second time does not remind of a turn that was cut off", "worker/prepare.go",
			`if maxDeliveries(out.done) < 2 && `,
			`if maxDeliveries(out.done) < 3 && `,
		},
		{
			"decided-not-made-up", "what was decided and not recorded is not made up for", "worker/prepare.go",
			`out.turn = s.exec.Pending() || !s.stored.State.AtRest()`,
			`out.turn = !s.stored.State.AtRest()`,
		},
		{
			"first-generation-forgotten", "an execution that continued as new in its first turn may begin again", "worker/checkpoint.go",
			`	if p.before.fresh && p.replaced && !at.more {
		former`,
			`	if p.before.fresh && p.replaced && at.more {
		former`,
		},
		{
			"refusal-not-told", "a parent is not told that the id of its child is taken", "worker/turn.go",
			`		if err := s.r.w.send(ctx, message); err != nil {
			return err
		}
		in.done`,
			`		_ = message
		in.done`,
		},
		{
			"live-child-replaced", "a child begins although another one of its id is alive", "worker/sort.go",
			`	case f.stored.State.Completed() == nil:
		return refuse, "the instance is alive"
`,
			``,
		},
	}
}
