package chaos

import (
	"strings"
	"testing"
)

func TestSoakReport_Grown(t *testing.T) {
	t.Parallel()
	figures := func(heap, files int64) map[string]map[string]int64 {
		return map[string]map[string]int64{"w": {figureHeap: heap << 20, figureFiles: files}}
	}
	for _, tt := range []struct {
		name        string
		heap, files int64
		want        string // in the one text; empty: none
	}{
		{"flat", 20, 30, ""},
		{"within", 28, 40, ""},
		{"heap", 29, 30, "heap of w"},
		{"files", 20, 41, "files of w has grown from 30 to 41; it may be at most 40"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			grown := (&SoakReport{Before: figures(20, 30), After: figures(tt.heap, tt.files)}).grown()
			if tt.want == "" && len(grown) > 0 || tt.want != "" && (len(grown) != 1 || !strings.Contains(grown[0], tt.want)) {
				t.Errorf("got %q, want %q", grown, tt.want)
			}
		})
	}
}

func TestOwnFigures(t *testing.T) {
	t.Parallel()
	figures := ownFigures()
	if figures[figureHeap] <= 0 || figures[figureGoroutines] <= 0 {
		t.Errorf("got %v", figures)
	}
}
