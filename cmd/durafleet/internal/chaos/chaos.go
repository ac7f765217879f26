package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

// ErrWrong reports that a run came to its end and found something wrong.
var ErrWrong = errors.New("chaos: not everything was as it has to be")

const (
	hubName = "Chaos"
	// patience is how long it may take until any of the instances under way ends.
	patience = 3 * time.Minute
	// statusInterval is the time between two lines about how far things are.
	statusInterval = 10 * time.Second
)

// errPatience is why an instance is not waited for any longer.
var errPatience = errors.New("chaos: the instance took too long")

// Run runs a fleet, breaks what may be broken, and reports. An error that matches ErrWrong comes
// with a report of what is wrong; an *option.Error says which option breaks a rule. It leaves no
// process and no file behind.
func Run(ctx context.Context, opts *Options) (*Report, error) {
	full, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	leftOut := full.leaveOut()
	out := &screen{out: full.Out, begun: time.Now()}
	if len(leftOut) > 0 {
		out.say("left out, because this system cannot freeze processes: %s", joinFaults(leftOut, ", "))
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	report, err := runIn(ctx, &full, out, fail)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errOver) {
		return nil, cause // what ended the run matters, not what came of it
	}
	if err != nil {
		return nil, err
	}
	report.LeftOut = leftOut
	report.Seconds = time.Since(out.begun).Seconds()
	if len(report.Wrong) > 0 {
		return report, fmt.Errorf("%w: %d things are wrong; the faults were those of --seed %d", ErrWrong, len(report.Wrong), full.Seed)
	}
	return report, nil
}

// runIn starts the parts, from the ground up, lets them run, and ends them the other way round.
func runIn(ctx context.Context, opts *Options, out *screen, fail context.CancelCauseFunc) (report *Report, err error) {
	dir, err := os.MkdirTemp("", "durafleet-chaos-")
	if err != nil {
		return nil, fmt.Errorf("directory for Azurite's data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	emulator, err := launchEmulator(ctx, dir, func(text string) { out.say("%s", text) }, fail)
	if err != nil {
		return nil, err
	}
	defer emulator.close()
	connection := emulator.connection()
	hub, err := taskhub.Create(ctx, taskhub.ConnectionString(connection), hubName, nil)
	if err != nil {
		return nil, err
	}
	ledger := newLedger()
	fleet := &fleet{hub: hub, connection: connection, lease: opts.Lease, ledger: ledger, fail: fail}
	if opts.Soak {
		fleet.figures = figuresInterval
	}
	defer fleet.killAll()
	if err := fleet.grow(ctx, opts.Workers); err != nil {
		return nil, err
	}
	wrongs := &wrongs{say: out.say}
	r := &runner{
		opts: opts, out: out, hub: hub, emulator: emulator, fleet: fleet, ledger: ledger, wrongs: wrongs,
		driver: newDriver(taskhub.NewClient(hub), ledger, wrongs, opts.Soak || opts.Instances > keepAtMost),
	}
	out.say("%d workers run on task hub %s with %d partitions; %d instances in %v; seed %d",
		opts.Workers, hub.Name(), hub.Partitions(), opts.Instances, r.time(), opts.Seed)
	return r.run(ctx)
}

// runner has everything that takes part in a run.
type runner struct {
	opts     *Options
	out      *screen
	hub      *taskhub.Hub
	emulator *emulator
	fleet    *fleet
	ledger   *ledger
	wrongs   *wrongs
	driver   *driver
}

// time is for how long instances are started.
func (r *runner) time() time.Duration {
	return time.Duration(r.opts.Minutes * float64(time.Minute)).Round(time.Second / 10)
}

func (r *runner) run(ctx context.Context) (*Report, error) {
	report := &Report{Seed: r.opts.Seed, Workers: r.opts.Workers}
	counts := map[Fault]int{}
	var err error
	if r.opts.Soak {
		report.Soak, err = r.soak(ctx)
	} else {
		counts, err = r.chaos(ctx)
	}
	if err != nil {
		return nil, err
	}
	inspector := &inspector{driver: r.driver, hub: r.hub, wrongs: r.wrongs, say: r.out.say}
	if report.Stored, report.Left, err = inspector.inspect(ctx); err != nil {
		return nil, err
	}
	if report.Soak != nil {
		if err := r.judge(ctx, report.Soak); err != nil {
			return nil, err
		}
	}
	if err := r.fleet.stopAll(ctx); err != nil {
		r.wrongs.add("%v", err)
	}
	report.Instances, _ = r.driver.count()
	report.Checked, report.Events = r.driver.results()
	report.Runs, report.Calls, report.Repeated = r.ledger.activities()
	report.Recovery = r.ledger.recovery.summary(counts)
	report.Requests = r.ledger.requestsByKind(r.hub.Requests())
	report.Wrong = r.wrongs.list()
	return report, nil
}

// chaos starts instances and makes faults happen for the time of the run, then waits until all
// instances have ended.
func (r *runner) chaos(ctx context.Context) (map[Fault]int, error) {
	saboteur := &saboteur{
		emulator: r.emulator, fleet: r.fleet, recovery: r.ledger.recovery,
		random: rand.New(rand.NewPCG(r.opts.Seed, 0)), faults: r.opts.Faults, lease: r.opts.Lease,
		say: r.out.say, wrongs: r.wrongs, counts: map[Fault]int{},
	}
	driving, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	defer r.showStatus(ctx)()
	defer r.bePatient(ctx, giveUp, patience)()
	var streaming run.Group
	streaming.Go(driving, "chaos: stream", func(ctx context.Context) { r.driver.stream(ctx, 0, r.opts.Instances, r.time()) })
	sabotage, over := context.WithTimeout(ctx, r.time())
	defer over()
	if err := saboteur.run(sabotage, ctx); err != nil {
		giveUp(err)
		streaming.Wait()
		r.driver.group.Wait()
		return nil, err
	}
	r.out.say("no more faults; waiting until all instances have ended")
	streaming.Wait()
	r.driver.group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return saboteur.counts, nil
}

// bePatient gives everything up when no instance that is under way has ended for so long, until the
// function that it returns is called.
func (r *runner) bePatient(ctx context.Context, giveUp context.CancelCauseFunc, limit time.Duration) (stop func()) {
	return background(ctx, "chaos: patience", func(ctx context.Context) {
		last, since := 0, time.Now()
		for run.Sleep(ctx, time.Second) {
			started, ended := r.driver.count()
			if ended != last || ended == started {
				last, since = ended, time.Now()
			}
			if time.Since(since) > limit {
				giveUp(errPatience)
				return
			}
		}
	})
}

// showStatus prints now and then how far things are, until the function that it returns is called.
func (r *runner) showStatus(ctx context.Context) (stop func()) {
	return background(ctx, "chaos: status", func(ctx context.Context) {
		for run.Sleep(ctx, statusInterval) {
			started, ended := r.driver.count()
			r.out.say("%d instances started, %d ended", started, ended)
		}
	})
}

// background runs f until the function that it returns is called, which waits for its end.
func background(ctx context.Context, name string, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group run.Group
	group.Go(ctx, name, f)
	return func() {
		cancel()
		group.Wait()
	}
}

// screen prints lines with the time. It may be used concurrently.
type screen struct {
	begun time.Time

	mu  sync.Mutex
	out io.Writer
}

func (s *screen) say(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, arguments...))
}
