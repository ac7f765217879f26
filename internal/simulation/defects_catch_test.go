package simulation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// inspection is one of the tests that a defect has to get past.
type inspection struct {
	name string
	// pkg is the package of the test, from the root of the module.
	pkg  string
	args []string
	// sees matches the line that tells of a failure; then tells what its groups mean. The reason is
	// what follows.
	sees *regexp.Regexp
	tell func(groups []string) string
	// patience bounds the time that the test may take.
	patience time.Duration
}

// inspections are tried one after the other, until one of them sees the defect.
func (d *defect) inspections() []inspection {
	cut := func(groups []string) string {
		return fmt.Sprintf("cut %s request %s", map[string]string{"true": "after", "false": "before"}[groups[2]], groups[1])
	}
	name, args := "simulation", []string{"-test.run=^TestFleet$", "-workers=1", fmt.Sprintf("-seeds=%d", *defectSeedsFlag)}
	if faults := harsher[d.name]; faults != "" {
		name, args = fmt.Sprintf("simulation, `%s`", faults), append(args, "-faults="+faults)
	}
	return []inspection{
		{
			name: name, pkg: "./internal/simulation", args: args,
			sees: regexp.MustCompile(`seed (\d+) fails after \d+ requests:`),
			tell: func(groups []string) string {
				if groups[1] == "1" {
					return "1 seed"
				}
				return groups[1] + " seeds"
			},
			patience: 10 * time.Minute,
		},
		{
			name: "cuts", pkg: "./internal/simulation", args: []string{"-test.run=^TestCuts$", "-test.v"},
			sees: regexp.MustCompile(`crash at request (\d+), after=(true|false): .*`), tell: cut, patience: 5 * time.Minute,
		},
		{
			name: "stalls", pkg: "./internal/simulation", args: []string{"-test.run=^TestStalls$"},
			sees: regexp.MustCompile(`stands still at request (\d+), (.*): .*`),
			tell: func(groups []string) string { return "request " + groups[1] + ", " + groups[2] }, patience: 5 * time.Minute,
		},
		{
			name: "twins", pkg: "./internal/simulation", args: []string{"-test.run=^TestTwins$"},
			sees: regexp.MustCompile(`twins, request (\d+) is slow: .*`),
			tell: func(groups []string) string { return "request " + groups[1] }, patience: 5 * time.Minute,
		},
		{
			name: "cuts of the worker's tests", pkg: "./worker", args: []string{"-test.run=^TestCrash_AtEveryRequest$"},
			sees: regexp.MustCompile(`--- FAIL: TestCrash_AtEveryRequest/.*/(\d+),after=(true|false) .*`), tell: cut, patience: 5 * time.Minute,
		},
	}
}

// sighting says how a defect was seen.
type sighting struct {
	by, after, reason string
}

// atATime is how many defects are looked for side by side; each takes one processor.
const atATime = 2

// TestDefects_AreCaught plants the defects that the flag -defects names and checks that each of them is
// seen. It prints a table of how.
func TestDefects_AreCaught(t *testing.T) {
	t.Parallel()
	if *defectsFlag == "" {
		t.Skip("plants defects and looks for them only with the flag -defects, since it takes minutes")
	}
	chosen, err := chosenDefects()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	sightings := make([]sighting, len(chosen))
	var group sync.WaitGroup
	free := make(chan struct{}, atATime)
	for i := range chosen {
		dir := t.TempDir()
		group.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			began := time.Now()
			s, err := chosen[i].catch(t.Context(), dir)
			if err != nil {
				t.Errorf("defect %s: %v", chosen[i].name, err)
			}
			sightings[i] = s
			t.Logf("%s: %s, %s, in %v", chosen[i].name, s.by, s.after, time.Since(began).Round(time.Second))
		})
	}
	group.Wait()
	t.Logf("%d defects in %v", len(chosen), time.Since(began).Round(time.Second))
	fmt.Print(table(chosen, sightings)) //nolint:forbidigo // to be copied as it is
}

const tableHead = "| Defect | Where | Caught by | After | What was seen |\n|---|---|---|---|---|\n"

// table shows how the defects were seen, in Markdown.
func table(chosen []defect, sightings []sighting) string {
	var text strings.Builder
	text.WriteString(tableHead)
	for i, d := range chosen {
		s := sightings[i]
		by := s.by
		if by == "" {
			by = "**nothing**"
		}
		fmt.Fprintf(&text, "| `%s`: %s | `%s` | %s | %s | %s |\n", d.name, d.what, d.file, by, s.after, cell(s.reason))
	}
	return text.String()
}

// cell makes a reason fit a table: without names that say nothing, and not too long.
func cell(reason string) string {
	reason = regexp.MustCompile(`\b[0-9a-f]{32}\b`).ReplaceAllString(reason, "…")
	reason = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(reason, "…")
	reason = strings.NewReplacer("|", `\|`, "<", "‹", ">", "›", "*", `\*`, "\t", " ").Replace(reason)
	if runes := []rune(reason); len(runes) > 150 {
		reason = string(runes[:150]) + "…"
	}
	return reason
}

// errUnseen says that a check is missing.
var errUnseen = errors.New("nothing has seen it: a check is missing")

// catch builds the engine with the defect and returns the first sighting.
func (d *defect) catch(ctx context.Context, dir string) (sighting, error) {
	overlay, err := d.overlay(dir)
	if err != nil {
		return sighting{}, err
	}
	for _, in := range d.inspections() {
		program := filepath.Join(dir, strings.ReplaceAll(in.pkg[2:], "/", "-")+".test.exe")
		if _, err := os.Stat(program); err != nil {
			build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", program, in.pkg) //nolint:gosec // arguments of ours
			build.Dir = moduleRoot
			if out, err := build.CombinedOutput(); err != nil {
				return sighting{}, fmt.Errorf("build: %w\n%s", err, out)
			}
		}
		s, err := in.look(ctx, program)
		if err != nil || s.by != "" {
			return s, err
		}
	}
	return sighting{}, errUnseen
}

// overlay writes what makes a build take the file with the defect instead of the one that is there.
func (d *defect) overlay(dir string) (string, error) {
	text, err := d.plant()
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(filepath.Join(moduleRoot, filepath.FromSlash(d.file)))
	if err != nil {
		return "", fmt.Errorf("find %s: %w", d.file, err)
	}
	broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	if err != nil {
		return "", fmt.Errorf("encode the overlay: %w", err)
	}
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		return "", err //nolint:wrapcheck // it names the file
	}
	return overlay, os.WriteFile(overlay, content, 0o600)
}

// look runs a test and ends it as soon as it has seen the defect. A test that breaks down, or does not
// come to an end, has seen nothing.
func (in *inspection) look(ctx context.Context, program string) (sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, in.patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-test.timeout=0"}, in.args...)...) //nolint:gosec // built a moment ago
	cmd.Dir = filepath.Join(moduleRoot, filepath.FromSlash(in.pkg))
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		return sighting{}, fmt.Errorf("run the %s: %w", in.name, err)
	}
	ended := make(chan error, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		ended <- cmd.Wait()
		_ = writer.Close() // a pipe's never fails
	})
	defer waiting.Wait()
	s, last := in.read(reader)
	cancel()
	_, _ = io.Copy(io.Discard, reader) // or the program's last words would keep it from ending
	if err := <-ended; err != nil && s.by == "" {
		return s, fmt.Errorf("%s: %w without having seen it:\n%s", in.name, err, last)
	}
	return s, nil
}

// place is where a test tells that it says something.
var place = regexp.MustCompile(`^\s*\w+_test\.go:\d+: `)

// read reads what a test says up to the first sighting. It returns the last lines, too.
func (in *inspection) read(output io.Reader) (s sighting, last string) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 64<<20)
	var recent []string
	after := ""
	for lines.Scan() {
		line := lines.Text()
		recent = append(recent[max(0, len(recent)-20):], line)
		if after == "" {
			if groups := in.sees.FindStringSubmatch(line); groups != nil {
				after = in.tell(groups)
			}
			continue
		}
		reason := strings.TrimSpace(place.ReplaceAllString(line, ""))
		switch {
		case strings.HasPrefix(reason, "panic: "):
			return sighting{}, strings.Join(recent, "\n")
		case reason != "":
			return sighting{by: in.name, after: after, reason: unquoted(reason)}, ""
		}
	}
	return sighting{}, strings.Join(recent, "\n")
}

// unquoted takes the quotes off a reason that was printed with them.
func unquoted(reason string) string {
	if text, err := strconv.Unquote(reason); err == nil {
		return text
	}
	return reason
}
