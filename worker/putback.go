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
	// maxPutBacks bounds how many messages are remembered that were put back; of more, the oldest are
	// forgotten.
	maxPutBacks = 100
	// shortest is the pause from which on it is worth remembering.
	shortest = time.Second
)

// putBacks remember what was put back for a while: it cannot be seen in the queue before that is over.
type putBacks struct {
	mu sync.Mutex
	// order are the ids of the messages, the latest last.
	order []string
	byID  map[string]aside
}

// aside is a message that was put back.
type aside struct {
	taskhub.PutBack
	until time.Time
	// missing is the name that was not known, if that was why.
	missing unknownName
}

// note notes that a message was put back.
func (p *putBacks) note(h *held, delay time.Duration) {
	if delay < shortest {
		return
	}
	now := time.Now()
	a := aside{
		PutBack: taskhub.PutBack{Queue: h.Queue, Reason: clip(h.reason), Deliveries: h.DequeueCount, Sent: h.InsertedOn},
		until:   now.Add(delay), missing: h.missing,
	}
	if h.Content != nil {
		a.InstanceID, a.Kind, a.Name = h.Content.Target.InstanceID, string(h.Content.Event.Kind()), nameIn(h.Content.Event)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(h.ID)
	if len(p.order) >= maxPutBacks {
		p.forget(p.order[0])
	}
	if p.byID == nil {
		p.byID = map[string]aside{}
	}
	p.order, p.byID[h.ID] = append(p.order, h.ID), a
}

// taken notes that a message has been delivered here again.
func (p *putBacks) taken(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(id)
}

// forget forgets a message. The list is locked.
func (p *putBacks) forget(id string) {
	if _, ok := p.byID[id]; ok {
		delete(p.byID, id)
		p.order = slices.DeleteFunc(p.order, func(other string) bool { return other == id })
	}
}

// hidden returns what has not come to light yet, the first to do so first.
func (p *putBacks) hidden(at moment) []aside {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.byID, func(_ string, a aside) bool { return !a.until.After(at.local) })
	p.order = slices.DeleteFunc(p.order, func(id string) bool { _, ok := p.byID[id]; return !ok })
	list := make([]aside, len(p.order))
	for i, id := range p.order {
		list[i] = p.byID[id]
		list[i].Until = at.wall(list[i].until)
	}
	slices.SortStableFunc(list, func(a, b aside) int {
		return cmp.Or(a.until.Compare(b.until), strings.Compare(a.InstanceID, b.InstanceID))
	})
	return list
}

// maxTold bounds what is told of a reason, in bytes.
const maxTold = 300

func clip(text string) string {
	if len(text) > maxTold {
		return strings.ToValidUTF8(text[:maxTold], "") + "…"
	}
	return text
}

// because says why a message is about to be put back.
func (h *held) because(reason string) { h.reason = reason }

// lacks says that a message is about to be put back because nothing here has a name.
func (h *held) lacks(kind taskhub.NameKind, name string) {
	h.missing = unknownName{kind, name}
	h.reason = string(kind) + " \"" + name + "\" is not bound in the worker that took it"
}
