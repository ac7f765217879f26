package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	b := offline(t)
	for _, tt := range []struct {
		line string
		want []string // parts of the error
	}{
		{"bogus", []string{`"bogus"`}},
		{"hub bogus", []string{`"bogus"`, "durafleet hub --help"}},
		{"instance bogus", []string{`"bogus"`}},
		{"hub list --bogus", []string{"--bogus"}},
		{"hub list extra", []string{`"extra"`, "too many"}},
		{"hub list --output yaml", []string{`"yaml"`, "table, json or jsonl"}},
		{"hub create One Two", []string{`"Two"`}},
		{"hub create One --hub Two", []string{`"One"`, `"Two"`}},
		{"hub create 1x", []string{`"1x"`, "3 to 45"}},
		{"hub create Some-Hub", []string{`"Some-Hub"`, "letters and digits"}},
		{"hub create Good --partitions 0", []string{"--partitions 0", "1 to 16"}},
		{"hub create Good --partitions 17", []string{"17", "1 to 16"}},
		{"hub create Good --partitions many", []string{"many"}},
		{"hub cost --prices gone.json", []string{"--prices", "gone.json"}},
		{"hub cost --prices " + filepath.Join("testdata", "prices-bad.json"), []string{"prices-bad.json", "the price of queue is -1", "must not be negative"}},
		{"hub cost --prices " + filepath.Join("testdata", "hub-cost.golden"), []string{"not JSON", "--print-prices"}},
		{"hub cost --prices x --print-prices", []string{"exclude"}},
		{"instance start", []string{"the name of the orchestration is missing"}},
		{"instance get", []string{"the instance id is missing"}},
		{"instance raise id", []string{"the name of the event is missing"}},
		{"instance start X --input {", []string{`--input "{"`, "must be JSON", "--string"}},
		{"instance start X --input @" + filepath.Join("testdata", "gone.json"), []string{"gone.json"}},
		{"instance start X --string", []string{"--input is missing"}},
		{"instance start X --tag novalue", []string{`"novalue"`, "KEY=VALUE"}},
		{"instance start X --at someday", []string{`"someday"`, "duration"}},
		{"instance start X --if-exists maybe", []string{`"maybe"`, "refuse, use or replace"}},
		{"instance start X --timeout 1s", []string{"--wait"}},
		{"instance list --status Odd", []string{`"Odd"`, "Completed"}},
		{"instance list --top 0", []string{"--top 0"}},
		{"instance list --from yesterday", []string{`"yesterday"`}},
		{"instance raise id E --data nope", []string{`--data "nope"`}},
		{"poison bogus", []string{`"bogus"`}},
		{"poison show", []string{"the id of the poison message is missing"}},
		{"poison list extra", []string{`"extra"`}},
		{"poison list --top 0", []string{"--top 0"}},
		{"poison retry", []string{"or --all, is missing"}},
		{"poison retry x --all", []string{`--all and "x" exclude`}},
		{"poison drop x --instance i", []string{"--instance needs --all"}},
		{"dev --blob-port 70000", []string{"--blob-port 70000", "65535"}},
		{"hub list --connection NO_SUCH_VARIABLE", []string{"NO_SUCH_VARIABLE"}},
		{"hub list --connection AccountName=only", []string{"AccountKey"}},
		{"hub list --connection a=1;a=2", []string{"repeats"}},
		{"hub list --blob-endpoint https://a.blob.core.windows.net", []string{"--queue-endpoint is missing"}},
		{"hub list --connection UseDevelopmentStorage=true --table-endpoint https://a", []string{"exclude"}},
		{"hub list --blob-endpoint x --queue-endpoint y --table-endpoint z", []string{"--blob-endpoint", "no URL"}},
	} {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			(&rig{t: t, environment: b.environment}).fails(ExitUsage, tt.want, strings.Fields(tt.line)...)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "hub", "instance", "poison", "demo --help", "instance start --help", "help dev"} {
		got := offline(t).run(strings.Fields(line)...)
		if got.code != ExitOK || !strings.Contains(got.out, "Usage:") || got.err != "" {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{&taskhub.EndedError{}, 1},
		{usagef("x"), 2},
		{&taskhub.ArgumentError{}, 2},
		{&taskhub.NameError{}, 2},
		{&taskhub.NotFoundError{}, 3},
		{&taskhub.PoisonNotFoundError{}, 3},
		{taskhub.ErrPoisonUnreadable, 4},
		{taskhub.ErrHubNotFound, 3},
		{&taskhub.ExistsError{}, 4},
		{&taskhub.LiveError{}, 4},
		{&taskhub.NotLiveError{}, 4},
		{&taskhub.PartitionCountError{}, 4},
		{taskhub.ErrBlobManaged, 4},
		{taskhub.ErrReplaced, 4},
		{storage.ErrBeingDeleted, 4},
		{errTimeout, 5},
		{&taskhub.UnreadableError{Err: storage.ErrNotFound}, 9},
		{context.DeadlineExceeded, 5},
		{taskhub.ErrUnauthorized, 6},
		{taskhub.ErrUnavailable, 8},
	} {
		if tt.err != nil {
			tt.err = fmt.Errorf("wrapped: %w", tt.err)
		}
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v is %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"short", "short"},
		{"a\nb\x1b[31mc", "a b [31mc"},
		{strings.Repeat("ä", 100), strings.Repeat("ä", excerptRunes) + "…"},
	} {
		if got := excerpt(tt.in); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
		}
	}
}
