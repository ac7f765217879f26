package simulation_test

// fleetDefects are mistakes in how partitions are shared, and in what clients do.
func fleetDefects() []defect {
	return []defect{
		{
			"lease-trusted-too-long", "a worker counts on a lease that has run out", "partition/pass.go",
			`deadline: clock.proven(local).Add(m.opts.LeaseDuration - m.opts.Margin)`,
			`deadline: clock.proven(local).Add(2 * m.opts.LeaseDuration)`,
		},
		{
			"lease-loss-ignored", "a reader does not learn that the lease is lost", "partition/tenure.go",
			`return t.opts.Serve(ctx, t.drain, t.id, &t.beat)`,
			`return t.opts.Serve(context.WithoutCancel(ctx), t.drain, t.id, &t.beat)`,
		},
		{
			"claimed-while-valid", "partitions are claimed although their leases have not run out", "partition/decide.go",
			`	case free || lease.Expired(v.Now):`,
			`	case free || lease.CurrentOwner != "":`,
		},
		{
			"drain-not-told", "a reader is not told that its partition is to be handed over", "partition/pass.go",
			`			t.startDrain()
`,
			``,
		},
		{
			"released-while-read", "a partition is released before its reader has returned", "partition/decide.go",
			`	case hold == None && leave:`,
			`	case leave:`,
		},
		{
			"never-steals", "a worker without partitions does not ask others for theirs", "partition/balance.go",
			`		if need < 0 {`,
			`		if need < 1000 {`,
		},
		{
			"lease-without-condition", "a partition's row is written whatever its version", "partition/tablelease/tablelease.go",
			`ETag: storage.ETag(lease.Version)}`,
			`ETag: storage.AnyETag}`,
		},
		{
			"row-before-start-message", "a client writes the status row before the start message", "taskhub/start.go",
			`	sent, err := s.send(ctx, &row)
	if err != nil {
		return false, err
	}
	ctx, cancel`,
			`	if lost, err = s.record(ctx, row, replaces); lost || err != nil {
		return lost, err
	}
	sent, err := s.send(ctx, &row)
	if err != nil {
		return false, err
	}
	ctx, cancel`,
		},
		{
			"own-row-taken-for-another", "a client whose row was written twice takes its own for another start's", "taskhub/start.go",
			`		case readErr == nil && found.ExecutionID == row.ExecutionID:
			return false, nil
`,
			``,
		},
		{
			"live-instance-replaced", "a client starts over what is alive", "taskhub/start.go",
			`		case s.options.reuse == RefuseLive && !existing.Status.Terminal():
			return h, false, &ExistsError{InstanceID: row.InstanceID, Status: existing.Status}
`,
			``,
		},
		{
			"purge-leaves-payloads", "a purge does not remove payloads", "internal/store/purge.go",
			`	return h.DeletePayloads(ctx, names)
`,
			`	return h.DeletePayloads(ctx, names[:0])
`,
		},
		{
			"purge-row-first", "a purge removes the status row first", "internal/store/purge.go",
			`	if err := h.purgeHistory(ctx, instanceID); err != nil {`,
			`	_ = h.Account.Tables.Delete(ctx, h.Names.InstancesTable(), wire.EscapeKey(instanceID), "", storage.AnyETag)
	if err := h.purgeHistory(ctx, instanceID); err != nil {`,
		},
		{
			"foreign-owner-ignored", "a row that names another owner does not end the reading", "partition/pass.go",
			`			t.lose("its row names the owner " + lease.CurrentOwner)
`,
			`			t.settle(lease.ExpiresAt)
`,
		},
		{
			"reservation-ignored", "what is reserved for another worker is claimed", "partition/decide.go",
			`free := lease.CurrentOwner == "" && (lease.NextOwner == "" || lease.NextOwner == v.Worker)`,
			`free := lease.CurrentOwner == ""`,
		},
		{
			"steals-for-nothing", "partitions are asked for although that balances nothing", "partition/balance.go",
			`(need == 0 && excess < 2)`,
			`(need == 0 && excess < 1)`,
		},
	}
}
