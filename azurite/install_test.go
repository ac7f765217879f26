//go:build unix

package azurite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeTools makes PATH hold nothing but the given scripts.
func fakeTools(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

// installingNpm does what npm does, as far as Install can see, and writes down that it was run.
// Its first arguments are: install --prefix DIR.
const installingNpm = `
PATH=/usr/bin:/bin
mkdir -p "$3/node_modules/azurite/dist/src"
echo run >> "$3/../runs"
echo "// $*" > "$3/node_modules/azurite/dist/src/azurite.js"
`

func TestInstall_OnceByManyAtOnce(t *testing.T) {
	fakeTools(t, map[string]string{"npm": installingNpm})
	cache := filepath.Join(t.TempDir(), "new")
	var told atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := Install(t.Context(), &Options{CacheDir: cache, Progress: func(string) { told.Add(1) }})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	runs, err := os.ReadFile(filepath.Join(cache, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	if string(runs) != "run\n" || told.Load() != 1 {
		t.Errorf("npm was run %d times, %d times told", strings.Count(string(runs), "run"), told.Load())
	}
	script, err := os.ReadFile(entry(filepath.Join(cache, "azurite-"+Version)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), "--ignore-scripts") || !strings.Contains(string(script), "azurite@"+Version) {
		t.Errorf("npm was run as %s", script)
	}
	if temps, _ := filepath.Glob(filepath.Join(cache, "*.tmp-*")); len(temps) > 0 {
		t.Errorf("left behind: %v", temps)
	}
}

func TestInstall_AgainNeedsNoNpm(t *testing.T) {
	fakeTools(t, map[string]string{"npm": installingNpm})
	opts := &Options{CacheDir: t.TempDir()}
	first, err := Install(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	fakeTools(t, nil)
	second, err := Install(t.Context(), opts)
	if err != nil || first != second {
		t.Errorf("got %s, %v", second, err)
	}
}

func TestInstall_RepairsDamage(t *testing.T) {
	fakeTools(t, map[string]string{"npm": installingNpm})
	cache := t.TempDir()
	damaged := filepath.Join(cache, "azurite-"+Version, "node_modules", "azurite")
	if err := os.MkdirAll(damaged, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(t.Context(), &Options{CacheDir: cache}); err != nil {
		t.Error(err)
	}
}

func TestInstall_SaysWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		scripts map[string]string
		want    error
		text    string
	}{
		{"no npm", nil, ErrNoNpm, "no npm program in PATH"},
		{"npm fails", map[string]string{"npm": "echo registry unreachable; exit 3"}, ErrInstall, "registry unreachable"},
		{"npm delivers nothing", map[string]string{"npm": "exit 0"}, ErrInstall, "does not exist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeTools(t, tt.scripts)
			cache := t.TempDir()
			_, err := Install(t.Context(), &Options{CacheDir: cache})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v", err)
			}
			if temps, _ := filepath.Glob(filepath.Join(cache, "*.tmp-*")); len(temps) > 0 {
				t.Errorf("left behind: %v", temps)
			}
		})
	}
}

func TestLaunch_SaysWhatIsWrongWithNode(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         error
		text         string
	}{
		{"none", "", ErrNoNode, "no node program in PATH"},
		{"old", "echo v8.17.0", ErrNodeTooOld, "v8.17.0"},
		{"odd", "echo hello", nil, `"hello"`},
		{"broken", "exit 1", nil, "--version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scripts := map[string]string{}
			if tt.script != "" {
				scripts["node"] = tt.script
			}
			fakeTools(t, scripts)
			_, err := Launch(t.Context(), &Options{CacheDir: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), tt.text) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// recorder is a TB that only remembers how the test ended.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper()               {}
func (r *recorder) Skipf(string, ...any)  { r.end = "skip" }
func (r *recorder) Fatalf(string, ...any) { r.end += "fatal" }

func TestGiveUp_FailsInCI(t *testing.T) {
	for _, tt := range []struct {
		name, ci string
		err      error
		want     string
	}{
		{"missing in CI", "true", ErrNoNode, "fatal"},
		{"missing elsewhere", "", ErrNoNpm, "skip"},
		{"does not start in CI", "true", ErrStart, "fatal"},
		{"does not start elsewhere", "", ErrStart, "fatal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			r := &recorder{}
			giveUp(r, tt.err)
			if r.end != tt.want {
				t.Errorf("got %q, want %q", r.end, tt.want)
			}
		})
	}
}
