package partition_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/partition"
)

// weather makes storage unreliable in a reproducible way.
type weather struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (c *weather) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// pass delays, refuses, hangs, or loses the reply of, one in five requests.
func (c *weather) pass(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	switch c.roll(25) {
	case 0:
		select {
		case <-time.After(time.Duration(c.roll(2500)) * time.Millisecond):
		case <-ctx.Done():
			return fail(call, ctx.Err(), true)
		}
	case 1:
		return fail(call, storage.ErrUnavailable, false)
	case 2:
		return cutOff(ctx, call, next)
	case 3:
		if err := next(ctx); err != nil {
			return err
		}
		return fail(call, storage.ErrUnavailable, true)
	case 4:
		if writes(call, "") {
			return fail(call, storage.ErrPrecondition, false)
		}
	}
	return next(ctx)
}

// M09, M12: our workers and a .NET one share a hub for hours with bad storage, outages, slow drains,
// stops and starts. No queue ever has two readers, and when the weather clears all is balanced.
func TestManager_Chaos_M09(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7)
				c := &weather{random: rand.New(rand.NewPCG(seed, 1))}
				bad := func(m *member, o *partition.Options) {
					o.SkipReads = c.roll(2) == 0
					m.finish = time.Duration(c.roll(20)) * time.Second
					m.fault(c.pass)
				}
				all := []*member{w.join("a0", bad), w.join("b0", bad), w.join("c0", bad)}
				net := w.joinDotNet("net", 0, 2*time.Second)
				for round := range 40 {
					i := c.roll(len(all))
					switch c.roll(3) {
					case 0:
						all[i].kill()
					case 1:
						all[i].fault(c.pass)
					case 2:
						all[i].stop()
						all[i] = w.join(fmt.Sprintf("%c%d", 'a'+i, round+1), bad)
					}
					pass(time.Duration(c.roll(120)) * time.Second)
				}
				for _, m := range all {
					m.hook.Store(nil)
				}
				w.await(5*time.Minute, "all is balanced", func() bool {
					sum := w.readBy(net.name)
					least, most := sum, sum
					for _, m := range all {
						n := w.readBy(m.name)
						sum, least, most = sum+n, min(least, n), max(most, n)
					}
					return sum == 7 && most-least <= 1
				})
			})
		})
	}
}
