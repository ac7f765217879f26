package simulation_test

// poisonDefects are mistakes in what is moved out of the way.
func poisonDefects() []defect {
	return []defect{
		{
			"poison-answer-not-sent", "the orchestration is not told that its activity was given up", "worker/poison.go",
			`	if err == nil && answer != nil {
		err = w.tellOf(p, w.send(ctx, answer))`,
			`	if err == nil && answer != nil && answer.Event == nil {
		err = w.tellOf(p, w.send(ctx, answer))`,
		},
		{
			"poison-not-marked", "the row does not tell of what was moved aside", "worker/poison.go",
			`if err == nil && p.InstanceID != "" && !isEntity(p.InstanceID) {`,
			`if err == nil && p.InstanceID != "" && isEntity(p.InstanceID) {`,
		},
		{
			"attempts-not-counted", "of the attempts alone only the last is noted", "worker/lone.go",
			`wire.WithLone(h.Text, h.crashes()+1)`,
			`wire.WithLone(h.Text, 1)`,
		},
		{
			"purge-leaves-poison", "a purge leaves what was moved aside", "taskhub/purge.go",
			`	if row.Poison != nil {`,
			`	if row.Poison != nil && o.force {`,
		},
	}
}
