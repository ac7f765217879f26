package interop_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/durafleet/durafleet/internal/fixture/code"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// counter counts storage requests that are about instances: what keeps partitions and the app
// lease, and polls that bring nothing, are not in it.
type counter struct {
	mu     sync.Mutex
	counts storage.Counts
	polls  int64
}

func (c *counter) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	if call.Kind != storage.QueueGet {
		c.count(call) // before it takes effect, or a flow could be at rest without its last request
		return next(ctx)
	}
	err := next(ctx)
	c.count(call)
	return err
}

func (c *counter) count(call *storage.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case strings.HasSuffix(call.Target, "Partitions"), strings.HasSuffix(call.Target, "-applease"):
	case call.Empty:
		c.polls++
	default:
		c.counts[call.Kind]++
	}
}

// take returns what was counted and begins anew.
func (c *counter) take() (counts storage.Counts, polls int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts, polls = c.counts, c.polls
	c.counts, c.polls = storage.Counts{}, 0
	return counts, polls
}

// oneChild calls a child that does nothing.
var oneChild = orchestration.Declare[string, string]("OneChild")

func callEcho(ctx *orchestration.Context, text string) (string, error) {
	return orchestration.CallSubOrchestration(ctx, code.Echo, text).Await()
}

// flow is something an instance does. Run does it from the beginning to the end; prepare, if set,
// is not counted.
type flow struct {
	name string
	// net is what the .NET engine needs, from runtime-behaviour.md, 0 if there is no figure.
	net          int64
	prepare, run func(w *world, id string)
	// most is what it may cost, with the session cache and without: what was measured and a little
	// more, so that a step back shows. Without the cache the status row is read before it is
	// written, because it is only written if nobody else has; .NET writes it blindly.
	most, mostUncached int64
	// looks is how often clients look at the status.
	looks int64
}

func startOnly(name string, input any) func(w *world, id string) {
	return func(w *world, id string) {
		w.Helper()
		if _, err := w.client.StartByName(w.ctx, name, input, taskhub.InstanceID(id)); err != nil {
			w.Fatal(err)
		}
	}
}

func raise(event, data string, options ...taskhub.CommandOption) func(w *world, id string) {
	return func(w *world, id string) {
		w.Helper()
		if err := w.client.RaiseEventByName(w.ctx, id, event, data, options...); err != nil {
			w.Fatal(err)
		}
	}
}

// then does one thing after the other, with the hub at rest in between.
func then(first, second func(w *world, id string)) func(w *world, id string) {
	return func(w *world, id string) {
		w.Helper()
		first(w, id)
		w.settle()
		second(w, id)
	}
}

var flows = []flow{
	{name: "no activity", net: 9, run: startOnly("Echo", "x"), most: 8, mostUncached: 8, looks: 1},
	{name: "1 activity", net: 18, run: startOnly("Versioned", nil), most: 8, mostUncached: 8, looks: 1},
	{name: "5 activities", net: 54, run: startOnly("HelloCities5", nil), most: 12, mostUncached: 12, looks: 1},
	{name: "timer", net: 15, run: startOnly("Sleeper", 2), most: 12, mostUncached: 14, looks: 1},
	{name: "event", net: 16, run: then(startOnly("CanNow", 0), raise("op", "end")), most: 14, mostUncached: 16, looks: 2},
	{name: "event, unchecked", net: 15, run: then(startOnly("CanNow", 0), raise("op", "end", taskhub.Unchecked{})), most: 13, mostUncached: 15, looks: 1},
	{name: "event against timeout", net: 20, run: then(startOnly("Approval", 4), raise("Approved", "ana", taskhub.Unchecked{})), most: 15, mostUncached: 17, looks: 1},
	{name: "child", net: 21, run: startOnly("OneChild", "x"), most: 16, mostUncached: 18, looks: 1},
	{name: "continue-as-new round", net: 6, prepare: startOnly("CanNow", 0), run: raise("op", "again", taskhub.Unchecked{}), most: 5, mostUncached: 7},
	// How many transactions the results fill depends on how quickly they come.
	{name: "fan-out of 100", net: 642, run: startOnly("FanOut", 100), most: 25, mostUncached: 25, looks: 1},
}

// E01: what an instance costs in storage requests is at most what it costs with .NET: five
// activities in sequence 54, one external event 16, or 15 without the client's look whether the
// instance exists.
func TestCost(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		count := &counter{counts: storage.Counts{}}
		w.create(fmt.Sprintf("Cost%v", w.noCache))
		plain, counted := w.client, storage.WithHook(w.account, count.hook)
		w.client = taskhub.NewClient(w.open(counted))
		w.startOn(w.open(counted), worker.Options{NoHealthReports: true}, oneChild.With(callEcho))
		startOnly("HelloCities5", nil)(w, "warm-up")
		w.settle()
		count.take()
		lines := []string{fmt.Sprintf("%-24s %5s %6s  %s", "flow", ".NET", "ours", "of which")}
		for i, f := range flows {
			lines = append(lines, w.cost(f, fmt.Sprintf("cost-%d", i), count, plain))
		}
		w.Log("storage requests, idle polls left out\n" + strings.Join(lines, "\n"))
	})
}

// open opens the hub once more, through an account of its own.
func (w *world) open(account storage.Account) *taskhub.Hub {
	w.Helper()
	hub, err := taskhub.Open(w.ctx, taskhub.Ports(account), w.hub.Name(), nil)
	if err != nil {
		w.Fatal(err)
	}
	return hub
}

// noted returns what an instance and its children have cost, as they note themselves.
func (w *world) noted(client *taskhub.Client, id string) int64 {
	w.Helper()
	sentinel, err := client.Hub().Store().ReadSentinel(w.ctx, id)
	if err != nil {
		w.Fatal(err)
	}
	if sentinel == nil {
		return 0
	}
	sum := sentinel.Cost
	for child, err := range client.All(w.ctx, taskhub.Query{IDPrefix: sentinel.ExecutionID + ":"}) {
		if err != nil {
			w.Fatal(err)
		}
		sum += w.noted(client, child.InstanceID)
	}
	return sum
}

// cost runs a flow, checks what it costs, and returns a line about it.
func (w *world) cost(f flow, id string, count *counter, plain *taskhub.Client) string {
	w.Helper()
	if f.prepare != nil {
		f.prepare(w, id)
		w.settle()
		count.take()
	}
	noted := w.noted(plain, id)
	f.run(w, id)
	w.empty()
	counts, polls := count.take()
	if status, err := plain.Get(w.ctx, id); err != nil || f.prepare == nil && string(status.Status) != "Completed" {
		w.Errorf("%s: %v, %v", f.name, status, err)
	}
	most := f.most
	if w.noCache {
		most = f.mostUncached
	}
	if total := counts.Total(); total > most {
		w.Errorf("%s costs %d requests, at most %d are allowed", f.name, total, most)
	}
	// What an instance notes about itself is all that it takes, but for gets, which it may share, and
	// the looks of clients.
	if got, want := w.noted(plain, id)-noted, counts.Total()-counts[storage.QueueGet]-f.looks; got != want {
		w.Errorf("%s notes %d requests, want %d: %v", f.name, got, want, counts)
	}
	parts := make([]string, 0, len(counts))
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return fmt.Sprintf("%-24s %5d %6d  %s; %d idle polls", f.name, f.net, counts.Total(), strings.Join(parts, ", "), polls)
}
