package fault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
)

// Sender sends HTTP requests, such as an *http.Client.
type Sender interface {
	Do(request *http.Request) (*http.Response, error)
}

// Strike is a kind of fault at a kind of request.
type Strike struct {
	Fault Fault
	Kind  storage.Kind
}

// Transport sends requests and lets some of them meet a fault. It is meant for
// azure.Options.Transport. Its methods may be called concurrently.
type Transport struct {
	next Sender

	mu     sync.Mutex
	rules  []*tally
	random *rand.Rand
	off    bool
	counts map[Strike]int
}

// New returns a Transport that sends through next and is switched on. Requests are judged by the
// rules in turn; the first that hits counts. The seed decides what Rule.Chance hits.
func New(next Sender, seed uint64, rules ...Rule) *Transport {
	t := &Transport{next: next, random: rand.New(rand.NewPCG(seed, 0)), counts: map[Strike]int{}}
	t.Use(rules...)
	return t
}

// Use replaces the rules; the new ones begin to count at zero.
func (t *Transport) Use(rules ...Rule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = nil
	for _, rule := range rules {
		t.rules = append(t.rules, &tally{Rule: rule})
	}
}

// Switch turns the faults on or off. While they are off, rules do not count requests.
func (t *Transport) Switch(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.off = !on
}

// Counts returns how many requests met which fault.
func (t *Transport) Counts() map[Strike]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// Count returns how many requests met the fault.
func (t *Transport) Count(fault Fault) int {
	sum := 0
	for strike, n := range t.Counts() {
		if strike.Fault == fault {
			sum += n
		}
	}
	return sum
}

// Do implements the SDK's policy.Transporter. Requests that are not part of a storage operation
// meet no faults.
func (t *Transport) Do(request *http.Request) (*http.Response, error) {
	kind, target, ok := azure.OperationOf(request)
	if !ok {
		return t.next.Do(request)
	}
	seen := Request{Kind: kind, Target: target, Method: request.Method, Path: request.URL.Path}
	rule := t.pick(seen, request)
	if rule == nil {
		return t.next.Do(request)
	}
	return t.strike(rule, kind, request)
}

// pick returns the rule that hits the request, nil if none does.
func (t *Transport) pick(seen Request, request *http.Request) *Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.off {
		return nil
	}
	for _, rule := range t.rules {
		if possible(rule.Fault, request) && rule.hits(seen, t.random) {
			t.counts[Strike{rule.Fault, seen.Kind}]++
			return &rule.Rule
		}
	}
	return nil
}

// possible reports whether a request can meet a fault at all.
func possible(fault Fault, request *http.Request) bool {
	switch fault {
	case CutRequest:
		return request.ContentLength > 1
	case Unmet:
		return conditional(request)
	default:
		return true
	}
}

// conditional reports whether a write, or a part of the transaction that it is, depends on the version
// of something.
func conditional(request *http.Request) bool {
	if isBatch(request) {
		return bytes.Contains(bodyOf(request), []byte("\r\nIf-Match: W/"))
	}
	version := request.Header.Get("If-Match")
	// A read with a version continues one that was cut; what it reads does not change.
	return version != "" && version != "*" && request.Method != http.MethodGet
}

// isBatch reports whether a request is a transaction of a table.
func isBatch(request *http.Request) bool {
	return strings.HasSuffix(request.URL.Path, "/$batch")
}

// bodyOf returns a request's body, which can be sent still. GetBody is no help: with the SDK, what it
// returns is the body itself, rewound.
func bodyOf(request *http.Request) []byte {
	if request.Body == nil {
		return nil
	}
	data, err := io.ReadAll(request.Body)
	left := io.Reader(bytes.NewReader(data))
	if err != nil {
		left = io.MultiReader(left, failing{err})
	}
	request.Body = struct {
		io.Reader
		io.Closer
	}{left, request.Body}
	return data
}

// errUnknown reports a rule with a fault that does not exist.
var errUnknown = errors.New("fault: unknown fault")

func (t *Transport) strike(rule *Rule, kind storage.Kind, request *http.Request) (*http.Response, error) {
	switch rule.Fault {
	case Refused:
		return nil, refused(request)
	case Dropped:
		return nil, reset(request, "write")
	case CutRequest:
		return t.cutRequest(request)
	case Slow:
		return t.slow(request, rule)
	case SlowReply:
		return t.slowReply(request, rule)
	case LostReply:
		return t.lostReply(request)
	case CutReply:
		return t.cutReply(request)
	case Busy, Throttled, TimedOut, Unmet:
		return answerTo(request, kind, rule), nil
	case LateTimeout:
		return t.lateTimeout(request, kind, rule)
	default:
		return nil, fmt.Errorf("%w %q", errUnknown, rule.Fault)
	}
}
