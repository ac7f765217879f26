package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/worker"
)

// The programs. Clocks are read where the time that it is becomes a result, and decides nothing.
var (
	greet = activity.Declare[string, string]("BenchGreet")
	// rest takes as long as it is told to.
	rest = activity.Declare[time.Duration, int]("BenchRest")
	// moment returns when it runs, in nanoseconds.
	moment = activity.Declare[struct{}, int64]("BenchMoment")
	// write returns a text of a length, copy the text that it gets.
	write     = activity.Declare[int, string]("BenchWrite")
	duplicate = activity.Declare[string, string]("BenchDuplicate")

	// greetings greets so many cities, one after the other.
	greetings = orchestration.Declare[int, []string]("BenchGreetings")
	// localGreetings does the same with local activities.
	localGreetings = orchestration.Declare[int, []string]("BenchLocalGreetings")
	// echo returns what it gets.
	echo = orchestration.Declare[string, string]("BenchEcho")
	// fanOut greets so many cities at once, and returns how many greetings are right.
	fanOut = orchestration.Declare[int, int]("BenchFanOut")
	// slowFanOut calls rest so often at once, and returns how many calls have ended.
	slowFanOut = orchestration.Declare[int, int]("BenchSlowFanOut")
	// family runs echo as a child, and then greetings.
	family = orchestration.Declare[string, string]("BenchFamily")
	// collect waits for so many events.
	collect = orchestration.Declare[int, collected]("BenchCollect")
	// nap sleeps and returns how late it woke up, in nanoseconds.
	nap = orchestration.Declare[time.Duration, int64]("BenchNap")
	// first returns when its activity ran, in nanoseconds.
	first = orchestration.Declare[struct{}, int64]("BenchFirst")
	// gate waits for an event and returns what it says.
	gate = orchestration.Declare[struct{}, string]("BenchGate")
	// rounds continues as new after each event and activity, and ends with a last event.
	rounds = orchestration.Declare[round, []string]("BenchRounds")
	// heavy passes a text of a length through two activities.
	heavy = orchestration.Declare[int, string]("BenchHeavy")

	item = orchestration.DeclareEvent[event]("item")
	word = orchestration.DeclareEvent[string]("word")
)

// event is one of a stream: its number, and when it was raised, in nanoseconds.
type event struct {
	Number int
	At     int64
}

// collected is the sum of the numbers, and for each event how many milliseconds after it was raised the turn
// began that took it in.
type collected struct {
	Sum     int
	Latency []float64
}

// round is the input of a generation.
type round struct {
	Round, Rounds int
	Said          []string
}

// bindings returns everything that a worker of the bench runs.
func bindings() []worker.Binding {
	return []worker.Binding{
		greet.With(func(_ context.Context, name string) (string, error) { return greetingOf(name), nil }),
		rest.With(runRest),
		moment.With(func(context.Context, struct{}) (int64, error) { return time.Now().UnixNano(), nil }),
		write.With(func(_ context.Context, length int) (string, error) { return textOf(length), nil }),
		duplicate.With(func(_ context.Context, text string) (string, error) { return text, nil }),
		greetings.With(func(ctx *orchestration.Context, n int) ([]string, error) { return runGreetings(ctx, n) }),
		localGreetings.With(func(ctx *orchestration.Context, n int) ([]string, error) {
			return runGreetings(ctx, n, orchestration.Local{})
		}),
		echo.With(func(_ *orchestration.Context, text string) (string, error) { return text, nil }),
		fanOut.With(runFanOut),
		slowFanOut.With(runSlowFanOut),
		family.With(runFamily),
		collect.With(runCollect),
		nap.With(runNap),
		first.With(func(ctx *orchestration.Context, _ struct{}) (int64, error) {
			return orchestration.CallActivity(ctx, moment, struct{}{}).Await()
		}),
		gate.With(func(ctx *orchestration.Context, _ struct{}) (string, error) {
			return orchestration.WaitForEvent(ctx, word).Await()
		}),
		rounds.With(runRounds),
		heavy.With(runHeavy),
	}
}

// cityNames are as many as the classic sample greets.
var cityNames = [...]string{"Tokyo", "Seattle", "London", "Amsterdam", "Mumbai"}

// city returns the i-th name: after the first five they have numbers.
func city(i int) string {
	name := cityNames[i%len(cityNames)]
	if again := i / len(cityNames); again > 0 {
		return fmt.Sprintf("%s %d", name, again+1)
	}
	return name
}

func greetingOf(name string) string { return "Hello " + name + "!" }

// allGreetings is the result of greetings.
func allGreetings(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = greetingOf(city(i))
	}
	return all
}

// letters are as many as a random byte chooses from without preference.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// textOf returns the text of a length: always the same one, which compression makes a quarter shorter.
func textOf(length int) string {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, length)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}

func runRest(ctx context.Context, d time.Duration) (int, error) {
	if !run.Sleep(ctx, d) {
		return 0, context.Cause(ctx)
	}
	return 1, nil
}

func runGreetings(ctx *orchestration.Context, n int, options ...orchestration.ActivityOption) ([]string, error) {
	all := make([]string, n)
	for i := range all {
		greeting, err := orchestration.CallActivity(ctx, greet, city(i), options...).Await()
		if err != nil {
			return nil, err
		}
		all[i] = greeting
	}
	return all, nil
}

func runFanOut(ctx *orchestration.Context, n int) (int, error) {
	tasks := make([]orchestration.Task[string], n)
	for i := range tasks {
		tasks[i] = orchestration.CallActivity(ctx, greet, city(i))
	}
	right := 0
	all, err := orchestration.All(tasks...).Await()
	for i, greeting := range all {
		if greeting == greetingOf(city(i)) {
			right++
		}
	}
	return right, err
}

func runSlowFanOut(ctx *orchestration.Context, n int) (int, error) {
	tasks := make([]orchestration.Task[int], n)
	for i := range tasks {
		tasks[i] = orchestration.CallActivity(ctx, rest, time.Second)
	}
	all, err := orchestration.All(tasks...).Await()
	sum := 0
	for _, one := range all {
		sum += one
	}
	return sum, err
}

func runFamily(ctx *orchestration.Context, text string) (string, error) {
	echoed, err := orchestration.CallSubOrchestration(ctx, echo, text).Await()
	if err != nil {
		return "", err
	}
	all, err := orchestration.CallSubOrchestration(ctx, greetings, familyCities).Await()
	return familyResult(echoed, all), err
}

const familyCities = 3

func familyResult(echoed string, all []string) string { return fmt.Sprint(echoed, all) }

func runCollect(ctx *orchestration.Context, n int) (collected, error) {
	c := collected{Latency: make([]float64, n)}
	for i := range n {
		e, err := orchestration.WaitForEvent(ctx, item).Await()
		if err != nil {
			return c, err
		}
		c.Sum += e.Number
		c.Latency[i] = rounded(float64(ctx.Now().UnixNano()-e.At)/float64(time.Millisecond), 2)
	}
	return c, nil
}

func runNap(ctx *orchestration.Context, d time.Duration) (int64, error) {
	due := ctx.Now().Add(d)
	_, err := ctx.TimerAt(due).Await()
	return int64(time.Since(due)), err
}

func runRounds(ctx *orchestration.Context, r round) ([]string, error) {
	said, err := orchestration.WaitForEvent(ctx, word).Await()
	if err != nil || r.Round == r.Rounds {
		return append(r.Said, said), err
	}
	greeting, err := orchestration.CallActivity(ctx, greet, said).Await()
	if err != nil {
		return nil, err
	}
	orchestration.ContinueAsNew(ctx, rounds, round{r.Round + 1, r.Rounds, append(r.Said, greeting)})
	return nil, nil
}

func runHeavy(ctx *orchestration.Context, length int) (string, error) {
	text, err := orchestration.CallActivity(ctx, write, length).Await()
	if err != nil {
		return "", err
	}
	return orchestration.CallActivity(ctx, duplicate, text).Await()
}
