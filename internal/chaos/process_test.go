//go:build unix

package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// workerVariable holds a spec in the environment of a process that is to be a worker instead of
// running tests.
const workerVariable = "DURAFLEET_CHAOS_WORKER"

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(workerVariable); ok {
		os.Exit(beWorker(text))
	}
	flag.Parse()
	// The tests wait for leases and hidden messages to lapse most of the time, so that more of them
	// than there are processors can share a machine.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err) // cannot be: package testing defines it
	}
	exit := m.Run()
	azurite.StopShared()
	os.Exit(exit)
}

// spec is what a worker process is told.
type spec struct {
	Connection, Hub, ID string
	// Quick asks for short leases and visibilities.
	Quick bool
	// Defaults asks for the default settings in everything.
	Defaults bool
	// Linger makes activities run until they are cut off.
	Linger bool
	// Doorbell lets others wake the worker.
	Doorbell bool
}

// The intervals of quick workers.
const (
	quickLease      = 6 * time.Second
	quickAcquire    = 2 * time.Second
	quickVisibility = 6 * time.Second
)

// beWorker is the main function of worker processes.
func beWorker(text string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		log.Error("unreadable spec", "error", err)
		return 2
	}
	// The test may end in any way: its end closes the pipe, and no worker outlives that.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it is the end
		os.Exit(3)
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := work(ctx, s, log); err != nil {
		log.Error("worker failed", "error", err)
		return 1
	}
	return 0
}

func work(ctx context.Context, s spec, log *slog.Logger) error {
	hub, err := taskhub.Open(ctx, taskhub.ConnectionString(s.Connection), s.Hub, nil)
	if err != nil {
		return err
	}
	opts := &worker.Options{
		WorkerID: s.ID, MaxPollInterval: 200 * time.Millisecond, DrainTimeout: 5 * time.Second, Logger: log,
	}
	if s.Defaults {
		opts = &worker.Options{WorkerID: s.ID, Logger: log}
	}
	if s.Quick {
		opts.LeaseDuration, opts.AcquireInterval, opts.Visibility = quickLease, quickAcquire, quickVisibility
	}
	if s.Doorbell {
		opts.Doorbell = &worker.Doorbell{}
	}
	w, err := worker.New(hub, opts, bindings(s.Linger)...)
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// process is a worker process.
type process struct {
	id      string
	command *exec.Cmd
	stdin   io.Closer
	output  output
	done    chan struct{}
}

// launch starts a worker process. It is killed at the end of the test if it still runs.
func launch(t testing.TB, s spec) *process {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{id: s.ID, command: exec.Command(os.Args[0]), done: make(chan struct{})}
	p.command.Env = append(os.Environ(), workerVariable+"="+string(text))
	p.command.Stderr = &p.output
	p.command.Stdout = &p.output
	p.command.SysProcAttr = childAttributes()
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		// The kernel kills the child when the thread that started it ends, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait() // how it ended is asked of ProcessState
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s (%s) printed:\n%s", p.id, p.command.ProcessState, p.output.String())
		}
	})
	return p
}

// kill ends the process as a crash does, and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
	_ = p.stdin.Close() // fails if the process closed it, which is as well
}

// signal sends a signal. A process that has ended is not signalled.
func (p *process) signal(s syscall.Signal) {
	_ = p.command.Process.Signal(s) // fails if the process has ended
}

// exit waits for the end of the process and returns its exit code, -1 if a signal ended it.
func (p *process) exit(t testing.TB, limit time.Duration) int {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.command.ProcessState.ExitCode()
	case <-timer.C:
		t.Fatalf("%s does not end within %v", p.id, limit)
		return -1
	}
}

func (p *process) String() string { return fmt.Sprintf("%s (%d)", p.id, p.command.Process.Pid) }

// output keeps what a process prints, up to a limit.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const maxOutput = 64 << 10

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxOutput {
		o.text.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
