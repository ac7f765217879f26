package bench

import (
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

func TestLatency(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		times    []float64
		want     Latency
		shortest float64
	}{
		{"none", nil, Latency{}, 0},
		{"one", []float64{7}, Latency{7, 7, 7, 7}, 7},
		{"two", []float64{9, 1}, Latency{1, 9, 9, 9}, 1},
		{"early and late", []float64{-3, 2.346}, Latency{-3, 2.35, 2.35, 2.35}, -3},
		{"hundred", numbers(100), Latency{50, 95, 99, 100}, 1},
		{"thousand", numbers(1000), Latency{500, 950, 990, 1000}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s samples
			s.addMilliseconds(tt.times...)
			if got, shortest := s.latency(); got != tt.want || shortest != tt.shortest {
				t.Errorf("got %+v and %v, want %+v and %v", got, shortest, tt.want, tt.shortest)
			}
		})
	}
}

// numbers returns n to 1.
func numbers(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64(n - i)
	}
	return list
}

func TestFigures(t *testing.T) {
	t.Parallel()
	earlier := figures{Requests: storage.Counts{storage.QueuePut: 2}, Bytes: 10, HistoryRows: 1, CPU: time.Second, Resident: 50}
	later := figures{
		Requests: storage.Counts{storage.QueuePut: 5, storage.TableRead: 1}, Idle: storage.Counts{storage.IdlePoll: 3},
		Bytes: 30, HistoryRows: 4, CPU: 3 * time.Second, Resident: 40,
	}
	grown := later.since(earlier)
	if grown.Requests[storage.QueuePut] != 3 || grown.Requests.Total() != 4 || grown.Idle.Total() != 3 ||
		grown.Bytes != 20 || grown.HistoryRows != 3 || grown.CPU != 2*time.Second || grown.Resident != 40 {
		t.Errorf("grown by %+v", grown)
	}
	both := earlier.and(later)
	if both.Requests[storage.QueuePut] != 7 || both.Requests.Total() != 8 || both.Idle.Total() != 3 ||
		both.Bytes != 40 || both.HistoryRows != 5 || both.CPU != 4*time.Second || both.Resident != 50 {
		t.Errorf("both are %+v", both)
	}
	if earlier.Requests.Total() != 2 {
		t.Error("the sum has changed its part")
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ a, b, want float64 }{{1, 3, 0.333}, {1, 0, 0}, {0, 2, 0}} {
		if got := ratio(tt.a, tt.b, 3); got != tt.want {
			t.Errorf("%v/%v is %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
