package bench

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Latency is the spread of times in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// samples collects times. It may be used concurrently.
type samples struct {
	mu    sync.Mutex
	times []float64 // milliseconds
}

func (s *samples) add(d time.Duration) { s.addMilliseconds(float64(d) / float64(time.Millisecond)) }

func (s *samples) addMilliseconds(times ...float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, times...)
}

// latency returns the spread, and the shortest time.
func (s *samples) latency() (spread Latency, shortest float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.times) == 0 {
		return Latency{}, 0
	}
	slices.Sort(s.times)
	return Latency{
		P50: percentile(s.times, 50), P95: percentile(s.times, 95), P99: percentile(s.times, 99),
		Max: rounded(s.times[len(s.times)-1], 2),
	}, rounded(s.times[0], 2)
}

// percentile returns the smallest of the sorted times that so many percent of them do not exceed.
func percentile(sorted []float64, percent float64) float64 {
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return rounded(sorted[max(rank, 1)-1], 2)
}

// rounded returns x with so many decimals.
func rounded(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}

// ratio returns a/b with so many decimals, 0 if there is no b.
func ratio(a, b float64, decimals int) float64 {
	if b == 0 {
		return 0
	}
	return rounded(a/b, decimals)
}
