package chaos

import (
	"reflect"
	"testing"
	"time"
)

func TestRecovery(t *testing.T) {
	t.Parallel()
	zero := time.Unix(1_000, 0)
	at := func(seconds int) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }
	all := func(string) bool { return true }
	step := func(instance string) line { return line{Kind: lineStep, Instance: instance} }
	for _, tt := range []struct {
		name string
		play func(r *recovery)
		want []RecoveryTimes
	}{
		{"another worker takes over", func(r *recovery) {
			r.begin("x")
			r.begin("y")
			r.hitWorker(KillWorker, "a", at(0), all, true)
			r.take("a", step("x"), at(1)) // told before it died
			r.take("b", step("x"), at(3))
			r.take("c", step("y"), at(5))
			r.take("c", step("x"), at(9)) // not again
		}, []RecoveryTimes{{Fault: KillWorker, Count: 1, Hit: 2, P50: 3, P95: 5, Max: 5}}},
		{"only its partitions", func(r *recovery) {
			r.begin("x")
			r.begin("y")
			r.hitWorker(KillWorker, "a", at(0), func(instance string) bool { return instance == "y" }, true)
			r.take("b", step("x"), at(1))
			r.take("b", step("y"), at(2))
		}, []RecoveryTimes{{Fault: KillWorker, Count: 1, Hit: 1, P50: 2, P95: 2, Max: 2}}},
		{"an activity runs again", func(r *recovery) {
			r.take("a", line{Kind: lineBegun, Call: "1"}, at(0))
			r.take("a", line{Kind: lineBegun, Call: "2"}, at(0))
			r.take("a", line{Kind: lineBegun, Call: "3"}, at(0))
			r.take("a", line{Kind: lineRan, Call: "1"}, at(0))
			r.hitWorker(KillWorker, "a", at(1), all, true)
			r.take("a", line{Kind: lineRan, Call: "3"}, at(2)) // told before it died
			r.take("b", line{Kind: lineBegun, Call: "2"}, at(8))
		}, []RecoveryTimes{{Fault: KillWorker, Count: 1, Hit: 1, P50: 7, P95: 7, Max: 7}}},
		{"an orderly stop loses no activity", func(r *recovery) {
			r.take("a", line{Kind: lineBegun, Call: "1"}, at(0))
			r.hitWorker(RollingRestart, "a", at(1), all, false)
			r.take("b", line{Kind: lineBegun, Call: "1"}, at(8))
		}, []RecoveryTimes{{Fault: RollingRestart, Count: 1}}},
		{"everybody counts after an outage", func(r *recovery) {
			r.begin("x")
			r.hitAll(CutNetwork, at(0))
			r.take("a", step("x"), at(4))
		}, []RecoveryTimes{{Fault: CutNetwork, Count: 1, Hit: 1, P50: 4, P95: 4, Max: 4}}},
		{"an end is a step", func(r *recovery) {
			r.begin("x")
			r.begin("y")
			r.hitAll(CutNetwork, at(10))
			r.end("x", at(12))
			r.end("y", at(9)) // before the fault; it was learnt later
		}, []RecoveryTimes{{Fault: CutNetwork, Count: 1, Hit: 1, P50: 2, P95: 2, Max: 2}}},
		{"another fault spoils the time", func(r *recovery) {
			r.begin("x")
			r.hitAll(CutNetwork, at(0))
			r.disturb()
			r.hitWorker(KillWorker, "a", at(1), all, true)
			r.take("b", step("x"), at(4))
		}, []RecoveryTimes{
			{Fault: KillWorker, Count: 1, Hit: 1, P50: 3, P95: 3, Max: 3},
			{Fault: CutNetwork, Count: 1, Hit: 1, Disturbed: 1},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRecovery()
			tt.play(r)
			counts := map[Fault]int{}
			for _, want := range tt.want {
				counts[want.Fault] = want.Count
			}
			if got := r.summary(counts); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if r.pending() != 0 {
				t.Errorf("%d hits are pending", r.pending())
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(i+1)*time.Second)
	}
	for _, tt := range []struct {
		times []time.Duration
		p     int
		want  float64
	}{{nil, 50, 0}, {times[:1], 50, 1}, {times[:2], 50, 1}, {times[:3], 95, 3}, {times, 50, 50}, {times, 95, 95}, {times, 100, 100}} {
		if got := percentile(tt.times, tt.p); got != tt.want {
			t.Errorf("p%d of %d is %v, want %v", tt.p, len(tt.times), got, tt.want)
		}
	}
}
