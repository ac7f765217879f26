package main

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// chaosProgram prepares a short run whose files are below dir.
func chaosProgram(t *testing.T, dir string, arguments ...string) *process {
	t.Helper()
	return program(t, []string{"TMPDIR=" + dir, "TMP=" + dir}, append([]string{"chaos", "--lease", "6s"}, arguments...)...)
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("files are left behind: %v, %v", entries, err)
	}
}

func TestChaos(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	dir := t.TempDir()
	p := chaosProgram(t, dir, "--minutes", "0.1", "--workers", "2", "--instances", "30", "--faults", "kill-worker,rolling-restart", "-o", "json")
	code, out := p.output()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, p.err.String())
	}
	var report struct {
		Instances, ResultsChecked, EventsCounted, ActivityRuns int
		Requests                                               map[string]int
		LeftOver                                               struct{ Messages, PayloadBlobs int }
		Recovery                                               []struct{ Count int }
		Wrong                                                  []string
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if report.Instances != 30 || report.ResultsChecked != 30 || report.EventsCounted == 0 || report.ActivityRuns < 100 ||
		report.Requests["queue.put"] == 0 || report.LeftOver.Messages+report.LeftOver.PayloadBlobs != 0 ||
		len(report.Recovery) == 0 || report.Wrong == nil || len(report.Wrong) > 0 {
		t.Errorf("the report is %+v", report)
	}
	checkContains(t, p.err.String(), "2 workers run", "FAULT ")
	p.checkNoneLeft()
	checkEmpty(t, dir)
}

func TestChaos_Interrupted(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	for _, tt := range []struct{ name, faults, moment string }{
		{"at the start", "kill-worker", "Starting Azurite"},
		{"while a worker is killed", "kill-worker", "FAULT kill-worker"},
		{"while a worker is frozen", "freeze-worker", "FAULT freeze-worker"},
		{"while storage is away", "kill-storage", "FAULT kill-storage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.faults == "freeze-worker" && runtime.GOOS == "windows" {
				t.Skip("cannot freeze processes")
			}
			dir := t.TempDir()
			p := chaosProgram(t, dir, "--faults", tt.faults)
			p.start()
			p.until(tt.moment)
			p.signal(os.Interrupt)
			if code := p.exitCode(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if got := p.err.String(); got != "durafleet: interrupted\n" {
				t.Errorf("standard error is %q", got)
			}
			p.checkNoneLeft()
			checkEmpty(t, dir)
		})
	}
}

func TestChaos_KilledLeavesNoProcess(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	if runtime.GOOS != "linux" {
		t.Skip("looks for processes in /proc")
	}
	p := chaosProgram(t, t.TempDir(), "--faults", "freeze-worker")
	p.start()
	p.until("FAULT freeze-worker")
	left := marked(t, p.mark)
	workers := slices.DeleteFunc(left, func(line string) bool { return !strings.Contains(line, "chaos-worker") })
	if len(workers) != 3 {
		t.Errorf("the test finds only the workers %q", workers)
	}
	p.signal(os.Kill)
	p.exitCode()
	p.checkNoneLeft()
}

func TestChaos_Usage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, want string }{
		{"--minutes 0", "--minutes 0: must be more than 0"},
		{"--minutes -1", "--minutes -1: must be more than 0 and at most 1440"},
		{"--minutes soon", `"soon"`},
		{"--workers 17", "--workers 17: must be 1 to 16"},
		{"--workers 0", "--workers 0: must be more than 0"},
		{"--instances 5 --instances-per-minute 5", "--instances 5: excludes --instances-per-minute"},
		{"--lease 1s", "--lease 1s: must be 6s to 1m0s"},
		{"--faults flood", `--faults flood: "flood" is none of kill-worker, freeze-worker`},
		{"--faults kill-worker --soak", "--faults kill-worker: excludes --soak"},
		{"--seed -1", `"-1"`},
		{"extra", `"extra" is one argument too many`},
	} {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			p := program(t, nil, append([]string{"chaos"}, strings.Fields(tt.line)...)...)
			code, out := p.output()
			if code != 2 || out != "" || !strings.Contains(p.err.String(), tt.want) {
				t.Errorf("exit code %d, %q, %q; want 2 and %q", code, out, p.err.String(), tt.want)
			}
		})
	}
}
