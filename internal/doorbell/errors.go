package doorbell

import "errors"

var (
	// ErrMalformed reports bytes that are no ring, or a text that is no Address.
	ErrMalformed = errors.New("doorbell: malformed")
	// ErrClosed reports that a Conn was closed.
	ErrClosed = errors.New("doorbell: closed")
	// ErrTimeout reports that no datagram came in time.
	ErrTimeout = errors.New("doorbell: no datagram in time")
)
