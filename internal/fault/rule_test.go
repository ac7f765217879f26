package fault

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/internal/storage"
)

// pattern shows which of n requests of the kinds, taken in turn, a rule hits.
func pattern(rule Rule, seed uint64, n int, kinds ...storage.Kind) string {
	counted := &tally{Rule: rule}
	random := rand.New(rand.NewPCG(seed, 0))
	var hits strings.Builder
	for i := range n {
		request := Request{Kind: kinds[i%len(kinds)], Target: "Hub-Control-00"}
		hits.WriteByte(map[bool]byte{true: 'x', false: '.'}[counted.hits(request, random)])
	}
	return hits.String()
}

func TestRule_Hits(t *testing.T) {
	t.Parallel()
	never := func(Request) bool { return false }
	for _, tt := range []struct {
		name string
		rule Rule
		want string // of puts and gets in turn
	}{
		{"all", Rule{}, "xxxxxxxxxxxx"},
		{"a kind", Rule{Kinds: []storage.Kind{storage.QueuePut}}, "x.x.x.x.x.x."},
		{"one of two kinds", Rule{Kinds: []storage.Kind{storage.BlobPut, storage.QueueGet}}, ".x.x.x.x.x.x"},
		{"target", Rule{Target: "control"}, "xxxxxxxxxxxx"},
		{"other target", Rule{Target: "workitems"}, "............"},
		{"condition", Rule{Match: never}, "............"},
		{"the first", Rule{First: 3}, "xxx........."},
		{"each third", Rule{Every: 3}, "..x..x..x..x"},
		{"each second of a kind", Rule{Every: 2, Kinds: []storage.Kind{storage.QueuePut}}, "..x...x...x."},
		{"bursts", Rule{Every: 4, Burst: 3}, "...xxx.xxx.x"},
		{"one burst", Rule{Every: 4, Burst: 3, First: 3}, "...xxx......"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := pattern(tt.rule, 1, len(tt.want), storage.QueuePut, storage.QueueGet); got != tt.want {
				t.Errorf("hits %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRule_Chance(t *testing.T) {
	t.Parallel()
	rule := Rule{Chance: 0.25}
	first := pattern(rule, 1, 1000, storage.QueuePut)
	if again := pattern(rule, 1, 1000, storage.QueuePut); again != first {
		t.Error("one seed hits different requests")
	}
	if other := pattern(rule, 2, 1000, storage.QueuePut); other == first {
		t.Error("two seeds hit the same requests")
	}
	if n := strings.Count(first, "x"); n < 150 || n > 350 {
		t.Errorf("%d of 1000 requests are hit with a chance of a quarter", n)
	}
}
