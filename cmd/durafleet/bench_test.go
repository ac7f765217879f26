package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/durafleet/durafleet/azurite"
)

// benchFields are the fields of the report that do not change.
var benchFields = []string{
	"scenario", "instances", "elapsed_s", "per_second", "latency_ms", "requests", "requests_per_instance", "requests_idle",
	"requests_wait", "bytes", "cpu_s", "rss_mb", "floor_per_second", "floor_ratio",
}

// runBench runs a small benchmark and returns its report.
func runBench(t *testing.T, line string) map[string]json.RawMessage {
	t.Helper()
	needAzurite(t)
	p := program(t, nil, append([]string{"bench", "-o", "json"}, strings.Fields(line)...)...)
	code, out := p.output()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, p.err.String())
	}
	var report map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	for _, field := range benchFields {
		if report[field] == nil {
			t.Errorf("no field %s in\n%s", field, out)
		}
	}
	checkContains(t, p.err.String(), "Task hub ", "Measuring")
	p.checkNoneLeft()
	return report
}

// number returns a figure that has to be more than 0.
func number(t *testing.T, report map[string]json.RawMessage, field string) float64 {
	t.Helper()
	var n float64
	if err := json.Unmarshal(report[field], &n); err != nil || n <= 0 {
		t.Errorf("%s is %s, %v", field, report[field], err)
	}
	return n
}

func TestBench(t *testing.T) {
	t.Parallel()
	report := runBench(t, "hello5 --count 4 --parallel 2 --latency 1ms")
	for _, field := range []string{
		"elapsed_s", "per_second", "requests_idle", "requests_wait", "bytes", "cpu_s", "floor_per_second", "floor_ratio",
	} {
		number(t, report, field)
	}
	if n := number(t, report, "instances"); n != 4 {
		t.Errorf("%v instances", n)
	}
	var requests map[string]float64
	if err := json.Unmarshal(report["requests"], &requests); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, n := range requests {
		sum += n
	}
	if requests["table.transact"] < 4 || number(t, report, "requests_per_instance") != sum/4 {
		t.Errorf("%v requests per instance: %v", sum/4, requests)
	}
}

func TestBench_InProcess(t *testing.T) {
	t.Parallel()
	connection := needAzurite(t).ConnectionString()
	p := program(t, []string{"BENCH_ACCOUNT=" + connection}, strings.Fields(
		"bench one --count 2 --processes=off --cache=off --inline=off --connection BENCH_ACCOUNT --wait-connection BENCH_ACCOUNT")...)
	code, out := p.output()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, p.err.String())
	}
	checkContains(t, out, "in this process", "Requests per instance", "Floor")
}

func TestBench_Interrupted(t *testing.T) {
	t.Parallel()
	needAzurite(t)
	for _, moment := range []string{"Starting Azurite", "Warming up", "Measuring"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			p := program(t, nil, "bench", "hello5", "--count", "10000")
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

func TestBench_Usage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, want string }{
		{"", "SCENARIO is missing"},
		{"hello6", `scenario "hello6": must be one of hello5, `},
		{"hello5 again", `"again" is one argument too many`},
		{"hello5 --count 0", "--count 0: must be more than 0"},
		{"hello5 --parallel 5000", "--parallel 5000: must be 1 to 1000"},
		{"hello5 --workers many", `"many"`},
		{"hello5 --cache=maybe", "must be on or off"},
		{"hello5 --floor=perhaps", "must be on or off"},
		{"fanout --parallel 4", "--parallel 4: is not for fanout, which does one thing at a time"},
		{"timers --timer 2h", "--timer 2h0m0s: must be 1ms to 1m0s"},
		{"hello5 --latency -8ms", "--latency -8ms: must be 0s to 10s"},
		{"hello5 --connection NOWHERE", `--connection "NOWHERE": there is no environment variable of that name`},
		{"hello5 --wait-connection key==", "--wait-connection (not shown): needs --connection"},
		{"hello5 --queue-endpoint http://127.0.0.1", "bench takes --connection"},
		{"hello5 --hub x", "--hub x: must be 3 to 45"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			p := program(t, nil, slices.Concat([]string{"bench"}, strings.Fields(tt.line))...)
			code, out := p.output()
			if code != 2 || out != "" || !strings.Contains(p.err.String(), tt.want) {
				t.Errorf("exit code %d, %q, %q; want 2 and %q", code, out, p.err.String(), tt.want)
			}
		})
	}
}

// What the bench says is what a proxy in front of the account counts, but for polls that a worker breaks off when
// it stops, before they have arrived.
func TestBench_CountedFromOutside(t *testing.T) {
	t.Parallel()
	server := needAzurite(t)
	var seen atomic.Int64
	endpoint := func(target string) string {
		behind, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			seen.Add(1)
			r.Out.URL.Scheme, r.Out.URL.Host = behind.Scheme, behind.Host
		}})
		t.Cleanup(proxy.Close)
		return proxy.URL + behind.Path
	}
	connection := fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s;TableEndpoint=%s",
		azurite.AccountName, azurite.AccountKey, endpoint(server.BlobURL()), endpoint(server.QueueURL()), endpoint(server.TableURL()))
	p := program(t, []string{"PROXIED=" + connection, "DIRECT=" + server.ConnectionString()}, strings.Fields(
		"bench one --count 4 --parallel 2 --workers 2 --connection PROXIED --wait-connection DIRECT -o json")...)
	code, out := p.output()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, p.err.String())
	}
	var report struct {
		More struct {
			RequestsSent int64 `json:"requests_sent"`
		} `json:"more"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	const polls = 2 * 5
	if lost := report.More.RequestsSent - seen.Load(); lost < 0 || lost > polls {
		t.Errorf("%d requests were sent, %d have arrived", report.More.RequestsSent, seen.Load())
	}
}
