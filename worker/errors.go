package worker

import (
	"errors"
	"strings"
	"sync"
)

// ErrRun is returned by Worker.Run when it is called a second time: a Worker runs once.
var ErrRun = errors.New("worker: Run was called before")

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
