// Package simulation runs whole fleets, with the code that runs in production, on the memory store
// in virtual time. One seed decides everything: the programs, what clients do, which request is
// served next, which process crashes where, which reply gets lost. See docs/reliability.md.
//
// # How one seed decides everything
//
// Storage requests are the only scheduling points, together with the beginning of a goroutine and
// the end of an activity. All of them wait at one scheduler. When everything in the bubble of
// testing/synctest is blocked, it lets one of them go on, chosen by the seed among all that wait,
// in an order that does not depend on when they arrived. So at most one goroutine works at a time,
// and the same seed leads to the same requests in the same order.
//
// Random ids, jitter and wall clocks come from the environment of each process (store.Environment),
// and goroutines begin through a gate (run.WithGate).
//
// # What crashes mean
//
// A crashed process's requests have no effect from then on and are answered with an error, its
// context ends, and its goroutines end by themselves: nobody can tell that they go on for a while.
// A request that was under way when its process crashed, or when its caller gave it up, may still
// reach the store later, as it may in a network.
//
// Everything here is test code, so it lives in files that only tests are built from.
package simulation
