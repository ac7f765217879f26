package simulation_test

// clientDefects are mistakes in what clients do.
func clientDefects() []defect {
	return []defect{
		{
			"live-purged", "a purge removes what is alive", "taskhub/purge.go",
			`if !row.Status.Terminal() && !o.force {`,
			`if row.Status == "Running" && !o.force {`,
		},
		{
			"ended-commanded", "a client may send events and orders to what has ended", "taskhub/command.go",
			`		if row.Status.Terminal() {`,
			`		if row.Status == "Terminated" {`,
		},
		{
			"generation-not-counted", "the starts of an id are not told apart by their numbers", "taskhub/start.go",
			`existing.ETag, existing.Generation+1`,
			`existing.ETag, existing.Generation`,
		},
		{
			"existing-started-over", "a start that is to use what exists replaces what has ended", "taskhub/start.go",
			`case s.options.reuse == UseExisting:`,
			`case s.options.reuse == UseExisting && !existing.Status.Terminal():`,
		},
		{
			"start-whatever-version", "a start replaces a status row whatever its version", "internal/store/instance.go",
			`_, err = h.Account.Tables.Replace(ctx, h.Names.InstancesTable(), row, replaces)`,
			`_, err = h.Account.Tables.Replace(ctx, h.Names.InstancesTable(), row, storage.AnyETag)`,
		},
		{
			"lost-start-taken-for-started", "a start whose row another one has written counts as started", "taskhub/start.go",
			`		case readErr == nil && found.ETag != replaces:
			return true, nil
`,
			`		case readErr == nil && found.ETag != replaces:
			return false, nil
`,
		},
	}
}
