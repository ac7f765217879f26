package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
	"github.com/durafleet/durafleet/internal/run"
)

// member is one worker process.
type member struct {
	id      string
	command *exec.Cmd
	stdin   io.Closer
	stdout  io.Reader
	stderr  tail
	take    func(report.Line)

	started chan struct{} // closed when it has reported its start
	done    chan struct{} // closed when it has ended and all its reports were read
	// unwanted is set before it is asked to end.
	unwanted atomic.Bool
}

func newMember(id, executable, connection string, take func(report.Line)) *member {
	command := exec.Command(executable, "worker", "--report",
		"--hub", hubName, "--worker-id", id,
		"--lease", leaseDuration.String(), "--acquire-interval", acquireInterval.String(),
		"--visibility", visibility.String(), "--max-poll-interval", maxPollInterval.String(),
		"--drain-timeout", "5s")
	// Keys do not belong into command lines, which other users can read.
	command.Env = append(os.Environ(), "DURAFLEET_CONNECTION="+connection)
	command.SysProcAttr = processAttributes()
	return &member{
		id: id, command: command, take: take,
		started: make(chan struct{}), done: make(chan struct{}),
	}
}

// start starts the process and the goroutines that keep it and read its reports.
func (m *member) start(ctx context.Context, group *run.Group) error {
	stdin, err := m.command.StdinPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", m.id, err)
	}
	stdout, err := m.command.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", m.id, err)
	}
	m.stdin, m.stdout, m.command.Stderr = stdin, stdout, &m.stderr
	started := make(chan error, 1)
	group.Go(context.WithoutCancel(ctx), "demo: "+m.id, func(context.Context) {
		defer close(m.done)
		// On Linux the child is killed when the thread that started it ends, so that thread must
		// not be one that the runtime may end before the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.command.Start()
		started <- err
		if err == nil {
			m.read()
			_ = m.command.Wait() // how it ended shows in epitaph
		}
	})
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", m.id, err)
	}
	return nil
}

// read passes reports on until the process has ended.
func (m *member) read() {
	var once sync.Once
	err := report.Read(m.stdout, func(line report.Line) {
		if line.Kind == report.Started {
			once.Do(func() { close(m.started) })
		}
		m.take(line)
	})
	if err != nil {
		fmt.Fprintln(&m.stderr, err)
		m.kill()
	}
}

func (m *member) pid() int { return m.command.Process.Pid }

// awaitStart waits until the worker has reported its start.
func (m *member) awaitStart(ctx context.Context) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-m.started:
		return nil
	case <-m.done:
		return fmt.Errorf("worker %s ended before it began: %s", m.id, m.epitaph())
	case <-timer.C:
		return fmt.Errorf("worker %s has not begun after %v: %s", m.id, startTimeout, m.stderr.String())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop asks the process to end in order.
func (m *member) stop() {
	m.unwanted.Store(true)
	_ = m.stdin.Close() // fails only if it was closed before, which is what is wanted
}

// kill ends the process at once.
func (m *member) kill() {
	m.unwanted.Store(true)
	if err := m.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintln(&m.stderr, err)
	}
}

// epitaph says how a process that has ended did so.
func (m *member) epitaph() string {
	return fmt.Sprintf("%v\n%s", m.command.ProcessState, m.stderr.String())
}

// tail keeps the end of what is written to it. Its zero value is ready for use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4096

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, data...)
	if surplus := len(t.text) - tailBytes; surplus > 0 {
		t.text = t.text[surplus:]
	}
	return len(data), nil
}

// String returns the end.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
