package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/storage/memory"
)

// Every scenario runs in small on the store in memory; results are checked by the bench itself.
func TestRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs real time; -short is set")
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			account := memory.New().Account()
			out := &bytes.Buffer{}
			report, err := Run(t.Context(), &Options{
				Scenario: s.name, Count: 3, Parallel: min(s.parallel, 2), Workers: 1, InProcess: true,
				Idle: time.Millisecond, Timer: 10 * time.Millisecond, minute: 10 * time.Millisecond,
				Out: out, ports: &account,
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if s.name == "idle" {
				if report.Instances != 0 || report.More["requests_per_minute"] < 0 || report.Latency != (Latency{}) {
					t.Errorf("got %+v", report)
				}
				return
			}
			if report.Instances < 1 || report.Elapsed <= 0 || report.PerSecond <= 0 || report.RequestsPerInstance < 5 ||
				report.Requests["queue.put"] == 0 || report.RequestsWait == 0 || report.Latency.Max <= 0 ||
				s.mix != nil && report.FloorPerSecond <= 0 {
				t.Errorf("got %+v", report)
			}
			report.Print(out)
			if !strings.Contains(out.String(), "Requests per instance") {
				t.Errorf("printed %s", out)
			}
			if left, err := account.Tables.ListTables(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("tables are left: %v, %v", left, err)
			}
		})
	}
}

// The names of the fields are a promise.
func TestReport_JSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Report{Requests: map[string]int64{"queue.put": 1}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"scenario":"","instances":0,"elapsed_s":0,"per_second":0,"latency_ms":{"p50":0,"p95":0,"p99":0,"max":0},` +
		`"requests":{"queue.put":1},"requests_per_instance":0,"requests_idle":0,"requests_wait":0,"bytes":0,"cpu_s":0,"rss_mb":0,` +
		`"floor_per_second":0,"floor_ratio":0}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
