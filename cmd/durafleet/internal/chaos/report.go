package chaos

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Report says what a run has shown.
type Report struct {
	Seed    uint64  `json:"seed"`
	Workers int     `json:"workers"`
	Seconds float64 `json:"seconds"`
	// Instances is how many a client started. Stored is how many there were at the end, their children
	// among them, without those that were purged during the run.
	Instances int `json:"instances"`
	Stored    int `json:"storedInstances"`
	// Checked is how many results were compared with what they had to be.
	Checked int `json:"resultsChecked"`
	// Events is how many accepted events were looked for in these results.
	Events int `json:"eventsCounted"`
	// Runs is how often activities were run, Calls for how many calls, and Repeated how many of
	// these were run more than once.
	Runs     int `json:"activityRuns"`
	Calls    int `json:"activityCalls"`
	Repeated int `json:"activityCallsRunMoreThanOnce"`
	// Recovery says how long work stood still.
	Recovery []RecoveryTimes `json:"recovery"`
	// LeftOut are faults that this system cannot make happen.
	LeftOut []Fault `json:"faultsLeftOut,omitempty"`
	// Requests counts storage requests of workers and client by kind. A worker that is killed takes
	// those of its last 0.2 s along.
	Requests map[string]int64 `json:"requests"`
	Left     Leftovers        `json:"leftOver"`
	Soak     *SoakReport      `json:"soak,omitempty"`
	// Wrong lists what must not be.
	Wrong []string `json:"wrong"`
}

// Print writes the report for people.
func (r *Report) Print(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nTime\t%v\n", (time.Duration(r.Seconds * float64(time.Second))).Round(time.Second))
	fmt.Fprintf(table, "Instances\t%d\n", r.Instances)
	fmt.Fprintf(table, "Results checked\t%d\n", r.Checked)
	fmt.Fprintf(table, "Events counted\t%d\n", r.Events)
	fmt.Fprintf(table, "Activities run\t%d, for %d calls\n", r.Runs, r.Calls)
	fmt.Fprintf(table, "Calls run more than once\t%d\n", r.Repeated)
	var requests int64
	for _, n := range r.Requests {
		requests += n
	}
	fmt.Fprintf(table, "Storage requests\t%d\n", requests)
	for _, kind := range slices.SortedFunc(maps.Keys(r.Requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Requests[b], r.Requests[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(table, "  %s\t%d\n", kind, r.Requests[kind])
	}
	fmt.Fprintf(table, "Left over\t%d messages, %d payload blobs, %d instance rows, %d history rows, %d poison messages\n",
		r.Left.Messages, r.Left.Blobs, r.Left.Instances, r.Left.History, r.Left.Poison)
	_ = table.Flush() // a reader that has gone away wants no more
	r.printRecovery(out)
	if r.Soak != nil {
		r.Soak.print(out)
	}
	for _, wrong := range r.Wrong {
		fmt.Fprintf(out, "\nWRONG: %s", wrong)
	}
	fmt.Fprintln(out)
	if len(r.Wrong) == 0 {
		fmt.Fprintln(out, "Nothing is wrong: every instance ended as it had to, every event counted once, nothing is left over.")
	}
}

func (r *Report) printRecovery(out io.Writer) {
	if len(r.Recovery) > 0 {
		fmt.Fprintf(out, "\nSeconds until what a fault hit went on: each instance in the partitions of the worker, by a new step of its\n"+
			"orchestrator in another worker, and each activity that ran in it, by its next run. After an outage of\n"+
			"storage: every instance under way, from the moment storage was back. Without what another fault met before.\n\n")
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(table, "fault\ttimes\thit\tmet by another\tp50\tp95\tmax\t")
		for _, t := range r.Recovery {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t\n", t.Fault, t.Count, t.Hit, t.Disturbed, t.P50, t.P95, t.Max)
		}
		_ = table.Flush() // as above
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(out, "\nLeft out, because this system cannot freeze processes: %s\n", joinFaults(r.LeftOut, ", "))
	}
}
