package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/partition"
)

const (
	// crashWindow is how far back workers are counted that stopped without a word.
	crashWindow = time.Hour
	// manyCrashes is how many of them are more than an accident.
	manyCrashes = 3
	// crashesGoOn is how long ago the last of them was if they may go on.
	crashesGoOn = 15 * time.Minute
)

// culprit is work that workers were at when they died.
type culprit struct {
	kind, name, instance string
	// workers are those that died and had it among what they reported; alone is how many died of it while they worked on
	// nothing else of the kind.
	workers []string
	alone   int
}

func (c *culprit) String() string {
	return fmt.Sprintf("%s %q of instance %q", c.kind, c.name, c.instance)
}

// dead returns the reports of workers that have stopped lately and not withdrawn them, as all do that stop in order.
// A worker that holds a lease lives, and cannot report.
func (h *Hub) dead() []*store.Report {
	var dead []*store.Report
	for i := range h.Reports {
		r := &h.Reports[i]
		age := h.Now.Sub(r.Written)
		holds := slices.ContainsFunc(h.Leases, func(lease partition.Lease) bool { return owner(&lease) == r.WorkerID && !lease.Expired(h.Now) })
		if age >= ReportFresh && age < crashWindow && !holds {
			dead = append(dead, r)
		}
	}
	return dead
}

// culprits returns what workers died of, or may have: the most suspicious first.
func (h *Hub) culprits() []culprit {
	var all []culprit
	blame := func(kind, name, instance string) *culprit {
		at := slices.IndexFunc(all, func(c culprit) bool { return c.kind == kind && c.name == name && c.instance == instance })
		if at < 0 {
			at = len(all)
			all = append(all, culprit{kind: kind, name: name, instance: instance})
		}
		return &all[at]
	}
	for i := range h.Reports {
		r := &h.Reports[i]
		if h.Now.Sub(r.Written) >= crashWindow {
			continue
		}
		for _, a := range r.Attempts {
			if a.Number > 1 {
				c := blame(a.Kind, a.Name, a.InstanceID)
				c.alone = max(c.alone, a.Number-1)
			}
		}
	}
	for _, r := range h.dead() {
		for _, a := range r.Attempts {
			c := blame(a.Kind, a.Name, a.InstanceID)
			c.alone = max(c.alone, a.Number)
			c.workers = append(c.workers, r.WorkerID)
		}
		for _, a := range r.Running {
			c := blame("activity", a.Name, a.InstanceID)
			if !slices.Contains(c.workers, r.WorkerID) {
				c.workers = append(c.workers, r.WorkerID)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b culprit) int {
		return cmp.Or(-cmp.Compare(a.alone, b.alone), -cmp.Compare(len(a.workers), len(b.workers)), strings.Compare(a.String(), b.String()))
	})
	return all
}

// crashes finds workers that die, and of what.
func (h *Hub) crashes() []Finding {
	dead, blamed := h.dead(), h.culprits()
	if len(dead) == 0 && len(blamed) == 0 {
		return nil
	}
	f := Finding{Code: WorkersDie, Severity: Note, OfHub: true}
	oldest, latest := time.Duration(0), crashWindow
	for i := range h.Reports {
		if r := &h.Reports[i]; len(r.Attempts) > 0 {
			latest = min(latest, h.Now.Sub(r.Written))
		}
	}
	for _, r := range dead {
		oldest, latest = max(oldest, h.Now.Sub(r.Written)), min(latest, h.Now.Sub(r.Written))
		f.Evidence = append(f.Evidence, fmt.Sprintf("worker %s was last heard of %s ago", r.WorkerID, span(h.Now.Sub(r.Written))))
	}
	var texts []string
	if len(dead) > 0 {
		texts = append(texts, fmt.Sprintf("%s stopped without a word in the last %s", plural(len(dead), "worker"), plural(int(oldest/time.Minute)+1, "minute")))
	}
	for i := range blamed {
		if c := &blamed[i]; c.alone > 0 {
			texts = append(texts, fmt.Sprintf("workers die of %s: %s in a row", c, plural(c.alone, "attempt")))
			f.Severity = Warning
		} else {
			f.Evidence = append(f.Evidence, fmt.Sprintf("%s ran on %s of them", c, plural(len(c.workers), "worker")))
		}
	}
	if len(dead) >= manyCrashes {
		f.Severity = Warning
	}
	if latest > crashesGoOn {
		f.Severity = Note
	}
	f.Text = strings.Join(texts, "; ")
	if f.Severity == Warning && !strings.HasPrefix(f.Text, "workers die") {
		f.Text = "workers die: " + f.Text
	}
	return []Finding{f}
}

// judgeCrashes finds what workers die of in the instance; if it is not that, but they do die, what is known of the hub.
func (x *examination) judgeCrashes() {
	mine := false
	for _, c := range x.Hub.culprits() {
		if c.instance != x.ID || c.alone == 0 && len(c.workers) < 2 {
			continue
		}
		mine = true
		f := Finding{Code: WorkersDie, Severity: Warning, Text: fmt.Sprintf(
			"workers may die of it: %s was under way on %s when they stopped without a word", &c, plural(len(c.workers), "worker"))}
		if c.alone > 0 {
			f.Text = fmt.Sprintf("workers die of it: %s at %s ended with the death of a worker, and at nothing else beside; "+
				"after some more it is moved aside", plural(c.alone, "attempt"), &c)
		}
		if len(c.workers) > 0 {
			f.Evidence = []string{"workers " + list(c.workers)}
		}
		x.find(f)
	}
	for _, f := range x.Hub.crashes() {
		if !mine && f.Severity != Note {
			x.find(f)
		}
	}
}
