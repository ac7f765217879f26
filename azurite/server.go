package azurite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// The well-known account of every Azurite. The key is public.
const (
	AccountName = "devstoreaccount1"
	AccountKey  = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// keeper is run by Node.js around Azurite. When standard input closes, because of Stop or because
// the parent has died, it asks Azurite to close its files and end, and ends it if that takes too
// long. It must not end it sooner: the kernel may have asked already.
const keeper = `
var end = function () {
	process.emit("SIGTERM");
	setTimeout(function () { process.exit(1); }, 5000).unref();
};
process.stdin.on("end", end).on("error", end).resume();
require(process.argv[1]);
`

// Server is a running Azurite. Its methods may be called concurrently.
type Server struct {
	options *Options // with defaults
	command *exec.Cmd
	stdin   io.Closer
	output  *output
	group   run.Group
	done    chan struct{}
}

// Launch installs Azurite if need be, starts it and waits until it is ready. ctx bounds this; once
// Launch has returned, the server runs until Stop or Kill, or until this process ends. Errors
// match those of this package that say what is missing, or ErrStart.
func Launch(ctx context.Context, opts *Options) (*Server, error) {
	filled, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	node, err := findNode(ctx)
	if err != nil {
		return nil, err
	}
	script, err := install(ctx, filled)
	if err != nil {
		return nil, err
	}
	filled.Progress("Starting Azurite " + Version)
	server := &Server{
		options: filled,
		command: exec.Command(node, append([]string{"-e", keeper, script}, arguments(filled)...)...),
		output:  &output{log: filled.Logger, ready: make(chan struct{})},
		done:    make(chan struct{}),
	}
	server.command.SysProcAttr = processAttributes(filled.Location != "")
	server.command.Stdout, server.command.Stderr = server.output, server.output
	if err := server.start(ctx); err != nil {
		return nil, err
	}
	if err := server.awaitReady(ctx); err != nil {
		server.Kill()
		return nil, err
	}
	return server, nil
}

func arguments(opts *Options) []string {
	arguments := []string{
		"--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry",
		"--blobHost", "127.0.0.1", "--queueHost", "127.0.0.1", "--tableHost", "127.0.0.1",
		"--blobPort", strconv.Itoa(opts.BlobPort),
		"--queuePort", strconv.Itoa(opts.QueuePort),
		"--tablePort", strconv.Itoa(opts.TablePort),
	}
	if opts.Location == "" {
		return append(arguments, "--inMemoryPersistence")
	}
	return append(arguments, "--location", opts.Location)
}

// start starts the process and the goroutine that keeps it.
func (s *Server) start(ctx context.Context) error {
	stdin, err := s.command.StdinPipe()
	if err != nil {
		return fmt.Errorf("azurite: make pipe: %w", err)
	}
	s.stdin = stdin
	started := make(chan error, 1)
	s.group.Go(context.WithoutCancel(ctx), "azurite", func(context.Context) {
		defer close(s.done)
		// On Linux the child is signalled when the thread that started it ends, so that thread
		// must not be one that the runtime may end before the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.command.Start()
		started <- err
		if err == nil {
			// How it ended is not interesting: an end that nobody asked for shows in Done.
			_ = s.command.Wait()
		}
	})
	if err := <-started; err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	return nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-s.output.ready:
		return nil
	case <-s.done:
		return fmt.Errorf("%w: the process ended (%s)%s", ErrStart, s.command.ProcessState, s.output.tail())
	case <-timer.C:
		return fmt.Errorf("%w: not ready after %s%s", ErrStart, startTimeout, s.output.tail())
	case <-ctx.Done():
		return fmt.Errorf("azurite: start: %w", context.Cause(ctx))
	}
}

// ConnectionString returns what an Azure SDK needs to use the server.
func (s *Server) ConnectionString() string {
	return strings.Join([]string{
		"DefaultEndpointsProtocol=http",
		"AccountName=" + AccountName,
		"AccountKey=" + AccountKey,
		"BlobEndpoint=" + s.BlobURL(),
		"QueueEndpoint=" + s.QueueURL(),
		"TableEndpoint=" + s.TableURL(),
	}, ";")
}

// BlobURL returns the blob service's URL, with the account and without a trailing slash.
func (s *Server) BlobURL() string { return s.output.url("Blob") + "/" + AccountName }

// QueueURL returns the queue service's URL, with the account and without a trailing slash.
func (s *Server) QueueURL() string { return s.output.url("Queue") + "/" + AccountName }

// TableURL returns the table service's URL, with the account and without a trailing slash.
func (s *Server) TableURL() string { return s.output.url("Table") + "/" + AccountName }

// PID returns the process id of the server.
func (s *Server) PID() int { return s.command.Process.Pid }

// Done returns a channel that is closed when the process has ended, asked for or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop lets the server write what it has to and waits until its process has ended. A server that
// takes more than 10 s is killed. Stopping again does nothing.
func (s *Server) Stop() {
	_ = s.stdin.Close() // fails only if it was closed before, which is what is wanted
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.done:
		s.group.Wait()
	case <-timer.C:
		s.Kill()
	}
}

// Kill ends the process at once, as a crash would, and waits until it has ended.
func (s *Server) Kill() {
	// It fails only if the process has ended before.
	_ = s.command.Process.Kill()
	<-s.done
	s.group.Wait()
	_ = s.stdin.Close() // as in Stop
}

// LastOutput returns the end of what the server has printed, for error reports.
func (s *Server) LastOutput() string { return s.output.tail() }

// errEnded says that the server is gone although nobody in this package ended it.
var errEnded = errors.New("azurite: the server has ended")

// alive returns an error if the process has ended.
func (s *Server) alive() error {
	select {
	case <-s.done:
		return fmt.Errorf("%w (%s)%s", errEnded, s.command.ProcessState, s.output.tail())
	default:
		return nil
	}
}
