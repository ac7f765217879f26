package worker

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/taskhub"
)

const (
	// maxRemembered bounds what is remembered for people to look at.
	maxRemembered = 1000
	// shownFor is how long what was turned away is shown as waiting: it comes back within this time.
	shownFor = maxPutBack + time.Minute
)

// turnedAway says how often and when something was put back.
type turnedAway struct {
	count       int64
	since, last time.Time
	reason      string
}

// again notes another time, and reports whether it is the first. What has not come for long has gone, and
// begins anew.
func (t *turnedAway) again(now time.Time) (first bool) {
	first = now.Sub(t.last) > shownFor
	if first {
		t.since = now
	}
	t.count++
	t.last = now
	return first
}

// unknownNames counts messages for names that nothing is bound to.
type unknownNames struct {
	mu    sync.Mutex
	names map[unknownName]*turnedAway
}

type unknownName struct {
	kind taskhub.NameKind
	name string
}

// add notes that a name was asked for, and reports whether it is news.
func (u *unknownNames) add(kind taskhub.NameKind, name string) (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.names == nil {
		u.names = map[unknownName]*turnedAway{}
	}
	key := unknownName{kind, name}
	if u.names[key] == nil {
		if len(u.names) >= maxRemembered {
			return false
		}
		u.names[key] = &turnedAway{}
	}
	return u.names[key].again(time.Now())
}

// byName returns the counts since the worker was made.
func (u *unknownNames) byName() map[string]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	counts := map[string]int64{}
	for key, away := range u.names {
		counts[key.name] += away.count
	}
	return counts
}

// waiting returns the names for which something may be waiting now. hidden is what was put back.
func (u *unknownNames) waiting(at moment, hidden []aside) []taskhub.UnknownName {
	u.mu.Lock()
	defer u.mu.Unlock()
	var list []taskhub.UnknownName
	for key, away := range u.names {
		if at.local.Sub(away.last) <= shownFor {
			list = append(list, taskhub.UnknownName{
				Kind: key.kind, Name: key.name, Count: away.count, Since: at.wall(away.since), LastSeen: at.wall(away.last),
			})
		}
	}
	for i := range list {
		countMessages(&list[i], hidden)
	}
	slices.SortFunc(list, func(a, b taskhub.UnknownName) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Name, b.Name))
	})
	return list
}

// countMessages notes how many messages were put back because a name is not known.
func countMessages(name *taskhub.UnknownName, hidden []aside) {
	for _, a := range hidden { // the first to come again first
		if a.missing != (unknownName{name.Kind, name.Name}) {
			continue
		}
		if name.Messages == 0 {
			name.NextTry = a.Until
		}
		name.Messages++
	}
}

// heldBack remembers which instances are held, and why.
type heldBack struct {
	mu        sync.Mutex
	instances map[string]*turnedAway
}

// add notes that an instance is held, and reports whether it was not before.
func (h *heldBack) add(id string, err error) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.instances == nil {
		h.instances = map[string]*turnedAway{}
	}
	if h.instances[id] == nil {
		if len(h.instances) >= maxRemembered {
			return false
		}
		h.instances[id] = &turnedAway{}
	}
	h.instances[id].reason = err.Error()
	return h.instances[id].again(time.Now())
}

func (h *heldBack) remove(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.instances, id)
}

func (h *heldBack) reasons() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	reasons := map[string]string{}
	for id, away := range h.instances {
		reasons[id] = away.reason
	}
	return reasons
}

// waiting returns the instances that are held here now, and not elsewhere since.
func (h *heldBack) waiting(at moment) []taskhub.HeldInstance {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []taskhub.HeldInstance
	for _, id := range slices.Sorted(maps.Keys(h.instances)) {
		away := h.instances[id]
		if at.local.Sub(away.last) <= shownFor {
			list = append(list, taskhub.HeldInstance{
				InstanceID: id, Reason: away.reason, Since: at.wall(away.since), LastTried: at.wall(away.last),
			})
		}
	}
	return list
}
