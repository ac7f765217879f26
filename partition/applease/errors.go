package applease

import "errors"

// ErrNotPrimary is the cause with which the gated function's context ends when the application is
// not, or can no longer prove to be, the one that processes the hub.
var ErrNotPrimary = errors.New("app lease: another application may be processing the hub")

// ErrRun is returned by Run while another call runs.
var ErrRun = errors.New("app lease: Run is running")

// errReturned ends the context of a gated function that has returned, to release its resources.
var errReturned = errors.New("app lease: the gated function has returned")
