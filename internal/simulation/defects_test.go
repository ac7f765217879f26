package simulation_test

import (
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	defectsFlag     = flag.String("defects", "", "defects to plant and look for: all, or a list of names; \"\" only checks that they can be planted")
	defectSeedsFlag = flag.Int("defect-seeds", 1000, "how many seeds may pass before a defect has to be seen")
)

// moduleRoot leads from this package to the module.
const moduleRoot = "../.."

// defect is a mistake that is made in the engine on purpose: a change of one place in one file. What
// checks the engine has to notice it. The engine itself has no switch for it: the broken file exists
// only as an overlay of a build.
type defect struct {
	name string
	what string
	// file is from the root of the module. It contains old once, which becomes new.
	file     string
	old, new string
}

// defects returns all defects that are planted.
func defects() []defect {
	return slices.Concat(turnDefects(), aheadDefects(), rowDefects(), messageDefects(), fleetDefects(), clientDefects(), judgeDefects(), codeDefects(), poisonDefects())
}

// harsher are the faults under which rare coincidences become common enough for some seeds to show
// them; the other defects meet the faults that each seed has by itself.
var harsher = map[string]string{
	"undo-when-unclear":      "lost-reply=0.05,busy=0.02",
	"row-without-condition":  "freeze=0.01,stolen-lease=0.01,slow=0.03",
	"first-ever-assumed":     "crash-after=0.01,redelivery=0.02",
	"live-instance-replaced": "crash-after=0.01,lost-reply=0.03",

	"row-not-caught-up":          "crash-after=0.01",
	"old-receipt-kept":           "redelivery=0.03",
	"held-twice":                 "redelivery=0.03",
	"former-payloads-kept":       "none",
	"leaves-on-unstored-answers": "restart=0.02",
	"handed-not-put-back":        "stolen-lease=0.02,slow=0.05",
	"drain-skipped":              "restart=0.01,slow=0.05",
	"dropped-by-cache":           "twin=1,freeze=0.01,stolen-lease=0.01",

	"terminated-start-begins":   "none",
	"payloads-forgotten":        "none",
	"steals-for-nothing":        "none",
	"slot-leaked-by-redelivery": "redelivery=0.05",
	"repeated-drop-ignored":     "crash-after=0.01,redelivery=0.02",
}

// plant returns the file with the defect.
func (d *defect) plant() (string, error) {
	data, err := os.ReadFile(filepath.Join(moduleRoot, filepath.FromSlash(d.file)))
	if err != nil {
		return "", fmt.Errorf("read what the defect is planted in: %w", err)
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	if n := strings.Count(text, d.old); n != 1 {
		return "", fmt.Errorf("%s contains what the defect replaces %d times, not once:\n%s", d.file, n, d.old)
	}
	text = strings.Replace(text, d.old, d.new, 1)
	if _, err := parser.ParseFile(token.NewFileSet(), d.file, text, parser.SkipObjectResolution); err != nil {
		return "", fmt.Errorf("the file with the defect: %w", err)
	}
	return text, nil
}

// chosenDefects returns the defects that the flag names.
func chosenDefects() ([]defect, error) {
	all := defects()
	if *defectsFlag == "all" {
		return all, nil
	}
	var chosen []defect
	for name := range strings.SplitSeq(*defectsFlag, ",") {
		i := slices.IndexFunc(all, func(d defect) bool { return d.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no defect %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// TestDefects checks that each defect still fits the code, so that a change of the engine cannot make
// one vanish unnoticed.
func TestDefects(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, d := range defects() {
		if names[d.name] {
			t.Errorf("there are two defects %q", d.name)
		}
		names[d.name] = true
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if _, err := d.plant(); err != nil {
				t.Error(err)
			}
		})
	}
	if len(names) < 28 {
		t.Errorf("there are %d defects, fewer than the 28 that were promised", len(names))
	}
}

// TestDefects_AreListed checks that the documentation tells of every defect.
func TestDefects_AreListed(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(moduleRoot, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defects() {
		if !strings.Contains(string(data), "\n| `"+d.name+"`: ") {
			t.Errorf("docs/reliability.md does not list the defect %q", d.name)
		}
	}
}
