package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	azurite.StopShared()
	os.Exit(code)
}

// result is what a command line came to.
type result struct {
	code     int
	out, err string
}

// rig runs command lines for a test.
type rig struct {
	t           *testing.T
	environment map[string]string
	in          string
}

// offline returns a rig without a storage account.
func offline(t *testing.T) *rig { return &rig{t: t, environment: map[string]string{}} }

// online returns a rig with Azurite.
func online(t *testing.T) *rig {
	t.Helper()
	b := offline(t)
	b.environment["DURAFLEET_CONNECTION"] = azurite.Start(t).ConnectionString()
	return b
}

var hubs atomic.Int64

// withHub returns a rig with a new task hub on Azurite.
func withHub(t *testing.T) *rig {
	t.Helper()
	b := online(t)
	b.environment["DURAFLEET_HUB"] = fmt.Sprintf("Cli%dx%d", time.Now().UnixNano()%1e9, hubs.Add(1))
	b.ok("hub", "create")
	return b
}

// withWorker returns a rig with a new task hub, on which a worker runs until the test ends.
func withWorker(t *testing.T) *rig {
	t.Helper()
	b := withHub(t)
	runWorker(t, b)
	return b
}

// runWorker runs a worker on the hub of the rig until the test ends.
func runWorker(t *testing.T, b *rig) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var group run.Group
	group.Go(ctx, "test: worker", func(ctx context.Context) {
		got := b.runIn(ctx, "worker", "--worker-id", "w1", "--max-poll-interval", "200ms")
		if got.code != ExitOK || !strings.Contains(got.out, "Worker w1 has stopped") {
			t.Errorf("the worker ended with %+v", got)
		}
	})
	t.Cleanup(func() { stop(); group.Wait() })
}

func (b *rig) runIn(ctx context.Context, arguments ...string) result {
	out, errs := &bytes.Buffer{}, &bytes.Buffer{}
	code := Run(ctx, arguments, Streams{
		In: strings.NewReader(b.in), Out: out, Err: errs,
		LookupEnv: func(name string) (string, bool) { value, found := b.environment[name]; return value, found },
		Exit:      func(code int) { b.t.Errorf("the process would have ended with %d", code) },
	})
	return result{code, out.String(), errs.String()}
}

func (b *rig) run(arguments ...string) result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return b.runIn(ctx, arguments...)
}

// ok runs a command line that has to succeed, and returns its output.
func (b *rig) ok(arguments ...string) string {
	b.t.Helper()
	got := b.run(arguments...)
	if got.code != ExitOK {
		b.t.Fatalf("%q ended with %d: %s", arguments, got.code, got.err)
	}
	return got.out
}

// fails runs a command line that has to end with a code and an error that contains all texts.
func (b *rig) fails(code int, texts []string, arguments ...string) result {
	b.t.Helper()
	got := b.run(arguments...)
	if got.code != code {
		b.t.Errorf("%q ended with %d, want %d: %s%s", arguments, got.code, code, got.out, got.err)
	}
	for _, text := range texts {
		if !strings.Contains(got.err, text) {
			b.t.Errorf("%q: no %q in %q", arguments, text, got.err)
		}
	}
	if !strings.HasPrefix(got.err, "durafleet: ") || strings.Count(strings.TrimSpace(got.err), "\n") > 0 {
		b.t.Errorf("%q: the error is not one line that says whose it is: %q", arguments, got.err)
	}
	return got
}

// start starts an instance and returns its id.
func (b *rig) start(arguments ...string) string {
	b.t.Helper()
	return strings.TrimSpace(b.ok(append([]string{"instance", "start"}, arguments...)...))
}

// decode decodes a JSON output.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// changing matches what differs between runs, and what stands for it.
var changing = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`(?i)cli\d+x\d+`), "HUB"},
	{regexp.MustCompile(`\b\d+(\.\d)?s\b`), "DURATION"},
	{regexp.MustCompile(`"(expiresIn|leaseAge|reportAge)": [0-9.]+`), `"$1": SECONDS`},
	{regexp.MustCompile(`\b\d+m\d+(\.\d)?s\b`), "DURATION"},
	{regexp.MustCompile(` +\n`), "\n"},
	{regexp.MustCompile(`(\S) {2,}`), "$1  "}, // columns, as wide as what was in them
}

// golden compares an output with the file of the name.
func golden(t *testing.T, name, text string) {
	t.Helper()
	for _, change := range changing {
		text = change.pattern.ReplaceAllString(text, change.to)
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// client is the hub as the library sees it, for what no command does.
func (b *rig) client() *taskhub.Client {
	b.t.Helper()
	account := taskhub.ConnectionString(b.environment["DURAFLEET_CONNECTION"])
	hub, err := taskhub.Open(b.t.Context(), account, b.environment["DURAFLEET_HUB"], nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return taskhub.NewClient(hub)
}
