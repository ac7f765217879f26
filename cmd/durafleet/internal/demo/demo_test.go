package demo

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/report"
	"github.com/durafleet/durafleet/examples/manifest"
)

func TestTally(t *testing.T) {
	t.Parallel()
	tally := newTally()
	reached := []string{}
	tally.when(3, func(worker string) { reached = append(reached, worker) })
	run := func(worker, call string, attempt int) {
		line := report.OfRun(activity.Info{CallID: call, Attempt: attempt}, nil)
		line.Worker = worker
		tally.take(line)
	}
	run("a", "x", 1)
	run("a", "x", 2) // another attempt of a retry policy
	run("b", "y", 1)
	run("c", "y", 1) // again
	if runs, calls := tally.count(); runs != 4 || calls != 3 {
		t.Errorf("%d runs of %d calls, want 4 of 3", runs, calls)
	}
	if len(reached) != 1 || reached[0] != "b" {
		t.Errorf("the third run came from %v, want b, once", reached)
	}
	for range 2 { // a report replaces the one before
		tally.take(report.Line{Kind: report.Requests, Worker: "a", Counts: map[string]int64{"queue.put": 2}})
	}
	if got := tally.requestsByKind(map[string]int64{"queue.put": 1})["queue.put"]; got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service := &manifest.Service{}
	files, err := service.HashFiles(t.Context(), manifest.Batch{Root: root, Paths: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	wrong := files[1]
	wrong.SHA256 = strings.Repeat("0", 64)
	for _, tt := range []struct {
		name  string
		files []manifest.File
		want  string // in the error; empty: none
	}{
		{"right", files, ""},
		{"missing", files[:1], "b is missing"},
		{"wrong", []manifest.File{files[0], wrong}, "b is reported as"},
		{"invented", append([]manifest.File{{Path: "c"}}, files...), "c is reported and does not exist"},
		{"twice", append([]manifest.File{files[0]}, files...), "reported twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := check(t.Context(), root, manifest.Report{Files: tt.files})
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	cost, err := measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := cost.check(); err != nil {
		t.Error(err)
	}
	if cost.sequence < 10 || cost.event < 5 {
		t.Errorf("%+v is less than these flows can take", cost)
	}
}

func TestScreen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		terminal bool
		want     int // lines on which "half" shows
	}{{"terminal", true, 2}, {"plain", false, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := &bytes.Buffer{}
			show := newScreen(out, tt.terminal)
			show.progress("half")
			show.progress("half")
			show.say("done")
			show.end()
			if got := strings.Count(out.String(), "half"); got != tt.want {
				t.Errorf("progress was printed %d times, want %d: %q", got, tt.want, out.String())
			}
			if hasReturn := strings.Contains(out.String(), "\r"); hasReturn != tt.terminal {
				t.Errorf("printed %q", out.String())
			}
			if !strings.HasSuffix(out.String(), "done\n") {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}
