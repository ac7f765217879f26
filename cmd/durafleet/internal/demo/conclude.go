package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

// blobThreshold is the size above which a result does not fit into a status row.
const blobThreshold = 64 << 10

// conclude checks the outcome and prints the figures.
func (j *job) conclude(ctx context.Context, o *outcome) error {
	requests := j.tally.requestsByKind(j.hub.Requests())
	j.show.progress("checking the manifest against the tree")
	problem := check(ctx, j.root, o.report)
	if problem == nil {
		problem = j.checkCalls()
	}
	instances, err := j.instances(ctx)
	if err != nil {
		return err
	}
	place, err := j.placeOf(ctx, o)
	if err != nil {
		return err
	}
	j.show.progress("measuring what the classic path costs")
	cost, err := measure(ctx)
	if err != nil {
		return fmt.Errorf("measure requests: %w", err)
	}
	if problem == nil {
		problem = cost.check()
	}
	j.show.text(j.table(o, instances, place, requests) + cost.table())
	if problem != nil {
		return problem
	}
	j.show.say("The manifest matches the tree: %d files, %s", len(o.report.Files), size(o.report.Bytes))
	return nil
}

// checkCalls compares the calls that were run with the plan.
func (j *job) checkCalls() error {
	_, calls := j.tally.count()
	if calls < j.planned {
		return fmt.Errorf("%w: %d activity calls were run, %d are in the plan", ErrMismatch, calls, j.planned)
	}
	return nil
}

// instances counts the instances of the hub, all of which must be complete.
func (j *job) instances(ctx context.Context) (int, error) {
	count := 0
	for status, err := range j.client.All(ctx, taskhub.Query{}) {
		if err != nil {
			return 0, err
		}
		if status.Status != history.Completed {
			return 0, fmt.Errorf("%w: instance %s is %s", ErrMismatch, status.InstanceID, status.Status)
		}
		count++
	}
	return count, nil
}

// placeOf says how large the result is and where it is stored; a large one has to be in a blob.
func (j *job) placeOf(ctx context.Context, o *outcome) (string, error) {
	text, err := json.Marshal(o.report)
	if err != nil {
		return "", fmt.Errorf("size of the result: %w", err)
	}
	row, err := j.hub.Store().ReadInstance(ctx, o.instance, true)
	if err != nil {
		return "", fmt.Errorf("place of the result: %w", err)
	}
	stored := history.TextOr(row.Output, "")
	inBlob := !strings.HasPrefix(stored, "{")
	if len(text) > blobThreshold && !inBlob {
		return "", fmt.Errorf("%w: a result of %s is in the status row", ErrMismatch, size(int64(len(text))))
	}
	if inBlob {
		return size(int64(len(text))) + ", through a payload blob", nil
	}
	return size(int64(len(text))) + ", in the status row", nil
}

// table returns the figures of the job.
func (j *job) table(o *outcome, instances int, place string, requests map[string]int64) string {
	runs, calls := j.tally.count()
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nInstances completed\t%d\n", instances)
	fmt.Fprintf(table, "Activities run\t%d\n", runs)
	if o.killed != "" {
		fmt.Fprintf(table, "Re-run after %s was killed\t%d\n", o.killed, runs-calls)
	} else {
		fmt.Fprintf(table, "Re-run (nobody was killed)\t%d\n", runs-calls)
	}
	fmt.Fprintf(table, "Result\t%s\n", place)
	fmt.Fprintf(table, "Time from start to result\t%v\n", o.took.Round(100*time.Millisecond))
	fmt.Fprintf(table, "Storage requests\t%d\n", total(requests))
	for _, kind := range slices.SortedFunc(maps.Keys(requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(requests[b], requests[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(table, "  %s\t%d\n", kind, requests[kind])
	}
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}

func total(requests map[string]int64) int64 {
	var sum int64
	for _, n := range requests {
		sum += n
	}
	return sum
}
