package chaos

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport_Print(t *testing.T) {
	t.Parallel()
	report := &Report{
		Instances: 12, Checked: 11, Requests: map[string]int64{"queue.put": 3, "table.read": 5},
		Recovery: []RecoveryTimes{{Fault: KillWorker, Count: 1, Hit: 4, Disturbed: 1, P50: 1.25, P95: 2, Max: 3}},
		LeftOut:  []Fault{FreezeWorker},
		Soak: &SoakReport{
			Before: map[string]map[string]int64{"worker-1": {figureHeap: 10 << 20, figureFiles: 7}},
			After:  map[string]map[string]int64{"worker-1": {figureHeap: 11 << 20, figureFiles: 8}},
		},
	}
	out := &bytes.Buffer{}
	report.Print(out)
	for _, want := range []string{"Instances", "12", "Storage requests", "8", "kill-worker", "1.2", "freeze-worker", "11.0 MB", "Nothing is wrong"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	report.Wrong = []string{"it broke"}
	out.Reset()
	report.Print(out)
	if text := out.String(); !strings.Contains(text, "WRONG: it broke") || strings.Contains(text, "Nothing is wrong") {
		t.Errorf("printed\n%s", text)
	}
}
