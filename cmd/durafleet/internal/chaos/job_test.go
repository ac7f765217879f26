package chaos

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/child"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

func TestNewJob(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	bound := programs{&narrator{}}.bindings()
	for i := range 10 * kinds {
		j := newJob(i)
		if ids[j.id] {
			t.Errorf("%s twice", j.id)
		}
		ids[j.id] = true
		known := false
		for _, b := range bound {
			known = known || b.BindingName() == j.name
		}
		if !known {
			t.Errorf("%s is a %q, to which nothing is bound", j.id, j.name)
		}
	}
}

func TestJob_Check(t *testing.T) {
	t.Parallel()
	events := &job{id: "e", ends: history.Completed, raised: []raising{{accepted: true}, {accepted: true, unclear: 1}, {unclear: 2}}}
	plain := &job{id: "p", ends: history.Completed, want: "30"}
	ended := &job{id: "t", ends: history.Terminated, reason: "enough"}
	completed := func(output string) *taskhub.Status {
		return &taskhub.Status{Status: history.Completed, Output: json.RawMessage(output)}
	}
	for _, tt := range []struct {
		name   string
		job    *job
		status *taskhub.Status
		want   string // in the problem; empty: none
	}{
		{"right", plain, completed("30"), ""},
		{"wrong", plain, completed("31"), "returned 31"},
		{"failed", plain, &taskhub.Status{Status: history.Failed, Failure: "boom"}, "boom"},
		{"terminated", ended, &taskhub.Status{Status: history.Terminated, Reason: "enough"}, ""},
		{"for another reason", ended, &taskhub.Status{Status: history.Terminated, Reason: "other"}, `"other"`},
		{"not terminated", ended, completed("1"), "has to end Terminated"},
		{"events once", events, completed(`"0,1,2"`), ""},
		{"unclear ones more often", events, completed(`"0,1,1,2,2"`), ""},
		{"an event twice", events, completed(`"0,0,1,2"`), "event 0 2 times"},
		{"an unclear one too often", events, completed(`"0,1,2,2,2"`), "event 2 3 times"},
		{"an event lost", events, completed(`"0,2"`), "event 1 0 times"},
		{"an event invented", events, completed(`"0,1,2,3"`), "nobody raised"},
		{"nonsense", events, completed(`7`), "returned 7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.job.check(tt.status)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	got, err := ParseFaults("cut-network, kill-worker,cut-network")
	if err != nil || !slices.Equal(got, []Fault{CutNetwork, KillWorker}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "flood", "kill-worker,"} {
		if got, err := ParseFaults(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestLeaveOut(t *testing.T) {
	t.Parallel()
	opts := &Options{Faults: Faults()}
	left := opts.leaveOut()
	if slices.Contains(opts.Faults, FreezeWorker) != child.CanFreeze || slices.Contains(left, FreezeWorker) == child.CanFreeze {
		t.Errorf("%v may happen, %v are left out", opts.Faults, left)
	}
}
