package activity

import "context"

// Info tells an activity which call it is running.
type Info struct {
	// Name is the activity's name.
	Name string
	// InstanceID and ExecutionID identify the orchestration that called.
	InstanceID  string
	ExecutionID string
	// TaskID is the id of the call within the execution.
	TaskID int32
	// CallID is an idempotency key: the same for every delivery and every attempt of one call in
	// the orchestrator's code, and different for any other call.
	CallID string
	// Attempt counts the attempts of a retry policy, from 1.
	Attempt int
	// Delivery counts how often this attempt has been handed to a worker, from 1. Above 1, an
	// earlier run may have been cut off after its effect.
	Delivery int
	// Tags are the tags given to the call.
	Tags map[string]string
}

type infoKey struct{}

// NewContext returns a context that carries info; workers and tests use it.
func NewContext(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

// FromContext returns what the context of an activity tells about its call. ok is false outside
// of an activity.
func FromContext(ctx context.Context) (info Info, ok bool) {
	info, ok = ctx.Value(infoKey{}).(Info)
	return info, ok
}
