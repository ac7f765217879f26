package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/interrupt"
	"github.com/durafleet/durafleet/examples/manifest"
	"github.com/durafleet/durafleet/taskhub"
)

// ErrMismatch reports that the demo ran to its end and did not show what it should.
var ErrMismatch = errors.New("the result is not what it has to be")

// Options configures Run.
type Options struct {
	// Dir is the tree to describe. Default: the source of the Go standard library.
	Dir string
	// Embedded runs everything in this process, on the store in memory.
	Embedded bool
	// Executable is the program that has the worker command. Default: this one.
	Executable string
	// Out gets the progress and the result. On a Terminal the progress is one line that changes.
	Out      io.Writer
	Terminal bool
}

// Times of the demo's workers, shorter than the defaults so that nobody has to wait for long until
// the work of a killed worker is taken over.
const (
	leaseDuration   = 9 * time.Second
	acquireInterval = 2 * time.Second
	visibility      = 9 * time.Second
	maxPollInterval = 500 * time.Millisecond
)

const (
	hubName    = "Demo"
	partitions = 4
	fleetSize  = 3
	settle     = 2 * time.Second
)

// Run runs the demo. It returns nil only if everything matched, and leaves no process behind.
func Run(ctx context.Context, opts *Options) error {
	root, err := findTree(opts.Dir)
	if err != nil {
		return err
	}
	show := newScreen(opts.Out, opts.Terminal)
	defer show.end()
	show.say("Tree: %s", root)
	if !opts.Embedded {
		err := runFleet(ctx, show, opts, root)
		if !cannotRunAzurite(err) {
			return stopped(ctx, err)
		}
		show.say("%v", err)
		show.say("So the same job runs on the embedded store in memory, in this one process.")
	}
	return stopped(ctx, runEmbedded(ctx, show, root))
}

// stopped prefers the reason of an interruption to the errors it brought about.
func stopped(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), interrupt.ErrInterrupted) {
		return interrupt.ErrInterrupted
	}
	return err
}

func cannotRunAzurite(err error) bool {
	return errors.Is(err, azurite.ErrNoNode) || errors.Is(err, azurite.ErrNodeTooOld) || errors.Is(err, azurite.ErrNoNpm)
}

// findTree returns the absolute path of the tree.
func findTree(dir string) (string, error) {
	if dir == "" {
		goroot := os.Getenv("GOROOT")
		if goroot == "" {
			goroot = runtime.GOROOT() //nolint:staticcheck // go run and go test build without -trimpath
		}
		if goroot == "" {
			return "", errors.New("the Go source tree was not found: GOROOT is not set; choose a directory with --dir")
		}
		dir = filepath.Join(goroot, "src")
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %q: %w", dir, err)
	}
	info, err := os.Stat(root)
	if err != nil {
		return "", fmt.Errorf("directory %q: %w", dir, err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("directory %q: it is a file; choose a directory with --dir", dir)
	}
	return root, nil
}

// runFleet runs the job on Azurite with worker processes.
func runFleet(ctx context.Context, show *screen, opts *Options, root string) error {
	server, err := azurite.Launch(ctx, &azurite.Options{Progress: func(text string) { show.say("%s", text) }})
	if err != nil {
		return err
	}
	defer server.Kill() // its data is in memory: there is nothing to save
	connection := server.ConnectionString()
	hub, err := taskhub.Create(ctx, taskhub.ConnectionString(connection), hubName, &taskhub.Options{Partitions: partitions, Doorbell: true})
	if err != nil {
		return err
	}
	show.say("Azurite %s is process %d; task hub %s has %d partitions", azurite.Version, server.PID(), hub.Name(), hub.Partitions())

	job := newJob(show, hub, root)
	if err := job.prepare(ctx); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	fleet := &fleet{executable: opts.Executable, connection: connection, tally: job.tally, show: show, fail: fail}
	defer fleet.killAll()
	fleet.watch(ctx, server.Done(), errors.New("azurite ended by itself"))
	if err := fleet.startAll(ctx, fleetSize); err != nil {
		return err
	}
	fleet.killOneAt(ctx, job.halfway())
	outcome, err := job.run(ctx)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	outcome.killed = fleet.killedID()
	fleet.stopAll(ctx)
	return job.conclude(ctx, outcome)
}

// request is what the job is about.
func request(root string) manifest.Request {
	return manifest.Request{Root: root, Settle: settle}
}
