package taskhub

import (
	"maps"
	"time"

	"github.com/durafleet/durafleet/internal/wire"
)

// StartOption adjusts a start: InstanceID, Tags, Version, StartAt, Reuse.
type StartOption interface{ applyStart(o *startOptions) }

type startOptions struct {
	id      *string
	tags    map[string]string
	version string
	at      *time.Time
	reuse   Reuse
}

// InstanceID chooses the id of an instance: 1 to 256 characters, not beginning with @, without
// / \ # ? and control characters. Ids are case-sensitive. Default: 32 random hexadecimal digits.
type InstanceID string

func (id InstanceID) applyStart(o *startOptions) { o.id = (*string)(&id) }

// Tags are stored with an instance and passed on to what it calls.
type Tags map[string]string

func (t Tags) applyStart(o *startOptions) { o.tags = maps.Clone(t) }

// Version is the version of the orchestration to start. Default: "".
type Version string

func (v Version) applyStart(o *startOptions) { o.version = string(v) }

// StartAt delays a start until a time at most 7 days ahead; the instance is Pending until then. A
// time that has passed means now.
type StartAt time.Time

func (t StartAt) applyStart(o *startOptions) {
	at := wire.Ticks(time.Time(t))
	o.at = &at
}

// Reuse says what a start does if there is an instance of the chosen id already.
type Reuse int

const (
	// RefuseLive fails with an *ExistsError if the instance has not ended. One that has ended
	// makes way. This is the default.
	RefuseLive Reuse = iota
	// UseExisting starts nothing and returns a handle on the existing instance, whatever its
	// status, so that repeating a start is safe.
	UseExisting
	// ReplaceLive starts anew also if the instance has not ended. The old execution is abandoned
	// where it stands, without a chance to clean up; activities that run go on to their end.
	ReplaceLive
)

func (r Reuse) applyStart(o *startOptions) { o.reuse = r }
