package simulation_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// trace tells what a request has done, for people.
func (c *checker) trace(st *step, v verdict, err error) {
	if c.w.level < requests {
		return
	}
	call := st.call
	if call.Empty || call.Kind == storage.TableQuery && call.Target == c.w.names.PartitionsTable() {
		return
	}
	outcome := ""
	switch {
	case err != nil:
		outcome = " → " + err.Error()
	case call.Result != nil:
		outcome = told(call)
	}
	note := map[verdict]string{lose: " [reply lost]", repeat: " [reply lost, sent again]", finish: " [its process dies]"}[v]
	if st.orphaned {
		note = " [late, nobody waits]"
	}
	c.w.note("%v %s %s %s%s%s%s", st.process, call.Kind, strings.TrimPrefix(call.Target, "simulated-"), call.Key,
		content(call.Content), outcome, note)
}

func content(c any) string {
	switch c := c.(type) {
	case storage.Posted:
		hidden := ""
		if c.Hidden > 0 {
			hidden = fmt.Sprintf(" hidden for %v", c.Hidden.Round(time.Millisecond))
		}
		return " " + message(c.Text) + hidden
	case []storage.Operation:
		var all []string
		for _, operation := range c {
			all = append(all, row(operation))
		}
		return " " + strings.Join(all, "; ")
	case []byte:
		return fmt.Sprintf(" %d bytes", len(c))
	}
	return ""
}

func message(text string) string {
	m, blob, err := wire.DecodeMessage(text)
	switch {
	case err != nil:
		return err.Error()
	case blob != "":
		return "→ " + blob
	}
	return fmt.Sprintf("%s for %s %.6s as %s", describe(m.Event), m.Target.InstanceID, m.Target.ExecutionID, short(m.ActivityID))
}

func describe(e history.Event) string {
	text := string(e.Kind())
	if id := e.Head().EventID; id != history.NoEventID {
		text += fmt.Sprintf(" #%d", id)
	}
	if history.IsAnswer(e) {
		text += fmt.Sprintf(" to #%d", history.AnswerTo(e))
	}
	if raised, ok := e.(*history.EventRaised); ok {
		text += fmt.Sprintf(" %s=%s", raised.Name, history.TextOr(raised.Input, ""))
	}
	return text
}

func row(operation storage.Operation) string {
	action := map[storage.Action]string{
		storage.Insert: "+", storage.InsertOrReplace: "=", storage.InsertOrMerge: "~", storage.Merge: "~",
		storage.Replace: "=", storage.Delete: "-",
	}[operation.Action]
	values := operation.Row.Values
	text := action + operation.Row.RowKey
	if operation.ETag != "" {
		text += " if " + string(operation.ETag)
	}
	switch {
	case values["EventType"] != nil:
		if e, err := wire.DecodeEvent(values); err == nil {
			text += " " + describe(e)
		}
	case values["RuntimeStatus"] != nil:
		text += fmt.Sprintf(" %v %.6v", values["RuntimeStatus"], values["ExecutionId"])
	case values["IsDraining"] != nil:
		text += fmt.Sprintf(" owner %v next %v draining %v", values["CurrentOwner"], values["NextOwner"], values["IsDraining"])
	}
	return text
}

func told(call *storage.Call) string {
	switch r := call.Result.(type) {
	case storage.Receipt:
		return " → " + short(r.ID)
	case storage.Batch:
		var all []string
		for _, m := range r.Messages {
			all = append(all, fmt.Sprintf("%s (%d) %s", short(m.ID), m.DequeueCount, message(m.Text)))
		}
		return " → " + strings.Join(all, "; ")
	case storage.Row:
		return fmt.Sprintf(" → %v %.6v %v", r.Values["RuntimeStatus"], r.Values["ExecutionId"], r.ETag)
	case storage.Page:
		return fmt.Sprintf(" → %d rows", len(r.Rows))
	}
	return ""
}
