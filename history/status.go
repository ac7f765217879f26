package history

// Status is the runtime status of an instance. Its text is what the Instances table stores.
type Status string

// The statuses an instance can have. Canceled is never produced by an engine on this storage
// format but has to be understood.
const (
	Pending        Status = "Pending"
	Running        Status = "Running"
	Suspended      Status = "Suspended"
	ContinuedAsNew Status = "ContinuedAsNew"
	Completed      Status = "Completed"
	Failed         Status = "Failed"
	Terminated     Status = "Terminated"
	Canceled       Status = "Canceled"
)

// Statuses lists every known status in the order people expect them.
func Statuses() []Status {
	return []Status{Pending, Running, Suspended, ContinuedAsNew, Completed, Failed, Terminated, Canceled}
}

// Terminal reports whether the instance has reached its end and will never change again.
func (s Status) Terminal() bool {
	switch s {
	case Completed, Failed, Terminated, Canceled:
		return true
	default:
		return false
	}
}

// Known reports whether s is one of the statuses of the Durable Task model. A status read from a
// table may be unknown; it is carried as it stands.
func (s Status) Known() bool {
	switch s {
	case Pending, Running, Suspended, ContinuedAsNew, Completed, Failed, Terminated, Canceled:
		return true
	default:
		return false
	}
}
