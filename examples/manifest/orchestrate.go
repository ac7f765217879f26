package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/durafleet/durafleet/orchestration"
)

// patiently repeats an activity that failed, say because a network drive was away.
var patiently = orchestration.Retry{MaxAttempts: 3, FirstInterval: time.Second, Coefficient: 2}

// buildManifest is the code of Manifest. It survives crashes: it is run again over what is
// recorded, so it must do the same each time and leave all real work to activities.
func buildManifest(ctx *orchestration.Context, in Request) (Report, error) {
	ctx.SetCustomStatus(Progress{Phase: "hashing"})
	dirs, err := orchestration.CallActivity(ctx, ListSections, in.Root, patiently).Await()
	if err != nil {
		return Report{}, err
	}
	// Fan out: calling only starts; nothing waits before Await.
	tasks := make([]orchestration.Task[[]File], len(dirs))
	for i, dir := range dirs {
		section := SectionRequest{Root: in.Root, Dir: dir, Limits: in.Limits}
		tasks[i] = orchestration.CallSubOrchestration(ctx, Section, section)
	}
	parts, err := orchestration.All(tasks...).Await()
	if err != nil {
		return Report{}, err
	}
	report := summarize(in.Root, parts)

	if _, err := ctx.Timer(in.Settle).Await(); err != nil {
		return Report{}, err
	}
	ctx.SetCustomStatus(Progress{Phase: AwaitingApproval, Files: len(report.Files), Bytes: report.Bytes})
	decision, err := orchestration.WaitForEvent(ctx, Approved).Await()
	if err != nil {
		return Report{}, err
	}
	if !decision.Approved {
		return Report{}, fmt.Errorf("manifest of %s: refused by %s", in.Root, decision.By)
	}
	report.ApprovedBy = decision.By
	ctx.SetCustomStatus(Progress{Phase: "published", Files: len(report.Files), Bytes: report.Bytes})
	return report, nil
}

// buildSection is the code of Section.
func buildSection(ctx *orchestration.Context, in SectionRequest) ([]File, error) {
	batches, err := orchestration.CallActivity(ctx, ListFiles, in, patiently).Await()
	if err != nil {
		return nil, err
	}
	tasks := make([]orchestration.Task[[]File], len(batches))
	for i, batch := range batches {
		tasks[i] = orchestration.CallActivity(ctx, HashFiles, batch, patiently)
	}
	parts, err := orchestration.All(tasks...).Await()
	if err != nil {
		return nil, err
	}
	return slices.Concat(parts...), nil
}

// summarize puts the sections together.
func summarize(root string, parts [][]File) Report {
	report := Report{Root: root, Files: slices.Concat(parts...)}
	slices.SortFunc(report.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for _, file := range report.Files {
		report.Bytes += file.Size
	}
	return report
}
