package taskhub_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/durafleet/durafleet/taskhub"
)

// TestStart_Races lets many clients start one id: one row and one message stay, and belong together.
// L14, D07.
func TestStart_Races(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, account taskhub.Account) {
		for _, starters := range []int{2, 40} {
			for _, reuse := range []taskhub.Reuse{taskhub.RefuseLive, taskhub.UseExisting} {
				t.Run(fmt.Sprintf("%d starters, policy %d", starters, reuse), func(t *testing.T) {
					t.Parallel()
					race(t, newHub(t, account), starters, reuse)
				})
			}
		}
	})
}

func race(t *testing.T, hub *taskhub.Hub, starters int, reuse taskhub.Reuse) {
	t.Helper()
	instances := make([]*taskhub.Instance[string], starters)
	errs := make([]error, starters)
	var wg sync.WaitGroup
	for i := range starters {
		wg.Go(func() {
			instances[i], errs[i] = taskhub.Start(t.Context(), taskhub.NewClient(hub), echo, fmt.Sprint(i), taskhub.InstanceID("one"), reuse)
		})
	}
	wg.Wait()
	status, err := taskhub.NewClient(hub).Get(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
			if instances[i].ExecutionID() != status.ExecutionID {
				t.Errorf("starter %d got another execution", i)
			}
		case reuse == taskhub.UseExisting || !errors.Is(err, taskhub.ErrExists):
			t.Error(err)
		}
	}
	if want := map[taskhub.Reuse]int{taskhub.RefuseLive: 1, taskhub.UseExisting: starters}[reuse]; won != want {
		t.Errorf("%d starters succeeded, want %d", won, want)
	}
	if all := messages(t, hub); len(all) != 1 || all[0].Target.ExecutionID != status.ExecutionID {
		t.Errorf("%d messages", len(all))
	}
}

// TestStart_ReplacersRace lets starts replace one another: all succeed, the last one stays.
func TestStart_ReplacersRace(t *testing.T) {
	t.Parallel()
	hub := newHub(t, taskhub.Memory())
	const starters = 20
	var wg sync.WaitGroup
	for i := range starters {
		wg.Go(func() {
			_, err := taskhub.Start(t.Context(), taskhub.NewClient(hub), echo, fmt.Sprint(i), taskhub.InstanceID("one"), taskhub.ReplaceLive)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	status, err := taskhub.NewClient(hub).Get(t.Context(), "one")
	if err != nil || status.Generation != starters-1 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	seen := false
	for _, m := range messages(t, hub) {
		seen = seen || m.Target.ExecutionID == status.ExecutionID
	}
	if !seen {
		t.Error("the row's start message is gone")
	}
}
