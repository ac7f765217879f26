package arch

import (
	"strings"
	"testing"
)

// TestRulesBite breaks every rule once: a rule that finds nothing may look at nothing.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	const ours = module + "/"
	always := func(*pkg, *source) bool { return true }
	for _, tt := range []struct {
		name  string
		files map[string]string
		check func(*tree) []string
		want  string // part of the one message; empty: none
	}{
		{"direct", map[string]string{"history/a.go": `package history; import "os"`}, allBans, "history depends on os (in history/a.go"},
		{
			"indirect", map[string]string{
				"internal/wire/v2/a.go": `package v2; import "` + ours + `internal/helper"`,
				"internal/helper/a.go":  `package helper; import "net/http"`,
			}, allBans, "internal/wire/v2 → internal/helper",
		},
		{"not the core", map[string]string{"partition/tablelease/a.go": `package tablelease; import "os"`}, allBans, ""},
		{"tests may", map[string]string{"history/a_test.go": `package history; import "os"`}, allBans, ""},
		{"ports are allowed", map[string]string{"partition/a.go": `package partition; import "` + ours + `internal/storage"`, "internal/storage/a.go": "package storage"}, allBans, ""},
		{"no ports", map[string]string{"activity/a.go": `package activity; import "` + ours + `internal/storage"`}, allBans, "values alone"},
		{"SDK", map[string]string{"taskhub/a.go": `package taskhub; import "github.com/Azure/azure-sdk-for-go/sdk/data/aztables"`}, allPermissions, "taskhub/a.go imports github.com/Azure"},
		{"credential", map[string]string{"taskhub/a.go": `package taskhub; import "github.com/Azure/azure-sdk-for-go/sdk/azcore"`}, allPermissions, ""},
		{"program", map[string]string{"worker/a.go": `package worker; import "` + ours + `cmd/durafleet/flags"`}, allPermissions, "programs stand on top"},
		{"emulator", map[string]string{"worker/a.go": `package worker; import "` + ours + `azurite"`}, allPermissions, "must not start programs"},
		{"emulator for tests", map[string]string{"worker/workertest/a.go": `package workertest; import ("` + ours + `azurite"; "testing")`}, allPermissions, ""},
		{"testing", map[string]string{"worker/a.go": `package worker; import "testing"`}, allPermissions, "linked with it"},
		{
			"test support", map[string]string{
				"worker/a.go":                       `package worker; import "` + ours + `internal/storage/storagetest"`,
				"internal/storage/storagetest/a.go": "package storagetest",
			}, brokenTestSupport, "worker/a.go imports internal/storage/storagetest",
		},
		{
			"upwards", map[string]string{
				"taskhub/a.go":      `package taskhub; import "` + ours + `internal/new"`,
				"internal/new/a.go": `package new; import "` + ours + `worker"`,
				"worker/a.go":       "package worker",
			}, brokenLayers, "taskhub → internal/new → worker",
		},
		{
			"downwards", map[string]string{
				"worker/a.go":  `package worker; import "` + ours + `taskhub"`,
				"taskhub/a.go": "package taskhub",
			}, brokenLayers, "",
		},
		{"goroutine", map[string]string{"worker/a.go": "package worker\n\nfunc f() { go f() }"}, looseGoroutines, "worker/a.go:3 starts"},
		{"owned goroutine", map[string]string{"internal/run/a.go": "package run\n\nfunc f() { go f() }"}, looseGoroutines, ""},
		{
			"sleep",
			map[string]string{"a_test.go": "package a\n\nimport clock \"time\"\n\nfunc f() { clock.Sleep(1) }"},
			func(t *tree) []string { return calls(t, always, []string{"Sleep"}, "why") }, "a_test.go:5 uses time.Sleep: why",
		},
		{"package comment", map[string]string{"worker/a.go": "package worker"}, undocumentedPackages, "worker has no package comment"},
		{"function", map[string]string{"a.go": "package a; func F() {}"}, undocumentedNames, "a.go:1: F has"},
		{"method", map[string]string{"a.go": "package a; func (t *T[K, V]) M() {}"}, undocumentedNames, "M has"},
		{"hidden method", map[string]string{"a.go": "package a; func (t *t[K]) M() {}"}, undocumentedNames, ""},
		{"type", map[string]string{"a.go": "package a; type T int"}, undocumentedNames, "T has"},
		{"one of a group", map[string]string{"a.go": "package a\nvar (\n// A is.\nA int\nB int\n)"}, undocumentedNames, "B has"},
		{"group", map[string]string{"a.go": "package a\n// The letters.\nconst (\nA = 1\nB = 2\n)"}, undocumentedNames, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			made := newTree()
			for name, text := range tt.files {
				if err := made.add(name, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			broken := tt.check(made)
			if tt.want == "" {
				report(t, broken)
				return
			}
			if len(broken) != 1 || !strings.Contains(broken[0], tt.want) {
				t.Errorf("got %q, want one with %q", broken, tt.want)
			}
		})
	}
}

func allBans(t *tree) (broken []string) {
	for _, b := range bans {
		broken = append(broken, brokenBans(t, b)...)
	}
	return broken
}

func allPermissions(t *tree) (broken []string) {
	for _, p := range permissions {
		broken = append(broken, brokenPermissions(t, p)...)
	}
	return broken
}
