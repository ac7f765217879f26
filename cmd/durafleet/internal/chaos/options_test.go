package chaos

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/option"
)

func TestOptions_Defaults(t *testing.T) {
	t.Parallel()
	full, err := (&Options{}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if full.Minutes != 2 || full.Workers != 3 || full.Instances != 400 || len(full.Faults) != 6 || full.Lease != 9*time.Second || full.Seed != 1 {
		t.Errorf("got %+v", full)
	}
	soak, err := (&Options{Soak: true}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if soak.Minutes != 20 || soak.Instances != 10_000 || len(soak.Faults) != 0 || soak.Lease != 0 {
		t.Errorf("got %+v", soak)
	}
	if short, err := (&Options{Minutes: 0.001}).withDefaults(); err != nil || short.Instances != 1 {
		t.Errorf("got %+v, %v", short, err)
	}
}

func TestOptions_Check(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts Options
		want string
	}{
		{"minutes", Options{Minutes: -1}, "--minutes -1: must be more than 0 and at most 1440"},
		{"no number", Options{Minutes: math.NaN()}, "--minutes NaN: must be more than 0 and at most 1440"},
		{"workers", Options{Workers: 17}, "--workers 17: must be 1 to 16"},
		{"rate", Options{PerMinute: -5}, "--instances-per-minute -5: must be 1 to 1000000"},
		{"instances", Options{Instances: -5}, "--instances -5: must be 1 to 1000000"},
		{"both", Options{Instances: 5, PerMinute: 5}, "--instances 5: excludes --instances-per-minute"},
		{"lease", Options{Lease: time.Second}, "--lease 1s: must be 6s to 1m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.opts.withDefaults()
			var broken *option.Error
			if !errors.As(err, &broken) || broken.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
