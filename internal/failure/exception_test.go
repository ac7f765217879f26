package failure_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
)

func TestFromException(t *testing.T) {
	t.Parallel()
	text := `{"$type":"System.ArgumentException, System.Private.CoreLib","ClassName":"System.ArgumentException","Message":"boom",` +
		`"InnerException":{"ClassName":"System.TimeoutException","Message":"inner","InnerException":null},"StackTraceString":"at Boom"}`
	want := &history.FailureDetails{
		Type: "System.ArgumentException", Message: "boom", Stack: "at Boom",
		Inner: &history.FailureDetails{Type: "System.TimeoutException", Message: "inner"},
	}
	if diff := cmp.Diff(want, failure.FromException(&text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, other := range []string{"", "text", "{}", "[]", "null", `{"ClassName":3}`} {
		if got := failure.FromException(&other); got != nil {
			t.Errorf("%q gives %v", other, got)
		}
	}
	if got := failure.FromException(nil); got != nil {
		t.Errorf("nothing gives %v", got)
	}
}
