package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
	group "github.com/durafleet/durafleet/internal/run" // this program has a run of its own
	"github.com/durafleet/durafleet/taskhub"
)

const (
	// runVariable makes the test program be the program that it tests, in itself and in all
	// workers that it starts.
	runVariable = "DURAFLEET_TEST_RUN"
	// markVariable marks the processes of one test.
	markVariable = "DURAFLEET_TEST_MARK"
)

func TestMain(m *testing.M) {
	if os.Getenv(runVariable) != "" {
		main()
	}
	code := m.Run()
	azurite.StopShared()
	os.Exit(code)
}

// process is the program, run by a test.
type process struct {
	t       *testing.T
	command *exec.Cmd
	mark    string
	out     io.Reader
	err     bytes.Buffer
}

// program prepares a run of the program, which ends with the test.
func program(t *testing.T, environment []string, arguments ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p := &process{t: t, command: exec.CommandContext(ctx, executable, arguments...)}
	p.mark = fmt.Sprintf("%s=%s-%d-%d", markVariable, strings.ReplaceAll(t.Name(), "/", "-"), os.Getpid(), time.Now().UnixNano())
	p.command.Env = append(append(os.Environ(), runVariable+"=1", p.mark), environment...)
	p.command.Stderr = &p.err
	return p
}

// start starts the program with a pipe to its output.
func (p *process) start() {
	p.t.Helper()
	out, err := p.command.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.out = out
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// until reads the output up to a line that contains text, and leaves reading the rest to a
// goroutine that ends with the process.
func (p *process) until(text string) {
	p.t.Helper()
	var seen strings.Builder
	lines := bufio.NewScanner(p.out)
	for lines.Scan() {
		fmt.Fprintln(&seen, lines.Text())
		if strings.Contains(lines.Text(), text) {
			go func() { _, _ = io.Copy(io.Discard, p.out) }()
			return
		}
	}
	p.t.Fatalf("no line with %q in\n%s%s", text, seen.String(), p.err.String())
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exitCode waits for the process.
func (p *process) exitCode() int {
	p.t.Helper()
	err := p.command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.command.ProcessState.ExitCode()
}

// output runs the program to its end.
func (p *process) output() (code int, out string) {
	p.t.Helper()
	text := &bytes.Buffer{}
	p.command.Stdout = text
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	return p.exitCode(), text.String()
}

// checkNoneLeft fails the test if a process of this run exists after a while, in which the system
// may remove them.
func (p *process) checkNoneLeft() {
	p.t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	deadline := time.Now().Add(5 * time.Second)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		left := marked(p.t, p.mark)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("processes are left: %q", left)
		}
		<-ticker.C
	}
}

// marked returns the command lines of processes that have the mark in their environment.
func marked(t *testing.T, mark string) []string {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range environments {
		environment, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(environment, []byte(mark)) {
			continue // others' processes cannot be read
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		if err == nil && len(line) > 0 {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// tree makes a directory whose manifest is larger than 64 KB.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for i := range 750 {
		dir := filepath.Join(root, "section"+strconv.Itoa(i%5), "deep")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file %03d", i)), fmt.Append(nil, "text ", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func checkContains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// needAzurite skips a test that takes real time, or that cannot run here.
func needAzurite(t *testing.T) *azurite.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real time; -short is set")
	}
	return azurite.Start(t)
}

func TestDemo(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	p := program(t, nil, "demo", "--dir", tree(t))
	code, out := p.output()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, p.err.String())
	}
	checkContains(t, out,
		"Killed worker worker-", "Worker worker-4 is process", "asks for approval: 750 files",
		"Instances completed", "Activities run", "Re-run after worker-", "through a payload blob", "queue.put",
		"five activities in sequence", "The manifest matches the tree: 750 files")
	if strings.ContainsAny(out, "\r\x1b") {
		t.Error("the output is made for a terminal, and is none")
	}
	p.checkNoneLeft()
}

func TestDemo_Interrupted(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	for _, moment := range []string{"Starting Azurite", "Started orchestration", "Killed worker"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			p := program(t, nil, "demo", "--dir", tree(t))
			p.start()
			p.until(moment)
			p.signal(os.Interrupt)
			if code := p.exitCode(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if got := p.err.String(); got != "durafleet: interrupted\n" {
				t.Errorf("standard error is %q", got)
			}
			p.checkNoneLeft()
		})
	}
}

func TestDemo_KilledLeavesNothing(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	p := program(t, nil, "demo", "--dir", tree(t))
	p.start()
	p.until("Started orchestration")
	if runtime.GOOS == "linux" && len(marked(t, p.mark)) < 5 {
		t.Errorf("the test finds only %q of the demo, three workers and Azurite", marked(t, p.mark))
	}
	p.signal(os.Kill)
	p.exitCode()
	p.checkNoneLeft()
}

func TestDemo_InOneProcess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		environment []string
		arguments   []string
		want        string
	}{
		{"on purpose", nil, []string{"--embedded"}, "in memory"},
		{"without Node", []string{"PATH="}, nil, "Node.js is not installed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := program(t, tt.environment, append([]string{"demo", "--dir", tree(t)}, tt.arguments...)...)
			code, out := p.output()
			if code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, out, p.err.String())
			}
			checkContains(t, out, tt.want, "through a payload blob", "The manifest matches the tree: 750 files")
		})
	}
}

func TestDemo_NoTree(t *testing.T) {
	t.Parallel()
	p := program(t, nil, "demo", "--dir", filepath.Join(t.TempDir(), "gone"))
	if code, _ := p.output(); code != 1 || !strings.Contains(p.err.String(), "gone") {
		t.Errorf("exit code %d, %s", code, p.err.String())
	}
}

func TestWorker_Drains(t *testing.T) {
	t.Parallel()
	server := needAzurite(t)
	connection := server.ConnectionString()
	hub, err := taskhub.Create(t.Context(), taskhub.ConnectionString(connection), "Drains", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := program(t, []string{"DURAFLEET_CONNECTION=" + connection}, "worker", "--hub", hub.Name())
	p.start()
	p.until("runs on task hub Drains")
	instance, err := taskhub.NewClient(hub).StartByName(t.Context(), "Greet", []string{"you"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := instance.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.err.String())
	}
	p.checkNoneLeft()
}

// A worker that is asked to stop tells the others, so that its partitions are served again at once instead of
// when the others happen to look, which takes 10 s and more.
func TestWorker_StopRings(t *testing.T) {
	t.Parallel()
	server := needAzurite(t)
	connection := server.ConnectionString()
	hub, err := taskhub.Create(t.Context(), taskhub.ConnectionString(connection), "StopRings", &taskhub.Options{Doorbell: true})
	if err != nil {
		t.Fatal(err)
	}
	var workers [2]*process
	for i := range workers {
		workers[i] = program(t, []string{"DURAFLEET_CONNECTION=" + connection}, "worker", "--hub", hub.Name(),
			"--worker-id", fmt.Sprint("worker-", i), "--doorbell=127.0.0.1:0")
		workers[i].start()
		workers[i].until("runs on task hub StopRings")
	}
	shares := func(want map[string]int) func() bool {
		return func() bool {
			health, err := hub.Health(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, p := range health.Partitions {
				got[p.Owner]++
			}
			return maps.Equal(got, want)
		}
	}
	eventually(t, time.Minute, "each worker has two partitions", shares(map[string]int{"worker-0": 2, "worker-1": 2}))
	began := time.Now()
	workers[0].signal(syscall.SIGTERM)
	eventually(t, 8*time.Second, "the other one has all", shares(map[string]int{"worker-1": 4}))
	t.Logf("the partitions had an owner again after %v", time.Since(began))
	if code := workers[0].exitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, workers[0].err.String())
	}
	client := taskhub.NewClient(hub)
	for range 8 {
		instance, err := client.StartByName(t.Context(), "Greet", []string{"you"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // not 30 s, which is what a poll may take
		if _, err := instance.Wait(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	workers[1].signal(syscall.SIGTERM)
	if code := workers[1].exitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, workers[1].err.String())
	}
	workers[1].checkNoneLeft()
}

func eventually(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		group.Sleep(t.Context(), 50*time.Millisecond)
	}
}

func TestDev(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	location := filepath.Join(t.TempDir(), "data")
	p := program(t, nil, "dev", "--hub", "Mine", "--location", location, "--blob-port", "0", "--queue-port", "0", "--table-port", "0")
	p.start()
	p.until("runs on task hub Mine")
	p.signal(os.Interrupt)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.err.String())
	}
	if entries, err := os.ReadDir(location); err != nil || len(entries) == 0 {
		t.Errorf("no data in %s: %v", location, err)
	}
	p.checkNoneLeft()
}
