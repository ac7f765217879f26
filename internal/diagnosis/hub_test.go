package diagnosis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/diagnosis"
	"github.com/durafleet/durafleet/internal/store"
	"github.com/durafleet/durafleet/partition"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// healthy returns a hub of one partition with an owner that reports.
func healthy() *diagnosis.Hub {
	return &diagnosis.Hub{
		Name: "H", Now: noon, Local: noon.Add(300 * time.Millisecond),
		Leases: []partition.Lease{{
			ID: "h-control-00", CurrentOwner: "a", LastRenewal: noon.Add(-5 * time.Second), Written: noon.Add(-5 * time.Second),
			ExpiresAt: noon.Add(25 * time.Second),
		}},
		ControlQueues: []string{"h-control-00"},
		Reports: []store.Report{{
			WorkerID: "a", At: noon.Add(-30 * time.Second), Written: noon.Add(-30 * time.Second), Started: noon.Add(-time.Hour),
			Partitions: []store.ReportPartition{{ID: "h-control-00", Since: noon.Add(-time.Hour), LastPolled: noon.Add(-31 * time.Second)}},
		}},
		Looks: map[string]diagnosis.Look{"h-control-00": {Whole: true}},
	}
}

func TestHub_Findings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(h *diagnosis.Hub)
		code   diagnosis.Code // "" for none
		text   string
	}{
		{"healthy", func(*diagnosis.Hub) {}, "", ""},
		{"no owner", func(h *diagnosis.Hub) { h.Leases[0].CurrentOwner = "" }, diagnosis.NoOwner, "nobody owns"},
		{"reserved", func(h *diagnosis.Hub) { h.Leases[0].CurrentOwner, h.Leases[0].NextOwner = "", "b" }, "", ""},
		{"expired", func(h *diagnosis.Hub) { h.Leases[0].ExpiresAt = noon.Add(-time.Second) }, diagnosis.LeaseExpired, "a is gone"},
		{"not polling", func(h *diagnosis.Hub) {
			h.Reports[0].Partitions[0].LastPolled = noon.Add(-4 * time.Minute)
		}, diagnosis.NotPolling, "3m30s"},
		{"never polled, but just taken", func(h *diagnosis.Hub) {
			h.Reports[0].Partitions[0].LastPolled, h.Reports[0].Partitions[0].Since = time.Time{}, noon.Add(-time.Minute)
		}, "", ""},
		{"old report", func(h *diagnosis.Hub) {
			h.Reports[0].At, h.Reports[0].Written = noon.Add(-10*time.Minute), noon.Add(-10*time.Minute)
			h.Reports[0].Partitions[0].LastPolled = noon.Add(-20 * time.Minute)
		}, "", ""},
		{"no report", func(h *diagnosis.Hub) { h.Reports = nil }, "", ""},
		{"queue missing", func(h *diagnosis.Hub) { h.ControlQueues = []string{} }, diagnosis.QueueMissing, "durafleet hub create H"},
		{"queue too many", func(h *diagnosis.Hub) {
			h.ControlQueues = append(h.ControlQueues, "h-control-01")
		}, diagnosis.PartitionCount, "1 partition by its table and 2 control queues"},
		{"partition row unreadable", func(h *diagnosis.Hub) {
			h.Unreadable, h.ControlQueues = []error{errors.New("no")}, append(h.ControlQueues, "h-control-01")
		}, diagnosis.Unreadable, "nobody can own"},
		{"no owner of several", func(h *diagnosis.Hub) {
			h.Leases = []partition.Lease{{ID: "h-control-00"}, {ID: "h-control-01"}}
			h.ControlQueues = append(h.ControlQueues, "h-control-01")
		}, diagnosis.NoOwner, "2 partitions (h-control-00, h-control-01): their"},
		{"nobody looked for queues", func(h *diagnosis.Hub) { h.ControlQueues = nil }, "", ""},
		{"activity unknown", func(h *diagnosis.Hub) {
			h.Reports[0].Unknown = []store.ReportName{{Kind: "activity", Name: "N", Count: 3, Since: noon, LastSeen: noon}}
		}, diagnosis.NameUnknown, `activity "N"`},
		{"orchestration unknown", func(h *diagnosis.Hub) {
			h.Reports[0].Unknown = []store.ReportName{{Kind: "orchestration", Name: "N", Count: 3, Since: noon, LastSeen: noon}}
		}, diagnosis.NameUnknown, "only the owner"},
		{"local clock", func(h *diagnosis.Hub) { h.Local = noon.Add(-5 * time.Minute) }, diagnosis.ClockOff, "this machine is 5m0s behind"},
		{"peer's clock ahead", func(h *diagnosis.Hub) {
			h.Leases[0].LastRenewal = h.Leases[0].Written.Add(3 * time.Minute)
		}, diagnosis.ClockOff, "worker a is 3m0s ahead"},
		{"reserved by another clock", func(h *diagnosis.Hub) {
			h.Leases[0].NextOwner, h.Leases[0].Written = "b", noon.Add(2*time.Minute)
		}, "", ""},
		{"reporter's clock", func(h *diagnosis.Hub) {
			h.Reports[0].At = noon.Add(-5 * time.Minute)
			h.Reports[0].Partitions[0].LastPolled = h.Reports[0].At
		}, diagnosis.ClockOff, "worker a is 4m30s behind"},
		{"poison", func(h *diagnosis.Hub) { h.Poison = 2 }, diagnosis.Poison, "2 messages"},
		{"dead worker", func(h *diagnosis.Hub) {
			h.Reports = append(h.Reports, store.Report{WorkerID: "b", At: noon.Add(-25 * time.Hour), Written: noon.Add(-25 * time.Hour)})
		}, diagnosis.DeadReport, "1 worker died"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := healthy()
			tt.change(h)
			found := h.Findings()
			switch {
			case tt.code == "" && len(found) == 0:
			case tt.code == "" || len(found) != 1 || found[0].Code != tt.code || !strings.Contains(found[0].Text, tt.text):
				t.Errorf("found %+v, want %q with %q", found, tt.code, tt.text)
			}
		})
	}
}

func TestHub_WaitingNamesOverWorkers(t *testing.T) {
	t.Parallel()
	h := healthy()
	name := store.ReportName{Kind: "activity", Name: "N", Count: 3, Since: noon.Add(-time.Hour), LastSeen: noon.Add(-time.Minute)}
	h.Reports[0].Unknown = []store.ReportName{name}
	name.Since, name.LastSeen = noon.Add(-2*time.Hour), noon
	h.Reports = append(h.Reports, store.Report{WorkerID: "b", At: noon, Written: noon, Unknown: []store.ReportName{name}},
		store.Report{WorkerID: "dead", Written: noon.Add(-time.Hour), Unknown: []store.ReportName{name}})
	waiting := h.Waiting()
	if len(waiting) != 1 || waiting[0].Count != 6 || len(waiting[0].Workers) != 2 ||
		!waiting[0].Since.Equal(noon.Add(-2*time.Hour)) || !waiting[0].LastSeen.Equal(noon) {
		t.Errorf("waiting %+v", waiting)
	}
}
