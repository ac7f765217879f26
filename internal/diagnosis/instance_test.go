package diagnosis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/internal/wire"
)

const queue = "h-control-00"

func header(id int32, ago time.Duration) history.Header {
	return history.Header{EventID: id, Timestamp: noon.Add(-ago)}
}

// waiting returns an instance that asked for an activity an hour ago; its work item is hidden.
func waiting() *diagnosis.Instance {
	hub := healthy()
	hub.Looks["h-workitems"] = diagnosis.Look{Queue: "h-workitems", Count: 1}
	events := []history.Event{
		&history.OrchestratorStarted{Header: header(-1, time.Hour)},
		&history.ExecutionStarted{
			Header: header(-1, time.Hour), Name: "O", Instance: history.Instance{InstanceID: "i", ExecutionID: "e"},
		},
		&history.TaskScheduled{Header: header(0, time.Hour), Name: "A"},
		&history.OrchestratorCompleted{Header: header(-1, time.Hour)},
	}
	row := &store.Instance{Instance: wire.Instance{InstanceID: "i", ExecutionID: "e", Status: history.Running, HasGeneration: true}}
	written := noon.Add(-time.Hour)
	return &diagnosis.Instance{
		ID: "i", Hub: hub, Queue: queue, WorkItems: "h-workitems", Row: row, Steady: true,
		History:  &store.History{State: history.NewState(events), ExecutionID: "e", Rows: len(events), Complete: true},
		Sentinel: &store.SentinelView{Sentinel: wire.Sentinel{ExecutionID: "e", Complete: true, CompletedAt: written}, Written: written},
	}
}

// whole makes all queues be seen as a whole.
func whole(in *diagnosis.Instance) {
	for name, look := range in.Hub.Looks {
		look.Count, look.Whole = len(look.Messages), true
		in.Hub.Looks[name] = look
	}
}

func TestInstance_Findings(t *testing.T) {
	t.Parallel()
	started := noon.Add(-2 * time.Hour)
	for _, tt := range []struct {
		name   string
		change func(in *diagnosis.Instance)
		code   diagnosis.Code // "" for none
		likely bool
	}{
		{"lost", whole, diagnosis.MessageLost, false},
		{"it moved meanwhile", func(in *diagnosis.Instance) { whole(in); in.Steady = false }, "", false},
		{"hidden, and nobody runs it", func(*diagnosis.Instance) {}, diagnosis.MessageLost, true},
		{"hidden, and it runs", func(in *diagnosis.Instance) {
			in.Hub.Reports[0].Activities = 1
			in.Hub.Reports[0].Running = []store.ReportActivity{{Name: "A", InstanceID: "i", ExecutionID: "E", Since: started}}
		}, "", false},
		{"hidden, and more run than are told", func(in *diagnosis.Instance) { in.Hub.Reports[0].Activities = 1 }, "", false},
		{"hidden, and not long ago", func(in *diagnosis.Instance) { in.Hub.Now = noon.Add(-50 * time.Minute) }, "", false},
		{"hidden, and a worker does not tell", func(in *diagnosis.Instance) { in.Hub.Reports[0].Written = noon.Add(-time.Hour) }, "", false},
		{"hidden, and another name is turned away", func(in *diagnosis.Instance) {
			in.Hub.Reports[0].Unknown = []store.ReportName{{Kind: "activity", Name: "B"}}
		}, "", false},
		{"hidden, behind others", func(in *diagnosis.Instance) {
			in.Hub.Looks["h-workitems"] = diagnosis.Look{Count: 2, Messages: []diagnosis.Message{{ID: "m"}}}
		}, "", false},
		{"row behind", func(in *diagnosis.Instance) { in.Row.Status = history.Suspended; in.Hub.Reports = nil }, diagnosis.RowBehind, false},
		{"row ahead", func(in *diagnosis.Instance) { in.Row.Status = history.Completed; in.Hub.Reports = nil }, diagnosis.RowAhead, false},
		{"left of a purge", func(in *diagnosis.Instance) {
			in.Row, in.Hub.Reports, in.Hub.Now = nil, nil, noon.Add(time.Minute)
			in.Hub.Leases = nil
		}, diagnosis.OrphanedHistory, false},
		{"row behind for a moment", func(in *diagnosis.Instance) {
			in.Row.Status, in.Hub.Reports, in.Sentinel.Written = history.Completed, nil, noon.Add(-time.Minute)
			in.Sentinel.CompletedAt = in.Sentinel.Written
		}, "", false},
		{"row of another start", func(in *diagnosis.Instance) {
			in.Row.ExecutionID, in.Hub.Reports = "other", nil
		}, diagnosis.RowForeign, false},
		{"row of a former execution", func(in *diagnosis.Instance) {
			in.Row.ExecutionID, in.History.Replaced, in.Hub.Reports = "former", []string{"FORMER"}, nil
		}, diagnosis.RowBehind, false},
		{"rewound", func(in *diagnosis.Instance) {
			in.Row.Status, in.Hub.Reports = history.Pending, nil
			in.Hub.Looks[queue] = diagnosis.Look{Count: 1}
		}, "", false},
		{"corrupt", func(in *diagnosis.Instance) { in.History, in.HistoryErr = nil, errors.New("row 3") }, diagnosis.CorruptHistory, false},
		{"no beginning", func(in *diagnosis.Instance) { in.History.State = &history.State{} }, diagnosis.CorruptHistory, false},
		{"clock ahead", func(in *diagnosis.Instance) {
			in.Hub.Reports, in.Sentinel.CompletedAt = nil, in.Sentinel.Written.Add(2*time.Minute)
		}, diagnosis.ClockOff, false},
		{"clock behind, or slow", func(in *diagnosis.Instance) {
			in.Hub.Reports, in.Sentinel.CompletedAt = nil, in.Sentinel.Written.Add(-90*time.Second)
		}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := waiting()
			tt.change(in)
			found := in.Diagnose().Findings
			switch {
			case tt.code == "" && len(found) == 0:
			case tt.code == "" || len(found) != 1 || found[0].Code != tt.code || found[0].Likely != tt.likely || found[0].InstanceID != "i":
				t.Errorf("found %+v, want %q", found, tt.code)
			}
		})
	}
}

// A message that was moved aside may be the one that is missing: it is not sent a second time.
func TestInstance_LostOrPoison(t *testing.T) {
	t.Parallel()
	in := waiting()
	whole(in)
	in.Row.Poison = &wire.PoisonMark{IDs: []string{"p1"}, Reason: "bad"}
	found := in.Diagnose().Findings
	if len(found) != 2 || found[0].Code != diagnosis.MessageLost || found[0].Repair.Possible() || found[1].Code != diagnosis.Poison ||
		!strings.Contains(found[1].Text, "p1") {
		t.Errorf("found %+v", found)
	}
}

// A settled message may be what brings somebody to complete a turn that was stored in part. It is deleted only when
// nothing can be missing.
func TestInstance_Unneeded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(in *diagnosis.Instance)
		want   bool
	}{
		{"all is stored", func(*diagnosis.Instance) {}, true},
		{"something is in the air", func(in *diagnosis.Instance) { in.Sentinel.Complete = false }, false},
		{"the row is behind", func(in *diagnosis.Instance) { in.Row.Status = history.Pending }, false},
		{"the row is another execution's", func(in *diagnosis.Instance) { in.Row.ExecutionID = "f" }, false},
		{"there is no row", func(in *diagnosis.Instance) { in.Row = nil }, false},
		{"the history has changed", func(in *diagnosis.Instance) { in.Sentinel.ETag = "2" }, false},
		{"the turn is stored in part", func(in *diagnosis.Instance) {
			events := in.History.State.Events()
			in.History.State = history.NewState(events[:len(events)-1])
		}, false},
		{"it is not in the history", func(in *diagnosis.Instance) { in.History.Processed = nil }, false},
		{"it is for an execution that is over", func(in *diagnosis.Instance) {
			in.History.Processed = nil
			in.History.ExecutionID, in.Row.ExecutionID, in.History.Replaced = "f", "f", []string{"E"}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := waiting()
			in.History.Processed = []string{"a"}
			tt.change(in)
			m := &diagnosis.Message{ID: "1", Content: &wire.Message{
				Event: &history.EventRaised{Name: "E"}, Target: history.Instance{InstanceID: "i", ExecutionID: "e"}, ActivityID: "a",
			}}
			if got := in.Unneeded(m); got != tt.want {
				t.Errorf("unneeded is %v", got)
			}
		})
	}
}
