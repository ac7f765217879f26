package orchestration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

var (
	plusOne = activity.Declare[int, int]("PlusOne")
	work    = activity.Declare[string, string]("Work")

	listing = orchestration.Declare[int, []int]("Listing")
	job     = orchestration.Declare[string, string]("Job")
)

// jobOf binds code that takes and returns text, the shape of most tests.
func jobOf(fn func(ctx *orchestration.Context) (string, error)) orchestration.Binding {
	return job.With(func(ctx *orchestration.Context, _ string) (string, error) { return fn(ctx) })
}

func call(ctx *orchestration.Context, input string, options ...orchestration.ActivityOption) orchestration.Task[string] {
	return orchestration.CallActivity(ctx, work, input, options...)
}

// A02: a chain of activities takes the ids 0, 1, 2 … and ends with all results.
func TestCallActivity_Chain_A02(t *testing.T) {
	t.Parallel()
	d := drive(t, listing.With(func(ctx *orchestration.Context, n int) ([]int, error) {
		list := []int{n}
		for range 10 {
			next, err := orchestration.CallActivity(ctx, plusOne, list[len(list)-1]).Await()
			if err != nil {
				return nil, err
			}
			list = append(list, next)
		}
		return list, nil
	}), orchestration.Options{})
	d.expect([]string{"0 activity PlusOne [1]"}, started("Listing", "1"))
	for i := range 9 {
		d.expect([]string{fmt.Sprintf("%d activity PlusOne [%d]", i+1, i+2)}, done(int32(i), fmt.Sprint(i+2)))
	}
	d.expect([]string{"10 Completed [1,2,3,4,5,6,7,8,9,10,11]"}, done(9, "11"))
}

// A08: a join surfaces a failure only when all of its tasks are done.
func TestAll_WaitsBeforeFailing_A08(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, err := orchestration.All(call(ctx, "a"), call(ctx, "b"), call(ctx, "c")).Await()
		return fmt.Sprintf("handled: %v", err), nil
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`, `1 activity Work ["b"]`, `2 activity Work ["c"]`}, started("Job", `""`))
	d.expect(nil, failed(1, "no b"))
	d.expect(nil, done(2, `"c"`))
	d.expect([]string{`3 Completed "handled: activity \"Work\" (#1) failed: no b"`}, done(0, `"a"`))
	d.expect(nil, done(0, `"late"`))
}

// A10: a task that failed before it is awaited returns its failure then, and again.
func TestAwait_OfEarlierFailure_A10(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		early := call(ctx, "early")
		if _, err := call(ctx, "late").Await(); err != nil {
			return "", err
		}
		if !early.Done() {
			return "not done", nil
		}
		_, first := early.Await()
		_, second := early.Await()
		return fmt.Sprint(errors.Is(first, second), first), nil
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["early"]`, `1 activity Work ["late"]`}, started("Job", `""`))
	d.expect(nil, failed(0, "no"))
	d.expect([]string{`2 Completed "true activity \"Work\" (#0) failed: no"`}, done(1, `"ok"`))
}

// A12: the first task wins; what the others end with does no harm.
func TestAny_LosersAreHarmless_A12(t *testing.T) {
	t.Parallel()
	policy := orchestration.Retry{MaxAttempts: 2, FirstInterval: 5e9}
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		winner, err := orchestration.Any(call(ctx, "a", policy), call(ctx, "b", policy), call(ctx, "c")).Await()
		if err != nil {
			return "", err
		}
		last, err := call(ctx, "last").Await()
		return winner + last, err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`, `1 activity Work ["b"]`, `2 activity Work ["c"]`}, started("Job", `""`))
	d.expect([]string{"3 timer +5s"}, failed(0, "no a"))
	d.expect([]string{`4 activity Work ["last"]`}, done(1, `"b"`))
	d.expect([]string{`5 activity Work ["a"]`}, fired(3))
	d.expect(nil, failed(5, "no a again"), failed(2, "no c"))
	d.expect([]string{`6 Completed "bl"`}, done(4, `"l"`))
}

// A24: of two answers to one call the first one counts.
func TestAnswer_DuplicateIsDropped_A24(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		first, err := call(ctx, "a").Await()
		if err != nil {
			return "", err
		}
		second, err := call(ctx, "b").Await()
		return first + second, err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expect([]string{`1 activity Work ["b"]`}, done(0, `"first"`), done(0, `"second"`), failed(0, "third"))
	d.expect([]string{`2 Completed "firstb"`}, done(1, `"b"`))
}

// A25: an answer that comes before its action is kept by id and kind. The action then resolves at
// once and is not handed out.
func TestAnswer_BeforeItsAction_A25(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		early []history.Event
		want  []string
	}{
		{"activity", []history.Event{done(1, `"early"`)}, []string{`2 Completed "early"`}},
		{"failure", []history.Event{failed(1, "early")}, []string{`2 Failed activity "Work" (#1) failed: early`}},
		{"first of two", []history.Event{done(1, `"early"`), done(1, `"second"`)}, []string{`2 Completed "early"`}},
		{"timer for an activity", []history.Event{fired(1)}, []string{`1 activity Work ["b"]`}},
		{"child for an activity", []history.Event{childDone(1, `"x"`)}, []string{`1 activity Work ["b"]`}},
		{"the wrong kind first", []history.Event{fired(1), done(1, `"early"`)}, []string{`2 Completed "early"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
				if _, err := call(ctx, "a").Await(); err != nil {
					return "", err
				}
				return call(ctx, "b").Await()
			}), orchestration.Options{})
			d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
			d.expect(nil, tt.early...)
			d.expect(tt.want, done(0, `"a"`))
		})
	}
}

// A25: the same for timers, children and a fan-out in which two answers are early.
func TestAnswer_BeforeItsAction_OtherKinds_A25(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		if _, err := call(ctx, "a").Await(); err != nil {
			return "", err
		}
		b, timer, c := call(ctx, "b"), ctx.Timer(5e9), call(ctx, "c")
		child := orchestration.CallSubOrchestration(ctx, job, "x")
		if _, err := timer.Await(); err != nil {
			return "", err
		}
		texts, err := orchestration.All(b, c, child).Await()
		return strings.Join(texts, ""), err
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expect(nil, childDone(4, `"child"`), fired(2), done(3, `"c"`))
	d.expect([]string{`1 activity Work ["b"]`}, done(0, `"a"`))
	d.expect([]string{`5 Completed "bcchild"`}, done(1, `"b"`))
}

// An answer of another kind than the open action is not delivered.
func TestAnswer_OfAnotherKind(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		return call(ctx, "a").Await()
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expect(nil, fired(0), childDone(0, `"child"`), childFailed(0, "child"))
	d.expect([]string{`1 Completed "a"`}, done(0, `"a"`))
}

// A16, A17: an uncaught failure names the activity, its id and the cause, and keeps the chain of
// causes; a panic is a failure like any other.
func TestTaskError_Details_A16_A17(t *testing.T) {
	t.Parallel()
	cause := &history.FailureDetails{Type: "os.PathError", Message: "open x: no such file"}
	for _, tt := range []struct {
		name    string
		details *history.FailureDetails
	}{
		{"chain", &history.FailureDetails{Type: "main.LoadError", Message: "load failed", Inner: cause}},
		{"panic", &history.FailureDetails{Type: "panic", Message: "index out of range", Stack: "goroutine 1"}},
		{"permanent", &history.FailureDetails{Type: "main.LoadError", Message: "never", NonRetriable: true}},
		{"properties", &history.FailureDetails{Type: "x", Message: "y", Properties: map[string]any{"code": 7.0, "none": nil}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
				_, err := call(ctx, "a").Await()
				var failed *orchestration.TaskError
				if !errors.As(err, &failed) || failed.Task != orchestration.ActivityTask || failed.Name != "Work" || failed.ID != 0 {
					return fmt.Sprintf("unexpected: %#v", err), nil
				}
				return "", err
			}), orchestration.Options{})
			d.turn(started("Job", `""`))
			end := d.turn(failedWith(0, tt.details)).Complete()
			if end == nil || end.Status != history.Failed {
				t.Fatalf("the end is %+v", end)
			}
			message := `activity "Work" (#0) failed: ` + tt.details.Message
			want := &history.FailureDetails{
				Type: "DurableTask.Core.Exceptions.TaskFailedException", Message: message,
				Inner: tt.details, NonRetriable: tt.details.NonRetriable,
			}
			if diff := cmp.Diff(want, end.Failure); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
			if *end.Result != message {
				t.Errorf("result: %q", *end.Result)
			}
		})
	}
}

// Peers that serialise exceptions report a reason and possibly the exception; without it, the type
// of the failure is unknown.
func TestTaskError_WithoutDetails(t *testing.T) {
	t.Parallel()
	for exception, want := range map[string]string{
		``:                                  "unknown: boom",
		`no JSON`:                           "unknown: boom",
		`{"ClassName":"X"}`:                 "X: boom",
		`{"ClassName":"X","Message":"own"}`: "X: own",
	} {
		expectFailure(t, exception, want)
	}
}

func expectFailure(t *testing.T, exception, want string) {
	t.Helper()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, err := call(ctx, "a").Await()
		var failed *orchestration.TaskError
		errors.As(err, &failed)
		return failed.Details.String(), nil
	}), orchestration.Options{})
	d.turn(started("Job", `""`))
	d.expect([]string{fmt.Sprintf("1 Completed %q", want)},
		&history.TaskFailed{Header: noID, TaskID: 0, Reason: history.Text("boom"), Details: &exception})
}

// L04: falsy values are values; none is mistaken for no value.
func TestFalsyValues_L04(t *testing.T) {
	t.Parallel()
	raw := orchestration.Declare[json.RawMessage, json.RawMessage]("Raw")
	echo := activity.Declare[json.RawMessage, json.RawMessage]("Echo")
	for _, value := range []string{"0", `""`, "false", "null", "[]", "{}"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			d := drive(t, raw.With(func(ctx *orchestration.Context, in json.RawMessage) (json.RawMessage, error) {
				out, err := orchestration.CallActivity(ctx, echo, in).Await()
				if err != nil {
					return nil, err
				}
				return orchestration.CallSubOrchestration(ctx, raw, out).Await()
			}), orchestration.Options{})
			d.expect([]string{"0 activity Echo [" + value + "]"}, started("Raw", value))
			d.expect([]string{"1 child Raw as exec:1 " + value}, done(0, value))
			d.expect([]string{"2 Completed " + value}, childDone(1, value))
		})
	}
}

// L04: typed code sees the same falsy values, and continue-as-new passes them on.
func TestFalsyValues_Typed_L04(t *testing.T) {
	t.Parallel()
	again := orchestration.Declare[*bool, int]("Again")
	yes, no := true, false
	for want, next := range map[string]*bool{"true": &yes, "false": &no, "null": nil} {
		d := drive(t, again.With(func(ctx *orchestration.Context, _ *bool) (int, error) {
			orchestration.ContinueAsNew(ctx, again, next)
			return 0, nil
		}), orchestration.Options{})
		d.expect([]string{"0 again " + want}, started("Again", "null"))
	}
}

// L18: a panic ends the orchestration as Failed, with message, type and stack.
func TestPanic_L18(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		value   any
		message string
		inner   string
	}{
		{"text", "oh no", "oh no", ""},
		{"error", errBroken, "broken", "errors.errorString: broken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(*orchestration.Context) (string, error) { panic(tt.value) }), orchestration.Options{})
			end := d.turn(started("Job", `""`)).Complete()
			if end == nil || end.Status != history.Failed || *end.Result != tt.message {
				t.Fatalf("the end is %+v", end)
			}
			if f := end.Failure; f.Type != "panic" || f.Inner.String() != tt.inner || !strings.Contains(f.Stack, "activity_call_test.go") {
				t.Errorf("failure: %+v", f)
			}
		})
	}
}

// L18: an error ends the orchestration as Failed, with its chain of causes.
func TestError_L18(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(*orchestration.Context) (string, error) {
		return "ignored", fmt.Errorf("outer: %w", errors.New("inner"))
	}), orchestration.Options{})
	end := d.turn(started("Job", `""`)).Complete()
	want := &history.FailureDetails{
		Type: "fmt.wrapError", Message: "outer: inner",
		Inner: &history.FailureDetails{Type: "errors.errorString", Message: "inner"},
	}
	if diff := cmp.Diff(want, end.Failure); diff != "" || *end.Result != "outer: inner" {
		t.Errorf("result %q, failure (-want +got):\n%s", *end.Result, diff)
	}
}

// L19: values that cannot be stored, or do not fit their type, fail where they are used.
func TestUnserialisable_L19(t *testing.T) {
	t.Parallel()
	channel := orchestration.Declare[string, any]("Channel")
	d := drive(t, channel.With(func(*orchestration.Context, string) (any, error) { return make(chan int), nil }), orchestration.Options{})
	end := d.turn(started("Channel", `""`)).Complete()
	if end == nil || end.Status != history.Failed || !strings.Contains(*end.Result, "chan int") {
		t.Errorf("result: %+v", end)
	}

	d = drive(t, jobOf(func(*orchestration.Context) (string, error) { return "", nil }), orchestration.Options{})
	end = d.turn(started("Job", `{"not":"text"}`)).Complete()
	if end == nil || end.Status != history.Failed || !strings.Contains(*end.Result, `{\"not\":\"text\"}`) {
		t.Errorf("input: %+v", end)
	}

	d = drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		_, callErr := orchestration.CallActivityByName(ctx, "Work", make(chan int)).Await()
		_, childErr := orchestration.CallSubOrchestrationByName(ctx, "Job", make(chan int)).Await()
		_, startErr := orchestration.StartDetachedByName(ctx, "Job", make(chan int))
		sendErr := orchestration.SendEventByName(ctx, "other", "go", make(chan int))
		_, resultErr := call(ctx, "a").Await()
		return fmt.Sprint(callErr != nil, childErr != nil, startErr != nil, sendErr != nil, resultErr != nil), nil
	}), orchestration.Options{})
	d.expect([]string{`0 activity Work ["a"]`}, started("Job", `""`))
	d.expect([]string{`1 Completed "true true true true true"`}, done(0, "5"))
}

// Options of a call show in its action; tags are the caller's to change afterwards.
func TestCallActivity_Options(t *testing.T) {
	t.Parallel()
	d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
		tags := orchestration.Tags{"team": "blue"}
		task := call(ctx, "a", orchestration.Version("2.1"), tags)
		tags["team"] = "green"
		return task.Await()
	}), orchestration.Options{})
	decision := d.turn(started("Job", `""`))
	want := &orchestration.ActivityAction{
		Name: "Work", Version: "2.1", Input: history.Text(`["a"]`), Tags: map[string]string{"team": "blue"},
		Attempt: 1, CallID: "exec:0",
	}
	if diff := cmp.Diff(want, decision.Actions[0]); diff != "" {
		t.Errorf("action (-want +got):\n%s", diff)
	}
}
