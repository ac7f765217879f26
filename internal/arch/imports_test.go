package arch

import (
	"fmt"
	"strings"
	"testing"
)

// ban forbids packages to depend on something, directly or through other packages of the module.
type ban struct {
	name    string
	of      []string // who may not; see under
	imports []string // what
	reason  string
}

var bans = []ban{
	{
		name:    "pure packages know no Azure SDK",
		of:      []string{"history", "activity", "orchestration", "partition", "internal/wire/...", "internal/payload/..."},
		imports: []string{"github.com/Azure/..."},
		reason:  "what they decide must be testable and replayable without a service",
	},
	{
		name:    "pure packages know no implementation of storage",
		of:      []string{"history", "activity", "orchestration", "partition", "internal/wire/...", "internal/payload/..."},
		imports: []string{"internal/storage/azure/...", "internal/storage/memory/..."},
		reason:  "they get ports or values; whoever composes a process chooses the implementation",
	},
	{
		name:    "the programming model and the formats know no storage",
		of:      []string{"history", "activity", "orchestration", "internal/wire/..."},
		imports: []string{"internal/storage/..."},
		reason:  "orchestrations are replayed and bytes are decoded from values alone; nothing there may do I/O",
	},
	{
		name:    "pure packages see no machine",
		of:      []string{"history", "activity", "orchestration", "partition", "internal/wire/...", "internal/payload/..."},
		imports: []string{"os", "os/...", "net", "net/http/...", "syscall"},
		reason:  "state comes in and decisions go out; environment, files and network make a replay differ between machines",
	},
}

func TestBans(t *testing.T) {
	t.Parallel()
	for _, b := range bans {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			report(t, brokenBans(load(t), b))
		})
	}
}

func brokenBans(t *tree, b ban) (broken []string) {
	for _, p := range t.sorted() {
		if !under(p.dir, b.of...) || testSupport(p.dir) {
			continue
		}
		for dir, chain := range t.reach(p.dir) {
			for imported, file := range t.packages[dir].imports() {
				if under(imported, b.imports...) {
					broken = append(broken, fmt.Sprintf("%s depends on %s (in %s, by way of %s): %s",
						p.dir, imported, file, strings.Join(chain, " → "), b.reason))
				}
			}
		}
	}
	return broken
}

// permission names the only packages whose code may import something directly.
type permission struct {
	name    string
	imports []string
	allowed []string // who may
	reason  string
}

var permissions = []permission{
	{
		name:    "credentials and transport of the Azure SDK",
		imports: []string{"github.com/Azure/azure-sdk-for-go/sdk/azcore/...", "github.com/Azure/azure-sdk-for-go/sdk/azidentity/..."},
		allowed: []string{"internal/storage/azure/...", "taskhub/...", "cmd/..."},
		reason:  "an account is opened with a credential in taskhub and in programs; everything else speaks to storage through ports",
	},
	{
		name:    "the services of the Azure SDK",
		imports: []string{"github.com/Azure/azure-sdk-for-go/sdk/data/...", "github.com/Azure/azure-sdk-for-go/sdk/storage/..."},
		allowed: []string{"internal/storage/azure/..."},
		reason:  "its errors and conditions become ours in one place; the simulation must be able to replace it",
	},
	{
		name:    "OpenTelemetry",
		imports: []string{"go.opentelemetry.io/..."},
		allowed: []string{"internal/telemetry/...", "taskhub/...", "worker/...", "cmd/..."},
		reason:  "options name a provider; the figures are made in one place, from what the engine counts anyway",
	},
	{
		name:    "azurite",
		imports: []string{"azurite/..."},
		allowed: []string{"azurite/...", "cmd/...", "examples/..."},
		reason:  "the engine runs against any account and must not start programs",
	},
	{
		name:    "cmd",
		imports: []string{"cmd/..."},
		allowed: []string{"cmd/..."},
		reason:  "programs stand on top; what others need of them belongs into a library package",
	},
	{
		name:    "package testing",
		imports: []string{"testing/..."},
		allowed: nil,
		reason:  "code that helps tests lives in packages named …test, so that programs are not linked with it",
	},
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	for _, p := range permissions {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			report(t, brokenPermissions(load(t), p))
		})
	}
}

func brokenPermissions(t *tree, rule permission) (broken []string) {
	for _, p := range t.sorted() {
		if under(p.dir, rule.allowed...) || testSupport(p.dir) {
			continue
		}
		for imported, file := range p.imports() {
			if under(imported, rule.imports...) {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", file, imported, rule.reason))
			}
		}
	}
	return broken
}

func TestTestSupportIsForTests(t *testing.T) {
	t.Parallel()
	report(t, brokenTestSupport(load(t)))
}

func brokenTestSupport(t *tree) (broken []string) {
	for _, p := range t.sorted() {
		if testSupport(p.dir) {
			continue
		}
		for imported, file := range p.imports() {
			if t.packages[imported] != nil && testSupport(imported) {
				broken = append(broken, fmt.Sprintf("%s imports %s: test support in production code ends in users' programs", file, imported))
			}
		}
	}
	return broken
}

// layers are the floors of the house, from the ground up. A package may depend on its own floor
// and on those below. Packages that are not listed are as high as what they import.
var layers = [][]string{
	{"history", "internal/run", "internal/failure", "internal/payload"},
	{"activity", "internal/storage", "internal/wire"},
	{"internal/storage/azure", "internal/storage/memory", "internal/turn", "orchestration", "partition", "azurite"},
	{"taskhub", "partition/tablelease", "partition/bloblease"},
	{"worker"},
	{"cmd/...", "examples/..."},
}

func TestLayers(t *testing.T) {
	t.Parallel()
	report(t, brokenLayers(load(t)))
}

func brokenLayers(t *tree) (broken []string) {
	for _, p := range t.sorted() {
		own := layer(p.dir)
		if own < 0 || testSupport(p.dir) {
			continue
		}
		for dir, chain := range t.reach(p.dir) {
			if layer(dir) > own {
				broken = append(broken, fmt.Sprintf("%s depends on %s above it (%s): imports point downwards, or parts cannot be understood one by one",
					p.dir, dir, strings.Join(chain, " → ")))
			}
		}
	}
	return broken
}

func layer(dir string) int {
	for i, patterns := range layers {
		if under(dir, patterns...) {
			return i
		}
	}
	return -1
}

// report fails the test with every broken rule.
func report(t *testing.T, broken []string) {
	t.Helper()
	for _, text := range broken {
		t.Error(text)
	}
}
