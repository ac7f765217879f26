// Package child starts worker processes of this program, reads what they tell, and ends them.
//
// A child gets the connection string in its environment. It has a process group of its own, tells
// its parent one thing a line on its standard output, takes orders on its standard input, and ends in
// order when that does, so that it does not outlive its parent. On Linux the kernel kills it then, too.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// startTimeout bounds the start of a worker process, on a busy machine.
const startTimeout = 30 * time.Second

// Spec says which process to start and who is told of it.
type Spec struct {
	// ID is the worker's name, for errors.
	ID string
	// Executable is the program to run. Default: this one.
	Executable string
	Args       []string
	// Connection is the connection string. Keys do not belong into command lines, which other users
	// can read, so the child finds it in its environment.
	Connection string
	// Take gets each line. When it fails, the process is killed, unless the line is the last one,
	// which its writer's end may have cut off.
	Take func(text []byte) error
	// Fail gets the reason when the process ends although nobody asked it to.
	Fail func(error)
}

// Process is a worker process. Its methods may be called concurrently.
type Process struct {
	id      string
	command *exec.Cmd
	stdin   io.WriteCloser
	stderr  tail

	started chan struct{} // closed when it has told its first line
	done    chan struct{} // closed when it has ended and all that it told was read
	// unwanted is set before it is asked to end.
	unwanted atomic.Bool
}

// Start starts a process, and in group the goroutine that keeps it and reads what it tells. The
// end of ctx does not end the process, but then nobody is told any more that it ends.
func Start(ctx context.Context, group *run.Group, spec *Spec) (*Process, error) {
	executable := spec.Executable
	if executable == "" {
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		executable = own
	}
	p := &Process{
		id: spec.ID, command: exec.Command(executable, spec.Args...),
		started: make(chan struct{}), done: make(chan struct{}),
	}
	p.command.Env = append(os.Environ(), "DURAFLEET_CONNECTION="+spec.Connection)
	p.command.Stderr = &p.stderr
	p.command.SysProcAttr = processAttributes()
	stdin, err := p.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.id, err)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.id, err)
	}
	p.stdin = stdin
	begun := make(chan error, 1)
	group.Go(context.WithoutCancel(ctx), "child: "+p.id, func(context.Context) {
		p.keep(stdout, spec.Take, begun)
		if p.command.ProcessState != nil && !p.unwanted.Load() && ctx.Err() == nil {
			spec.Fail(fmt.Errorf("worker %s ended by itself: %s", p.id, p.epitaph()))
		}
	})
	if err := <-begun; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.id, err)
	}
	return p, nil
}

// keep runs the process until it has ended, and tells whether it has begun.
func (p *Process) keep(stdout io.Reader, take func([]byte) error, begun chan<- error) {
	defer close(p.done)
	// On Linux the child is killed when the thread that started it ends, so that thread must not be
	// one that the runtime may end before the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.command.Start()
	begun <- err
	if err != nil {
		return
	}
	first := true
	err = readLines(stdout, func(text []byte) error {
		err := take(text)
		if err == nil && first {
			close(p.started)
			first = false
		}
		return err
	})
	if err != nil {
		fmt.Fprintln(&p.stderr, err)
		p.Kill()
	}
	_ = p.command.Wait() // how it ended shows in ProcessState
}

// ID returns the worker's name.
func (p *Process) ID() string { return p.id }

// PID returns the number of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Done is closed when the process has ended and all that it told was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// AwaitStart waits until the process has told its first line: it begins to work.
func (p *Process) AwaitStart(ctx context.Context) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-p.started:
		return nil
	case <-p.done:
		return fmt.Errorf("worker %s ended before it began: %s", p.id, p.epitaph())
	case <-timer.C:
		return fmt.Errorf("worker %s has not begun after %v: %s", p.id, startTimeout, p.stderr.String())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Tell writes a line for the process to read; see Serve. It may be called by one goroutine at a time.
func (p *Process) Tell(text string) error {
	if _, err := io.WriteString(p.stdin, text+"\n"); err != nil {
		return fmt.Errorf("tell worker %s %q: %w", p.id, text, err)
	}
	return nil
}

// Release asks the process to end in order, as the end of its parent would, and does not wait.
func (p *Process) Release() {
	p.unwanted.Store(true)
	_ = p.stdin.Close() // fails only if it was closed before, which is what is wanted
}

// Stop asks the process to end in order, with SIGTERM where there is one, and waits until it has.
// An exit code other than 0 is an error, and so is a process that takes longer than limit, which is
// killed.
func (p *Process) Stop(ctx context.Context, limit time.Duration) error {
	p.unwanted.Store(true)
	p.terminate()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		if code := p.command.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("worker %s was asked to stop and ended with exit code %d: %s", p.id, code, p.epitaph())
		}
		return nil
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("worker %s was asked to stop and still ran after %v: %s", p.id, limit, p.stderr.String())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Kill ends the process at once and does not wait.
func (p *Process) Kill() {
	p.unwanted.Store(true)
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintln(&p.stderr, err)
	}
}

// epitaph says how a process that has ended did so.
func (p *Process) epitaph() string {
	return fmt.Sprintf("%v\n%s", p.command.ProcessState, p.stderr.String())
}
