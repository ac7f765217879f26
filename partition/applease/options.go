package applease

import (
	"fmt"
	"log/slog"
	"time"
)

// Options configures a Lease. The zero value of every field means its default.
type Options struct {
	// AppName is the application's name, the same for all its workers, whoever wrote them. Empty
	// is a name, too, and .NET's default outside of Azure.
	AppName string
	// LeaseDuration is how long the lease lasts without renewal. Default 60s; 15s to 60s.
	LeaseDuration time.Duration
	// RenewInterval is the time between renewals. Default 25s; at most half of LeaseDuration.
	RenewInterval time.Duration
	// AcquireInterval is the time between attempts while another application holds the lease.
	// Default 300s.
	AcquireInterval time.Duration
	// Margin is how long before the lease can expire the gated function's context ends. Default 5s;
	// at most a third of LeaseDuration.
	Margin time.Duration
	// RequestTimeout bounds each storage request. Default 5s.
	RequestTimeout time.Duration
	// Logger receives what people have to know. Default: discard.
	Logger *slog.Logger
	// OnChange, if set, is called when Held has changed, and after each attempt. It is meant for
	// tests and must return quickly.
	OnChange func()
}

func (o *Options) withDefaults() (Options, error) {
	if o == nil {
		o = &Options{}
	}
	full := *o
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&full.LeaseDuration, time.Minute},
		{&full.RenewInterval, 25 * time.Second},
		{&full.AcquireInterval, 5 * time.Minute},
		{&full.Margin, 5 * time.Second},
		{&full.RequestTimeout, 5 * time.Second},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	if full.Logger == nil {
		full.Logger = slog.New(slog.DiscardHandler)
	}
	if full.OnChange == nil {
		full.OnChange = func() {}
	}
	return full, full.validate()
}

func (o *Options) validate() error {
	for _, field := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"LeaseDuration", o.LeaseDuration, 15 * time.Second, time.Minute},
		{"RenewInterval", o.RenewInterval, time.Second, o.LeaseDuration / 2},
		{"AcquireInterval", o.AcquireInterval, time.Second, 24 * time.Hour},
		{"Margin", o.Margin, time.Second, o.LeaseDuration / 3},
		{"RequestTimeout", o.RequestTimeout, time.Millisecond, time.Minute},
	} {
		if field.value < field.min || field.value > field.max {
			return fmt.Errorf("app lease: options: %s is %v; it must be between %v and %v",
				field.name, field.value, field.min, field.max)
		}
	}
	return nil
}
