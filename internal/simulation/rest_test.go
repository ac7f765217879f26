package simulation_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
)

// unattended says what is missing of an instance of which no message is left, "" for nothing: nobody would
// ever make up for it.
func (c *checker) unattended(id string) string {
	r := c.record(id)
	if r.state.Started() == nil || c.hasMessage(id) {
		return ""
	}
	row, err := c.w.raw.Tables.Read(c.w.background, c.w.names.InstancesTable(), wire.EscapeKey(id), "")
	if err != nil {
		return "" // it is being purged
	}
	in, err := wire.DecodeInstance(row.PartitionKey, row.Values)
	if err != nil || !strings.EqualFold(in.ExecutionID, r.execution) || r.early[r.execution] {
		return "" // a new start, or the former one of a history that was replaced
	}
	if want := store.StatusOf(r.state); in.Status != want {
		return fmt.Sprintf("its row says %s, and its history %s", in.Status, want)
	}
	if r.state.Completed() != nil || len(r.blobs) > 0 { // replay needs the payloads
		return ""
	}
	exec := orchestration.NewExecution(program.With(runProgram), c.w.codeOptions())
	defer exec.Close()
	switch err := exec.Replay(r.state.Events()); {
	case err != nil:
		return err.Error()
	case exec.Pending():
		return "its history lacks what the code does next"
	case !r.state.AtRest():
		return "its last episode is not closed"
	case history.TextOr(in.CustomStatus, "none") != history.TextOr(exec.CustomStatus(), "none"):
		return fmt.Sprintf("its row shows the custom status %s, and its code has set %s",
			history.TextOr(in.CustomStatus, "none"), history.TextOr(exec.CustomStatus(), "none"))
	}
	return ""
}

// hasMessage reports whether there is a message for an instance, or a work item of it.
func (c *checker) hasMessage(id string) bool {
	for _, t := range c.messages {
		if t.content.Target.InstanceID == id {
			return true
		}
	}
	return false
}

// delivery is the last time that a message was handed out, nil in a tracked message if it has changed since.
type delivery struct {
	to *process
	at time.Time
}

// refused looks at a request about a message that the queue has refused: who has got the message last, and
// nobody has touched it since, has to know the receipt. Who has put it may know that receipt only, to take it back.
func (c *checker) refused(st *step, err error) {
	if kind := st.call.Kind; kind != storage.QueueDelete && kind != storage.QueueUpdate || !errors.Is(err, storage.ErrReceipt) {
		return
	}
	t := c.messages[st.call.Key]
	if t == nil || t.last == nil || t.large || st.orphaned || t.last.to != st.process || t.by == st.process {
		return
	}
	known := t.last.at
	if thaw := c.w.sched.thaw(st.process); thaw.After(known) {
		known = thaw // it could not look at what it got before
	}
	if st.parked.Sub(known) < time.Second { // it may be busy
		return
	}
	c.w.fail("%v has got a %s for %s at %s, and uses another receipt", st.process, t.content.Event.Kind(), t.content.Target.InstanceID, clock(t.last.at))
}

// dropped looks at the deletion of a blob.
func (c *checker) dropped(p *process, blob string) {
	if r := c.record(store.BlobOwner(blob)); r.blobs[blob] {
		c.w.fail("%v deletes %s, which a history refers to", p, blob)
	}
}

// garbage says which payloads of former executions are left although nothing went wrong, "" for none.
func (c *checker) garbage() string {
	blobs, _ := c.w.raw.Blobs.ListBlobs(c.w.background, c.w.names.LargeMessages(), "") // there is no container before it is used
	for _, blob := range blobs {
		if strings.Contains(blob, "/history-") && !c.record(store.BlobOwner(blob)).blobs[blob] {
			return blob
		}
	}
	return ""
}

// orderly reports whether nothing goes wrong but that messages come twice, late and in any order: then no
// call is sent twice.
func (w *world) orderly() bool {
	if w.cut != nil && w.cut.at > 0 || w.extras.deadly {
		return false
	}
	for f := range w.rates {
		if f != redelivery && f != lateMessage && f != disorder {
			return false
		}
	}
	return true
}
