package orchestration

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/failure"
	"github.com/durafleet/durafleet/internal/payload"
)

// Context is an orchestrator's only access to the world. It is not a context.Context: an
// orchestrator does not block on real work. It must be used only by the orchestrator function it
// was given to and the branches started with Go, never by another goroutine.
type Context struct{ x *Execution }

// InstanceID returns the id of the instance.
func (c *Context) InstanceID() string { return c.x.started.Instance.InstanceID }

// ExecutionID returns the id of the execution; it changes when the instance continues as new.
func (c *Context) ExecutionID() string { return c.x.started.Instance.ExecutionID }

// Name returns the name under which the orchestration was started.
func (c *Context) Name() string { return c.x.started.Name }

// Version returns the version under which the orchestration was started, usually "".
func (c *Context) Version() string { return c.x.started.Version }

// Tags returns a copy of the tags of the instance.
func (c *Context) Tags() map[string]string { return cloneTags(c.x.started.Tags) }

// Parent returns the orchestration that started this one, nil if a client did.
func (c *Context) Parent() *history.Parent {
	if c.x.started.Parent == nil {
		return nil
	}
	parent := *c.x.started.Parent
	return &parent
}

// Now returns the current time of the orchestration: the time at which the episode began. It is
// the same in every replay and never goes back.
func (c *Context) Now() time.Time { return c.x.now }

// IsReplaying reports whether the code is running over what happened before. Use it for effects
// on the outside that should not be repeated, never for decisions.
func (c *Context) IsReplaying() bool { return c.x.replaying }

// Logger returns a logger that is silent while the code is replayed.
func (c *Context) Logger() *slog.Logger {
	base := c.x.options.Logger.Handler()
	return slog.New(&replayHandler{base, c.x}).With(
		"instance", c.InstanceID(), "orchestration", c.Name())
}

// uuidNamespace is the namespace in which the .NET line derives its replay-safe ids.
var uuidNamespace = uuid.MustParse("9e952958-5e33-4daf-827f-2fa12937b875")

// NewUUID returns an id that is unique to this call and the same in every replay: a version 5
// UUID of the instance id, the current time and a counter.
func (c *Context) NewUUID() uuid.UUID {
	c.x.enter()
	name := fmt.Sprintf("%s_%s_%d", c.InstanceID(), c.x.now.UTC().Format("2006-01-02T15:04:05.0000000Z"), c.x.uuids)
	c.x.uuids++
	return uuid.NewSHA1(uuidNamespace, []byte(name))
}

// maxCustomStatus is the size limit of a custom status in bytes; it lives in one table column.
const maxCustomStatus = 16 * 1024

// SetCustomStatus sets what the instance shows as its custom status, any JSON value of up to
// 16 KiB. The last one set in an episode is stored with it; nil clears it. A value that cannot be
// stored ends the orchestration as Failed.
func (c *Context) SetCustomStatus(status any) {
	c.x.enter()
	if status == nil {
		c.x.status = nil
		return
	}
	text, err := payload.Encode(status)
	if err == nil && text != nil && len(*text) > maxCustomStatus {
		err = fmt.Errorf("custom status of %d bytes exceeds the limit of %d", len(*text), maxCustomStatus)
	}
	if err != nil {
		c.x.abort(fmt.Errorf("set custom status: %w", err))
	}
	c.x.status = text
}

// abort ends the orchestration as Failed and leaves user code.
func (x *Execution) abort(err error) {
	x.end(&CompleteAction{Status: history.Failed, Failure: failure.FromError(err)})
	x.park()
}

func cloneTags(tags map[string]string) map[string]string {
	if tags == nil {
		return nil
	}
	clone := make(map[string]string, len(tags))
	for k, v := range tags {
		clone[k] = v
	}
	return clone
}
