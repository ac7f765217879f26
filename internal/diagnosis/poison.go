package diagnosis

import (
	"fmt"
	"slices"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/wire"
)

// Aside is a message of an instance that was moved aside.
type Aside struct {
	*wire.Poison
	// Content is nil if the message cannot be read.
	Content *wire.Message
}

// aside looks for a message among those of the instance that were moved aside. It is sure if it can be read and
// matches, or if its kind is enough to know it by.
func (x *examination) aside(execution string, matches func(e history.Event) bool, kinds ...history.Kind) (found *Aside, sure bool) {
	for i := range x.Aside {
		a := &x.Aside[i]
		switch {
		case a.ExecutionID != "" && execution != "" && !same(a.ExecutionID, execution):
		case a.Content != nil && a.Content.Event != nil:
			if matches(a.Content.Event) {
				return a, true
			}
		case a.Kind == history.KindExecutionStarted && slices.Contains(kinds, a.Kind):
			return a, true // an execution has but one
		case a.Kind == "" || slices.Contains(kinds, a.Kind):
			found = a
		}
	}
	return found, false
}

// moved says that what an instance waits for was moved aside.
func moved(what string, a *Aside) string {
	return fmt.Sprintf("%s was moved aside at %s; see durafleet poison show %s", what, when(a.Moved), a.ID)
}

// judgePoison says what follows from the messages of the instance that were moved aside.
func (x *examination) judgePoison(ended bool) {
	mark := x.Row.Poison
	f := Finding{Code: Poison, Severity: Warning, Evidence: []string{mark.Reason}}
	what := were(len(mark.IDs), "message", "of the instance") + " moved aside (" + list(mark.IDs) + ")"
	known, told := len(x.Aside) == len(mark.IDs), true
	for i := range x.Aside {
		told = told && x.Aside[i].Answered
	}
	switch {
	case ended:
		f.Severity, f.Text = Note, what+"; it has ended without what was in them, and nothing waits for them"
	case known && told:
		f.Severity, f.Text = Note, what+"; its code was told that the activity failed, and has gone on"
	case x.startAside:
		f.Severity, f.Text = Broken, what+", its start among them: it does not begin until that is put back (durafleet poison retry)"
	case x.waitAside:
		f.Severity, f.Text = Broken, what+", and it waits for what is in them: see durafleet poison retry"
	default:
		f.Text = what + ", so it may wait for ever"
	}
	x.find(f)
}
