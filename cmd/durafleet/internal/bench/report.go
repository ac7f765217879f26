package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/durafleet/durafleet/internal/storage"
)

// Report is what a run has measured.
type Report struct {
	Scenario string `json:"scenario"`
	// Instances is how many clients have started.
	Instances int `json:"instances"`
	// Elapsed is the time in seconds from the first start until every instance had ended and every queue was
	// empty.
	Elapsed float64 `json:"elapsed_s"`
	// PerSecond is how much of what --count counts was done in a second.
	PerSecond float64 `json:"per_second"`
	// Latency is from the call that starts an instance until its end is seen, unless the scenario measures
	// something else.
	Latency Latency `json:"latency_ms"`
	// Requests are those of workers and client by kind, repetitions by the SDK included.
	Requests            map[string]int64 `json:"requests"`
	RequestsPerInstance float64          `json:"requests_per_instance"`
	// RequestsIdle are polls that found nothing, and what keeps up partitions, application lease and health
	// reports. RequestsWait are those by which the bench waited.
	RequestsIdle int64 `json:"requests_idle"`
	RequestsWait int64 `json:"requests_wait"`
	// Bytes is the size of all bodies that workers and client have sent and got.
	Bytes int64 `json:"bytes"`
	// CPU is the processor time of the workers in seconds, Resident the memory of the largest worker in MB. Of
	// workers in the process of the bench, its own.
	CPU      float64 `json:"cpu_s"`
	Resident float64 `json:"rss_mb"`
	// FloorPerSecond is how much of it raw requests do, FloorRatio how much of that the engine does. Both are 0
	// where there is no floor.
	FloorPerSecond float64 `json:"floor_per_second"`
	FloorRatio     float64 `json:"floor_ratio"`
	// More are figures that only some scenarios have.
	More map[string]float64 `json:"more,omitempty"`

	unit, floor string
}

// Print writes the report for people.
func (r *Report) Print(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", values...) }
	row("\nScenario", "%s", r.Scenario)
	row("Instances", "%d", r.Instances)
	row("Elapsed", "%.3f s", r.Elapsed)
	row("Per second", "%.1f %s", r.PerSecond, r.unit)
	if r.floor != "" {
		row("Floor", "%.1f %s per second; ratio %.2f", r.FloorPerSecond, r.unit, r.FloorRatio)
		row("  of raw requests", "%s", r.floor)
	}
	row("Latency", "p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms", r.Latency.P50, r.Latency.P95, r.Latency.P99, r.Latency.Max)
	row("Requests per instance", "%.2f", r.RequestsPerInstance)
	var total int64
	for _, n := range r.Requests {
		total += n
	}
	row("Requests", "%d", total)
	for _, kind := range slices.SortedFunc(maps.Keys(r.Requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Requests[b], r.Requests[a]), cmp.Compare(a, b))
	}) {
		row("  "+kind, "%d", r.Requests[kind])
	}
	row("Idle requests", "%d", r.RequestsIdle)
	row("Requests to wait", "%d", r.RequestsWait)
	row("Bytes", "%d", r.Bytes)
	row("Processor time", "%.2f s", r.CPU)
	row("Memory of a worker", "%.1f MB", r.Resident)
	for _, name := range slices.Sorted(maps.Keys(r.More)) {
		row(strings.ReplaceAll(name, "_", " "), "%g", r.More[name])
	}
	_ = table.Flush() // a reader that has gone away wants no more
}

// countsText lists counts, for people.
func countsText(counts storage.Counts) string {
	parts := make([]string, 0, len(counts))
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(parts, ", ")
}

// byName returns counts under their names.
func byName(counts storage.Counts) map[string]int64 {
	named := make(map[string]int64, len(counts))
	for kind, n := range counts {
		named[string(kind)] = n
	}
	return named
}
