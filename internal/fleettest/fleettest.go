package fleettest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/doorbell/doorbelltest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// World is one task hub with the workers that a test starts on it.
type World struct {
	T testing.TB
	// Account is the store below all hooks; tests look at it and put things into it.
	Account storage.Account
	// Hub and Client are a client's view; their requests are counted by Hub.Requests.
	Hub    *taskhub.Hub
	Client *taskhub.Client
	// NoCache is what the variant says about the session cache; Start obeys it.
	NoCache bool
	// Virtual says that time is virtual: waiting costs nothing.
	Virtual bool
	// Network carries the rings of doorbells in virtual time, else the machine's does.
	Network *doorbelltest.Network

	ctx     context.Context //nolint:containedctx // the lifetime of the test's world
	name    string
	members []*Member
	count   int
}

var hubs atomic.Int64

// Each runs a test in its variants: in virtual time on the memory store with the session cache on
// and off, and on Azurite likewise unless -short is set.
func Each(t *testing.T, f func(t *testing.T, w *World)) {
	t.Helper()
	for _, noCache := range []bool{false, true} {
		mode := map[bool]string{false: "cached", true: "uncached"}[noCache]
		t.Run("memory/"+mode, func(t *testing.T) { Virtual(t, noCache, f) })
		t.Run("azurite/"+mode, func(t *testing.T) {
			if testing.Short() {
				t.Skip("needs real time; -short is set")
			}
			t.Parallel()
			Real(t, noCache, f)
		})
	}
}

// EachVirtual runs a test on the memory store only, with the session cache on and off.
func EachVirtual(t *testing.T, f func(t *testing.T, w *World)) {
	t.Helper()
	for _, noCache := range []bool{false, true} {
		mode := map[bool]string{false: "cached", true: "uncached"}[noCache]
		t.Run(mode, func(t *testing.T) { Virtual(t, noCache, f) })
	}
}

// Virtual runs a test on the memory store in virtual time.
func Virtual(t *testing.T, noCache bool, f func(t *testing.T, w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New().Account(), noCache, true)
		defer w.close()
		f(t, w)
	})
}

// Real runs a test on Azurite.
func Real(t *testing.T, noCache bool, f func(t *testing.T, w *World)) {
	t.Helper()
	realOn(t, azurite.Start(t), noCache, f)
}

// RealAlone runs a test on an Azurite of its own. It is for tests that send thousands of messages:
// once a minute Azurite forgets those that were deleted, answers nothing meanwhile, and takes tens
// of seconds over some ten thousand of them, beyond what tests beside it may take.
func RealAlone(t *testing.T, noCache bool, f func(t *testing.T, w *World)) {
	t.Helper()
	realOn(t, azurite.StartPrivate(t, nil), noCache, f)
}

func realOn(t *testing.T, server *azurite.Server, noCache bool, f func(t *testing.T, w *World)) {
	t.Helper()
	account, err := azure.FromConnectionString(server.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, account, noCache, false)
	defer w.close()
	f(t, w)
}

func newWorld(t testing.TB, account storage.Account, noCache, virtual bool) *World {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w := &World{
		T: t, Account: account, NoCache: noCache, Virtual: virtual, ctx: ctx,
		name: fmt.Sprintf("Fleet%dx%d", time.Now().Unix()%1e6, hubs.Add(1)),
	}
	if virtual {
		w.Network = &doorbelltest.Network{}
	}
	hub, err := taskhub.Create(ctx, taskhub.Ports(account), w.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Hub, w.Client = hub, taskhub.NewClient(hub)
	return w
}

// account returns the account of a process that speaks to storage through ports.
func (w *World) account(ports storage.Account) taskhub.Account {
	if w.Network == nil {
		return taskhub.Ports(ports)
	}
	return taskhub.PortsIn(ports, store.Environment{Network: w.Network})
}

// RingingClient returns a client that rings doorbells.
func (w *World) RingingClient() *taskhub.Client {
	w.T.Helper()
	hub, err := taskhub.Open(w.ctx, w.account(w.Account), w.name, &taskhub.Options{Doorbell: true})
	if err != nil {
		w.T.Fatal(err)
	}
	return taskhub.NewClient(hub)
}

// Context ends with the test.
func (w *World) Context() context.Context { return w.ctx }

// Timeout returns a context that ends after d.
func (w *World) Timeout(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(w.ctx, d)
	w.T.Cleanup(cancel)
	return ctx
}

// close stops the workers that still run, in the test's own bubble.
func (w *World) close() {
	for _, m := range w.members {
		if err := m.Stop(); err != nil {
			w.T.Errorf("worker %s: %v", m.ID(), err)
		}
	}
}

// Member is a worker that a test started.
type Member struct {
	*worker.Worker
	// Hub is the worker's own view of the hub; Hub.Requests counts this worker's requests.
	Hub *taskhub.Hub

	stop  context.CancelFunc
	group run.Group
	err   error
	dead  atomic.Bool
}

// ErrDead is what the requests of a killed worker get.
var ErrDead = errors.New("fleettest: the process is dead")

// Start starts a worker. The session cache, quick polling (but with a doorbell) and short intervals are set unless
// opts says otherwise; a nil opts is fine.
func (w *World) Start(opts *worker.Options, bindings ...worker.Binding) *Member {
	w.T.Helper()
	return w.StartHooked(nil, opts, bindings...)
}

// StartHooked starts a worker whose storage requests pass through hook first.
func (w *World) StartHooked(hook storage.Hook, opts *worker.Options, bindings ...worker.Binding) *Member {
	w.T.Helper()
	m := &Member{}
	ports := storage.WithHook(w.Account, m.obey)
	if hook != nil {
		ports = storage.WithHook(ports, hook)
	}
	hub, err := taskhub.Open(w.ctx, w.account(ports), w.name, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	if opts == nil {
		opts = &worker.Options{}
	}
	full := *opts
	w.count++
	full.WorkerID = cmp.Or(full.WorkerID, fmt.Sprintf("worker-%d", w.count))
	if full.Doorbell == nil {
		full.MaxPollInterval = cmp.Or(full.MaxPollInterval, 500*time.Millisecond)
	}
	full.NoSessionCache = full.NoSessionCache || w.NoCache
	if full.Logger == nil {
		full.Logger = slog.New(slog.NewTextHandler(testWriter{w.T}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	m.Hub = hub
	if m.Worker, err = worker.New(hub, &full, bindings...); err != nil {
		w.T.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	m.stop = stop
	m.group.Go(ctx, "fleettest: worker", func(ctx context.Context) { m.err = m.Run(ctx) })
	w.members = append(w.members, m)
	return m
}

// obey keeps requests of a killed worker from having any effect. It is the innermost hook: what
// has passed it takes effect.
func (m *Member) obey(ctx context.Context, _ *storage.Call, next func(context.Context) error) error {
	if m.dead.Load() {
		return ErrDead
	}
	err := next(ctx)
	if m.dead.Load() {
		return ErrDead
	}
	return err
}

// Stop stops the worker as SIGTERM does, and waits for it. It may be called more than once.
func (m *Member) Stop() error {
	m.stop()
	m.group.Wait()
	return m.err
}

// Kill ends the worker as SIGKILL does: from now on nothing it does has an effect. What it had
// under way in storage stays as it is.
func (m *Member) Kill() {
	m.dead.Store(true)
	m.stop()
}

// Eventually waits until condition holds, checking at each interval, and fails the test after
// limit.
func (w *World) Eventually(limit time.Duration, what string, condition func() bool) {
	w.T.Helper()
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			w.T.Fatalf("not within %v: %s", limit, what)
		}
		run.Sleep(w.ctx, 20*time.Millisecond)
	}
}

// MessagesLeft returns how many messages are left in all queues of the hub, hidden ones included.
func (w *World) MessagesLeft() int {
	w.T.Helper()
	names := w.Hub.Store().Names
	queues := []string{names.WorkItemQueue()}
	for i := range w.Hub.Partitions() {
		queues = append(queues, names.ControlQueue(i))
	}
	left := 0
	for _, queue := range queues {
		n, err := w.Account.Queues.Count(w.ctx, queue)
		if err != nil {
			w.T.Fatal(err)
		}
		left += n
	}
	return left
}

// testWriter sends log lines to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
