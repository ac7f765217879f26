package worker

import (
	"errors"
	"fmt"
	"strings"
)

// ErrRun is returned by Worker.Run when it is called a second time: a Worker runs once.
var ErrRun = errors.New("worker: Run was called before")

// sameID compares execution ids, which .NET compares without regard to case.
func sameID(a, b string) bool { return strings.EqualFold(a, b) }

// unboundError says that an orchestration is asked for that the worker does not know.
type unboundError struct{ name string }

func (e *unboundError) Error() string {
	return fmt.Sprintf("orchestration %q is not bound in this worker", e.name)
}
