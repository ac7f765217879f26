// Package activity declares activities, the steps of an orchestration that do real work, and
// binds them to functions.
//
// An activity is declared once, as a name and two types, where callers and workers can see it:
//
//	var HashFile = activity.Declare[File, Digest]("HashFile")
//
// A worker binds it to a function or method; an orchestrator calls it through the declaration:
//
//	w, err := worker.New(hub, nil, HashFile.With(svc.hash))
//	digest, err := orchestration.CallActivity(ctx, HashFile, file).Await()
//
// # Guarantees
//
// An activity runs at least once, and exactly once when nothing fails. Its result is recorded
// at most once. An activity that must not repeat its effect uses Info.CallID as an idempotency
// key: it is the same whenever the same call runs again, in another process and for another
// attempt of a retry policy, too.
package activity
