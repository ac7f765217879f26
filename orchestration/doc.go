// Package orchestration is the programming model of orchestrations and the pure core that runs
// them.
//
// An orchestration is an ordinary Go function that survives crashes. It is declared once, as a
// name and two types, bound to code by a worker and started by a client:
//
//	var Greet = orchestration.Declare[[]string, []string]("Greet")
//
//	func greet(ctx *orchestration.Context, names []string) ([]string, error) {
//		tasks := make([]orchestration.Task[string], len(names))
//		for i, name := range names {
//			tasks[i] = orchestration.CallActivity(ctx, SayHello, name)
//		}
//		return orchestration.All(tasks...).Await()
//	}
//
// # Determinism
//
// The function is run again over its recorded history whenever the instance goes on, so it has
// to do the same every time: no clocks, no random numbers, no goroutines, no maps ranged over, no
// input or output. The Context has replay-safe stand-ins (Now, NewUUID, Logger, Go); real work
// belongs into activities. Code that does not repeat what the history records is reported as a
// NonDeterminismError, which names the first difference.
//
// Whenever an execution leaves the memory of a worker its deferred calls run, so a defer must
// not assume that the orchestration is over.
//
// # The core
//
// An Execution is the state of the code of one execution: Replay brings it to the end of a
// history, Advance runs it over new events and returns the actions it decided on. It reads no
// clock and does no input or output; package worker does that around it.
package orchestration
