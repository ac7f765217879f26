package diagnosis

// Advice says why a finding cannot be repaired from here, and what to do instead; "" if it can.
func (f *Finding) Advice() string {
	if f.Repair.Possible() {
		return ""
	}
	if f.Why != "" {
		return f.Why
	}
	return advice[f.Code]
}

// advice is what to do about findings that are not repaired.
var advice = map[Code]string{
	NoOwner:          "start a worker",
	LeaseExpired:     "a worker that runs takes over within seconds: start one",
	NotPolling:       "stop that worker, or start it again",
	NameUnknown:      "bind the name in the worker that is asked for it, or stop that worker",
	PartitionCount:   "what is right is not stored: put rows and queues in order by hand, with all workers and clients stopped",
	QueueMissing:     "run durafleet hub create",
	WrongQueue:       "put the sender right that counts partitions differently; what it sent is not moved",
	ClockOff:         "set the clock",
	Poison:           "put the messages back with durafleet poison retry, or give them up with durafleet poison drop",
	Unreadable:       "what it said is not known: put it right by hand",
	RowForeign:       "the row belongs to another start; purge the instance, and start it again",
	CorruptHistory:   "what it said is not known: put the rows right, or purge the instance with --force",
	Held:             "put the code right: it goes on by itself then",
	WorkersDie:       "look for the reason in the logs of these workers; what keeps killing them is moved aside in the end",
	OtherApplication: "start the worker with the name of the application that processes the hub (--app), or stop that one's workers",
	Settled:          "it may be what brings a worker to complete a turn that was stored in part; a worker deletes it",
}
