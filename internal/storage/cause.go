package storage

import (
	"context"
	"sync/atomic"
)

// Cause says what a storage request is made for, as counted and as shown to people.
type Cause uint8

// The causes of storage requests. Those up to CausePoison are what workers do, the others what clients
// and tools do.
const (
	// CauseOther is that of a request of which nobody has said what it is for.
	CauseOther Cause = iota
	// CausePoll is a look into a queue that was empty, CauseReceive one that brought messages, with the
	// payloads of these.
	CausePoll
	CauseReceive
	// CauseLoad is the reading of an instance before a turn.
	CauseLoad
	// CauseMessage is a message to other instances or to activities, and its taking back.
	CauseMessage
	// CauseTurn is a checkpoint of a history, with its payloads.
	CauseTurn
	// CauseRow is what keeps a status row up to date.
	CauseRow
	// CauseSettle is the deletion or the putting back of a message.
	CauseSettle
	// CauseActivity is what work items need: marks, answers, deletions.
	CauseActivity
	// CauseRenew is the renewal of a message that is being worked on.
	CauseRenew
	// CauseLease is the sharing of partitions among workers and applications.
	CauseLease
	// CauseReport is the report that a worker leaves in the hub.
	CauseReport
	// CausePoison is the moving aside of messages that cannot be worked on.
	CausePoison
	// CauseOpen is the opening, creating and deleting of hubs.
	CauseOpen
	// CauseStart is the start of an instance, CauseCommand an event, terminate, suspend or resume.
	CauseStart
	CauseCommand
	// CauseRing is the look-up of the doorbells of workers.
	CauseRing
	// CauseRead is a client's look at instances, CausePurge their removal.
	CauseRead
	CausePurge
	// CauseAdmin is what looks at hubs and puts them right.
	CauseAdmin

	causes // their number
)

var causeNames = [causes]string{
	CauseOther: "other", CausePoll: "poll", CauseReceive: "receive", CauseLoad: "load", CauseMessage: "message",
	CauseTurn: "turn", CauseRow: "row", CauseSettle: "settle", CauseActivity: "activity", CauseRenew: "renew",
	CauseLease: "lease", CauseReport: "report", CausePoison: "poison", CauseOpen: "open", CauseStart: "start",
	CauseCommand: "command", CauseRing: "ring", CauseRead: "read", CausePurge: "purge", CauseAdmin: "admin",
}

// Causes returns all causes.
func Causes() []Cause {
	all := make([]Cause, causes)
	for i := range all {
		all[i] = Cause(i)
	}
	return all
}

// String returns the name of the cause, one lower-case word.
func (c Cause) String() string {
	if c >= causes {
		return causeNames[CauseOther]
	}
	return causeNames[c]
}

// purpose is what a context says about its requests.
type purpose struct {
	cause Cause
	tally *atomic.Int64
}

type purposeKey struct{}

func purposeOf(ctx context.Context) purpose {
	p, _ := ctx.Value(purposeKey{}).(*purpose)
	if p == nil {
		return purpose{}
	}
	return *p
}

// WithCause returns a context whose requests are counted under a cause.
func WithCause(ctx context.Context, cause Cause) context.Context {
	p := purposeOf(ctx)
	if p.cause == cause {
		return ctx
	}
	return context.WithValue(ctx, purposeKey{}, &purpose{cause, p.tally})
}

// WithTally returns a context whose requests are added up in tally beside. A nil tally ends that.
func WithTally(ctx context.Context, tally *atomic.Int64) context.Context {
	p := purposeOf(ctx)
	return context.WithValue(ctx, purposeKey{}, &purpose{p.cause, tally})
}

// CauseOf returns the cause under which the requests of a context are counted.
func CauseOf(ctx context.Context) Cause { return purposeOf(ctx).cause }
