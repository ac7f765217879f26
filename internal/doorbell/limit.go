package doorbell

import (
	"cmp"
	"slices"
	"time"
)

// limit is how many rings about one thing are answered at once, and the time after which one more is.
type limit struct {
	burst  float64
	refill time.Duration
}

var (
	// queueLimit answers the first ring at once. While there is traffic, a reader looks often enough by
	// itself: to look for every single message would only cost more requests.
	queueLimit = limit{burst: 1, refill: 100 * time.Millisecond}
	// tableLimit is that of Partitions, which change hands several at a time, and seldom.
	tableLimit = limit{burst: 3, refill: 500 * time.Millisecond}
)

// bucket limits the rings about one thing. What comes too fast is merged into one that comes later: the
// last ring is never dropped, since it may be the one about the last message.
type bucket struct {
	ring   Ring
	limit  limit
	tokens float64
	at     time.Time
	owed   bool
}

func newBucket(r Ring, now time.Time) *bucket {
	b := &bucket{ring: r, limit: queueLimit, at: now}
	if r.Topic == Partitions {
		b.limit = tableLimit
	}
	b.tokens = b.limit.burst
	return b
}

// take reports whether a ring may be answered now.
func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.limit.burst, b.tokens+float64(max(now.Sub(b.at), 0))/float64(b.limit.refill))
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
	return b.at.Add(time.Duration((1-b.tokens)*float64(b.limit.refill)).Round(time.Microsecond) + time.Microsecond)
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
