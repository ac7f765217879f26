package fault_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fault"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if atOnce := flag.Lookup("test.parallel"); atOnce != nil {
		// The tests mostly wait. This fails only for a value that is no number.
		_ = atOnce.Value.Set("6")
	}
	code := m.Run()
	azurite.StopShared()
	os.Exit(code)
}

const (
	// patience is how long the instances may take to end, and the queues to be drained.
	patience = 2 * time.Minute
	members  = 2
	// tries is how often the SDK sends a request. That is seldom, so that much is left to the engine.
	tries = 2
)

// fleet is two workers and a user on a task hub, each behind faults of its own.
type fleet struct {
	*fleettest.World
	user       *user
	transports []*fault.Transport
	workers    []*fleettest.Member
	runs       runs
	// meter counts under storage.Retry what was sent again.
	meter storage.Meter
}

// connections sends what the faults let through, with enough idle connections for all fleets.
var connections = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// newFleet starts a fleet without faults.
func newFleet(t *testing.T, w *fleettest.World, seed uint64, opts *worker.Options) *fleet {
	t.Helper()
	f := &fleet{World: w}
	clean := w.Account
	for i := range members {
		w.Account = f.open(seed + uint64(i))
		f.workers = append(f.workers, w.Start(opts, f.runs.bindings()...))
	}
	w.Account = clean
	hub, err := taskhub.Open(w.Context(), taskhub.Ports(f.open(seed+members)), w.Hub.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.user = &user{ctx: w.Timeout(2 * patience), client: taskhub.NewClient(hub)}
	return f
}

// open opens the account behind a new transport.
func (f *fleet) open(seed uint64) storage.Account {
	f.T.Helper()
	faults := fault.New(connections, seed)
	f.transports = append(f.transports, faults)
	account, err := azure.FromConnectionString(azurite.Start(f.T).ConnectionString(), &azure.Options{
		Transport: faults, Meter: &f.meter, MaxRetries: tries - 1, RetryDelay: 10 * time.Millisecond,
	})
	if err != nil {
		f.T.Fatal(err)
	}
	return account
}

// use makes all transports break the traffic by the rules.
func (f *fleet) use(rules ...fault.Rule) {
	for _, faults := range f.transports {
		faults.Use(rules...)
	}
}

// calm ends all faults.
func (f *fleet) calm() {
	for _, faults := range f.transports {
		faults.Switch(false)
	}
}

// count returns how many requests met a fault.
func (f *fleet) count(kind fault.Fault) int {
	n := 0
	for _, faults := range f.transports {
		n += faults.Count(kind)
	}
	return n
}

// run runs all jobs at once and checks how they end.
func (f *fleet) run(all []job) {
	f.T.Helper()
	var group run.Group
	for _, j := range all {
		group.Go(f.Context(), "user of "+j.id, func(context.Context) {
			if err := f.runJob(j); err != nil {
				f.T.Errorf("%s: %v", j.id, err)
			}
		})
	}
	group.Wait()
}

func (f *fleet) runJob(j job) error {
	if err := f.user.start(j); err != nil {
		return err
	}
	if j.drive != nil {
		if err := j.drive(f.user, j.id); err != nil {
			return err
		}
	}
	status, err := f.user.end(j.id)
	if err != nil {
		return err
	}
	if status.Status != j.status {
		f.T.Errorf("%s ended as %s: %s", j.id, status.Status, status.Failure)
		return nil
	}
	if j.items > 0 {
		return f.user.checkItems(j.id, j.items, string(status.Output))
	}
	if j.want == nil {
		return nil
	}
	want, err := json.Marshal(j.want)
	if err == nil && string(want) != string(status.Output) {
		f.T.Errorf("%s returned %.80s, want %.80s", j.id, status.Output, want)
	}
	return err
}

// settle waits until the fleet is at rest and checks all that it stored.
func (f *fleet) settle() []string {
	f.T.Helper()
	deadline := time.Now().Add(patience)
	for f.MessagesLeft() > 0 {
		if time.Now().After(deadline) {
			f.T.Fatalf("after %v there are messages left", patience)
		}
		run.Sleep(f.Context(), 250*time.Millisecond)
	}
	var ids []string
	for status, err := range f.Client.All(f.Context(), taskhub.Query{}) {
		if err != nil {
			f.T.Fatal(err)
		}
		ids = append(ids, status.InstanceID)
	}
	for _, id := range ids {
		f.CheckEnded(id)
		f.checkEvents(id)
	}
	return ids
}

// checkEvents checks that the history of an instance has no event more often than it was raised.
func (f *fleet) checkEvents(id string) {
	f.T.Helper()
	events, err := f.Client.History(f.Context(), id)
	if err != nil {
		f.T.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range events {
		if raised, ok := e.(*history.EventRaised); ok {
			key := eventKey(id, raised.Name, json.RawMessage(history.TextOr(raised.Input, "{}")))
			if seen[key]++; seen[key] > 1+f.user.unclear[key] {
				f.T.Errorf("%s: event %s %.20s is in the history %d times", id, raised.Name, history.TextOr(raised.Input, ""), seen[key])
			}
		}
	}
}

// purge removes all instances and checks that nothing of them is left.
func (f *fleet) purge(ids []string) {
	f.T.Helper()
	for _, id := range ids {
		if err := f.user.purge(id); err != nil {
			f.T.Error(err)
		}
		if rows := f.HistoryRows(id); len(rows) > 0 {
			f.T.Errorf("%d rows of the history of %s are left", len(rows), id)
		}
		if _, ok := f.Row(id); ok {
			f.T.Errorf("the row of %s is left", id)
		}
	}
	if blobs := f.Blobs(); len(blobs) > 0 {
		f.T.Errorf("payloads are left: %v", blobs)
	}
}

// report tells what the fleet went through.
func (f *fleet) report() {
	f.T.Helper()
	counts := map[fault.Fault]int{}
	for _, kind := range fault.All() {
		if n := f.count(kind); n > 0 {
			counts[kind] = n
		}
	}
	repeated, all := f.runs.repeated()
	f.T.Logf("faults: %v; the user met %d failures; %d activity runs, %d of them repeated",
		counts, f.user.failed, all, len(repeated))
}
