package interop_test

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/fixture/code"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

func TestMain(m *testing.M) {
	exit := m.Run()
	azurite.StopShared()
	os.Exit(exit)
}

// world is one task hub, named and filled as a recording, with this engine's worker and client.
type world struct {
	*testing.T
	ctx     context.Context //nolint:containedctx // the lifetime of a test's world
	account storage.Account
	delayed *ledger
	hub     *taskhub.Hub
	client  *taskhub.Client
	noCache bool
	// noInline turns inline execution off.
	noInline bool
	virtual  bool

	worker     *worker.Worker
	stopWorker func() error
}

// variant is one way to run a test.
type variant struct {
	name             string
	noCache, virtual bool
}

var variants = []variant{
	{"memory/cached", false, true},
	{"memory/uncached", true, true},
	{"azurite/cached", false, false},
	{"azurite/uncached", true, false},
}

// each runs a test in virtual time on the memory store and in real time on Azurite, with the
// session cache on and off. The hub does not exist yet; the test calls restore or create.
func each(t *testing.T, f func(w *world)) {
	t.Helper()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			if v.virtual {
				inVirtualTime(t, v, f)
				return
			}
			if testing.Short() {
				t.Skip("needs real time; -short is set")
			}
			t.Parallel()
			account, err := azure.FromConnectionString(azurite.Start(t).ConnectionString(), nil)
			if err != nil {
				t.Fatal(err)
			}
			within(t, account, v, f)
		})
	}
}

// inVirtualTime runs a test on the memory store.
func inVirtualTime(t *testing.T, v variant, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// Reaching the clock of the recordings takes no time here.
		run.Sleep(context.Background(), time.Until(fixture.Recorded))
		within(t, memory.New().Account(), v, f)
	})
}

func within(t *testing.T, account storage.Account, v variant, f func(w *world)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := &world{T: t, ctx: ctx, account: account, noCache: v.noCache, virtual: v.virtual}
	w.delayed = &ledger{Queues: account.Queues, due: map[string]time.Time{}}
	w.account.Queues = w.delayed
	defer w.stop()
	f(w)
}

// named gives a recorded hub a name of its own for this variant, so that all can be in one account.
func (w *world) named(hub *fixture.Hub) *fixture.Hub {
	suffix := map[bool]string{false: "Cached", true: "Uncached"}[w.noCache]
	old, lower := hub.Name, strings.ToLower(hub.Name)
	rename := func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, old, old+suffix), lower+"-", lower+strings.ToLower(suffix)+"-")
	}
	hub.Name = rename(old)
	for _, table := range slices.Collect(maps.Keys(hub.Tables)) {
		rows := hub.Rows(table)
		for i := range rows {
			rows[i].RowKey = rename(rows[i].RowKey)
			for column, value := range rows[i].Values {
				if text, ok := value.(string); ok {
					rows[i].Values[column] = rename(text)
				}
			}
		}
		hub.Tables[rename(table)] = hub.Tables[table]
		delete(hub.Tables, table)
		hub.SetRows(rename(table), rows)
	}
	hub.Queues = renameKeys(hub.Queues, rename)
	hub.Containers = renameKeys(hub.Containers, rename)
	for name, container := range hub.Containers {
		for i := range container.Blobs {
			container.Blobs[i].Name = rename(container.Blobs[i].Name)
		}
		hub.Containers[name] = container
	}
	return hub
}

func renameKeys[V any](from map[string]V, rename func(string) string) map[string]V {
	to := make(map[string]V, len(from))
	for name, value := range from {
		to[rename(name)] = value
	}
	return to
}

// longestDelay is what delays of recorded messages are cut down to where waiting costs time.
const longestDelay = 2 * time.Second

// restore loads a recorded hub and opens it.
func (w *world) restore(hub *fixture.Hub) {
	w.Helper()
	w.named(hub)
	for _, messages := range hub.Queues {
		for i := range messages {
			if !w.virtual {
				messages[i].DelayMs = min(messages[i].DelayMs, longestDelay.Milliseconds())
			}
		}
	}
	hub.Restore(w.ctx, w.T, w.account)
	opened, err := taskhub.Open(w.ctx, taskhub.Ports(w.account), hub.Name, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.hub, w.client = opened, taskhub.NewClient(opened)
}

// create creates an empty hub of the given name.
func (w *world) create(name string) {
	w.Helper()
	created, err := taskhub.Create(w.ctx, taskhub.Ports(w.account), name, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.hub, w.client = created, taskhub.NewClient(created)
}

// bindings are the recorded programs.
func bindings() []worker.Binding {
	var all []worker.Binding
	for _, b := range code.Orchestrations() {
		all = append(all, b)
	}
	for _, b := range code.Activities() {
		all = append(all, b)
	}
	return all
}

// start starts a worker that has bound all recorded programs. It runs until stop.
func (w *world) start(opts worker.Options) {
	w.Helper()
	w.startOn(w.hub, opts)
}

// startOn starts the worker on its own view of the hub, with more programs.
func (w *world) startOn(hub *taskhub.Hub, opts worker.Options, more ...worker.Binding) {
	w.Helper()
	opts.WorkerID = "go-a"
	opts.NoSessionCache, opts.NoInline = w.noCache, opts.NoInline || w.noInline
	opts.MaxPollInterval = cmp.Or(opts.MaxPollInterval, 200*time.Millisecond)
	opts.Logger = slog.New(slog.NewTextHandler(logWriter{w.T}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	made, err := worker.New(hub, &opts, append(bindings(), more...)...)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	var group run.Group
	var runErr error
	group.Go(ctx, "interop: worker", func(ctx context.Context) { runErr = made.Run(ctx) })
	w.worker = made
	w.stopWorker = func() error {
		cancel()
		group.Wait()
		return runErr
	}
}

// stop stops the worker, if one runs, as a deployment would.
func (w *world) stop() {
	w.Helper()
	if w.stopWorker == nil {
		return
	}
	if err := w.stopWorker(); err != nil {
		w.Errorf("worker: %v", err)
	}
	w.stopWorker = nil
}

// limit bounds waits: recorded visibilities are up to 5 minutes, starts up to an hour away.
func (w *world) limit() time.Duration {
	if w.virtual {
		return 2 * time.Hour
	}
	return time.Minute
}

// eventually waits until condition holds.
func (w *world) eventually(what string, condition func() bool) {
	w.Helper()
	deadline := time.Now().Add(w.limit())
	for !condition() {
		if time.Now().After(deadline) {
			w.Fatalf("not within %v: %s; queues: %s", w.limit(), what, w.queuesText())
		}
		run.Sleep(w.ctx, 20*time.Millisecond)
	}
}

// logWriter sends log lines to the test's log.
type logWriter struct{ testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	w.Logf("%s", p)
	return len(p), nil
}
