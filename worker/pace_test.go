package worker

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// pauseOf returns how long the next wait takes.
func pauseOf(t *testing.T, p *pace) time.Duration {
	t.Helper()
	began := time.Now()
	p.wait(t.Context(), nil)
	return time.Since(began)
}

// Pauses begin short, grow to the ceiling and begin anew after a message.
func TestPace_Grows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(10*time.Second, rand.Float64)
		<-time.After(2 * eagerFor)
		if first := pauseOf(t, p); first > 2*minPoll {
			t.Errorf("the first pause is %v", first)
		}
		for range 10 {
			pauseOf(t, p)
		}
		if late := pauseOf(t, p); late < 8*time.Second || late > 10*time.Second {
			t.Errorf("a late pause is %v", late)
		}
		p.busy()
		if first := pauseOf(t, p); first > 2*minPoll {
			t.Errorf("the first pause after a message is %v", first)
		}
	})
}

// Each pause is twice the one before, give or take a fifth, and none exceeds the ceiling; readers
// that began together drift apart.
func TestPace_DoublesWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ceiling = 5 * time.Second
		first := map[time.Duration]bool{}
		for range 20 {
			p := newPace(ceiling, rand.Float64)
			<-time.After(2 * eagerFor)
			for want, i := minPoll, 0; i < 10; want, i = min(2*want, ceiling), i+1 {
				pause := pauseOf(t, p)
				if pause < want*8/10 || pause > min(want*12/10, ceiling) {
					t.Errorf("pause %d is %v, want about %v", i, pause, want)
				}
				if i == 0 {
					first[pause] = true
				}
			}
		}
		if len(first) < 2 {
			t.Errorf("all pauses are the same: %v", first)
		}
	})
}

// H15: after a take-over no pause is longer than two seconds, for a minute.
func TestPace_Eager(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(30*time.Second, rand.Float64)
		for began := time.Now(); time.Since(began) < eagerFor-2*time.Second; {
			if pause := pauseOf(t, p); pause > eagerPoll {
				t.Fatalf("a pause of %v after %v", pause, time.Since(began))
			}
		}
		<-time.After(2 * time.Second)
		for range 5 {
			pauseOf(t, p)
		}
		if pause := pauseOf(t, p); pause < 20*time.Second {
			t.Errorf("later a pause is %v", pause)
		}
		p.eager()
		if pause := pauseOf(t, p); pause > eagerPoll {
			t.Errorf("after another take-over a pause is %v", pause)
		}
	})
}

// A signal ends the pause, also one that came before it, and only one.
func TestPace_Signal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(10*time.Second, rand.Float64)
		for range 10 {
			pauseOf(t, p)
		}
		p.signal()
		p.signal()
		if pause := pauseOf(t, p); pause != 0 {
			t.Errorf("the pause after a signal is %v", pause)
		}
		if pause := pauseOf(t, p); pause == 0 || pause > 2*minPoll {
			t.Errorf("the pause after that is %v", pause)
		}
		done := make(chan struct{})
		close(done)
		began := time.Now()
		p.wait(t.Context(), done)
		if pause := time.Since(began); pause != 0 {
			t.Errorf("the pause of a reader that ends is %v", pause)
		}
	})
}
