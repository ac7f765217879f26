package doorbell

import (
	"cmp"
	"slices"
	"time"
)

const (
	// burst is how many rings about one thing are answered at once, refill the time after which one more
	// is.
	burst  = 10
	refill = 50 * time.Millisecond
	// tableRefill is that of Partitions: a look at the table means more than a look into a queue.
	tableRefill = 500 * time.Millisecond
)

// bucket limits the rings about one thing. What comes too fast is merged into one that comes later: the
// last ring is never dropped, since it may be the one about the last message.
type bucket struct {
	ring   Ring
	refill time.Duration
	tokens float64
	at     time.Time
	owed   bool
}

func newBucket(r Ring, now time.Time) *bucket {
	b := &bucket{ring: r, refill: refill, tokens: burst, at: now}
	if r.Topic == Partitions {
		b.refill = tableRefill
	}
	return b
}

// take reports whether a ring may be answered now.
func (b *bucket) take(now time.Time) bool {
	b.tokens = min(burst, b.tokens+float64(max(now.Sub(b.at), 0))/float64(b.refill))
	b.at = now
	b.owed = b.tokens < 1
	if b.owed {
		return false
	}
	b.tokens--
	return true
}

// next returns when the ring that is owed may be answered.
func (b *bucket) next() time.Time {
	return b.at.Add(time.Duration((1-b.tokens)*float64(b.refill)).Round(time.Microsecond) + time.Microsecond)
}

// limiter holds the buckets of all that a Bell can be rung for.
type limiter []*bucket

func newLimiter(queues []string, now time.Time) limiter {
	l := limiter{newBucket(Ring{Topic: WorkItems}, now), newBucket(Ring{Topic: Partitions}, now)}
	for _, queue := range queues {
		l = append(l, newBucket(Ring{Topic: News, Queue: queue}, now))
	}
	return l
}

// of returns the bucket of a ring, nil if it is about nothing that is known.
func (l limiter) of(r Ring) *bucket {
	for _, b := range l {
		if b.ring == r {
			return b
		}
	}
	return nil
}

// owed returns the bucket whose turn is next, nil if nothing is owed.
func (l limiter) owed() *bucket {
	due := slices.DeleteFunc(slices.Clone(l), func(b *bucket) bool { return !b.owed })
	if len(due) == 0 {
		return nil
	}
	return slices.MinFunc(due, func(a, b *bucket) int {
		return cmp.Or(a.next().Compare(b.next()), cmp.Compare(a.ring.Queue, b.ring.Queue))
	})
}
