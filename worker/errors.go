package worker

import (
	"errors"
	"strings"
)

// ErrRun is returned by Worker.Run when it is called a second time: a Worker runs once.
var ErrRun = errors.New("worker: Run was called before")

// sameID compares execution ids, which .NET compares without regard to case.
func sameID(a, b string) bool { return strings.EqualFold(a, b) }
