package partition_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/tablelease"
)

// counter counts a worker's requests by kind.
type counter struct {
	mu     sync.Mutex
	counts storage.Counts
}

func (c *counter) pass(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
	c.mu.Lock()
	c.counts[call.Kind]++
	c.mu.Unlock()
	return next(ctx)
}

// take returns what was counted since the last take.
func (c *counter) take() storage.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = storage.Counts{}
	return counts
}

func newCounter() *counter { return &counter{counts: storage.Counts{}} }

func skipping(hook storage.Hook) func(*member, *partition.Options) {
	return func(m *member, o *partition.Options) {
		o.SkipReads = true
		m.fault(hook)
	}
}

// All leases of a worker are renewed by one request for each pass; a single one needs no transaction.
func TestManager_RenewsTogether_O5(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                          string
		partitions                    int
		skip                          bool
		reads, replaces, transactions int64 // in ten minutes, at most
	}{
		{"reading", 16, false, 67, 0, 67},
		{"skipping", 16, true, 31, 0, 61},
		{"one partition", 1, true, 31, 61, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.partitions)
				c := newCounter()
				a := w.join("a", func(m *member, o *partition.Options) {
					o.SkipReads = tt.skip
					m.fault(c.pass)
				})
				w.await(time.Second, "a owns all", each(tt.partitions, a))
				pass(time.Minute)
				c.take()
				pass(10 * time.Minute)
				got := c.take()
				if got[storage.TableQuery] > tt.reads || got[storage.TableReplace] > tt.replaces ||
					got[storage.TableTransact] > tt.transactions || got.Total() < 60 {
					t.Errorf("requests in ten minutes: %v", got)
				}
				if !a.owns(tt.partitions) || len(a.causes) > 0 || !w.live() {
					t.Errorf("a has lost something: %v", a.causes)
				}
			})
		})
	}
}

// One row that another worker changes between reading and writing does not hold up the others: they
// are written one by one at once.
func TestManager_OneRowLost_O5(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.join("a", nil)
		w.await(time.Second, "a owns 4", each(4, a))
		pass(15 * time.Second)
		c := newCounter()
		var once sync.Once
		var began time.Time
		a.fault(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
			if call.Kind == storage.TableTransact {
				once.Do(func() {
					began = time.Now()
					row := w.rows()[2]
					row.NextOwner = "b"
					if versions, err := tablelease.New(w.account.Tables, table).Replace(t.Context(), row); versions == nil || err != nil {
						t.Error(versions, err)
					}
				})
			}
			return c.pass(ctx, call, next)
		})
		w.await(11*time.Second, "the row is handed over", func() bool { return w.rows()[2].CurrentOwner == "" })
		if got := c.take(); got[storage.TableTransact] != 1 {
			t.Errorf("requests %v", got)
		}
		for i, row := range w.rows() {
			if i != 2 && row.LastRenewal.Before(began.Add(-2*time.Second)) {
				t.Errorf("%s was not renewed: %+v", row.ID, row)
			}
		}
		w.always(20*time.Second, "a keeps the others", each(3, a))
		w.await(20*time.Second, "a takes what nobody has claimed", each(4, a))
		c.take()
		w.always(time.Minute, "a keeps all", each(4, a))
		if got := c.take(); got[storage.TableTransact] < 5 {
			t.Errorf("rows are not written together again: %v", got)
		}
	})
}

// A transaction that is never answered costs no lease, whether it takes effect or not.
func TestManager_HangingTransaction_O5(t *testing.T) {
	t.Parallel()
	for _, effect := range []bool{false, true} {
		for _, skip := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4)
				a := w.join("a", func(m *member, o *partition.Options) {
					o.SkipReads = skip
					m.fault(func(ctx context.Context, call *storage.Call, next func(context.Context) error) error {
						if call.Kind != storage.TableTransact {
							return next(ctx)
						}
						if effect {
							if err := next(ctx); err != nil {
								return err
							}
						}
						return cutOff(ctx, call, next)
					})
				})
				w.await(time.Second, "a owns 4", each(4, a))
				w.always(5*time.Minute, "a keeps 4", func() bool { return each(4, a)() && w.live() })
			})
		}
	}
}

// A reader that skips reads notices a wake-up at once, and everything else one pass later at most.
func TestManager_SkipReads_O5(t *testing.T) {
	t.Parallel()
	for _, wake := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			a := w.join("a", skipping(newCounter().pass))
			w.await(time.Second, "a owns 4", each(4, a))
			pass(time.Minute + 3*time.Second)
			b := w.join("b", skipping(newCounter().pass))
			pass(time.Second)
			limit := 25 * time.Second
			if wake {
				a.Wake()
				limit = 3 * time.Second
			}
			w.await(limit, "2+2", each(2, a, b))
			w.always(2*time.Minute, "2+2", each(2, a, b))
			b.kill()
			w.await(32*time.Second, "a owns 4 when b's leases have run out", each(4, a))
		})
	}
}

// A row that somebody took meanwhile is noticed by the write, if not by a read.
func TestManager_SkipReads_StolenMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		c := newCounter()
		a := w.join("a", skipping(c.pass))
		w.await(time.Second, "a owns 4", each(4, a))
		pass(time.Minute)
		row := w.rows()[1]
		row.CurrentOwner = "thief"
		row.ExpiresAt = time.Now().Add(time.Hour)
		if versions, err := tablelease.New(w.account.Tables, table).Replace(t.Context(), row); versions == nil || err != nil {
			t.Fatal(versions, err)
		}
		w.await(11*time.Second, "a has noticed, blind or not", func() bool { return a.causedBy(partition.ErrLost) })
		w.always(time.Minute, "a keeps the others", each(3, a))
	})
}

// Who owns nothing reads the rows in every pass, since nobody can tell it anything.
func TestManager_SkipReads_Standby(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.join("a", skipping(newCounter().pass))
		w.await(time.Second, "a owns 1", each(1, a))
		c := newCounter()
		w.join("b", skipping(c.pass))
		pass(time.Minute)
		c.take()
		pass(10 * time.Minute)
		if got := c.take(); got[storage.TableQuery] < 58 || got.Total() != got[storage.TableQuery] {
			t.Errorf("requests in ten minutes: %v", got)
		}
	})
}

// What was read and what was written is told, but for renewals.
func TestManager_Tells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		var mu sync.Mutex
		var steps []partition.StepKind
		read := 0
		a := w.join("a", func(_ *member, o *partition.Options) {
			o.OnRead = func(leases []partition.Lease) { read += len(leases) }
			o.OnWrite = func(step partition.Step) {
				mu.Lock()
				defer mu.Unlock()
				steps = append(steps, step.Kind)
			}
		})
		w.await(time.Second, "a owns 2", each(2, a))
		pass(time.Minute)
		b := w.join("b", nil)
		w.await(time.Minute, "1+1", each(1, a, b))
		a.leaveHub(10 * time.Second)
		w.await(time.Minute, "b owns 2", each(2, b))
		want := []partition.StepKind{
			partition.Claim, partition.Claim, partition.StartDrain, partition.Release, partition.StartDrain, partition.Release,
		}
		if read < 12 || !slices.Equal(steps, want) {
			t.Errorf("%d rows were read and %v was written, want %v", read, steps, want)
		}
	})
}
