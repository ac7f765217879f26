package worker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// A partition whose row cannot be read stands still, and is served again when the row is put right;
// the others are not disturbed.
func TestPoison_DamagedPartition(t *testing.T) {
	t.Parallel()
	for name, columns := range map[string]map[string]any{
		"draining is a text": {"IsDraining": "no"}, "owner is a number": {"CurrentOwner": int32(7)}, "expiry is a text": {"ExpiresAt": "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
				log := &logBook{}
				w.Start(logTo(log), ctlCollect.With(collectNumbers))
				pass(t, w, 5*time.Second)
				bad := w.Hub.PartitionOf("bad")
				table, row := w.Hub.Store().Names.PartitionsTable(), w.Hub.Store().Names.ControlQueue(bad)
				before, err := w.Account.Tables.Read(w.Context(), table, "", row)
				check(t, err)
				w.MergeRow(table, "", row, columns)
				pass(t, w, time.Minute)
				instance := launch(t, w, ctlCollect, 0, taskhub.InstanceID("bad"))
				for i := range 20 {
					if id := fmt.Sprint("good-", i); w.Hub.PartitionOf(id) != bad {
						resultOf(t, w, launch(t, w, ctlCollect, 0, taskhub.InstanceID(id)))
					}
				}
				if s := statusOf(t, w, "bad"); s.Status != history.Pending || !strings.Contains(log.String(), row) {
					t.Errorf("the instance on the damaged partition is %s", s.Status)
				}
				_, err = w.Account.Tables.Replace(w.Context(), table, before, "*")
				check(t, err)
				if _, err := instance.Wait(w.Timeout(5 * time.Minute)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What is odd but can be read is taken for what it says, and harms nobody.
func TestPoison_OddButReadable(t *testing.T) {
	t.Parallel()
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		w.Start(quietOptions(), ruleOne.With(callOne), ctlCollect.With(collectNumbers), poisonWork.With(nil))
		called := launch(t, w, ruleOne, "x")
		self := history.Instance{InstanceID: called.ID(), ExecutionID: called.ExecutionID()}
		reach(t, w, self.InstanceID, history.Running)
		// A failure as deep as a message can hold, without times.
		deep := &history.FailureDetails{Type: "T", Message: "deepest"}
		for range 800 {
			deep = &history.FailureDetails{Inner: deep}
		}
		deep.Type, deep.Message = "Outer", "deep"
		w.Put(&wire.Message{Target: self, Sender: &self, Event: &history.TaskFailed{TaskID: 0, Failure: deep}}, 0)
		if s := endOf(t, w, called.ID()); s.Status != history.Failed || !strings.Contains(s.Failure, "deep") {
			t.Errorf("the end is %+v", s)
		}
		collected := launch(t, w, ctlCollect, 2)
		reach(t, w, collected.ID(), history.Running)
		for n, members := range []string{
			`"$type":"EventRaisedEvent","Name":"number","Input":1,"Timestamp":null,"EventId":2147483647`,
			`"EventType":15,"NAME":"NUMBER","input":"2","Timestamp":"0001-01-01T00:00:00","IsPlayed":"true","ParentTraceContext":null`,
		} {
			text := strings.NewReplacer(`"bad"`, `"`+collected.ID()+`"`, "4f4e2b9c", fmt.Sprintf("%08d", n)).Replace(rawMessage(members))
			w.PutText(w.Hub.Store().ControlQueueOf(collected.ID()), text)
		}
		if got := resultOf(t, w, collected); len(got) != 2 {
			t.Errorf("the result is %v", got)
		}
		w.DrainedWithin(2 * time.Hour)
		untouched(t, w)
	})
}

// A result that is too large to be stored fails its activity instead of being computed for ever.
func TestPoison_ResultTooLarge(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		w.Start(quietOptions(), ruleOne.With(callOne), ruleWork.With(func(context.Context, string) (string, error) {
			return strings.Repeat("x", 64<<20), nil
		}))
		s := endOf(t, w, launch(t, w, ruleOne, "x").ID())
		if s.Status != history.Failed || !strings.Contains(s.Failure, "too large") {
			t.Errorf("the end is %.300v", s)
		}
	})
}
