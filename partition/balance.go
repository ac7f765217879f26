package partition

import (
	"cmp"
	"slices"
)

// balance returns the reservations that bring this worker up to the average. Only workers that
// hold or have reserved at least one partition are seen, and the average is rounded down, so that
// nobody steals back and forth over a remainder.
func (v View) balance(leases []Lease) []Step {
	mine, others := v.load(leases)
	if len(others) == 0 {
		return nil
	}
	average := len(leases) / (len(others) + 1)
	var steps []Step
	for _, other := range others {
		need := average - mine
		if need < 0 {
			break
		}
		excess := other.count - average
		switch {
		case excess <= 0 || (need == 0 && excess < 2):
			continue
		case need == 0:
			need = 1
		}
		stolen := v.stealFrom(leases, other.worker, min(need, excess))
		mine += len(stolen)
		steps = append(steps, stolen...)
	}
	return steps
}

type load struct {
	worker string
	count  int
}

// load counts the leases by their effective owner: this worker's, and the others', the most loaded
// first.
func (v View) load(leases []Lease) (mine int, others []load) {
	counts := map[string]int{}
	for _, lease := range leases {
		if owner := lease.effectiveOwner(); owner != "" {
			counts[owner]++
		}
	}
	for worker, count := range counts {
		if worker != v.Worker {
			others = append(others, load{worker, count})
		}
	}
	slices.SortFunc(others, func(a, b load) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.worker, b.worker))
	})
	return counts[v.Worker], others
}

// stealFrom reserves up to n rows the worker owns and nobody has reserved. They are taken in key
// order by everybody: two thieves then meet at the same row, one loses the race and counts again,
// instead of both taking their full share.
func (v View) stealFrom(leases []Lease, worker string, n int) []Step {
	var steps []Step
	for _, lease := range leases {
		if len(steps) == n {
			break
		}
		if lease.CurrentOwner == worker && lease.NextOwner == "" && v.Holds[lease.ID] == None && !v.shuns(lease.ID) {
			steps = append(steps, v.steal(lease))
		}
	}
	return steps
}
