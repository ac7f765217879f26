package fault_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

// The programs. All that they return follows from their input and the events that were raised,
// however often a part of them runs.
var (
	square = activity.Declare[int, int]("Square")
	// flaky fails in its first two attempts.
	flaky = activity.Declare[int, int]("Flaky")
	echo  = activity.Declare[string, string]("Echo")

	// chain squares 1 to n one after the other and adds up; fanOut does it at once.
	chain  = orchestration.Declare[int, int]("Chain")
	fanOut = orchestration.Declare[int, int]("FanOut")
	// naps sleeps n times, with a step in between.
	naps = orchestration.Declare[int, int]("Naps")
	// collect takes events until it has n different ones and was told to stop, and returns all that
	// it took: one that is lost holds it up, one that counts twice shows.
	collect = orchestration.Declare[int, string]("Collect")
	// relay does so, too, with a generation for each event.
	relay = orchestration.Declare[baton, string]("Relay")
	// family has n children that are chains.
	family = orchestration.Declare[int, int]("Family")
	// large passes a large text on to an activity and waits for an event with another one.
	large = orchestration.Declare[string, string]("Large")
	// patient does a step and waits for one event.
	patient = orchestration.Declare[int, int]("Patient")
	// stubborn retries an activity.
	stubborn = orchestration.Declare[int, int]("Stubborn")

	item   = orchestration.DeclareEvent[int]("item")
	stop   = orchestration.DeclareEvent[struct{}]("stop")
	parcel = orchestration.DeclareEvent[string]("parcel")
)

// baton is the input of a generation.
type baton struct {
	N   int
	Got []int
}

// runs counts how often each attempt of each call of an activity ran.
type runs struct {
	mu     sync.Mutex
	counts map[string]int
}

func (r *runs) note(ctx context.Context) activity.Info {
	info, _ := activity.FromContext(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[fmt.Sprintf("%s %s attempt %d", info.Name, info.CallID, info.Attempt)]++
	return info
}

// repeated returns what ran more than once, and how many different runs there were.
func (r *runs) repeated() (repeated []string, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, n := range r.counts {
		if n > 1 {
			repeated = append(repeated, fmt.Sprintf("%s: %d times", key, n))
		}
	}
	slices.Sort(repeated)
	return repeated, len(r.counts)
}

func (r *runs) bindings() []worker.Binding {
	return []worker.Binding{
		square.With(func(ctx context.Context, n int) (int, error) {
			r.note(ctx)
			return n * n, nil
		}),
		flaky.With(func(ctx context.Context, n int) (int, error) {
			if info := r.note(ctx); info.Attempt < 3 {
				return 0, errors.New("not yet")
			}
			return n * n, nil
		}),
		echo.With(func(ctx context.Context, text string) (string, error) {
			r.note(ctx)
			return text + "!", nil
		}),
		chain.With(runChain), fanOut.With(runFanOut), naps.With(runNaps), collect.With(runCollect),
		relay.With(runRelay), family.With(runFamily), large.With(runLarge), patient.With(runPatient),
		stubborn.With(func(ctx *orchestration.Context, n int) (int, error) {
			retry := orchestration.Retry{MaxAttempts: 4, FirstInterval: 100 * time.Millisecond}
			return orchestration.CallActivity(ctx, flaky, n, retry).Await()
		}),
	}
}

func runChain(ctx *orchestration.Context, n int) (int, error) {
	sum := 0
	for i := 1; i <= n; i++ {
		squared, err := orchestration.CallActivity(ctx, square, i).Await()
		if err != nil {
			return 0, err
		}
		sum += squared
	}
	return sum, nil
}

func runFanOut(ctx *orchestration.Context, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallActivity(ctx, square, i+1)
	}
	return sumOf(tasks)
}

func sumOf(tasks []orchestration.Task[int]) (int, error) {
	results, err := orchestration.All(tasks...).Await()
	sum := 0
	for _, result := range results {
		sum += result
	}
	return sum, err
}

func runNaps(ctx *orchestration.Context, n int) (int, error) {
	sum := 0
	for i := 1; i <= n; i++ {
		if _, err := ctx.Timer(400 * time.Millisecond).Await(); err != nil {
			return 0, err
		}
		squared, err := orchestration.CallActivity(ctx, square, i).Await()
		if err != nil {
			return 0, err
		}
		sum += squared
	}
	return sum, nil
}

func runCollect(ctx *orchestration.Context, n int) (string, error) {
	var got []int
	end := orchestration.WaitForEvent(ctx, stop)
	next := orchestration.WaitForEvent(ctx, item)
	for stopped := false; !stopped || different(got) < n; {
		waits := []orchestration.Awaitable{next}
		if !stopped {
			waits = append(waits, end)
		}
		first, err := orchestration.FirstOf(waits...).Await()
		if err != nil {
			return "", err
		}
		if first == 1 {
			stopped = true
			continue
		}
		number, err := next.Await()
		if err != nil {
			return "", err
		}
		got = append(got, number)
		next = orchestration.WaitForEvent(ctx, item)
	}
	return sortedText(got), nil
}

func different(numbers []int) int {
	seen := map[int]bool{}
	for _, n := range numbers {
		seen[n] = true
	}
	return len(seen)
}

func sortedText(numbers []int) string {
	slices.Sort(numbers)
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}

func runRelay(ctx *orchestration.Context, b baton) (string, error) {
	number, err := orchestration.WaitForEvent(ctx, item).Await()
	if err != nil {
		return "", err
	}
	b.Got = append(b.Got, number)
	if different(b.Got) == b.N {
		return sortedText(b.Got), nil
	}
	orchestration.ContinueAsNew(ctx, relay, b)
	return "", nil
}

func runFamily(ctx *orchestration.Context, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallSubOrchestration(ctx, chain, 2)
	}
	return sumOf(tasks)
}

func runLarge(ctx *orchestration.Context, text string) (string, error) {
	echoed, err := orchestration.CallActivity(ctx, echo, text).Await()
	if err != nil {
		return "", err
	}
	received, err := orchestration.WaitForEvent(ctx, parcel).Await()
	return echoed + received, err
}

func runPatient(ctx *orchestration.Context, n int) (int, error) {
	squared, err := orchestration.CallActivity(ctx, square, n).Await()
	if err != nil {
		return 0, err
	}
	number, err := orchestration.WaitForEvent(ctx, item).Await()
	return squared + number, err
}

// squares is the sum of the squares of 1 to n.
func squares(n int) int { return n * (n + 1) * (2*n + 1) / 6 }

// job is an instance to start, what its user does with it, and how it has to end.
type job struct {
	id, name string
	input    any
	drive    func(u *user, id string) error // nil: nothing
	// want is the output of a completed instance; items says that it is the events raised instead.
	want   any
	items  int
	status history.Status
}

const largeText = 200 << 10

// jobs returns one job of each kind.
func jobs() []job {
	text, other := strings.Repeat("large ", largeText/6), strings.Repeat("parcel ", largeText/7)
	all := []job{
		{name: chain.Name(), input: 3, want: squares(3)},
		{name: fanOut.Name(), input: 12, want: squares(12)},
		{name: naps.Name(), input: 2, want: squares(2)},
		{name: collect.Name(), input: 4, items: 4, drive: func(u *user, id string) error {
			return errors.Join(u.raiseItems(id, 4), u.raise(id, stop.Name(), struct{}{}))
		}},
		{name: relay.Name(), input: baton{N: 3}, items: 3, drive: func(u *user, id string) error {
			return u.raiseItems(id, 3)
		}},
		{name: family.Name(), input: 3, want: 3 * squares(2)},
		{name: large.Name(), input: text, want: text + "!" + other, drive: func(u *user, id string) error {
			return u.raise(id, parcel.Name(), other)
		}},
		{name: patient.Name(), id: "terminated", input: 3, status: history.Terminated, drive: (*user).terminate},
		{name: patient.Name(), id: "suspended", input: 3, want: 9 + 7, drive: (*user).suspendAndResume},
		{name: stubborn.Name(), input: 4, want: 16},
	}
	for i := range all {
		if all[i].id == "" {
			all[i].id = strings.ToLower(all[i].name)
		}
		if all[i].status == "" {
			all[i].status = history.Completed
		}
	}
	return all
}
