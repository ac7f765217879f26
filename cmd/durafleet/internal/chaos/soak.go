package chaos

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

const (
	// figuresInterval is the time between two looks of a worker at its own memory.
	figuresInterval = 10 * time.Second
	// figuresShown is the time between two lines of figures.
	figuresShown = time.Minute
	// warmUpShare of the instances warm the workers up before they are first looked at.
	warmUpShare = 20
	// idle is how long a fleet rests before it is looked at: idle connections end after 90 s.
	idle = 100 * time.Second
	// flatLimit bounds how long figures may need to come down after that.
	flatLimit = 3 * time.Minute
)

// tolerance is how much higher than after the warm-up a figure may be at the end: a fixed part, and
// a percentage of what it was. 10,000 instances on three workers have been seen to add half a megabyte
// of heap and two of memory to a worker, no goroutine and no file; a kilobyte that stays for each
// instance that a worker meets is beyond the limit for the heap in a soak of the default size.
var tolerance = []struct {
	figure  string
	fixed   int64
	percent int64
}{
	{figureHeap, 3 << 20, 25},
	{figureResident, 16 << 20, 25},
	{figureGoroutines, 10, 0},
	{figureFiles, 10, 0},
}

// SoakReport compares the workers at the end with what they were after the warm-up, idle both times.
type SoakReport struct {
	Before map[string]map[string]int64 `json:"afterWarmUp"`
	After  map[string]map[string]int64 `json:"atTheEnd"`
}

// soak warms the workers up, looks at them, and lets all other instances run.
func (r *runner) soak(ctx context.Context) (*SoakReport, error) {
	warm := max(r.opts.Instances/warmUpShare, 1)
	if err := r.stretch(ctx, 0, warm, r.time()*time.Duration(warm)/time.Duration(r.opts.Instances)); err != nil {
		return nil, err
	}
	r.out.say("warmed up by %d instances; the workers rest for %v before they are looked at", warm, idle)
	if !run.Sleep(ctx, idle) {
		return nil, context.Cause(ctx)
	}
	report := &SoakReport{Before: r.ledger.latestFigures()}
	r.showFigures()
	return report, r.stretch(ctx, warm, r.opts.Instances-warm, r.time())
}

// stretch runs instances and waits until they have ended.
func (r *runner) stretch(ctx context.Context, from, n int, over time.Duration) error {
	driving, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	defer r.bePatient(ctx, giveUp, patience)()
	defer background(ctx, "chaos: figures", func(ctx context.Context) {
		for run.Sleep(ctx, figuresShown) {
			r.showFigures()
		}
	})()
	r.driver.stream(driving, from, n, over)
	r.driver.group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (r *runner) showFigures() {
	started, ended := r.driver.count()
	r.out.say("%d instances started, %d ended", started, ended)
	latest := r.ledger.latestFigures()
	for _, worker := range slices.Sorted(maps.Keys(latest)) {
		f := latest[worker]
		r.out.say("      %s: heap %s, resident %s, %d goroutines, %d open files", worker,
			megabytes(f[figureHeap]), megabytes(f[figureResident]), f[figureGoroutines], f[figureFiles])
	}
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }

// judge lets the workers rest and says what is not flat.
func (r *runner) judge(ctx context.Context, report *SoakReport) error {
	r.out.say("the workers rest for %v before they are looked at again", idle)
	if !run.Sleep(ctx, idle) {
		return context.Cause(ctx)
	}
	deadline := time.Now().Add(flatLimit)
	for {
		report.After = r.ledger.latestFigures()
		grown := report.grown()
		if len(grown) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			for _, text := range grown {
				r.wrongs.add("%s", text)
			}
			return nil
		}
		if !run.Sleep(ctx, figuresInterval) {
			return context.Cause(ctx)
		}
	}
}

// grown says which figures have grown beyond what is tolerated.
func (s *SoakReport) grown() []string {
	var grown []string
	for _, worker := range slices.Sorted(maps.Keys(s.Before)) {
		for _, t := range tolerance {
			before, known := s.Before[worker][t.figure]
			after := s.After[worker][t.figure]
			if limit := before + t.fixed + before*t.percent/100; known && after > limit {
				grown = append(grown, fmt.Sprintf("%s of %s has grown from %d to %d; it may be at most %d", t.figure, worker, before, after, limit))
			}
		}
	}
	return grown
}

// print writes the figures for people.
func (s *SoakReport) print(out io.Writer) {
	fmt.Fprintf(out, "\nWorkers, idle after the warm-up and idle at the end. Tolerated:")
	for i, t := range tolerance {
		separator := ","
		if i == 0 {
			separator = ""
		}
		fixed := fmt.Sprint(t.fixed)
		if t.figure == figureHeap || t.figure == figureResident {
			fixed = megabytes(t.fixed)
		}
		fmt.Fprintf(out, "%s %s +%s +%d%%", separator, t.figure, fixed, t.percent)
	}
	fmt.Fprint(out, "\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "worker\theap\t\tresident\t\tgoroutines\t\tfiles\t\t")
	for _, worker := range slices.Sorted(maps.Keys(s.Before)) {
		b, a := s.Before[worker], s.After[worker]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t\n", worker,
			megabytes(b[figureHeap]), megabytes(a[figureHeap]), megabytes(b[figureResident]), megabytes(a[figureResident]),
			b[figureGoroutines], a[figureGoroutines], b[figureFiles], a[figureFiles])
	}
	_ = table.Flush() // as in Print
}
