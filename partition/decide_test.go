package partition_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/partition"
)

var noon = time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC)

const (
	me  = "me"
	amy = "amy"
	bob = "bob"
)

// row is a lease renewed five seconds before noon, but for what the change says.
func row(change func(*partition.Lease)) partition.Lease {
	lease := partition.Lease{
		ID: "q0", OwnedSince: noon.Add(-time.Hour), LastRenewal: noon.Add(-5 * time.Second),
		ExpiresAt: noon.Add(25 * time.Second), Written: noon.Add(-5 * time.Second), Version: "7",
	}
	change(&lease)
	return lease
}

func owned(current, next string, draining bool) partition.Lease {
	return row(func(l *partition.Lease) { l.CurrentOwner, l.NextOwner, l.Draining = current, next, draining })
}

func expired(current, next string, draining bool) partition.Lease {
	lease := owned(current, next, draining)
	lease.LastRenewal = noon.Add(-30 * time.Second)
	lease.Written = lease.LastRenewal
	lease.ExpiresAt = noon
	return lease
}

// fresh is a row as it is inserted at the creation of the hub.
func fresh() partition.Lease { return partition.Lease{ID: "q0", Written: noon, Version: "1"} }

// want says what a step writes, on top of the row that was read.
func want(kind partition.StepKind, change func(*partition.Lease)) func(partition.Lease) []partition.Step {
	return func(lease partition.Lease) []partition.Step {
		change(&lease)
		return []partition.Step{{Kind: kind, Lease: lease}}
	}
}

func renewed(l *partition.Lease) {
	l.LastRenewal, l.ExpiresAt = noon, noon.Add(30*time.Second)
}

func nothing(partition.Lease) []partition.Step { return nil }

var (
	claim = want(partition.Claim, func(l *partition.Lease) {
		l.CurrentOwner, l.NextOwner, l.Draining, l.OwnedSince = me, "", false, noon
		renewed(l)
	})
	renew = want(partition.Renew, func(l *partition.Lease) {
		l.NextOwner, l.Draining = "", false
		renewed(l)
	})
	renewDraining = want(partition.Renew, renewed)
	startDrain    = want(partition.StartDrain, func(l *partition.Lease) {
		l.Draining = true
		renewed(l)
	})
	release  = want(partition.Release, func(l *partition.Lease) { l.CurrentOwner, l.Draining = "", false })
	steal    = want(partition.Steal, func(l *partition.Lease) { l.NextOwner = me })
	withdraw = want(partition.Withdraw, func(l *partition.Lease) { l.NextOwner = "" })
)

// The rows are the states of the protocol's state machine, seen by an owner, by the one who has
// reserved the next turn, and by anybody else.
func TestDecide_StateMachine(t *testing.T) {
	t.Parallel()
	type hold = partition.Hold
	for _, tt := range []struct {
		name     string
		lease    partition.Lease
		hold     hold
		shutdown bool
		want     func(partition.Lease) []partition.Step
	}{
		{"free, never owned", fresh(), partition.None, false, claim},
		{"free, released", owned("", "", false), partition.None, false, claim},
		{"free, but an old reader of ours has not returned", owned("", "", false), partition.Ending, false, nothing},
		{"free, shutting down", fresh(), partition.None, true, nothing},

		{"owned by another", owned(amy, "", false), partition.None, false, nothing},
		{"owned by another, shutting down", owned(amy, "", false), partition.None, true, nothing},
		{"owned by me", owned(me, "", false), partition.Serving, false, renew},
		{"owned by me, from before a restart (M11)", owned(me, "", false), partition.None, false, renew},
		{"owned by me, marked as draining before a restart", owned(me, "", true), partition.None, false, renew},
		{"owned by me, reader ends", owned(me, "", false), partition.Ending, false, renew},
		{"owned by me, reader is stuck", owned(me, "", false), partition.Stuck, false, nothing},
		{"owned by me, shutting down", owned(me, "", false), partition.Serving, true, startDrain},
		{"owned by me, shutting down, nothing runs", owned(me, "", false), partition.None, true, release},
		{"owned and reserved by me", owned(me, me, false), partition.Serving, false, renew},

		{"contested, mine", owned(me, bob, false), partition.Serving, false, startDrain},
		{"contested, mine, nothing runs", owned(me, bob, false), partition.None, false, release},
		{"contested, mine, drain not yet shown", owned(me, bob, false), partition.Draining, false, startDrain},
		{"contested, reserved by me", owned(amy, me, false), partition.None, false, nothing},
		{"contested, reserved by me, shutting down", owned(amy, me, false), partition.None, true, withdraw},
		{"contested by others", owned(amy, bob, false), partition.None, false, nothing},

		{"draining, of another who stops", owned(amy, "", true), partition.None, false, steal},
		{"draining, of another who stops, shutting down", owned(amy, "", true), partition.None, true, nothing},
		{"draining, mine, stopping", owned(me, "", true), partition.Draining, true, renewDraining},
		{"draining, mine, the thief has withdrawn", owned(me, "", true), partition.Draining, false, renew},
		{"draining for another, mine", owned(me, bob, true), partition.Draining, false, renewDraining},
		{"draining for another, mine, cut off", owned(me, bob, true), partition.Ending, false, renewDraining},
		{"draining for another, mine, stuck", owned(me, bob, true), partition.Stuck, false, nothing},
		{"drained, mine", owned(me, bob, true), partition.None, false, release},
		{"draining for me", owned(amy, me, true), partition.None, false, nothing},
		{"draining for me, shutting down", owned(amy, me, true), partition.None, true, nothing},
		{"draining for another", owned(amy, bob, true), partition.None, false, nothing},

		{"reserved for me", owned("", me, false), partition.None, false, claim},
		{"reserved for me, shutting down", owned("", me, false), partition.None, true, withdraw},
		{"reserved for another", owned("", bob, false), partition.None, false, nothing},

		{"expired, of another", expired(amy, "", false), partition.None, false, claim},
		{"expired, contested", expired(amy, bob, false), partition.None, false, claim},
		{"expired, draining", expired(amy, bob, true), partition.None, false, claim},
		{"expired, reserved for another", expired("", bob, false), partition.None, false, claim},
		{"expired, mine", expired(me, "", false), partition.None, false, claim},
		{"expired, mine, contested", expired(me, bob, false), partition.None, false, release},
		{"expired, mine, reader not yet gone", expired(me, "", false), partition.Ending, false, nothing},
		{"expired, shutting down", expired(amy, "", false), partition.None, true, nothing},
		{"owned by another without an expiry", partition.Lease{ID: "q0", CurrentOwner: amy}, partition.None, false, nothing},
		{"reserved for another without an expiry", partition.Lease{ID: "q0", NextOwner: amy}, partition.None, false, nothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := partition.Decide(partition.View{
				Now: noon, Worker: me, Leases: []partition.Lease{tt.lease},
				Holds:        map[string]partition.Hold{tt.lease.ID: tt.hold},
				ShuttingDown: tt.shutdown, Duration: 30 * time.Second,
			})
			if diff := cmp.Diff(tt.want(tt.lease), got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecide_RenewsOnlyWhatIsOld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		age  time.Duration
		hold partition.Hold
		want int
	}{
		{"young", 4 * time.Second, partition.Serving, 0},
		{"old", 5 * time.Second, partition.Serving, 1},
		{"from the future", -time.Second, partition.Serving, 1},
		{"young, but found at a start", time.Second, partition.None, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lease := owned(me, "", false)
			lease.LastRenewal = noon.Add(-tt.age)
			got := partition.Decide(partition.View{
				Now: noon, Worker: me, Leases: []partition.Lease{lease},
				Holds:    map[string]partition.Hold{"q0": tt.hold},
				Duration: 30 * time.Second, RenewAfter: 5 * time.Second,
			})
			if len(got) != tt.want {
				t.Errorf("%d steps, want %d: %+v", len(got), tt.want, got)
			}
		})
	}
}

func TestLease_Expired(t *testing.T) {
	t.Parallel()
	behind := func(lag time.Duration, current, next string) partition.Lease {
		return partition.Lease{
			CurrentOwner: current, NextOwner: next, Written: noon,
			LastRenewal: noon.Add(-lag), ExpiresAt: noon.Add(30*time.Second - lag),
		}
	}
	for _, tt := range []struct {
		name  string
		lease partition.Lease
		want  time.Duration // after noon
	}{
		{"clocks agree", behind(0, amy, ""), 30 * time.Second},
		{"owner's clock is 25s behind", behind(25*time.Second, amy, ""), 30 * time.Second},
		{"owner's clock is 25s ahead", behind(-25*time.Second, amy, ""), 55 * time.Second},
		{"may have been written by the thief", behind(25*time.Second, amy, bob), 5 * time.Second},
		{"was released, not renewed", behind(25*time.Second, "", bob), 5 * time.Second},
		{"restored from a backup", behind(time.Hour, amy, ""), 30*time.Second - time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := noon.Add(tt.want)
			if tt.lease.Expired(at.Add(-time.Nanosecond)) {
				t.Error("expired too early")
			}
			if !tt.lease.Expired(at) {
				t.Error("not expired in time")
			}
		})
	}
	if (partition.Lease{CurrentOwner: amy}).Expired(noon.Add(1000 * time.Hour)) {
		t.Error("a lease without ExpiresAt expired")
	}
}

// The owner publishes its doorbell with every claim and renewal; others leave it as it is, and who has none
// leaves none.
func TestDecide_Doorbell(t *testing.T) {
	t.Parallel()
	with := func(l partition.Lease, doorbell string) partition.Lease {
		l.Doorbell = doorbell
		return l
	}
	for _, tt := range []struct {
		name  string
		lease partition.Lease
		hold  partition.Hold
		stop  bool
		own   string
		kind  partition.StepKind
		want  string
	}{
		{"claim", fresh(), partition.None, false, "mine", partition.Claim, "mine"},
		{"claim of a dead owner's", with(expired(amy, "", false), "amy's"), partition.None, false, "mine", partition.Claim, "mine"},
		{"claim without one", with(expired(amy, "", false), "amy's"), partition.None, false, "", partition.Claim, ""},
		{"claim of one's own again", with(expired(me, "", false), "old"), partition.None, false, "mine", partition.Claim, "mine"},
		{"renewal", owned(me, "", false), partition.Serving, false, "mine", partition.Renew, "mine"},
		{"drain", with(owned(me, bob, false), "mine"), partition.Serving, false, "mine", partition.StartDrain, "mine"},
		{"steal", with(owned(amy, "", true), "amy's"), partition.None, false, "mine", partition.Steal, "amy's"},
		{"withdrawal", with(owned(amy, me, false), "amy's"), partition.None, true, "mine", partition.Withdraw, "amy's"},
		{"release", with(owned(me, "", true), "mine"), partition.None, true, "mine", partition.Release, ""},
	} {
		steps := partition.Decide(partition.View{
			Now: noon, Worker: me, Leases: []partition.Lease{tt.lease}, Holds: map[string]partition.Hold{"q0": tt.hold},
			ShuttingDown: tt.stop, Duration: 30 * time.Second, Doorbell: tt.own,
		})
		if len(steps) != 1 || steps[0].Kind != tt.kind || steps[0].Lease.Doorbell != tt.want {
			t.Errorf("%s: %+v", tt.name, steps)
		}
	}
}
