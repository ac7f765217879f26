package orchestration_test

import (
	"strings"
	"testing"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/orchestration"
)

// K01, K02: the last custom status of a turn is the one that is stored; nil clears it, and falsy
// values are values.
func TestSetCustomStatus_K01_K02(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		values []any
		want   string
	}{
		{"never set", nil, "none"},
		{"object", []any{map[string]int{"step": 1}}, `{"step":1}`},
		{"last wins", []any{"one", "two"}, `"two"`},
		{"cleared", []any{"one", nil}, "none"},
		{"set again", []any{"one", nil, 3}, "3"},
		{"empty text", []any{"one", ""}, `""`},
		{"false", []any{false}, "false"},
		{"null pointer", []any{(*int)(nil)}, "null"},
		{"no escaping", []any{"<a&b>"}, `"<a&b>"`},
		{"as large as it may be", []any{strings.Repeat("x", 16*1024-2)}, `"` + strings.Repeat("x", 16*1024-2) + `"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
				for _, value := range tt.values {
					ctx.SetCustomStatus(value)
				}
				return call(ctx, "a").Await()
			}), orchestration.Options{})
			for _, events := range [][]history.Event{{started("Job", `""`)}, {done(0, `""`)}} {
				if got := history.TextOr(d.turn(events...).CustomStatus, "none"); got != tt.want {
					t.Errorf("custom status: %s", got)
				}
			}
			if got := history.TextOr(d.x.CustomStatus(), "none"); got != tt.want {
				t.Errorf("custom status in the end: %s", got)
			}
		})
	}
}

// A custom status that is too large, or no JSON, ends the orchestration; the code does not go on.
func TestSetCustomStatus_Refused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"too large", strings.Repeat("x", 16*1024-1), "custom status of 16385 bytes exceeds the limit of 16384"},
		{"no JSON", func() {}, "unsupported type: func()"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, jobOf(func(ctx *orchestration.Context) (string, error) {
				ctx.SetCustomStatus("before")
				ctx.SetCustomStatus(tt.value)
				call(ctx, "never")
				return "went on", nil
			}), orchestration.Options{})
			decision := d.turn(started("Job", `""`))
			end := decision.Complete()
			if len(decision.Actions) != 1 || end == nil || end.Status != history.Failed {
				t.Fatalf("actions: %q", render(decision.Actions, d.now))
			}
			if !strings.HasPrefix(*end.Result, "set custom status: ") || !strings.Contains(*end.Result, tt.want) {
				t.Errorf("result: %s", *end.Result)
			}
			if *decision.CustomStatus != `"before"` {
				t.Errorf("custom status: %s", *decision.CustomStatus)
			}
		})
	}
}
