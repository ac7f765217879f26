package fault

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// Fault is what is done to a request. The package comment says what each of them means.
type Fault string

// The faults.
const (
	Refused     Fault = "refused"
	Dropped     Fault = "dropped"
	CutRequest  Fault = "cut request"
	Slow        Fault = "slow"
	SlowReply   Fault = "slow reply"
	LostReply   Fault = "lost reply"
	CutReply    Fault = "cut reply"
	Busy        Fault = "busy"
	Throttled   Fault = "throttled"
	TimedOut    Fault = "timed out"
	LateTimeout Fault = "late timeout"
	Unmet       Fault = "unmet condition"
)

// All returns all faults, in the order of the package comment.
func All() []Fault {
	return []Fault{
		Refused, Dropped, CutRequest, Slow, SlowReply, LostReply, CutReply,
		Busy, Throttled, TimedOut, LateTimeout, Unmet,
	}
}

// Request is what rules see of a request.
type Request struct {
	// Kind is the kind of the operation and Target the queue, table or container it is about.
	Kind   storage.Kind
	Target string
	// Method and Path are those of the HTTP request.
	Method, Path string
}

// Rule says which requests meet a fault. Fields that are not set select nothing away: a Rule of
// only a Fault hits every request that can meet it.
type Rule struct {
	// Fault is what happens to a request that the rule hits. CutRequest and Unmet hit only requests
	// that have a body and a condition, respectively.
	Fault Fault
	// Kinds are the kinds of requests that the rule is about. Empty: all.
	Kinds []storage.Kind
	// Target is a part of the name of the queue, table or container, whatever its case.
	Target string
	// Match is a further condition. It is called by one goroutine at a time.
	Match func(Request) bool

	// Of the requests that fit all of the above, the rule hits each Every-th, if that is set, or each
	// with the probability Chance, if that is set, or else all.
	Every  int
	Chance float64
	// Burst is how many fitting requests in a row are hit each time. Default 1.
	Burst int
	// First is how many requests are hit in all. Default: no limit.
	First int

	// Delay is how long Slow and SlowReply take, by default 300ms, and what Busy and Throttled ask
	// the sender to wait, in whole seconds, by default one.
	Delay time.Duration
}

const (
	slowness   = 300 * time.Millisecond
	retryAfter = time.Second
)

// delay returns Delay or its default.
func (r *Rule) delay() time.Duration {
	switch {
	case r.Delay > 0:
		return r.Delay
	case r.Fault == Busy || r.Fault == Throttled:
		return retryAfter
	default:
		return slowness
	}
}

// tally is a rule with its progress.
type tally struct {
	Rule
	seen, hit int
	// burst is how many more of the present burst are to be hit.
	burst int
}

// hits reports whether the rule is about the request and hits it.
func (r *tally) hits(request Request, random *rand.Rand) bool {
	if r.First > 0 && r.hit == r.First || !r.fits(request) {
		return false
	}
	r.seen++
	switch {
	case r.burst > 0:
		r.burst--
	case r.strikes(random):
		r.burst = max(r.Burst, 1) - 1
	default:
		return false
	}
	r.hit++
	return true
}

func (r *tally) fits(request Request) bool {
	return (len(r.Kinds) == 0 || slices.Contains(r.Kinds, request.Kind)) &&
		strings.Contains(strings.ToLower(request.Target), strings.ToLower(r.Target)) &&
		(r.Match == nil || r.Match(request))
}

// strikes reports whether the request that was seen last is hit for its own sake.
func (r *tally) strikes(random *rand.Rand) bool {
	switch {
	case r.Every > 0:
		return r.seen%r.Every == 0
	case r.Chance > 0:
		return random.Float64() < r.Chance
	default:
		return true
	}
}
