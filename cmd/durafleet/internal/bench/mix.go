package bench

import (
	"slices"
	"strconv"

	"github.com/durafleet/durafleet/internal/storage"
)

// step is one request of a mix. n is the number of history rows of a transaction, of messages of a get, or of
// bytes of a blob.
type step struct {
	kind storage.Kind
	n    int
}

// mix is what a scenario cannot do without: chains of requests, each with its steps in their order.
type mix struct {
	chains int
	steps  []step
}

// text describes a mix, for people.
func (m mix) text() string {
	counts := storage.Counts{}
	for _, s := range m.steps {
		counts[s.kind]++
	}
	return strconv.Itoa(m.chains) + " × (" + countsText(counts) + ")"
}

// The rows of one history transaction.
const (
	// turnRows enclose a turn: OrchestratorStarted and OrchestratorCompleted.
	turnRows = 2
	// callRows are added by an activity: TaskScheduled, OrchestratorCompleted, OrchestratorStarted and TaskCompleted.
	callRows = turnRows + 2
	// maxPairs is how many pairs of TaskScheduled and TaskCompleted fit a transaction, with the turns around
	// them and the sentinel.
	maxPairs = 48
)

var (
	put    = step{kind: storage.QueuePut}
	insert = step{kind: storage.TableInsert}
	get    = gets(1)
	read   = step{kind: storage.TableRead}
	merge  = step{kind: storage.TableMerge}
	remove = step{kind: storage.QueueDelete}
)

func gets(n int) step     { return step{storage.QueueGet, n} }
func transact(n int) step { return step{storage.TableTransact, n} }

// life returns the steps of an instance: its start, its arrival at a worker, what it does, and its end.
func life(steps ...step) []step {
	return slices.Concat([]step{put, insert, get, read}, steps, []step{merge, remove})
}

// sequenceMix is so many instances of so many activities in sequence: one transaction for each of them. The
// first one begins with the first turn, which takes the start in; the last one ends the instance.
func sequenceMix(count, activities int) mix {
	transactions := make([]step, max(activities, 1))
	for i := range transactions {
		transactions[i] = transact(min(activities, 1) * callRows)
	}
	transactions[0].n += 2
	transactions[len(transactions)-1].n += 2
	return mix{count, life(transactions...)}
}

// localMix is so many instances of so many local activities in sequence: a single transaction for all of them.
func localMix(count, activities int) mix {
	return mix{count, life(transact(activities*callRows + 4))}
}

// fanOutMix is one instance whose activities are stored in groups that are whole in themselves.
func fanOutMix(count int) mix {
	var transactions []step
	// The first group begins with the start, the last one has the end.
	for left, room := count, maxPairs-1; left > 0; room = maxPairs {
		pairs := min(left, room)
		left -= pairs
		transactions = append(transactions, transact(2*pairs+turnRows))
	}
	transactions[0].n += 2
	if last := len(transactions) - 1; transactions[last].n+3 > storage.MaxTransaction {
		transactions = append(transactions, transact(turnRows))
	} else {
		transactions[last].n += 2
	}
	return mix{1, life(transactions...)}
}

// eventsMix is a stream of events: those of one get go into the history together.
func eventsMix(count int) mix {
	together := min(count, storage.MaxMessagesPerGet)
	steps := slices.Repeat([]step{put}, together)
	steps = append(steps, gets(together), transact(together+turnRows))
	steps = append(steps, slices.Repeat([]step{remove}, together)...)
	return mix{(count + together - 1) / together, steps}
}

// eventMix is an instance that waits, and the event that it waits for.
func eventMix(count int) mix {
	return mix{count, slices.Concat(life(transact(turnRows+1)), arrival(turnRows+2))}
}

// arrival is a message to an instance that is in memory, and what comes of it.
func arrival(rows int) []step { return []step{put, get, transact(rows), merge, remove} }

// continueMix is an instance with new generations, each of which an event brings about: the event, the activity
// and the beginning of the next generation are stored together.
func continueMix(count int) mix {
	steps := life(transact(turnRows + 1))
	for range continued {
		steps = append(steps, arrival(1+callRows+turnRows+1)...)
	}
	return mix{count, append(steps, arrival(turnRows+2)...)}
}

// childrenMix is a parent, a child without activities and one with three, one after the other. Each child has a
// start and an answer, and two messages of the parent's queue come with one get.
func childrenMix(count int) mix {
	return mix{count, []step{
		put, insert, get, read, put, transact(turnRows + 2), // the parent calls
		put, gets(2), transact(turnRows + 2), insert, // the first child answers
		put, transact(turnRows + 2), // the parent calls again
		put, gets(2), insert, transact(2 + callRows), transact(callRows), transact(callRows + 2), merge, // so does the second
		transact(turnRows + 2), merge, // the parent ends
		remove, remove, remove, remove, remove,
	}}
}

// packed is how many bytes a payload has as a blob.
const packed = payloadBytes * 3 / 4

// payloadMix is an instance with two activities whose results, and its own, are in blobs.
func payloadMix(count int) mix {
	blob := step{storage.BlobPut, packed}
	return mix{count, life(blob, transact(callRows+2), blob, blob, transact(callRows+2))}
}
