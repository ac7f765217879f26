package bench

import (
	"strings"
	"testing"
	"time"
)

func TestOptions_Defaults(t *testing.T) {
	t.Parallel()
	full, s, err := (&Options{Scenario: "hello5"}).withDefaults()
	if err != nil || s.name != "hello5" {
		t.Fatal(s, err)
	}
	if full.Count != 300 || full.Parallel != 32 || full.Workers != 1 || full.Partitions != 4 || full.Timer != time.Second || full.InProcess {
		t.Errorf("got %+v", full)
	}
}

func TestOptions_Check(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		opts Options
		want string
	}{
		{Options{Scenario: "hallo"}, `scenario "hallo": must be one of hello5, `},
		{Options{Scenario: "hello5", Count: -1}, "--count -1: must be 1 to 1000000"},
		{Options{Scenario: "hello5", Parallel: 1001}, "--parallel 1001: must be 1 to 1000"},
		{Options{Scenario: "hello5", Workers: 17}, "--workers 17: must be 1 to 16"},
		{Options{Scenario: "hello5", Partitions: 17}, "--partitions 17: must be 1 to 16"},
		{Options{Scenario: "hello5", Settings: Settings{MaxActivities: -1}}, "--max-activities -1: must be 1 to 10000"},
		{Options{Scenario: "hello5", Latency: -time.Second}, "--latency -1s: must be 0s to 10s"},
		{Options{Scenario: "hello5", Idle: 2 * time.Hour}, "--idle 2h0m0s: must be more than 0s and at most 1h0m0s"},
		{Options{Scenario: "hello5", Timeout: time.Millisecond}, "--timeout 1ms: must be 1s to 24h0m0s"},
		{Options{Scenario: "hello5", Hub: "1"}, "--hub 1: must be 3 to 45 ASCII letters and digits, the first a letter"},
		{Options{Scenario: "hello5", WaitConnection: "UseDevelopmentStorage=true"}, "--wait-connection (not shown): needs --connection"},
		{Options{Scenario: "hello5", Connection: "AccountName=a;AccountKey=secret!"}, "--connection (not shown): connection string: AccountKey is not base64"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			if _, _, err := tt.opts.withDefaults(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
