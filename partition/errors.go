package partition

import "errors"

// The causes with which a Serve's context ends; see context.Cause.
var (
	// ErrLost reports that another worker owns the partition, or that this worker can no longer
	// prove it does. Stop touching the partition's instances.
	ErrLost = errors.New("partition: lease lost")
	// ErrDrainTimeout reports that the drain took longer than Options.DrainTimeout. The lease is
	// still held for a short while; put back what is unfinished and return.
	ErrDrainTimeout = errors.New("partition: drain timed out")
	// ErrStalled reports that Serve has not called Heartbeat.Beat for Options.StallAfter, and did not
	// return soon after it was told to drain because of that. The lease is still held for a short while.
	ErrStalled = errors.New("partition: no beat from its reader")
)

// ErrRun is returned by Manager.Run when it is called a second time: a Manager serves once.
var ErrRun = errors.New("partition: Run was called before")

// errReturned ends the context of a Serve that has returned, to release its resources.
var errReturned = errors.New("partition: Serve has returned")
