package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/storage"
)

func TestInstance_StartWaitGetHistory(t *testing.T) {
	t.Parallel()
	b := withWorker(t)
	id := b.start("Greet", "--input", `["Tokyo","Seattle"]`, "--id", "greet-1", "--tag", "team=blue", "--tag", "b=c=d", "--version", "2")
	if id != "greet-1" {
		t.Fatalf("the id is %q", id)
	}
	golden(t, "instance-wait", b.ok("instance", "wait", id, "--timeout", "30s"))
	got := decode[instanceView](t, b.ok("instance", "get", id, "--output", "json"))
	if got.Status != history.Completed || string(compact(t, got.Output)) != `["Hello, Tokyo!","Hello, Seattle!"]` ||
		got.Tags["team"] != "blue" || got.Tags["b"] != "c=d" || got.Version != "2" || got.Completed == nil {
		t.Errorf("the instance is %+v", got)
	}
	// The start 2, the row read, a checkpoint for each activity at most and one more, the row, the start's deletion.
	if got.Requests == nil || *got.Requests < 6 || *got.Requests > 8 {
		t.Errorf("the instance has cost %v", got.Requests)
	}
	if text := b.ok("instance", "get", id); !strings.Contains(text, fmt.Sprintf("%d storage requests", *got.Requests)) {
		t.Errorf("there is no cost in %s", text)
	}
	if text := b.ok("instance", "get", id, "--no-cost"); strings.Contains(text, "Cost so far") {
		t.Errorf("there is a cost in %s", text)
	}
	if bare := b.ok("instance", "get", id, "--no-payloads"); strings.Contains(bare, "Tokyo") {
		t.Errorf("there are payloads in %s", bare)
	}
	golden(t, "instance-history", b.ok("instance", "history", id))
	checkHistory(t, decode[[]map[string]any](t, b.ok("instance", "history", id, "-o", "json")))
	lines := strings.Split(strings.TrimSpace(b.ok("instance", "history", id, "-o", "jsonl")), "\n")
	events := make([]map[string]any, len(lines))
	for i, line := range lines {
		events[i] = decode[map[string]any](t, line)
	}
	checkHistory(t, events)

	b.fails(ExitConflict, []string{id, "Completed"}, "instance", "raise", id, "Any")
	b.fails(ExitConflict, []string{id, "Completed"}, "instance", "suspend", id)
	b.fails(ExitConflict, []string{id, "Completed"}, "instance", "resume", id)
	b.fails(ExitConflict, []string{id, "Completed"}, "instance", "terminate", id, "--yes")
	b.fails(ExitUsage, []string{"--yes"}, "instance", "purge", id)
	b.ok("instance", "purge", id, "--yes")
	b.fails(ExitNotFound, []string{id}, "instance", "get", id)
}

func compact(t *testing.T, raw json.RawMessage) []byte {
	t.Helper()
	text, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkHistory looks at what only the full output shows.
func checkHistory(t *testing.T, events []map[string]any) {
	t.Helper()
	tasks := []any{}
	for _, event := range events {
		if event["kind"] == "TaskCompleted" {
			tasks = append(tasks, event["taskId"])
		}
	}
	if len(tasks) != 2 || tasks[0] != 0.0 || tasks[1] != 1.0 {
		t.Errorf("the completed tasks are %v", tasks)
	}
	for _, event := range events {
		if event["kind"] != "ExecutionStarted" {
			continue
		}
		input, ok := event["input"].([]any)
		if !ok || len(input) != 2 || event["name"] != "Greet" || event["version"] != "2" {
			t.Errorf("the start is %v", event)
		}
		return
	}
	t.Errorf("there is no start in %v", events)
}

func TestInstance_Event(t *testing.T) {
	t.Parallel()
	b := withWorker(t)
	id := b.start("Ask", "--input", "Shall we?", "--string")
	b.fails(ExitTimeout, []string{id, "timed out after 1s"}, "instance", "wait", id, "--timeout", "1s")
	b.fails(ExitConflict, []string{id, "has not ended"}, "instance", "purge", id, "--yes")
	b.fails(ExitConflict, []string{id, "already exists"}, "instance", "start", "Ask", "--id", id)
	if got := b.start("Ask", "--id", id, "--if-exists", "use"); got != id {
		t.Errorf("the existing one is %q", got)
	}
	b.in = `"We shall."`
	if got := b.ok("instance", "raise", id, "Answer", "--data", "-"); !strings.Contains(got, "event Answer raised") {
		t.Errorf("raise printed %q", got)
	}
	got := decode[instanceView](t, b.ok("instance", "wait", id, "--output", "json"))
	if string(got.Input) != `"Shall we?"` || string(got.Output) != `"We shall."` || string(got.CustomStatus) != `"Shall we?"` {
		t.Errorf("the instance is %+v", got)
	}
}

func TestInstance_SuspendResumeTerminate(t *testing.T) {
	t.Parallel()
	b := withWorker(t)
	id := b.start("Ask")
	b.ok("instance", "suspend", id, "--reason", "lunch")
	b.await(id, history.Suspended)
	if got := b.ok("instance", "get", id); !strings.Contains(got, "lunch") {
		t.Errorf("the reason is missing in %s", got)
	}
	b.ok("instance", "resume", id, "-o", "json")
	b.await(id, history.Running)
	b.fails(ExitUsage, []string{"--yes"}, "instance", "terminate", id)
	b.ok("instance", "terminate", id, "--yes", "--reason", "enough")
	got := b.run("instance", "wait", id)
	if got.code != ExitOther || !strings.Contains(got.out, "Terminated") || !strings.Contains(got.err, "enough") {
		t.Errorf("the wait for a terminated instance came to %+v", got)
	}
	b.fails(ExitOther, []string{"Failed"}, "instance", "start", "Greet", "--input", `{"not":"a list"}`, "--wait")
}

// await waits for a status.
func (b *rig) await(id string, status history.Status) {
	b.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(30 * time.Second)
	for decode[instanceView](b.t, b.ok("instance", "get", id, "-o", "json")).Status != status {
		if time.Now().After(deadline) {
			b.t.Fatalf("instance %s does not become %s", id, status)
		}
		<-ticker.C
	}
}

// Without a worker, instances stay Pending.
func TestInstance_Pending(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	file := filepath.Join(t.TempDir(), "input.json")
	if err := os.WriteFile(file, []byte("{\"from\": \"a file\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start("Greet", "--id", "a-1", "--input", "@"+file)
	b.start("Greet", "--id", "a-2", "--at", "1h")
	b.start("Ask", "--id", "b-1", "--at", time.Now().Add(time.Hour).Format(time.RFC3339))
	golden(t, "instance-list", b.ok("instance", "list"))

	type list struct {
		Instances []instanceView
		Next      string
	}
	for _, tt := range []struct {
		filter string
		want   string
	}{
		{"", "a-1 a-2 b-1"},
		{"--prefix a-", "a-1 a-2"},
		{"--name Ask", "b-1"},
		{"--status pending,RUNNING", "a-1 a-2 b-1"},
		{"--status Completed", ""},
		{"--from 1h", "a-1 a-2 b-1"},
		{"--to 1h", ""},
		{"--top 2", "a-1 a-2"},
	} {
		got := decode[list](t, b.ok(append([]string{"instance", "list", "-o", "json"}, strings.Fields(tt.filter)...)...))
		var ids []string
		for i := range got.Instances {
			ids = append(ids, got.Instances[i].InstanceID)
		}
		if strings.Join(ids, " ") != tt.want {
			t.Errorf("%q selects %q, want %q", tt.filter, ids, tt.want)
		}
	}
	page := decode[list](t, b.ok("instance", "list", "-o", "json", "--top", "2"))
	if rest := b.ok("instance", "list", "-o", "jsonl", "--payloads", "--token", page.Next); !strings.Contains(rest, `"b-1"`) || strings.Count(rest, "\n") != 1 {
		t.Errorf("the second page is %s", rest)
	}
	if got := decode[instanceView](t, b.ok("instance", "get", "a-1", "-o", "json")); string(compact(t, got.Input)) != `{"from":"a file"}` {
		t.Errorf("the input is %s", got.Input)
	}
	if got := decode[instanceView](t, b.ok("instance", "get", "a-2", "-o", "json")); got.ScheduledStart == nil || time.Until(*got.ScheduledStart) < 50*time.Minute {
		t.Errorf("the start is planned for %v", got.ScheduledStart)
	}
	before := decode[instanceView](t, b.ok("instance", "get", "a-1", "-o", "json")).ExecutionID
	b.start("Greet", "--id", "a-1", "--if-exists", "replace")
	if after := decode[instanceView](t, b.ok("instance", "get", "a-1", "-o", "json")).ExecutionID; after == before {
		t.Error("the instance was not replaced")
	}
	if got := strings.TrimSpace(b.ok("instance", "history", "a-1", "-o", "json")); got != "[]" {
		t.Errorf("the history of a pending instance is %s", got)
	}
	b.ok("instance", "purge", "a-1", "--yes", "--force")
}

func TestInstance_Garbage(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	for _, tt := range []struct {
		code      int
		want      string
		arguments []string
	}{
		{ExitUsage, `must not contain any of`, []string{"start", "Greet", "--id", "a/b"}},
		{ExitUsage, `must not begin with @`, []string{"start", "Greet", "--id", "@x"}},
		{ExitUsage, `must not be empty`, []string{"start", "Greet", "--id", ""}},
		{ExitUsage, `256`, []string{"start", "Greet", "--id", strings.Repeat("x", 300)}},
		{ExitUsage, `must not be empty`, []string{"start", ""}},
		{ExitUsage, `7 days`, []string{"start", "Greet", "--at", "200h"}},
		{ExitUsage, `--timeout`, []string{"wait", "x", "--timeout", "-1s"}},
		{ExitUsage, `1 to 1000`, []string{"list", "--top", "5000"}},
		{ExitNotFound, `"none"`, []string{"get", "none"}},
		{ExitNotFound, `"none"`, []string{"wait", "none"}},
		{ExitNotFound, `"none"`, []string{"history", "none"}},
		{ExitNotFound, `"none"`, []string{"raise", "none", "E", "--data", "1"}},
		{ExitNotFound, `"none"`, []string{"terminate", "none", "--yes"}},
		{ExitNotFound, `"none"`, []string{"suspend", "none"}},
		{ExitNotFound, `"none"`, []string{"resume", "none"}},
		{ExitNotFound, `"none"`, []string{"purge", "none", "--yes"}},
	} {
		b.fails(tt.code, []string{tt.want}, append([]string{"instance"}, tt.arguments...)...)
	}
	b.fails(ExitUsage, []string{"MaxActivities"}, "worker", "--max-activities", "-1")
	b.fails(ExitUsage, []string{"LeaseDuration"}, "worker", "--lease", "1s")
}

// An instance of which a payload is gone shows everything else, and the exit code tells it.
func TestInstance_Unreadable(t *testing.T) {
	t.Parallel()
	b := withHub(t)
	st := b.client().Hub().Store()
	b.start("Ask", "--id", "one", "--input", "1")
	b.poison("m1", "one", "text 1")
	merge := func(columns map[string]any) {
		row := storage.Row{PartitionKey: "one", Values: columns}
		if _, err := st.Account.Tables.Merge(t.Context(), st.Names.InstancesTable(), row, storage.AnyETag); err != nil {
			t.Fatal(err)
		}
	}
	get, wait := []string{"instance", "get", "one"}, []string{"instance", "wait", "one"}
	check := func(command []string, code int, want ...string) {
		t.Helper()
		got := b.run(command...)
		for _, text := range append(want, "Poison messages") {
			if !strings.Contains(got.out, text) {
				t.Errorf("%v printed %+v without %q", command, got, text)
			}
		}
		if got.code != code || !strings.Contains(got.err, "cannot be read in full") && code == ExitProblems {
			t.Errorf("%v came to %+v", command, got)
		}
	}
	merge(map[string]any{"Input": st.PayloadURL("one/gone.json.gz")})
	check(get, ExitProblems, "Pending", "cannot be read: unreadable payload one/gone.json.gz: the blob is missing")
	merge(map[string]any{"RuntimeStatus": "Completed"})
	check(wait, ExitProblems, "Completed", "cannot be read: unreadable payload one/gone.json.gz")
	got := b.run(append(get, "-o", "json")...)
	if view := decode[instanceView](t, got.out); got.code != ExitProblems || view.UnreadableInput == "" || view.Poison == nil || view.Status != history.Completed {
		t.Errorf("get printed %+v", got)
	}
	merge(map[string]any{"RuntimeStatus": "Failed", "Output": st.PayloadURL("one/none.json.gz")})
	check(wait, ExitOther, "Failed", "unreadable payload one/none.json.gz")
	merge(map[string]any{"CreatedTime": "yesterday"})
	check(get, ExitProblems, "cannot be read: column CreatedTime")
	check(wait, ExitProblems, "cannot be read: column CreatedTime")
}
