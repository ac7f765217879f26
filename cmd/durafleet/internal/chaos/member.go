package chaos

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

	"github.com/durafleet/durafleet/internal/run"
)

const (
	// startTimeout bounds the start of a worker process, on a busy machine.
	startTimeout = 30 * time.Second
	// stopTimeout bounds an orderly stop.
	stopTimeout = 20 * time.Second
)

// member is one worker process.
type member struct {
	id      string
	command *exec.Cmd
	stdin   io.Closer
	stdout  io.Reader
	stderr  tail
	take    func(*member, line)

	started chan struct{} // closed when it has told of its start
	done    chan struct{} // closed when it has ended and all that it told was read
	// unwanted is set before it is asked to end.
	unwanted atomic.Bool
}

// spawn starts a worker process and the goroutine that keeps it and reads what it tells.
func spawn(ctx context.Context, group *run.Group, id string, command *exec.Cmd, take func(*member, line)) (*member, error) {
	m := &member{id: id, command: command, take: take, started: make(chan struct{}), done: make(chan struct{})}
	m.command.Stderr = &m.stderr
	m.command.SysProcAttr = processAttributes()
	stdin, err := m.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", m.id, err)
	}
	stdout, err := m.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", m.id, err)
	}
	m.stdin, m.stdout = stdin, stdout
	started := make(chan error, 1)
	group.Go(context.WithoutCancel(ctx), "chaos: "+m.id, func(context.Context) {
		defer close(m.done)
		// On Linux the child is killed when the thread that started it ends, so that thread must
		// not be one that the runtime may end before the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.command.Start()
		started <- err
		if err == nil {
			m.read()
			_ = m.command.Wait() // how it ended shows in ProcessState
		}
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", m.id, err)
	}
	return m, nil
}

// read passes lines on until the process has ended.
func (m *member) read() {
	var once sync.Once
	err := readLines(m.stdout, func(l line) {
		if l.Kind == lineStarted {
			once.Do(func() { close(m.started) })
		}
		m.take(m, l)
	})
	if err != nil {
		fmt.Fprintln(&m.stderr, err)
		m.kill()
	}
}

func (m *member) pid() int { return m.command.Process.Pid }

// awaitStart waits until the worker has told of its start.
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

// stop asks the process to end in order and waits until it has. An exit code other than 0 is an
// error, and so is a process that takes too long, which is killed.
func (m *member) stop(ctx context.Context) error {
	m.unwanted.Store(true)
	m.terminate()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-m.done:
		if code := m.command.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("worker %s was asked to stop and ended with exit code %d: %s", m.id, code, m.epitaph())
		}
		return nil
	case <-timer.C:
		m.kill()
		return fmt.Errorf("worker %s was asked to stop and still ran after %v: %s", m.id, stopTimeout, m.stderr.String())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
