package bench

import (
	"context"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/usage"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// figures are what has come together of requests and of what a process uses.
type figures struct {
	// Requests are those for instances, Idle those that an idle fleet sends, too.
	Requests storage.Counts `json:"requests"`
	Idle     storage.Counts `json:"idle"`
	// Bytes is the size of all bodies, in both directions.
	Bytes int64 `json:"bytes"`
	// Sent is how many requests of any kind have left the process.
	Sent int64 `json:"sent"`
	// HistoryRows is how many rows of histories were read.
	HistoryRows int64 `json:"historyRows"`
	// CPU is for how long the process has used processors, Resident its memory in bytes, the largest one's
	// of several; AllResident is their sum.
	CPU         time.Duration `json:"cpu"`
	Resident    int64         `json:"resident"`
	AllResident int64         `json:"allResident"`
}

// since returns how much f has grown since earlier. The memory is that of f.
func (f figures) since(earlier figures) figures {
	return figures{
		Requests: f.Requests.Since(earlier.Requests), Idle: f.Idle.Since(earlier.Idle),
		Bytes: f.Bytes - earlier.Bytes, Sent: f.Sent - earlier.Sent, HistoryRows: f.HistoryRows - earlier.HistoryRows,
		CPU: f.CPU - earlier.CPU, Resident: f.Resident, AllResident: f.AllResident,
	}
}

// and returns the sum of both.
func (f figures) and(other figures) figures {
	return figures{
		Requests: sum(f.Requests, other.Requests), Idle: sum(f.Idle, other.Idle),
		Bytes: f.Bytes + other.Bytes, Sent: f.Sent + other.Sent, HistoryRows: f.HistoryRows + other.HistoryRows,
		CPU: f.CPU + other.CPU, Resident: max(f.Resident, other.Resident), AllResident: f.AllResident + other.AllResident,
	}
}

func sum(a, b storage.Counts) storage.Counts {
	both := storage.Counts{}
	maps.Copy(both, a)
	for kind, n := range b {
		both[kind] += n
	}
	return both
}

// ofProcess adds what this process uses.
func (f figures) ofProcess() figures {
	f.CPU = usage.CPU()
	f.Resident, _ = usage.Resident() // 0 where the system does not tell
	f.AllResident = f.Resident
	return f
}

// traffic counts what goes through a connection to an account. It may be used concurrently.
type traffic struct {
	names       wire.Names
	bytes, sent atomic.Int64
	repeats     storage.Meter

	mu             sync.Mutex
	requests, idle storage.Counts
	rows           int64
	// open is how many requests that change something are under way.
	open int
}

func newTraffic(names wire.Names) *traffic {
	return &traffic{names: names, requests: storage.Counts{}, idle: storage.Counts{}}
}

// hook is a storage.Hook. Other than a storage.Meter, it counts a request when it begins: what has
// happened is in the counts, also where the answer is still on its way. Gets are counted when it is known
// whether they brought something.
func (t *traffic) hook(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	get := call.Kind == storage.QueueGet
	if !get {
		t.begin(call)
	}
	err := next(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !get:
		t.open--
	case call.Empty:
		t.idle[storage.IdlePoll]++
	default:
		t.requests[call.Kind]++
	}
	if page, ok := call.Result.(storage.Page); ok && call.Target == t.names.HistoryTable() {
		t.rows += int64(len(page.Rows))
	}
	return err
}

func (t *traffic) begin(call *storage.Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
	if t.upkeep(call.Target) {
		t.idle[call.Kind]++
	} else {
		t.requests[call.Kind]++
	}
}

// upkeep reports whether what workers do with a table or container is about themselves, not about
// instances.
func (t *traffic) upkeep(target string) bool {
	switch target {
	case t.names.PartitionsTable(), t.names.AppLease(), t.names.Leases(), t.names.Workers():
		return true
	}
	return false
}

// figures waits for a moment at which nothing is under way and returns what was counted.
func (t *traffic) figures(ctx context.Context) figures {
	for t.busy() && run.Sleep(ctx, time.Millisecond) {
	}
	repeats := t.repeats.Counts()
	t.mu.Lock()
	defer t.mu.Unlock()
	return figures{
		Requests: sum(t.requests, repeats), Idle: maps.Clone(t.idle),
		Bytes: t.bytes.Load(), Sent: t.sent.Load(), HistoryRows: t.rows,
	}
}

func (t *traffic) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open > 0
}

// transport sends requests late, counts them, and adds up the sizes of their bodies and of the answers'.
type transport struct {
	next    policy.Transporter
	latency time.Duration
	counts  *traffic
}

// Do implements policy.Transporter.
func (t *transport) Do(request *http.Request) (*http.Response, error) {
	if !run.Sleep(request.Context(), t.latency) {
		return nil, request.Context().Err()
	}
	t.counts.sent.Add(1)
	t.counts.bytes.Add(max(request.ContentLength, 0))
	response, err := t.next.Do(request)
	if err != nil {
		return nil, err
	}
	response.Body = &countedBody{response.Body, &t.counts.bytes}
	return response, nil
}

// countedBody adds up what is read.
type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

// Read implements io.Reader.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}
