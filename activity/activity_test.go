package activity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
)

func ExampleActivity_With() {
	greet := activity.Declare[string, string]("Greet")
	binding := greet.With(func(_ context.Context, name string) (string, error) {
		return "Hello " + name, nil
	}, activity.Limit(4))
	input := `["Tokyo"]`
	result, err := binding.Run(context.Background(), &input)
	fmt.Println(binding.Name, *result, err)
	// Output: Greet "Hello Tokyo" <nil>
}

var double = activity.Declare[int, int]("Double")

func TestWith_Run(t *testing.T) {
	t.Parallel()
	binding := double.With(func(_ context.Context, n int) (int, error) {
		if n < 0 {
			return n, errors.New("negative")
		}
		return 2 * n, nil
	})
	for _, tt := range []struct {
		name, input, want, wantErr string
		permanent                  bool
	}{
		{"array of one", "[3]", "6", "", false},
		{"bare value", "3", "6", "", false},
		{"null", "[null]", "0", "", false},
		{"no argument", "[]", "0", "", false},
		{"failure", "[-1]", "", "negative", false},
		{"wrong type", `["x"]`, "", "payload does not fit its type", true},
		{"two arguments", "[1,2]", "", "payload does not fit its type", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result, err := binding.Run(context.Background(), &tt.input)
			if tt.wantErr == "" {
				if err != nil || *result != tt.want {
					t.Errorf("got %v, %v", result, err)
				}
				return
			}
			if result != nil || err == nil || !strings.Contains(err.Error(), tt.wantErr) || activity.IsPermanent(err) != tt.permanent {
				t.Errorf("got %v, %v, permanent %v", result, err, activity.IsPermanent(err))
			}
		})
	}
	if result, err := binding.Run(context.Background(), nil); err != nil || *result != "0" {
		t.Errorf("no input: %v, %v", result, err)
	}
}

func TestWith_Results(t *testing.T) {
	t.Parallel()
	nothing := activity.Declare[struct{}, struct{}]("Nothing").With(func(context.Context, struct{}) (struct{}, error) {
		return struct{}{}, nil
	})
	if result, err := nothing.Run(context.Background(), nil); result != nil || err != nil {
		t.Errorf("nothing: %v, %v", result, err)
	}
	channel := activity.Declare[struct{}, any]("Channel").With(func(context.Context, struct{}) (any, error) {
		return make(chan int), nil
	})
	if result, err := channel.Run(context.Background(), nil); result != nil || !activity.IsPermanent(err) {
		t.Errorf("a result that cannot be stored: %v, %v", result, err)
	}
}

func TestWith_Options(t *testing.T) {
	t.Parallel()
	fn := func(_ context.Context, n int) (int, error) { return n, nil }
	plain := double.With(fn)
	if plain.Name != "Double" || plain.BindingName() != "Double" || double.Name() != "Double" || plain.Limit != 0 || plain.Timeout != 0 {
		t.Errorf("plain: %+v", plain)
	}
	if limited := double.With(fn, activity.Limit(3), activity.Timeout(time.Minute)); limited.Limit != 3 || limited.Timeout != time.Minute {
		t.Errorf("limited: %d, %s", limited.Limit, limited.Timeout)
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	errCause := errors.New("cause")
	err := activity.Permanent(errCause)
	if err.Error() != "cause" || !errors.Is(err, errCause) || !activity.IsPermanent(fmt.Errorf("wrapped: %w", err)) {
		t.Errorf("permanent: %v", err)
	}
	if activity.Permanent(nil) != nil || activity.IsPermanent(nil) || activity.IsPermanent(errCause) {
		t.Error("what was not marked is taken for permanent")
	}
}

func TestFromContext(t *testing.T) {
	t.Parallel()
	want := activity.Info{
		Name: "Work", InstanceID: "inst", ExecutionID: "exec", TaskID: 3, CallID: "exec:1", Attempt: 2, Delivery: 1,
		Tags: map[string]string{"team": "blue"},
	}
	got, ok := activity.FromContext(activity.NewContext(context.Background(), want))
	if !ok || got.CallID != want.CallID || got.Attempt != 2 || got.Tags["team"] != "blue" {
		t.Errorf("info: %+v, %v", got, ok)
	}
	if _, ok := activity.FromContext(context.Background()); ok {
		t.Error("info outside of an activity")
	}
}
