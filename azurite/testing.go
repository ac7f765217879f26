package azurite

import (
	"context"
	"os"
	"sync"
	"time"
)

// installAndStartTimeout bounds what a test waits for a server, a first installation included.
const installAndStartTimeout = 5 * time.Minute

// TB is the part of testing.TB that is used here. It is an interface of its own so that programs
// do not get the testing package with this one.
type TB interface {
	Helper()
	Cleanup(f func())
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// shared is the server that Start hands out, and why there is none. It is the one thing that all
// tests of a process have in common, and nothing else reaches all of them.
var shared struct {
	mu     sync.Mutex
	server *Server
	err    error
}

// Start returns the in-memory server that all tests of this process share. The first call starts
// it. It ends with the process, or by StopShared; tests must not stop it, and use StartPrivate to
// have one that they may. If the server cannot be had, the test is skipped or fails, as the
// package comment says.
func Start(t TB) *Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = launchForTest(nil)
	}
	if shared.err != nil {
		giveUp(t, shared.err)
	}
	if err := shared.server.alive(); err != nil {
		t.Fatalf("the shared server: %v", err)
	}
	return shared.server
}

// StopShared stops the shared server, if there is one. A TestMain that looks for leaked goroutines
// calls it after the tests; nobody else has to.
func StopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		shared.server.Stop()
		shared.server = nil
	}
}

// StartPrivate starts a server for this test alone, which may stop or kill it. It is killed at the
// end of the test if it still runs. A nil opts means all defaults.
func StartPrivate(t TB, opts *Options) *Server {
	t.Helper()
	server, err := launchForTest(opts)
	if err != nil {
		giveUp(t, err)
	}
	t.Cleanup(server.Kill)
	return server
}

func launchForTest(opts *Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), installAndStartTimeout)
	defer cancel()
	return Launch(ctx, opts)
}

// giveUp ends a test that cannot have a server.
func giveUp(t TB, err error) {
	t.Helper()
	if missing(err) && os.Getenv("CI") != "true" {
		t.Skipf("needs Azurite, which is not available (this fails where CI=true is set): %v", err)
		return
	}
	t.Fatalf("needs Azurite: %v", err)
}
