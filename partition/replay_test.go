package partition_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/partition"
)

// The rows that .NET workers wrote are replayed: before each write, Decide is asked in the place of
// the worker that made it and has to come to the same row; after it, a bystander of ours must react
// as the state demands.
func TestDecide_FollowsDotNet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario string
		writes   map[partition.StepKind]int // at least
	}{
		{"partitions-table", map[partition.StepKind]int{
			partition.Claim: 8, partition.Steal: 2, partition.StartDrain: 4, partition.Release: 4, partition.Renew: 8,
		}},
		{"partitions-table-expiry", map[partition.StepKind]int{partition.Claim: 8}},
		{"partitions-table-drain", map[partition.StepKind]int{
			partition.Claim: 4, partition.Steal: 1, partition.StartDrain: 1, partition.Release: 4, partition.Renew: 10,
		}},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			r := &replay{
				t: t, rows: map[string]partition.Lease{}, holds: map[string]map[string]partition.Hold{},
				stopping: map[string]bool{}, kinds: map[partition.StepKind]int{},
			}
			for _, request := range fixture.Traffic(t, tt.scenario) {
				r.next(request)
			}
			for kind, least := range tt.writes {
				if r.kinds[kind] < least {
					t.Errorf("%d steps of kind %s were replayed, want at least %d", r.kinds[kind], kind, least)
				}
			}
		})
	}
}

type replay struct {
	t        *testing.T
	rows     map[string]partition.Lease
	holds    map[string]map[string]partition.Hold // by worker and partition
	stopping map[string]bool                      // by worker
	kinds    map[partition.StepKind]int
}

func (r *replay) next(request fixture.Request) {
	address, err := url.PathUnescape(request.URL)
	if err != nil || !strings.Contains(address, "Partitions") || request.Status != 204 {
		return
	}
	switch request.Op {
	case "table.insert":
		lease := r.decode(request)
		r.rows[lease.ID] = lease
	case "table.put":
		lease := r.decode(request)
		r.compare("dotnet-"+request.Peer, lease)
		r.rows[lease.ID] = lease
		r.bystander(lease)
	}
}

func (r *replay) decode(request fixture.Request) partition.Lease {
	r.t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(request.ReqBody.Text), &body); err != nil {
		r.t.Fatalf("body %q: %v", request.ReqBody.Text, err)
	}
	columns := wire.Columns{}
	for name, value := range body {
		if text, ok := value.(string); ok && body[name+"@odata.type"] == "Edm.DateTime" {
			moment, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				r.t.Fatal(err)
			}
			value = moment
		}
		if value != nil {
			columns[name] = value
		}
	}
	key, _ := columns["RowKey"].(string)
	p, err := wire.DecodePartition(key, columns)
	if err != nil {
		r.t.Fatalf("row %v: %v", body, err)
	}
	etag := request.ResHeaders["etag"]
	escaped := strings.TrimSuffix(strings.TrimPrefix(etag, `W/"datetime'`), `'"`)
	text, _ := url.PathUnescape(escaped)
	written, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		r.t.Fatalf("ETag %q: %v", etag, err)
	}
	return partition.Lease{
		ID: p.ID, CurrentOwner: p.CurrentOwner, NextOwner: p.NextOwner, OwnedSince: p.OwnedSince,
		LastRenewal: p.LastRenewal, ExpiresAt: p.ExpiresAt, Draining: p.Draining,
		Written: written, Version: etag,
	}
}

func (r *replay) view(worker string, now time.Time, rows ...partition.Lease) partition.View {
	return partition.View{
		Now: now, Worker: worker, Leases: rows, Holds: r.holds[worker],
		ShuttingDown: r.stopping[worker], Duration: 30 * time.Second,
	}
}

// compare asks what we would have written in the worker's place.
func (r *replay) compare(worker string, wrote partition.Lease) {
	r.t.Helper()
	before := r.rows[wrote.ID]
	holds := r.holds[worker]
	if holds == nil {
		holds = map[string]partition.Hold{}
		r.holds[worker] = holds
	}
	if wrote.Draining && wrote.NextOwner == "" {
		// It was told to stop up to 10 s ago; only now its partition manager knows.
		r.stopping[worker] = true
	}
	if wrote.CurrentOwner == "" {
		delete(holds, wrote.ID) // its drain has ended
	}
	var all []partition.Lease
	for _, row := range r.rows {
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b partition.Lease) int { return strings.Compare(a.ID, b.ID) })
	steps := partition.Decide(r.view(worker, wrote.Written, all...))
	i := slices.IndexFunc(steps, func(s partition.Step) bool { return s.Lease.ID == wrote.ID })
	if i < 0 {
		r.t.Fatalf("%s wrote\n%+v over\n%+v; we would have written nothing", worker, wrote, before)
	}
	got := steps[i]
	r.kinds[got.Kind]++
	if got.Lease.Version != before.Version {
		r.t.Errorf("%s of %s has version %q, want %q", got.Kind, wrote.ID, got.Lease.Version, before.Version)
	}
	if got.Lease.CurrentOwner != wrote.CurrentOwner || got.Lease.NextOwner != wrote.NextOwner ||
		got.Lease.Draining != wrote.Draining {
		r.t.Errorf("%s wrote\n%+v; we would have written (%s)\n%+v", worker, wrote, got.Kind, got.Lease)
	}
	for _, times := range [][2]time.Time{
		{got.Lease.OwnedSince, wrote.OwnedSince},
		{got.Lease.LastRenewal, wrote.LastRenewal},
		{got.Lease.ExpiresAt, wrote.ExpiresAt},
	} {
		if apart := times[0].Sub(times[1]).Abs(); apart > time.Second {
			r.t.Errorf("%s of %s: a time is %v apart", got.Kind, wrote.ID, apart)
		}
	}
	switch got.Kind {
	case partition.Claim, partition.Renew:
		if holds[wrote.ID] == partition.None {
			holds[wrote.ID] = partition.Serving
		}
	case partition.StartDrain:
		holds[wrote.ID] = partition.Draining
	case partition.Release, partition.Steal, partition.Withdraw:
	}
}

// bystander checks what a worker of ours makes of a row just written, and of the same row when it
// has run out.
func (r *replay) bystander(lease partition.Lease) {
	r.t.Helper()
	var want partition.StepKind
	switch {
	case lease.CurrentOwner == "" && lease.NextOwner == "":
		want = partition.Claim
	case lease.CurrentOwner != "" && lease.NextOwner == "" && lease.Draining:
		want = partition.Steal
	}
	r.expect(lease, lease.Written, want)
	r.expect(lease, lease.ExpiresAt.Add(time.Second), partition.Claim)
}

func (r *replay) expect(lease partition.Lease, now time.Time, want partition.StepKind) {
	r.t.Helper()
	var got partition.StepKind
	if steps := partition.Decide(r.view("ours", now, lease)); len(steps) > 0 {
		got = steps[0].Kind
	}
	if got != want {
		r.t.Errorf("a bystander answers %+v at %v with %q, want %q", lease, now, got, want)
	}
}
