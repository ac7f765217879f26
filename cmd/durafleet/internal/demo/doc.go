// Package demo shows the engine at work: a fleet of worker processes makes the manifest of a
// directory tree on a real Azurite, one of them is killed halfway, and the result is checked
// against hashes that were computed without the engine.
//
// # Processes
//
// Azurite and the workers are children with process groups of their own. They end when the demo
// does, however it does: workers and Azurite watch a pipe on their standard input, and on Linux
// the kernel kills them, too.
//
// # Counting
//
// Workers report each run of an activity before its result is stored. A call that was reported
// more than once was re-run: its first worker was killed between the run and the deletion of the
// work item.
package demo
