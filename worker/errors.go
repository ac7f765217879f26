package worker

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

var (
	// ErrRun is returned by Worker.Run when it is called a second time: a Worker runs once.
	ErrRun = errors.New("worker: Run was called before")

	// errUnknownName is matched by every unknownNameError.
	errUnknownName = errors.New("worker: name is not bound")
)

// unknownNameError reports work for a name that this worker has no code for.
type unknownNameError struct{ kind, name string }

func (e *unknownNameError) Error() string {
	return fmt.Sprintf("%s %q is not bound in this worker", e.kind, e.name)
}

func (e *unknownNameError) Is(target error) bool { return target == errUnknownName }

// instanceErrors remembers why instances are held.
type instanceErrors struct {
	mu   sync.Mutex
	errs map[string]string
}

// maxRemembered bounds what is remembered for people to look at.
const maxRemembered = 1000

func (i *instanceErrors) add(id string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.errs == nil {
		i.errs = map[string]string{}
	}
	if len(i.errs) < maxRemembered {
		i.errs[id] = err.Error()
	}
}

func (i *instanceErrors) remove(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.errs, id)
}

// sameID compares execution ids, which .NET compares without regard to case.
func sameID(a, b string) bool { return strings.EqualFold(a, b) }
